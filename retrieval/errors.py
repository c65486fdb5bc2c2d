"""The errors that the library raises on purpose.

Each message says what failed, the value, what was expected, and the command that
mends it. Scripts print them and exit; the page shows them; nothing else catches
them.
"""


class RetrievalError(Exception):
    """Base of all errors a person can mend."""


class SourceError(RetrievalError):
    """What should be indexed cannot be had: no such folder, nothing in it, no network."""


class MediaError(RetrievalError):
    """One picture or animation is over a bound, broken, or no picture at all."""


class LimitError(MediaError):
    """A picture or animation is over a bound on its size, or on the cost of decoding it."""


class UnavailableError(MediaError):
    """A picture cannot be had now, but may be next time: no network, a busy server."""


class SilentHostError(UnavailableError):
    """A server does not answer: its addresses are to be left for last."""


class StoppedError(RetrievalError):
    """Nobody waits for the work any more, so it ended before it was done."""

    def __init__(self, message: str = "The work was stopped."):
        super().__init__(message)


class BusyError(RetrievalError):
    """So many wait for the same kind of work that nobody else may."""

    def __init__(self, message: str = "Too many people are asking just now. Try again soon."):
        super().__init__(message)


class QueryError(RetrievalError):
    """What was asked cannot be searched for: empty, too long, or contradictory."""


class CheckpointError(RetrievalError):
    """A checkpoint is unknown, incomplete, or cannot be downloaded."""


class BundleError(RetrievalError):
    """An index bundle is missing, damaged, or made with another checkpoint."""


class OutputError(RetrievalError):
    """A path to write to holds what is not ours, or cannot be written to."""


class StorageError(RetrievalError):
    """An index cannot be written: a full or read-only disk, or a name that is no folder's."""


class HubError(RetrievalError):
    """The Hugging Face Hub lacks, refuses or breaks off what was asked of it."""


class HubOfflineError(HubError):
    """The Hub cannot be reached, and its cache here does not hold what was asked for."""


class JudgementError(RetrievalError):
    """Topics, judgements or a run cannot be read, or do not fit one another."""


class SettingsError(RetrievalError):
    """An environment variable has a value that makes no sense."""


class FeedbackError(RetrievalError):
    """What people say of the reactions cannot be kept, or not be read back."""


class SpaceError(RetrievalError):
    """A Space cannot be put together, or not be run here, as it was asked for."""


def reason_of(error: BaseException) -> str:
    """The error's first line, without the number and the file name that an OSError adds."""
    text = getattr(error, "strerror", None) or str(error)
    return (text.strip().splitlines() or [type(error).__name__])[0]

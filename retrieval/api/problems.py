"""Errors as answers: problem details, RFC 9457, without a path of this machine."""

from __future__ import annotations

from http import HTTPStatus

from starlette.responses import JSONResponse, Response

from retrieval.errors import (
    BusyError,
    FeedbackError,
    MediaError,
    QueryError,
    RetrievalError,
    SourceError,
    StoppedError,
)
from retrieval.web import visible

BUSY_RETRY_S = 5
_STATUS: tuple[tuple[type[Exception], HTTPStatus], ...] = (
    (BusyError, HTTPStatus.SERVICE_UNAVAILABLE),
    (StoppedError, HTTPStatus.SERVICE_UNAVAILABLE),  # nobody reads it: the client has left
    (FeedbackError, HTTPStatus.INSUFFICIENT_STORAGE),
    (QueryError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (MediaError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (SourceError, HTTPStatus.UNPROCESSABLE_ENTITY),
)


class ProblemError(Exception):
    """What an operation cannot do, with its HTTP status; `code` is for programs."""

    def __init__(
        self,
        status: HTTPStatus,
        detail: str,
        code: str = "",
        *,
        retry_after_s: int = 0,
        more: dict[str, object] | None = None,
    ):
        super().__init__(detail)
        self.status, self.detail, self.code = status, detail, code
        self.retry_after_s, self.more = retry_after_s, more or {}


def problem_response(error: Exception) -> Response:
    """The answer for an error of the library or of this package."""
    if not isinstance(error, ProblemError):
        error = _problem_of(error)
    content: dict[str, object] = {
        "type": "about:blank",
        "title": error.status.phrase,
        "status": int(error.status),
        "detail": visible(error.detail),
        **error.more,
    }
    if error.code:
        content["code"] = error.code
    headers = {"Cache-Control": "no-store"}
    if error.retry_after_s:
        headers["Retry-After"] = str(error.retry_after_s)
    return JSONResponse(
        content, int(error.status), headers=headers, media_type="application/problem+json"
    )


def _problem_of(error: Exception) -> ProblemError:
    if isinstance(error, BusyError):
        return ProblemError(
            HTTPStatus.SERVICE_UNAVAILABLE, str(error), "busy", retry_after_s=BUSY_RETRY_S
        )
    for kind, status in _STATUS:
        if isinstance(error, kind):
            return ProblemError(status, str(error))
    if isinstance(error, RetrievalError):
        return ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, str(error), "failed")
    return ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, "This library is not open.", "failed")

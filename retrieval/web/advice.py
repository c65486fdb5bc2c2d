"""What the loaded checkpoint and library cannot do for a question, and what to do about it."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

from retrieval.encoders import Languages, languages_of
from retrieval.library import FORMAT_VERSION, Bundle, build_command
from retrieval.paths import ROOT
from retrieval.search import Searcher
from retrieval.signals import Measured, is_current
from retrieval.web.languages import Language, recognise_language
from retrieval.web.translations import Sentence, TextKey, texts
from retrieval.web.visitors import without_paths

Advice: TypeAlias = Sentence

EXAMPLES = (  # the original demo's, word for word
    "OMG that is disgusting",
    "I'm so scared right now",
    "I got the job 🎉",
    "Congratulations to all the flax-community week teams",
    "You're awesome",
    "I love you ❤️",
)
EXAMPLES_IN = {
    "ko": ("나 합격했어 🎉", "아 월요일 진짜 싫다", "헐 대박", "너무 무서워 ㅠㅠ", "생일 축하해!")
}
BLIND = 0.1  # sight (retrieval.signals.measure) below which frames are near chance
BETTER = "siglip2"  # reads about a hundred languages, and sees photographs and film


def advise(message: str, searcher: Searcher, *, by_frames: bool = False) -> list[Advice]:
    """Return what to tell a visitor about a question, a short line each; often nothing.

    `message` is empty if there is none. `by_frames`: a picture or "more like this" is part of
    the question, so that frames decide.
    """
    advice = []
    language = recognise_language(message) if message.strip() else None
    if language:
        advice += language_advice(language, searcher)
    outdated = outdated_advice(searcher)
    if outdated:
        advice.append(outdated)
    if by_frames or searcher.signals == ("frames",):
        advice += sight_advice(searcher)
    return advice


def examples_for(searcher: Searcher | None, language: str) -> tuple[str, ...]:
    """Return the example queries for a page in a language ("en", "ko").

    The original demo's; after them some in the page's language, if the checkpoint reads it.
    None stands for a searcher that is still loading.
    """
    more = EXAMPLES_IN.get(language, ())
    if not more or searcher is None:
        return EXAMPLES
    is_read = languages_of(searcher.encoder.checkpoint).reads([language])
    return (*EXAMPLES, *more) if is_read else EXAMPLES


def visible_label(searcher: Searcher) -> str:
    """The checkpoint's label without this machine's paths."""
    return without_paths(searcher.encoder.label, (), (ROOT, Path.home()))


def language_names(languages: Languages) -> tuple[TextKey | str, ...]:
    """The languages that a checkpoint reads, as values of a text."""
    if languages.is_multilingual:
        return (TextKey("language_many"),)
    keys = {code: f"language_{code}" for code in languages.codes}
    known = texts("en")
    names = tuple(TextKey(key) if key in known else code for code, key in keys.items())
    return names or (TextKey("language_unknown"),)


def measured_of(searcher: Searcher) -> Measured | None:
    """What the build measured of the library; None if it measured nothing."""
    if not isinstance(searcher.collection, Bundle):
        return None
    try:
        return Measured(**searcher.collection.manifest.signal_facts["measured"])
    except (KeyError, TypeError):
        return None


def language_advice(language: Language, searcher: Searcher) -> list[Advice]:
    """Advice on a message in a language that the checkpoint or the signals do not read."""
    read = languages_of(searcher.encoder.checkpoint)
    values: dict[str, object] = {"language": TextKey(f"language_{language.key}")}
    if read.reads(language.codes) is False:
        values |= {"checkpoint": visible_label(searcher), "reads": language_names(read)}
        return [Advice("advice_language", {**values, "better": BETTER})]
    if searcher.signals != ("frames",):  # their text tower is mini's, whatever sees the frames
        return [Advice("advice_language_signals", values)]
    return []


def sight_advice(searcher: Searcher) -> list[Advice]:
    """Advice on a question that frames decide, if the checkpoint hardly sees these pictures."""
    measured = measured_of(searcher)
    if measured is None or measured.sight >= BLIND:
        return []
    found = max(measured.frames_by_name, measured.frames_by_words)
    if found < 0:
        return []
    by = "name" if measured.frames_by_name >= measured.frames_by_words else "words"
    values: dict[str, object] = {
        "checkpoint": visible_label(searcher),
        "found": f"{100 * found:.0f}",
        "chance": f"{100 * measured.chance:.0f}",
        "by": TextKey(f"found_by_{by}"),
        "better": BETTER,
    }
    has_better = languages_of(searcher.encoder.checkpoint).is_multilingual
    return [Advice("advice_unseen_anyway" if has_better else "advice_unseen", values)]


def outdated_advice(searcher: Searcher) -> Advice | None:
    """Advice to rebuild a bundle whose signals are of another version of this program."""
    bundle = searcher.collection
    if not isinstance(bundle, Bundle) or searcher.signals != ("frames",):
        return None
    manifest = bundle.manifest
    has_old_signals = bool(manifest.signal_facts) and not is_current(manifest.signal_facts)
    if not has_old_signals and manifest.format_version >= FORMAT_VERSION:
        return None
    if bundle.origin:
        return Advice("advice_outdated_published", {"name": bundle.name})
    command = without_paths(build_command(bundle.path), [bundle.path], (ROOT, Path.home()))
    return Advice("advice_outdated", {"command": command})

"""SIGKILL at random moments of a build, of a rebuild with its swap, and of publishing.

Afterwards the old bundle opens and answers, the next run finishes and equals an undisturbed one,
and nothing is left behind that grows with the number of kills.
"""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from retrieval.errors import RetrievalError
from retrieval.library import Bundle
from tests.hub_stand_in import WRITER, HubStandIn
from tests.support.soak.commands import Command, Done, Home, build, files_of, taken
from tests.support.soak.rows import Amount, Row, first_of
from tests.support.soak.seeds import write_good_files

KILLS, FILES = 100, 120
REPOSITORY = "me/gifs"


def soak_kills(amount: Amount, folder: Path) -> list[Row]:
    chance, n_kills = random.Random(amount.seed), amount.count(KILLS, 4)
    source, home = folder / "source", Home(folder / "home")
    write_good_files(source, FILES)
    rows = _builds(source, folder / "build", home, n_kills, chance)
    rows += _swaps(source, folder / "swap", home, n_kills, chance)
    return rows + _publishing(source, folder / "publish", n_kills, chance)


def _builds(
    source: Path, folder: Path, home: Home, n_kills: int, chance: random.Random
) -> list[Row]:
    """One new bundle, whose build is killed again and again before it may finish."""
    whole, out = folder / "whole" / "b", folder / "killed" / "b"
    took_s = _finished(build(source, whole, home, "--copy-media")).took_s
    problems, most = list[str](), (0, 0)
    n_killed = 0
    for _ in range(n_kills):
        shutil.rmtree(out, ignore_errors=True)  # so that there is always something to do
        command = build(source, out, home, "--copy-media")
        time.sleep(chance.uniform(0, took_s))
        n_killed += command.kill()
        problems += _opens(out, FILES) if out.exists() else []
        most = max(most, taken(out.parent))
    last = _finished(build(source, out, home, "--copy-media"))
    problems += _unequal(files_of(out), files_of(whole))
    problems += _left(out.parent, {"b", ".b.work"}) + _temporary(home)
    work, usual = taken(out.parent / ".b.work"), taken(whole.parent / ".b.work")
    return [
        Row(
            f"{n_kills} builds killed ({n_killed} while they ran)",
            "the next equals an undisturbed one, nothing is left",
            f"{first_of(problems)} wrong; last run {last.took_s:.1f} s of {took_s:.1f} s",
            not problems and n_killed > 0,
        ),
        _grown("builds", most, work, usual),
    ]


def _swaps(
    source: Path, folder: Path, home: Home, n_kills: int, chance: random.Random
) -> list[Row]:
    """Rebuilds between two states of a source, killed mostly while the bundle is written."""
    out, extra = folder / "killed" / "b", source / "extra.gif"
    (spare,) = write_good_files(folder / "spare", 1, first=5_000)
    expected: dict[bool, Mapping[str, str]] = {}
    for has_extra in (False, True):
        _set(extra, spare, has_extra)
        _finished(build(source, folder / f"whole-{has_extra}" / "b", home, "--copy-media"))
        expected[has_extra] = files_of(folder / f"whole-{has_extra}" / "b")
    _finished(build(source, out, home, "--copy-media"))
    problems, most, n_killed, has_extra = list[str](), (0, 0), 0, True
    for _ in range(n_kills):
        has_extra = not has_extra
        _set(extra, spare, has_extra)
        command = build(source, out, home, "--copy-media")
        started = _wait_for_writing(command, out)
        time.sleep(chance.uniform(0, 0.3))
        n_killed += command.kill()
        problems += [] if started else ["writing did not begin"]
        problems += _opens(out, FILES, FILES + 1)
        now = files_of(out)
        if now not in (expected[True], expected[False]):
            problems.append(_unequal(now, expected[has_extra])[0])
        most = max(most, taken(out.parent))
    _finished(build(source, out, home, "--copy-media"))
    problems += _unequal(files_of(out), expected[has_extra])
    problems += _left(out.parent, {"b", ".b.work"}) + _temporary(home)
    extra.unlink(missing_ok=True)
    work = taken(out.parent / ".b.work")
    return [
        Row(
            f"{n_kills} rebuilds killed while they write or swap ({n_killed} while they ran)",
            "the old or the new bundle, whole, after each; the next equals an undisturbed one",
            f"{first_of(problems)} wrong",
            not problems and n_killed > 0,
        ),
        _grown("rebuilds", most, work, taken(folder / "whole-True" / ".b.work")),
    ]


def _publishing(source: Path, folder: Path, n_kills: int, chance: random.Random) -> list[Row]:
    """Two bundles published in turn, to a stand-in of the Hub, and killed."""
    with HubStandIn() as hub:
        settings = {"HF_ENDPOINT": hub.endpoint, "HF_TOKEN": WRITER, "HF_HUB_DISABLE_XET": "1"}
        home = Home(folder / "home", settings | {"HF_HOME": str(folder / "hf")})
        (more,) = write_good_files(folder / "more", 1, first=6_000)
        bundles, expected = list[Path](), list[Mapping[str, bytes]]()
        for name in ("one", "two"):
            bundles.append(folder / name)
            _finished(build(source, bundles[-1], home, "--copy-media"))
            took_s = _finished(_publish(bundles[-1], home)).took_s
            expected.append(hub.repository("dataset", REPOSITORY).files)
            shutil.copy(more, source)
        before = [files_of(bundle) for bundle in bundles]
        problems, n_killed, sizes = list[str](), 0, list[tuple[int, int]]()
        for number in range(n_kills):
            command = _publish(bundles[number % 2], home)
            time.sleep(chance.uniform(took_s / 2, took_s))  # its first half is imports
            n_killed += command.kill()
            if hub.repository("dataset", REPOSITORY).files not in expected:
                problems.append("the repository is neither the old bundle nor the new one")
            sizes.append(taken(folder / "hf"))
        for bundle, files in zip(bundles, expected, strict=True):
            _finished(_publish(bundle, home))
            if hub.repository("dataset", REPOSITORY).files != files:
                problems.append("the next publication differs from an undisturbed one")
        problems += [] if before == [files_of(bundle) for bundle in bundles] else ["bundle changed"]
        problems += _temporary(home)
    grown = sizes[-1][0] - sizes[0][0]
    return [
        Row(
            f"{n_kills} publications killed ({n_killed} while they ran)",
            "the old or the new commit, whole; the next equals an undisturbed one",
            f"{first_of(problems)} wrong; {grown:+d} files in the Hub's cache",
            not problems and n_killed > 0 and grown <= 0,
        )
    ]


def _publish(bundle: Path, home: Home) -> Command:
    return Command(("publish", "bundle", bundle, REPOSITORY), home)


def _finished(command: Command) -> Done:
    done = command.wait()
    if done.status:
        raise RuntimeError(f"exit {done.status}: {done.message}")
    return done


def _set(extra: Path, spare: Path, is_there: bool) -> None:
    extra.unlink(missing_ok=True)
    if is_there:
        shutil.copy(spare, extra)


def _wait_for_writing(command: Command, out: Path) -> bool:
    """Wait until the new bundle is begun beside the old one; returns whether it was seen."""
    while command.process.poll() is None:
        if any(
            path.name.startswith(f".{out.name}.") and path.name != f".{out.name}.work"
            for path in out.parent.iterdir()
        ):
            return True
        time.sleep(0.002)
    return False


def _opens(out: Path, *counts: int) -> list[str]:
    """Open a bundle and search in it; returns what is wrong."""
    try:
        bundle = Bundle.open(out)
        found = bundle.index.search(bundle.embeddings.vectors[0], 3)
    except RetrievalError as error:
        return [f"does not open: {error}"]
    n_gifs = len(bundle.records)
    is_right = n_gifs in counts and len(found[0]) == 3
    return [] if is_right else [f"{n_gifs} GIFs, expected {counts}"]


def _unequal(files: Mapping[str, str], expected: Mapping[str, str]) -> list[str]:
    names = sorted(n for n in files.keys() | expected if files.get(n) != expected.get(n))
    return [f"{len(names)} files differ, such as {names[0]}"] if names else []


def _left(folder: Path, expected: Iterable[str]) -> list[str]:
    names = sorted({path.name for path in folder.iterdir()} - set(expected))
    return [f"left behind: {', '.join(names)}"] if names else []


def _temporary(home: Home) -> list[str]:
    n_files, n_bytes = taken(home.temporary)
    return [f"{n_files} temporary files, {n_bytes:,} bytes"] if n_files else []


def _grown(what: str, most: tuple[int, int], work: tuple[int, int], usual: tuple[int, int]) -> Row:
    """The work folder after the last run is like that of a build that was never killed."""
    reached = (
        f"work folder: {work[0]} files, {work[1]:,} bytes (undisturbed {usual[0]}, {usual[1]:,}); "
        f"most at any time beside and in the bundle: {most[0]} files, {most[1]:,} bytes"
    )
    is_like = work[0] <= usual[0] + 1 and work[1] <= 2 * usual[1] + 100_000
    return Row(f"what killed {what} leave beside the bundle", "does not grow", reached, is_like)

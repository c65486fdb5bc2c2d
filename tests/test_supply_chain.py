"""What is installed is named by version and hash, and its licences are permissive."""

import re
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from retrieval.paths import ROOT
from tests.support.project import requirements_of

SPACE, SPACE_LOCK = (ROOT / "space" / f"requirements{kind}.txt" for kind in ("", "-lock"))
DEV_LOCK = ROOT / "requirements-dev-lock.txt"
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))

# Permissive licences, and MPL-2.0, which asks for its own files only.
ALLOWED = re.compile(
    r"apache|\bmit\b|\bbsd|\bisc\b|\bpsf\b|python software foundation|unlicense|public domain"
    r"|cc0|mpl.?2|mozilla public|zlib|0bsd|hpnd|pillow",
    re.I,
)
COPYLEFT = re.compile(r"gpl|general public", re.I)  # beside a permissive one: which of them counts?


def locked(path: Path) -> dict[str, list[Requirement]]:
    """The requirements of a lock by name; each has to have hashes."""
    found: dict[str, list[Requirement]] = {}
    for entry in re.split(r"\n(?=[a-z0-9])", path.read_text()):
        lines = [line for line in entry.splitlines() if not line.lstrip().startswith("#")]
        if not lines:
            continue
        requirement = Requirement(lines[0].rstrip(" \\"))
        hashes = [line.strip(" \\") for line in lines[1:]]
        assert hashes and all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", h) for h in hashes), entry
        found.setdefault(requirement.name.lower(), []).append(requirement)
    return found


def names_in(lines: list[str]) -> dict[str, Requirement]:
    wanted = (Requirement(line) for line in lines if not line.startswith("clip-reaction-search"))
    return {requirement.name.lower().replace("_", "-"): requirement for requirement in wanted}


@pytest.mark.parametrize("path", [SPACE_LOCK, DEV_LOCK], ids=lambda path: path.name)
def test_lock_names_one_version_and_its_hashes(path: Path):
    for requirements in locked(path).values():
        for requirement in requirements:
            (pinned,) = requirement.specifier
            assert pinned.operator == "==", requirement


def test_locks_hold_what_the_project_asks_for_within_its_bounds():
    lines = [line.split(" #")[0] for line in SPACE.read_text().splitlines()]
    asked = {
        SPACE_LOCK: names_in([line for line in lines if line and not line.startswith("#")]),
        DEV_LOCK: names_in([line for part in ("base", "torch", "hub", "dev")
                            for line in requirements_of(part)]),
    }  # fmt: skip
    for path, wanted in asked.items():
        known = locked(path)
        for name, requirement in wanted.items():
            assert name in known, f"{name} is not in {path.name}: make lock"
            for pinned in known[name]:
                version = next(iter(pinned.specifier)).version
                assert requirement.specifier.contains(version), f"{pinned}: make lock"


def test_space_installs_by_hash():
    text = (ROOT / "space" / "Dockerfile").read_text()
    assert "--require-hashes -r requirements-lock.txt" in text
    assert "-r requirements.txt" not in text


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_named_by_commit(path: Path):
    workflow = yaml.safe_load(path.read_text())
    used = [step["uses"] for job in workflow["jobs"].values() for step in job["steps"]
            if "uses" in step]  # fmt: skip
    assert used and all(re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}", name) for name in used)


def test_licences_of_what_the_space_installs_are_known_and_permissive():
    unknown = {}
    for name in locked(SPACE_LOCK):
        try:
            facts = metadata(name)
        except PackageNotFoundError:
            continue  # of another system
        classifiers = [c for c in facts.get_all("Classifier") or [] if c.startswith("License")]
        told = [facts.get("License-Expression") or "", facts.get("License") or "", *classifiers]
        texts = [text[:200] for text in told]  # some have the licence itself there
        if not any(map(ALLOWED.search, texts)) or any(map(COPYLEFT.search, texts)):
            unknown[name] = told
    assert not unknown, f"Read their licences, then add them or choose another package: {unknown}"

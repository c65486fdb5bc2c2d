"""The long tests themselves: what they make, and that a broken promise is seen."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from retrieval.media import read_media
from retrieval.paths import ROOT
from tests.support.soak.mutations import mutants
from tests.support.soak.processes import memory_mb, open_files, tree
from tests.support.soak.rows import Amount, Row, p95, skipped, table
from tests.support.soak.seeds import seeds

HOLDER = "import sys; held = b'x' * 50_000_000; print(1, flush=True); sys.stdin.read()"


def test_table_marks_what_was_broken_and_what_was_not_tried():
    rows = [Row("a", "< 1 s", "2 s", False), skipped("a|b", "no disk")]
    assert table(rows).splitlines()[2:] == [
        "| a | < 1 s | 2 s | **no** |",
        "| a/b |  | not tried: no disk | – |",
    ]


def test_nothing_measured_keeps_no_promise():
    assert not p95([]) < 1e9


def test_scale_shrinks_counts_and_minutes():
    assert Amount(0.1).count(100) == 10 and Amount(0.001).count(100, least=4) == 4
    assert Amount(0.1).seconds(10) == 60 and Amount(1, minutes=2).seconds(10) == 120


def test_damaged_files_are_the_same_for_a_seed():
    files = [("a.gif", b"GIF89a" + bytes(range(256))), ("b.png", bytes(500))]
    first = list(mutants(files, 50, seed=1))
    assert first == list(mutants(files, 50, seed=1)) != list(mutants(files, 50, seed=2))
    changed = sum(data != files[i % 2][1] for i, (_, data) in enumerate(first))
    assert changed > 40


def test_every_format_has_a_file_that_is_read():
    found = {suffix: read_media(data).n_frames for suffix, data in seeds(1)}
    for suffix in (".gif", ".apng.png", ".animated.webp", ".mp4", ".vp8.webm", ".vp9.webm"):
        assert found[suffix] == 4
    for suffix in (".still.gif", ".png", ".palette.png", ".jpg", ".progressive.jpg", ".webp"):
        assert found[suffix] == 1


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_and_files_of_children_are_counted():
    before_mb, before_files = memory_mb(os.getpid()), open_files(os.getpid())
    child = subprocess.Popen(
        [sys.executable, "-c", HOLDER], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert child.stdout and child.stdout.readline() == b"1\n"
    assert child.pid in tree(os.getpid())
    assert memory_mb(os.getpid()) > before_mb + 45
    assert open_files(os.getpid()) >= before_files + 3
    child.communicate()
    assert child.pid not in tree(os.getpid())

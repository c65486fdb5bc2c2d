"""A bundle is replaced under a running server, without a restart and without a mixed answer."""

from __future__ import annotations

from pathlib import Path

from tests.support.swaps import swap_under_load


def test_swaps_under_a_running_server_give_answers_and_media_of_one_bundle(tmp_path: Path):
    seen, n_more_open = swap_under_load(tmp_path, n_swaps=20, every_s=0.3, n_clients=3)
    assert seen.wrong == []
    assert min(seen.counts["answers of a"], seen.counts["answers of b"]) > 10, seen.counts
    assert seen.counts["search 200"] == len(seen.took_s) and seen.counts["file 200"] > 50
    assert n_more_open < 20  # connections to the full-text index of a bundle or two

"""The examples in docstrings are true."""

import doctest

import pytest

from retrieval import (
    cards,
    containers,
    duplicates,
    emoji_text,
    feedback,
    frames,
    hub,
    items,
    metrics,
    search,
    space,
)

MODULES = [
    cards, containers, duplicates, emoji_text, feedback, frames, hub, items, metrics, search, space,
]  # fmt: skip


@pytest.mark.parametrize("module", MODULES)
def test_the_examples_in_docstrings_hold(module):
    failed, tried = doctest.testmod(module)
    assert tried > 0 and failed == 0

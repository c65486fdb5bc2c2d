"""The examples in docstrings are true."""

import doctest

import pytest

from retrieval import containers, duplicates, emoji_text, frames, items, metrics, search, space


@pytest.mark.parametrize(
    "module", [containers, duplicates, emoji_text, frames, items, metrics, search, space]
)
def test_the_examples_in_docstrings_hold(module):
    failed, tried = doctest.testmod(module)
    assert tried > 0 and failed == 0

"""The examples in docstrings are true."""

import doctest

import pytest

from retrieval.build import items
from retrieval.encoders import emoji_text
from retrieval.evaluation import metrics
from retrieval.hub import client as hub
from retrieval.library import duplicates
from retrieval.media import formats as containers
from retrieval.media import frames
from retrieval.publishing import cards, space
from retrieval.search import query as search
from retrieval.web import feedback

MODULES = [
    cards, containers, duplicates, emoji_text, feedback, frames, hub, items, metrics, search, space,
]  # fmt: skip


@pytest.mark.parametrize("module", MODULES)
def test_the_examples_in_docstrings_hold(module):
    failed, tried = doctest.testmod(module)
    assert tried > 0 and failed == 0

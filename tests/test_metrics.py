"""The metrics against cases worked by hand."""

import numpy as np
import pytest

from retrieval.evaluation import metrics


def test_ranks_of_the_relevant_columns():
    scores = np.array([[0.1, 0.9, 0.5], [0.2, 0.2, 0.2]])
    relevant = np.array([[True, False, True], [False, False, True]])
    # Row 1: 0.9, 0.5, 0.1, so columns 0 and 2 stand third and second. Ties keep order.
    assert metrics.ranks_of(scores, relevant) == [[2, 3], [3]]


def test_chance_is_what_random_orders_give():
    rng = np.random.default_rng(0)
    relevant = np.zeros((2, 30), bool)
    relevant[0, :3] = relevant[1, :7] = True
    ranks = [r for _ in range(4_000) for r in metrics.ranks_of(rng.random((2, 30)), relevant)]
    expected = metrics.chance_hit_rate_at_k([3, 7], n_corpus=30, k=5)
    assert metrics.hit_rate_at_k(ranks, 5) == pytest.approx(expected, abs=0.02)

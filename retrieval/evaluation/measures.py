"""Measures of a run against judgements, per topic, with intervals and a test of differences.

The measures are those of ir_measures (https://ir-measur.es), which calls trec_eval. Intervals
are percentile bootstrap intervals over topics (Efron & Tibshirani, 1993); the test between two
runs is the paired randomisation test (Smucker, Allan & Carterette, CIKM 2007): it flips the
sign of each topic's difference at random.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from retrieval.evaluation.judgements import Qrels
from retrieval.evaluation.runs import Run

# By the names of ir_measures. Success@k is the hit rate at k, RR the reciprocal rank.
MEASURES = ("Success@1", "Success@5", "Success@10", "R@10", "RR", "nDCG@10")
N_RESAMPLES = 10_000
BATCH_VALUES = 2_000_000  # resampled at a time, so that memory is bounded
SEED = 0


@dataclass(frozen=True)
class Estimate:
    """The mean of a measure over topics, and its 95 % confidence interval."""

    mean: float
    low: float
    high: float


def measure_run(
    qrels: Qrels, run: Run, measures: Sequence[str] = MEASURES
) -> dict[str, np.ndarray]:
    """Return each measure's values, one per topic of `qrels` in order; 0 for one without results.

    >>> values = measure_run({"a": {"x": 1}}, {"a": [("y", 0.9), ("x", 0.8)]})
    >>> float(values["RR"][0])
    0.5
    """
    import ir_measures  # an extra

    parsed = {ir_measures.parse_measure(name): name for name in measures}
    numbers = {topic: number for number, topic in enumerate(qrels)}
    values = {name: np.zeros(len(numbers)) for name in measures}
    # By place, not by score: trec_eval orders equal scores by document.
    scored = {
        topic: {document: -float(place) for place, (document, _) in enumerate(documents)}
        for topic, documents in run.items()
        if topic in numbers
    }
    grades = {topic: dict(documents) for topic, documents in qrels.items()}
    for value in ir_measures.iter_calc(list(parsed), grades, scored):
        values[parsed[value.measure]][numbers[value.query_id]] = value.value
    return values


def estimate(values: np.ndarray) -> Estimate:
    """Return the mean of per-topic values with its bootstrap interval, the same on each call."""
    from scipy import stats

    mean = float(np.mean(values))
    if len(values) < 2 or np.ptp(values) == 0:
        return Estimate(mean, mean, mean)
    interval = stats.bootstrap(
        (values,),
        np.mean,
        n_resamples=N_RESAMPLES,
        batch=max(1, BATCH_VALUES // len(values)),
        method="percentile",
        random_state=np.random.default_rng(SEED),
    ).confidence_interval
    return Estimate(mean, float(interval.low), float(interval.high))


def randomisation_p(values: np.ndarray, others: np.ndarray) -> float:
    """Return the two-sided p-value of the difference in means of paired per-topic values."""
    from scipy import stats

    difference = values - others
    if not difference.any():
        return 1.0
    test = stats.permutation_test(
        (difference,),
        np.mean,
        permutation_type="samples",  # of one sample: flips signs
        n_resamples=N_RESAMPLES,
        batch=max(1, BATCH_VALUES // len(difference)),
        random_state=np.random.default_rng(SEED),
    )
    return float(test.pvalue)

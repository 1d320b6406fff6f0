"""What the metrics cost on top of the sort that they need, and what ranks and their intervals cost.

All ratios are of processor times within one run, the least of several taken in turn: what else the machine does only
adds.
"""

import time
from collections.abc import Callable

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from oodbench.measure.cells import Cell
from oodbench.measure.ranking import ranking
from oodbench.measure.ranks import Run, rank_intervals, ranked

MILLION = 1_000_000
ROUNDS = 15


def seconds(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def with_scikit_learn(good: np.ndarray, bad: np.ndarray) -> None:
    """The same nine numbers need these six calls."""
    scores, truth = np.concatenate((good, bad)), np.repeat([1, 0], [len(good), len(bad)])
    balance = np.repeat([1 / len(good), 1 / len(bad)], [len(good), len(bad)])
    roc_auc_score(truth, scores)
    roc_curve(truth, scores, drop_intermediate=False)
    for weight in (None, balance):
        average_precision_score(truth, scores, sample_weight=weight)
        average_precision_score(1 - truth, -scores, sample_weight=weight)


@pytest.mark.benchmark(group="metrics")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_metrics_of_a_million_and_a_million(benchmark: BenchmarkFixture, dtype: str) -> None:
    rng = np.random.default_rng(0)
    good, bad = rng.normal(1, 1, MILLION).astype(dtype), rng.normal(0, 1, MILLION).astype(dtype)
    both = np.concatenate((good, bad))
    sorts, metrics = [], []
    for _ in range(ROUNDS):
        sorts.append(seconds(lambda: np.sort(both)))
        metrics.append(seconds(lambda: ranking(good, bad)))
    sort, ratio = min(sorts), min(metrics) / min(sorts)
    library = seconds(lambda: with_scikit_learn(good, bad)) / sort
    benchmark.pedantic(ranking, (good, bad), rounds=3)
    benchmark.extra_info.update({"sort_s": sort, "ratio": ratio, "scikit_learn_ratio": library})
    print(f"\n{dtype}: one sort {sort:.3f} s; all metrics {ratio:.2f}x, with scikit-learn {library:.1f}x")
    assert ratio <= 2


@pytest.mark.benchmark(group="ranks")
@pytest.mark.parametrize("resamples", [200, 500])
def test_ranks_of_13_methods_5_seeds_12_sets(benchmark: BenchmarkFixture, resamples: int) -> None:
    rng = np.random.default_rng(0)
    good, bad = rng.normal(1, 1, 10_000), rng.normal(0, 1, (12, 1000))

    def cells(skill: float) -> dict[str, Cell]:
        judged = good + skill + rng.normal(0, 0.7, len(good))
        return {f"set{i}": Cell("ood", f"set{i}", judged, b + rng.normal(0, 0.7, len(b))) for i, b in enumerate(bad)}

    results = {f"method{i}": {seed: cells(i / 20) for seed in range(5)} for i in range(13)}
    rows = benchmark.pedantic(rank_intervals, (results,), {"resamples": resamples}, rounds=3)
    intervals = [(row.low, row.high) for row in rows]
    print(f"\n{resamples} resamples: {benchmark.stats.stats.min:.1f} s; intervals {intervals}")
    assert benchmark.stats.stats.min < 10


@pytest.mark.benchmark(group="ranks")
def test_ranks_of_110_methods_5_seeds_from_draws_that_are_kept(benchmark: BenchmarkFixture) -> None:
    rng = np.random.default_rng(0)
    means = np.linspace(0.1, 0.6, 110)[:, None] + rng.normal(0, 0.02, (110, 5))
    runs = {
        f"method{at}": {seed: Run(mean, 1000, mean + rng.normal(0, 0.01, 200)) for seed, mean in enumerate(of.tolist())}
        for at, of in enumerate(means)
    }
    benchmark.pedantic(ranked, (runs, "fpr95"), rounds=5)
    print(f"\n110 methods: {benchmark.stats.stats.min:.3f} s")
    assert benchmark.stats.stats.min < 1

"""What methods that read one forward pass cost beyond it: a fit on 50,000 x 512 features, scores of 10,000 inputs.

Logits and features are drawn; no method's work depends on their values. Printed as seconds on one thread, with the
fit's time on twice as many rows over that on half: about 2 where the work is linear in the training set.
"""

import time

import numpy as np
import pytest
import torch
from tabulate import tabulate

import oodbench
from oodbench import listed

STORED = frozenset({"logits", "features", "head"})
METHODS = [
    line.name
    for line in listed.rows()
    if line.judges_mine and frozenset(line.reads) <= STORED and frozenset(line.needs) <= {"validation"}
]
N, F, C = 50_000, 512, 10
INPUTS = HELD_OUT = 10_000


def answers(n: int, seed: int) -> oodbench.StoredOutputs:
    """Return what a classifier of ten classes may answer to n inputs."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, C, n)
    centres = np.random.default_rng(99).normal(size=(C, F))
    features = np.maximum(centres[labels] + rng.normal(size=(n, F)), 0).astype(np.float32)
    return oodbench.StoredOutputs(features @ HEAD.T, features, labels)


HEAD = np.random.default_rng(98).normal(size=(C, F)).astype(np.float32) / F**0.5
MODEL = oodbench.StoredModel(head=(HEAD, np.zeros(C, dtype=np.float32)))
VALIDATION = answers(HELD_OUT, 3)


def cost(method: str, train: oodbench.StoredOutputs, asked: oodbench.StoredOutputs) -> tuple[float, float]:
    """Return the seconds of a fit, and of scoring."""
    start = time.perf_counter()
    fitted = oodbench.fit(MODEL, method, train=train, validation=VALIDATION)
    between = time.perf_counter()
    assert np.isfinite(fitted.score(asked)).all()
    return between - start, time.perf_counter() - between


@pytest.mark.benchmark(group="methods")
def test_no_fit_is_quadratic_in_the_training_set(benchmark) -> None:
    torch.set_num_threads(1)
    whole, half, asked = answers(N, 0), answers(N // 2, 1), answers(INPUTS, 2)
    rows = []
    for method in METHODS:
        (of_half, _), (fit, score) = cost(method, half, asked), cost(method, whole, asked)
        rows.append([method, fit, fit / max(of_half, 1e-3), score])
    print("\n" + tabulate(rows, ["method", f"fit, {N} x {F} (s)", "over half", f"score, {INPUTS} (s)"], floatfmt=".2f"))
    benchmark.extra_info.update({method: {"fit": fit, "score": score} for method, fit, _, score in rows})
    benchmark.pedantic(cost, ("msp", half, asked), rounds=1)
    assert {method for method, fit, ratio, _ in rows if ratio > 3 and fit > 1} == set()

"""A classifier in numpy, detectors on it, and runs of both in which one thing is wrong."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from made import Drawn, put_model, record

from oodbench.records import Cost, DataUsed, Environment, record_paths, write_cost, write_record, write_scores

SEEDS = (0, 1, 2, 3, 4)
METHODS = ("msp-t", "mahalanobis")
SHAPE = {"d": 12, "classes": 4, "n": 300, "m": 200}


@dataclass(frozen=True)
class Made:
    """How a run is made: what it is on purpose, or by mistake.

    Attributes:
        sign: -1 where a sign slipped.
        T: Temperature of the softmax; 1 where it was lost.
        layer: That distances are measured at.
        preprocessing: Added to each input; 0 is right.
        training: Which drawing of training inputs the models were fitted on.
        diverged: Seeds whose training came to nothing.
        noise: Relative, of each score: what floats do.
        version: Of the detectors.
        threads: That the run had.
        slower: Factor on the seconds of a method's scores, by name.
        workers: Of the run.
    """

    sign: int = 1
    T: float = 20.0
    layer: int = 0
    preprocessing: float = 0.0
    training: int = 0
    diverged: tuple[int, ...] = ()
    noise: float = 0.0
    version: int = 1
    threads: int = 1
    slower: tuple[str, float] = ("", 1.0)
    workers: int = 1


RIGHT = Made()


def lost(**wrong) -> Made:
    """Return a run with something wrong."""
    return replace(RIGHT, **wrong)


def data():
    """Return the inputs of train, test and the out-set, and the classes of the first two: the same for every run."""
    rng = np.random.default_rng(11)
    d, classes, n, m = SHAPE.values()
    centres = rng.normal(0, 1.0, (classes, d))
    y, t = rng.integers(classes, size=4 * n), rng.integers(classes, size=n)
    train, test = (centres[one] + rng.normal(0, 0.9, (len(one), d)) for one in (y, t))
    return train, y, test, t, rng.normal(0, 1.5, (m, d))


TRAIN, Y, TEST, T_TEST, OUT = data()
W1 = np.random.default_rng(1).normal(0, 0.5, (12, 24))
W2 = np.random.default_rng(2).normal(0, 0.2, (24, 24))


def layers(x):
    first = np.tanh(x @ W1)
    return {0: x, 1: first, 2: np.tanh(first @ W2)}


def fitted(features, labels):
    """Return class means and the inverse of the shared covariance."""
    means = np.array([features[labels == one].mean(axis=0) for one in range(SHAPE["classes"])])
    rest = features - means[labels]
    return means, np.linalg.inv(rest.T @ rest / len(rest) + 1e-3 * np.eye(features.shape[1]))


def says(method: str, seed: int, made: Made) -> Drawn:
    """Return what a method says of the test inputs and the out-set, and what its classifier gets right."""
    rng = np.random.default_rng([seed, made.training, 5])
    drawn = rng.integers(len(TRAIN), size=len(TRAIN))
    seen, labels = layers(TRAIN[drawn]), Y[drawn]
    if seed in made.diverged:
        labels = rng.permutation(labels)
    means, inverse = fitted(seen[2], labels)
    shown = {name: layers(x + made.preprocessing) for name, x in (("test", TEST), ("out", OUT))}
    logits = {
        name: 3 * (of[2] @ inverse @ means.T - 0.5 * np.einsum("kd,de,ke->k", means, inverse, means))
        for name, of in shown.items()
    }
    if method == "msp-t":
        scores = {name: made.sign * _msp(z, made.T) for name, z in logits.items()}
    else:
        centre, spread = fitted(seen[made.layer], labels)
        scores = {name: -made.sign * _distance(of[made.layer], centre, spread) for name, of in shown.items()}
    jitter = np.random.default_rng([seed, 99])
    scores = {name: one * (1 + made.noise * jitter.normal(size=len(one))) for name, one in scores.items()}
    return Drawn(scores["test"], logits["test"].argmax(axis=1) == T_TEST, {"glyphs": scores["out"]})


def _msp(z, T):
    z = z / T
    return z.max(axis=1) - np.log(np.exp(z - z.max(axis=1, keepdims=True)).sum(axis=1)) - z.max(axis=1)


def _distance(x, centres, inverse):
    gaps = x[:, None] - centres
    return np.einsum("nkd,de,nke->nk", gaps, inverse, gaps).min(axis=1)


def run(results: Path, made: Made = RIGHT, *, methods=METHODS, seeds=SEEDS, data="d") -> Path:
    """Write a folder of results."""
    clock = np.random.default_rng([17, made.training, made.version, int(made.slower[1] * 100)])
    for method in methods:
        for seed in seeds:
            said = says(method, seed, made)
            paths = record_paths(results, "made-v1", method, seed)
            used = put_model(results, "plain", seed, said)
            fields = {"model": used, "reference": used, "scores_sha256": write_scores(paths.scores, said.scores)}
            whole = record(method, seed, versions={"detector": made.version}, **fields)
            place = {"machine": "cpu AVX512", "threads": made.threads}
            sha = (data.encode().hex() + 64 * "0")[:64]
            fingerprints = {"mnist-5k/test": DataUsed(card_sha256=None, data_sha256=sha, split="test", n=300)}
            whole = whole.model_copy(
                update={
                    "environment": Environment(**(whole.environment.model_dump() | place)),
                    "key": f"{made.version:064x}",
                    "packages": {"torch": "2.14.1"},
                    "data": fingerprints,
                }
            )
            write_record(paths.record, whole)
            factor = made.slower[1] if method == made.slower[0] else 1.0
            seconds = {"score": 2.0 * factor * (1 + 0.01 * clock.normal()), "fit": 0.01 * (1 + clock.random())}
            cost = Cost(
                seconds=seconds,
                cpu_seconds={"score": seconds["score"] * 0.99},
                peak_memory_mb=500.0 * (1 + 0.005 * clock.normal()),
                started_at=datetime(2026, 1, 1, tzinfo=UTC),
                workers=made.workers,
            )
            write_cost(paths.cost, cost)
    return results

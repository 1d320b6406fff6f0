"""Tables of methods whose true ranks are known: drawn numbers, as the bootstrap and the seeds would show them.

A number is the method's true mean, plus what inputs add to it (to all methods alike, to a family of methods, to this
method, and to this method at this seed), plus what a training run adds (to all methods: the run effect; to a family,
which shares a model; to this method). Bootstrap resamples vary as other inputs would.
"""

from typing import NamedTuple

import numpy as np

from oodbench.measure.ranks import Run

STEP = 0.008
"""Of the ladder: two neighbours of a table of five seeds are seldom told apart."""

PATTERNS = ("equal", "ladder", "outlier")


class Noise(NamedTuple):
    """Standard deviations: over seeds, of a method and of its family; of a method over inputs.

    How much methods differ in their own is on a log scale.
    """

    seeds: float
    family: float
    inputs: float
    unequal: float


NOISES = {
    "alike": Noise(0.02, 0.01, 0.008, 0.0),
    "unequal": Noise(0.02, 0.01, 0.008, 1.0),
    "models": Noise(0.006, 0.03, 0.008, 1.0),  # unequal, and what a training run changes is mostly the model's
    "inputs": Noise(0.003, 0.0015, 0.016, 1.0),  # unequal, and inputs matter more than seeds
    "none": Noise(0.0, 0.0, 0.008, 1.0),  # of one training run: it is what is judged
}


class Table(NamedTuple):
    """True means [K]; what was measured [K, S], and on each resample [K, S, R]."""

    true: np.ndarray
    means: np.ndarray
    drawn: np.ndarray

    @property
    def true_ranks(self) -> tuple[np.ndarray, np.ndarray]:
        """First and last true rank of each method [K]; smaller is better."""
        better = self.true < self.true[:, None]
        return 1 + better.sum(axis=1), len(self.true) - better.T.sum(axis=1)

    @property
    def runs(self) -> dict[str, dict[int, Run]]:
        places = range(len(self.true))
        seeds = range(self.means.shape[1])
        return {f"m{k:03}": {s: Run(float(self.means[k, s]), 500, self.drawn[k, s]) for s in seeds} for k in places}


def simulated(rng: np.random.Generator, pattern: str, methods: int, seeds: int, noise: Noise, resamples=200) -> Table:
    """Draw a table; which method has which noise depends on the number of methods alone."""
    true = np.full(methods, 0.3)
    if pattern == "ladder":
        true = 0.1 + STEP * np.arange(methods)
    elif pattern == "outlier":
        true[0] = 0.1
    own = np.random.default_rng(methods)
    shared, alone = noise.unequal * own.normal(size=(2, methods))
    of_seeds = noise.seeds * np.exp(0.6 * shared)
    of_inputs = noise.inputs * np.exp(0.4 * shared + 0.35 * alone)
    family = np.arange(methods) % max(2, methods // 6)

    def inputs(times):
        common = rng.normal(0, 0.01, (1, times)) + rng.normal(0, 0.006, (methods, times))[family]
        of_method = common + of_inputs[:, None] * rng.normal(size=(methods, times))
        return of_method[:, None] + of_inputs[:, None, None] * rng.normal(size=(methods, seeds, times))

    run = rng.normal(0, 2 * noise.family, (1, seeds)) + rng.normal(0, noise.family, (methods, seeds))[family]
    runs = run + of_seeds[:, None] * rng.normal(size=(methods, seeds))
    return Table(true, true[:, None] + runs + inputs(1)[:, :, 0], inputs(resamples))


class Coverage(NamedTuple):
    """Of many tables.

    Attributes:
        rows: Share of tables in which a row's interval holds all its true ranks [K].
        whole: Share of tables in which the intervals of all rows do.
        best: Share of truly best rows that are in the set that may hold the best.
        width: Median width of an interval.
        in_set: Median size of that set.
    """

    rows: np.ndarray
    whole: float
    best: float
    width: float
    in_set: float


def coverage(tables, intervals) -> Coverage:
    """Return how often intervals (a function of a table: first and last ranks [K]) hold what is true."""
    held, best, widths, sizes = [], [], [], []
    for table in tables:
        low, high = intervals(table)
        first, last = table.true_ranks
        held.append((low <= first) & (last <= high))
        best.append((low == 1)[first == 1].mean())
        widths.append(np.median(high - low + 1))
        sizes.append((low == 1).sum())
    whole = float(np.all(held, axis=1).mean())
    return Coverage(
        np.mean(held, axis=0), whole, float(np.mean(best)), float(np.median(widths)), float(np.median(sizes))
    )

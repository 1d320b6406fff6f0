"""One number on a board: its text, as the tables of the leaderboard have it, its place on a scale, and a bar."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np

from oodbench.measure.kinds import averaged
from oodbench.measure.metrics import METRICS
from oodbench.measure.ranking import RANKING
from oodbench.measure.summary import Spread
from oodbench.report.cite import mean_interval
from oodbench.report.ids import GROUP, MEAN
from oodbench.report.markdown import mean_and_std
from oodbench.report.numbers import RANKINGS
from oodbench.report.standings import Standings
from oodbench.report.tables import further_metrics, of_set, set_heading
from oodbench.report.values import means

INTERVAL: Final = "95 % interval"
SPREAD: Final = "± standard deviation over seeds"
NO_BAR: Final = ""


class Cell(NamedTuple):
    """A number.

    Attributes:
        text: As tables have it, in percent.
        value: By which it is sorted, in the unit of records; None where there is no number.
        low: Where its bar begins.
        high: Where its bar ends.
        bar: What the bar is: `INTERVAL`, `SPREAD` or `NO_BAR`.
    """

    text: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    bar: str = NO_BAR


class Choice(NamedTuple):
    """A set, or a mean over sets, that a board can show: its word in ids, and its heading."""

    name: str
    heading: str


def metrics_shown(standings: Standings) -> tuple[str, ...]:
    """Return the metrics that a board can show: what ranks first, then all others that have tables."""
    return tuple(dict.fromkeys((*RANKINGS, *RANKING, *further_metrics(standings))))


def choices(standings: Standings) -> list[Choice]:
    """Return what a board can show of a metric: the mean over all sets first, those of groups, then each set."""
    of_means = [Choice(name, mean_heading(name)) for name in means(standings.columns)]
    return of_means + [Choice(column.name, set_heading(column)) for column in standings.columns]


def mean_heading(name: str) -> str:
    """Return what a mean is called above its column, given its word in ids."""
    _, _, group = name.partition(GROUP)
    return f"{MEAN} ({group})" if group else MEAN


@lru_cache(maxsize=2**14)  # a board's data and the pages of its rows ask for the same
def cells(standings: Standings, metric: str, method: str) -> dict[str, Cell]:
    """Return the numbers of a row by one metric, by what a board can show."""
    found = {name: of_mean(standings, metric, method, sets) for name, sets in means(standings.columns).items()}
    return found | {column.name: _of_set(standings, metric, method, column.name) for column in standings.columns}


def of_mean(standings: Standings, metric: str, method: str, sets: Sequence[str]) -> Cell:
    """Return a mean over sets; the bar of the mean that ranks is the interval that `oodbench cite` prints."""
    found = standings.over_sets(metric, method, sets)
    text = mean_and_std(found)
    if found is None:
        return Cell(text)
    if tuple(sets) == averaged(standings.columns) and (ends := interval(standings, metric, method)):
        return Cell(text, found.mean, *ends, INTERVAL)
    return _spread(text, metric, found)


def interval(standings: Standings, metric: str, method: str) -> tuple[float, float] | None:
    """Return the 95 % interval of the mean that ranks, over inputs and seeds; None of a row or metric without rank.

    Of one seed and one set it is that set's, which is none of a normal distribution.
    """
    places = standings.ranked_by.get(metric, ())
    if method not in {one.method for one in places}:
        return None
    runs = standings.runs(method, metric).values()
    sets = averaged(standings.columns)
    if len(runs) == len(sets) == 1:
        return standings.interval(metric, method, sets[0])
    means, drawn = np.array([run.mean for run in runs]), np.array([run.drawn for run in runs])
    return mean_interval(metric, means, drawn, min(run.pairs for run in runs))


def _of_set(standings: Standings, metric: str, method: str, name: str) -> Cell:
    found = standings.over_seeds(metric, method, name)
    text = of_set(standings, metric, method, name)
    if found is None:
        return Cell(text)
    ends = standings.interval(metric, method, name)
    return Cell(text, found.mean, *ends, INTERVAL) if ends else _spread(text, metric, found)


def _spread(text: str, metric: str, found: Spread) -> Cell:
    if found.std is None:
        return Cell(text, found.mean)
    lowest, highest = METRICS[metric].lowest, METRICS[metric].highest
    low, high = max(lowest, found.mean - found.std), min(highest, found.mean + found.std)
    return Cell(text, found.mean, low, high, SPREAD)


def bars(columns: Sequence[Mapping[str, Cell]], name: str) -> str:
    """Return what the bars of a column are, if any of it has one."""
    return ", or ".join(dict.fromkeys(of[name].bar for of in columns if of[name].bar))

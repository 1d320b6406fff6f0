"""Which detector should I use? By what a person has, the best of the methods that ask for no more, and its ties."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from oodbench import listed
from oodbench.given import AT, method_of
from oodbench.listed import Line
from oodbench.measure.kinds import averaged
from oodbench.measure.ranks import Ranked
from oodbench.report.markdown import NONE, mean_and_std, table
from oodbench.report.numbers import BASELINE, RANKED_BY
from oodbench.report.standings import MatrixResults, Standings
from oodbench.report.tables import Linked
from oodbench.report.versions import latest

STORED = frozenset({"logits", "features", "head", "layers"})
"""Outputs that one forward pass gives."""

FEWEST = 15
"""Ranked rows of a classifier that the page speaks of."""

NAMED = 5
"""Methods that a cell names."""

SITUATIONS: Mapping[str, Callable[[Line], bool]] = {
    "Logits": lambda line: _judges(line) and frozenset(line.reads) <= {"logits"},
    "+ features, last layer, training inputs": lambda line: _judges(line) and frozenset(line.reads) <= STORED,
    "+ the network: derivatives, changed inputs": lambda line: _judges(line),
    "+ out-of-distribution images to tune on": lambda line: line.judges_mine,
    "+ your own training": lambda line: "outliers" not in line.needs and "adversarial_validation" not in line.needs,
    "+ outliers to train on": lambda line: "adversarial_validation" not in line.needs,
    "+ attacked images to tune on": lambda line: True,
}
"""What a person has, each with all that stands above it, and which methods ask for no more."""

INTRODUCTION = """# Which detector should I use?

It depends on what you have, and on what you want flagged; and often the numbers do not tell. Below, each line adds to
what the lines above it have. A cell names the method with the least mean FPR95 of those that ask for no more, and how
many of them may be the best: no other of them is significantly better, at 5 % (docs/ranks.md says what is tested).
Where many may be the best, take the cheapest of them, or the one that reads least. Of a classifier that is given there
is one training run; another may rank otherwise.

{command} writes this page from the same scores as the tables. A classifier has a table here if it has {fewest} ranked
methods or more and is not a demonstration."""


@dataclass(frozen=True, eq=False)
class Judged:
    """One classifier, or the classifiers of one matrix that differ in their seed, under one kind of failure.

    Attributes:
        name: Of the matrix, with the model where it is given several.
        standings: Of all its rows.
        rows: Its own, by method.
    """

    name: str
    standings: Standings
    rows: Mapping[str, str]

    def among(self, lines: Sequence[Line]) -> tuple[Ranked, ...]:
        """Return how those methods rank among themselves, best first."""
        return self.standings.ranked_among([self.rows[line.name] for line in lines if line.name in self.rows])

    def mean(self, row: str) -> str:
        """Return a row's mean FPR95."""
        return mean_and_std(self.standings.over_sets(RANKED_BY, row, averaged(self.standings.columns)))


def judged(matrix: MatrixResults) -> list[list[Judged]]:
    """Return a matrix's classifiers, each with its kinds of failure; those with few ranked rows are left out."""
    models = dict.fromkeys(row.partition(AT)[2] for one in matrix.kinds for row in one.ranks)
    found = []
    for model in models:
        name = f"{matrix.name}, {model}" if model else matrix.name
        kinds = [Judged(name, one, _rows_on(one, model)) for one in matrix.kinds]
        if all(len(one.rows) >= FEWEST for one in kinds):
            found.append(kinds)
    return found


def choice(matrices: Sequence[MatrixResults], linked: Callable[[MatrixResults], Linked], command: str) -> list[str]:
    """Return the parts of the page; none where no classifier has enough ranked methods.

    Args:
        matrices: All that there are.
        linked: By matrix, what makes a link of a row's name.
        command: That writes the page.
    """
    found = [(matrix, kinds) for matrix in matrices if matrix.scale != "tiny" for kinds in judged(matrix)]
    if not found:
        return []
    parts = [INTRODUCTION.format(command=f"`{command}`", fewest=FEWEST)]
    last = latest(matrix.name for matrix, _ in found)
    counted = [kinds for matrix, kinds in found if matrix.name in last]
    if len(counted) > 1:
        parts += ["## On how many classifiers a method may be the best", OFTEN, _often(counted)]
    for matrix, kinds in found:
        title = matrix.card.title if matrix.card else matrix.name
        parts += [f"## {title}: {kinds[0].name}", _table(kinds, linked(matrix))]
    return parts


OFTEN = (
    "A cell says on how many classifiers a method may be the best of those that ask for no more, of the classifiers "
    "that have it. Of each matrix the latest version counts, and of the methods those that more than half of the "
    f"classifiers have; a cell names at most {NAMED}."
)


def _often(found: Sequence[Sequence[Judged]]) -> str:
    titles = {one.standings.kind.name: one.standings.kind.title for of in found for one in of}
    of_kind = {kind: [one for of in found for one in of if one.standings.kind.name == kind] for kind in titles}
    spread = {kind: _on_most(asked) for kind, asked in of_kind.items()}
    rows = []
    for situation, lines in _situations(set().union(*spread.values())):
        suiting = {kind: [line for line in lines if line.name in spread[kind]] for kind in titles}
        rows.append([situation, *(_counted(of_kind[kind], suiting[kind]) for kind in titles)])
    return table(["You have", *titles.values()], rows, ("You have", *titles.values()))


def _on_most(asked: Sequence[Judged]) -> set[str]:
    """Return the methods that more than half of the classifiers have."""
    have = Counter(method for one in asked for method in one.rows)
    return {method for method, count in have.items() if 2 * count > len(asked)}


def _counted(asked: Sequence[Judged], lines: Sequence[Line]) -> str:
    best = Counter(method_of(row.method) for one in asked for row in one.among(lines) if row.may_be_best)
    if not best:
        return NONE
    have = Counter(line.name for one in asked for line in lines if line.name in one.rows)
    first = sorted(best, key=lambda method: (-best[method], have[method], method))
    shown = ", ".join(f"`{method}` {best[method]} of {have[method]}" for method in first[:NAMED])
    return f"{shown}, {len(first) - NAMED} more" if len(first) > NAMED else shown


def _table(kinds: Sequence[Judged], linked: Linked) -> str:
    headers = ["You have", *(one.standings.kind.title for one in kinds)]
    rows = [
        [situation, *(_cell(one, one.among(lines), linked) for one in kinds)]
        for situation, lines in _situations({method for one in kinds for method in one.rows})
    ]
    baseline = [one.mean(one.rows[BASELINE]) if BASELINE in one.rows else NONE for one in kinds]
    return table(headers, [*rows, [f"`{BASELINE}`, for comparison", *baseline]], headers)


def _cell(one: Judged, ranked: Sequence[Ranked], linked: Linked) -> str:
    if not ranked:
        return NONE
    best, marked = ranked[0].method, sum(row.may_be_best for row in ranked)
    tied = "alone" if marked == 1 else f"one of {marked} that may be the best"
    return f"{linked(best)} {one.mean(best)}: {tied} of {len(ranked)}"


def _situations(methods: Collection[str]) -> Iterator[tuple[str, list[Line]]]:
    """Yield each situation and those of the methods that suit it; one that adds none to the last is passed over."""
    last: list[Line] = []
    for situation, fits in SITUATIONS.items():
        lines = [line for line in listed.rows() if line.name in methods and fits(line)]
        if lines != last:
            yield situation, lines
        last = lines


def _rows_on(standings: Standings, model: str) -> dict[str, str]:
    ranked = [one.method for one in standings.ranked]
    return {method_of(row): row for row in ranked if row.partition(AT)[2] == model}


def _judges(line: Line) -> bool:
    return line.judges_mine and "ood_validation" not in line.needs

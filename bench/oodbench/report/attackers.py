"""Which detector catches which failure, and which only an attacker who does not know it: adaptive attacks and gaps."""

from collections.abc import Collection, Iterator, Sequence

from oodbench.measure.kinds import TWINS, averaged, beside_of
from oodbench.measure.metrics import METRICS
from oodbench.measure.summary import Spread, spread
from oodbench.report.markdown import NONE, mean_and_std, table
from oodbench.report.numbers import RANKINGS
from oodbench.report.standings import MatrixResults, Standings
from oodbench.report.tables import Linked

CHANCE = 0.5
"""The AUROC of a score that tells nothing apart."""

ONLY_KNOWN = "○"
"""Stands beside a gap where a detector catches an attack of those who do not know it, and none of those who do."""

BY = "auroc"
"""The metric of the table of all failures."""

GAP = (
    "An **adaptive** attack fools the model and this very detector at once; **known** is the attack of the same norm, "
    "radius, steps and seed, on the same images, that was made against the model alone. The **gap** is known minus "
    "adaptive, in points: a detector with a large gap of AUROC only looks strong. "
    f"{ONLY_KNOWN} marks one that is better than chance while attackers do not know it, and no better once they "
    "do. **Fooled** is the share of attacked images that fooled the model, and **flat** the share at which the "
    "derivative of the score is zero, where the attacker learnt nothing of the detector."
)

ALL = "AUROC, means over the sets of a column; 50 is chance."

APART = (
    "Known attacks (adversarial) and attacks that know the detector (adaptive) are apart; the gap between them, in "
    "points on the same images, is known minus adaptive. "
    f"{ONLY_KNOWN}: better than chance only while the attacker does not know the detector."
)


def failures_said(matrix: MatrixResults) -> str:
    """Return what `failures_table` shows."""
    return f"{ALL} {APART}" if any(map(pairs, matrix.kinds)) else ALL


def pairs(standings: Standings) -> list[tuple[str, str]]:
    """Return the adaptive attacks of a kind, each with what stands beside it; none of another kind of failure."""
    names = {column.name for column in standings.columns}
    own = [column.name for column in standings.columns if not column.name.endswith(TWINS)]
    return [(name, beside_of(name)) for name in own if beside_of(name) in names]


def gap(standings: Standings, metric: str, method: str, attacks: Sequence[str]) -> Spread | None:
    """Return known minus adaptive: the spread over seeds of the mean over attacks; None where any number is missing."""
    found = []
    for seed in standings.entries[method]:
        values = standings.values.get((metric, method, seed), {})
        if not all(name in values and beside_of(name) in values for name in attacks):
            return None
        found.append(sum(values[beside_of(name)] - values[name] for name in attacks) / len(attacks))
    return spread(found)


def gap_tables(standings: Standings, linked: Linked) -> str | None:
    """Return what knowing the detector is worth, a table an adaptive attack; None where there is no such."""
    made = []
    for name, beside in pairs(standings):
        rows = [_gap_row(standings, method, name, beside, linked) for method in _tried(standings, name)]
        metrics = [standings.kind.heading(metric) for metric in _metrics()]
        columns = [f"{metric} {what}" for metric in metrics for what in ("known", "adaptive", "gap")]
        headers = ["Method", "Fooled, known", "Fooled, adaptive", "Flat", *columns]
        made.append(f"### `{name}`\n\n{table(headers, rows, ('Method',))}")
    return "\n\n".join(made) or None


def failures_table(matrix: MatrixResults, linked: Linked, shown: Collection[str] | None = None) -> str:
    """Return a row a method and a column a kind of failure, or a group of one; last the gap, where there is one.

    Args:
        matrix: The matrix.
        linked: Makes a link of a row's name.
        shown: Rows; all by default.
    """
    columns = [(one, title, sets) for one in matrix.kinds for title, sets in _columns(one)]
    gaps = [one for one in matrix.kinds if pairs(one)]
    headers = ["Method", *(title for _, title, _ in columns)]
    headers += [f"{METRICS[metric].title} gap" for _ in gaps for metric in _metrics()]
    methods = dict.fromkeys(method for one in matrix.kinds for method in one.ranks)
    rows = []
    for method in methods:
        if shown is None or method in shown:
            cells = [_mean(one, method, sets) for one, _, sets in columns]
            rows.append([linked(method), *cells, *(cell for one in gaps for cell in _gaps(one, method))])
    return table(headers, rows, ("Method",))


def _columns(standings: Standings) -> Iterator[tuple[str, list[str]]]:
    """Yield the columns of a kind, each with its sets: one, or one a group where the kind wants these apart."""
    sets, kind = averaged(standings.columns), standings.kind
    groups = {column.name: column.group for column in standings.columns}
    if not kind.apart:
        yield kind.short, list(sets)
        return
    for group in dict.fromkeys(groups[name] for name in sets):
        yield f"{kind.short}, {group}" if group else kind.short, [name for name in sets if groups[name] == group]


def _mean(standings: Standings, method: str, sets: Sequence[str]) -> str:
    return mean_and_std(standings.over_sets(BY, method, sets)) if method in standings.entries else NONE


def _gaps(standings: Standings, method: str) -> list[str]:
    attacks = [name for name, _ in pairs(standings)]
    if method not in standings.entries:
        return [NONE for _ in _metrics()]
    first, *others = [mean_and_std(gap(standings, metric, method, attacks)) for metric in _metrics()]
    return [first + _mark(standings, method, attacks), *others]


def _metrics() -> tuple[str, ...]:
    return BY, *(metric for metric in RANKINGS if metric != BY)


def _mark(standings: Standings, method: str, attacks: Sequence[str]) -> str:
    """Return the mark of a method whose mean over attacks is better than chance for known ones alone."""
    adaptive = standings.over_sets(BY, method, attacks)
    known = standings.over_sets(BY, method, [beside_of(name) for name in attacks])
    caught = known is not None and adaptive is not None and known.mean > CHANCE >= adaptive.mean
    return f" {ONLY_KNOWN}" if caught else ""


def _tried(standings: Standings, name: str) -> list[str]:
    """Return the methods that an attack was made against, in the order of the ranks."""
    return [
        method
        for method in standings.ranks
        if any(name in standings.sizes.get((method, seed), {}) for seed in standings.entries[method])
    ]


def _gap_row(standings: Standings, method: str, name: str, beside: str, linked: Linked) -> list[str]:
    achieved = [one.adaptive[name] for one in standings.records(method) if name in one.adaptive]
    flat = spread([one.flat / one.n for one in achieved if one.n])
    row = [linked(method), *(mean_and_std(_fooled(standings, method, one)) for one in (beside, name))]
    row.append(mean_and_std(flat))
    for metric in _metrics():
        row += [mean_and_std(standings.over_seeds(metric, method, one)) for one in (beside, name)]
        row.append(mean_and_std(gap(standings, metric, method, [name])))
    row[len(row) - 1 - 3 * (len(_metrics()) - 1)] += _mark(standings, method, [name])
    return row


def _fooled(standings: Standings, method: str, name: str) -> Spread | None:
    """Return the share of attacked images that fooled the model: bad inputs of good ones."""
    sizes = [standings.sizes.get((method, seed), {}).get(name) for seed in standings.entries[method]]
    return spread([bad / good for good, bad in (size for size in sizes if size) if good])

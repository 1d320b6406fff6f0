"""The tables of one matrix and kind of failure, of all kinds of a matrix, and of one method."""

from collections.abc import Callable, Collection, Sequence
from statistics import fmean

from oodbench.measure.kinds import Column, averaged
from oodbench.measure.metrics import METRICS
from oodbench.measure.ranking import RANKING
from oodbench.measure.summary import spread
from oodbench.records import Attack, ModelRecord, Record
from oodbench.report.families import family_of, folded, short_board, short_board_said
from oodbench.report.gaps import SharedGap
from oodbench.report.ids import row_version
from oodbench.report.markdown import NONE, mean_and_std, percent, table
from oodbench.report.numbers import RANKINGS
from oodbench.report.sets import MOST_SETS, joined, split
from oodbench.report.standings import MatrixResults, Standings

SHOWN = ("fpr95", "detection_error", "auroc", "aupr_in", "aupr_out")
"""The metrics of a table; the others are on the page of a method, in metrics.parquet and in `oodbench table --csv`."""

FURTHER = tuple(metric for metric in SHOWN if metric not in RANKINGS)
"""Those of them that have no ranks."""

BEHIND = "▼"
"""Stands beside the accuracy of a model that falls behind its plain twin."""

SEVERAL = "several"
"""Stands for the version of a row whose seeds are of several: it has no id."""

MEAN = "mean"
"""Heading of the mean over all sets."""

WORDS = ("Method", "Tuned on", "Labels", "Family")

Linked = Callable[[str], str]
"""Returns a method's name as a link to its page."""

MANY_NAMES = 12
"""Methods of one cell that are told by their number, and unfolded on a click."""


def overview_table(matrix: MatrixResults, metric: str, linked: Linked, shown: Collection[str] | None = None) -> str:
    """Return rank and mean of methods on every kind of failure by one metric, in the order of the first kind.

    Args:
        matrix: The matrix.
        metric: What ranks them.
        linked: Makes a link of a row's name.
        shown: Rows; all by default.
    """
    headers = ["Method"]
    for one in matrix.kinds:
        headers += [f"{one.kind.short}: {what}" for what in ("rank", one.kind.heading(metric))]
    methods = dict.fromkeys(method for one in matrix.kinds for method in one.ranks_by[metric])
    rows = [
        [linked(method), *(cell for one in matrix.kinds for cell in rank_and_mean(one, metric, method))]
        for method in methods
        if shown is None or method in shown
    ]
    return table(headers, rows, ("Method",))


def rank_table(standings: Standings, linked: Linked, shown: Sequence[str] | None = None) -> str:
    """Return the ranks and means of methods, seeds, accuracy of their models, family, and the version in their ids.

    Args:
        standings: Where they stand.
        linked: Makes a link of a row's name.
        shown: Rows; all by default.
    """
    first, *others = RANKINGS
    headers = [rank_heading(first), "Method", standings.kind.heading(first)]
    headers += [text for metric in others for text in (rank_heading(metric), standings.kind.heading(metric))]
    made = []
    for method in list(standings.ranks) if shown is None else shown:
        rank, mean = rank_and_mean(standings, first, method)
        more = [cell for metric in others for cell in rank_and_mean(standings, metric, method)]
        seeds = str(len(standings.entries[method]))
        accuracy = accuracy_text(standings, method)
        version = row_version(standings.records(method)) or SEVERAL
        made.append([rank, linked(method), mean, *more, seeds, accuracy, family_of(method), version])
    return table([*headers, "n", "Model accuracy", "Family", "Version"], made, WORDS)


def rank_heading(metric: str) -> str:
    """Return the heading of a column of ranks."""
    return f"{METRICS[metric].title} rank"


def needs_table(standings: Standings, linked: Linked) -> str:
    """Return the means over all sets by the other metrics, and what each method needs."""
    headers = ["Method", *map(standings.kind.heading, FURTHER), "Tuned on", "Labels", "Passes"]
    return table(headers, [_needs_row(standings, method, linked) for method in standings.ranks], WORDS)


def metric_tables(standings: Standings, metric: str, linked: Linked) -> str:
    """Return one metric with a column a set, and the mean of each group that has several; a table a group of many."""
    if len(standings.columns) > MOST_SETS:
        return _tables_of_many(standings, metric, linked)
    title, groups = standings.kind.heading(metric), split(standings.columns)
    tables = {group: _metric_table(standings, columns, metric, linked) for group, columns in groups.items()}
    return joined(((f"{title}, {group}" if group else "", text) for group, text in tables.items()), "##")


def _metric_table(standings: Standings, columns: Sequence[Column], metric: str, linked: Linked) -> str:
    sets, whole = [column.name for column in columns], len(columns) == len(standings.columns)
    means = {name: of for name, of in _means(columns).items() if whole or name != MEAN}
    headers = ["Method", *(set_heading(column) if whole else column.name for column in columns), *means]
    rows = []
    for method in standings.ranks:
        row = [of_set(standings, metric, method, name) for name in sets]
        row += [mean_and_std(standings.over_sets(metric, method, names)) for names in means.values()]
        rows.append([linked(method), *row])
    return table(headers, rows, WORDS)


def further_metrics(standings: Standings) -> tuple[str, ...]:
    """Return which of the numbers that a kind measures besides the ranking metrics any method has here."""
    known = {metric for metric, _, _ in standings.values}
    return tuple(metric for metric in standings.kind.further if metric in known)


def further_table(standings: Standings, linked: Linked) -> str | None:
    """Return the means over all sets of what a kind measures besides the ranking metrics; None for nothing."""
    metrics, sets = further_metrics(standings), averaged(standings.columns)
    rows = [
        [linked(method), *(mean_and_std(standings.over_sets(metric, method, sets)) for metric in metrics)]
        for method in standings.ranks
    ]
    return table(["Method", *map(standings.kind.heading, metrics)], rows, WORDS) if metrics else None


def bad_shares(standings: Standings) -> str:
    """Return which share of the inputs of each set are bad, in percent, as a mean over methods and seeds."""
    shares: dict[str, list[float]] = {}
    for sets in standings.sizes.values():
        for name, (n, m) in sets.items():
            shares.setdefault(name, []).append(m / (n + m))
    told = [
        f"{column.name} {percent(fmean(shares[column.name]))}" for column in standings.columns if column.name in shares
    ]
    return f"Of the inputs of each set these shares are bad, in percent: {', '.join(told)}."


SHADES = ((0.95, "█"), (0.8, "▓"), (0.65, "▒"), (0.55, "░"))
"""What stands beside an AUROC of so much or more: a table of many becomes a map."""


def heat_map(standings: Standings, linked: Linked) -> str | None:
    """Return the AUROC of each method by group, mean over its sets and seeds, with a shade; None without groups."""
    groups = _groups(standings.columns)
    if len(standings.columns) <= MOST_SETS or len(groups) < 2:
        return None
    rows = []
    for method in standings.ranks:
        means = [standings.over_sets("auroc", method, sets) for sets in groups.values()]
        rows.append([linked(method), *(_shaded(mean.mean) if mean else NONE for mean in means)])
    return table(["Method", *groups], rows, WORDS)


def _shaded(auroc: float) -> str:
    shade = next((shade for least, shade in SHADES if round(auroc, 3) >= least), "")
    return f"{shade} {100 * auroc:.1f}".strip()


def _tables_of_many(standings: Standings, metric: str, linked: Linked) -> str:
    """Return the mean of each group; and of a short board the sets of each, folded, without the spread over seeds."""
    title, groups = standings.kind.heading(metric), _groups(standings.columns)
    means = {**groups, MEAN: list(averaged(standings.columns))}
    rows = [
        [linked(method), *(mean_and_std(standings.over_sets(metric, method, sets)) for sets in means.values())]
        for method in standings.ranks
    ]
    parts = [f"{title}, mean of each group", table(["Method", *means], rows, WORDS)]
    board = short_board(standings)
    parts += [said] if (said := short_board_said(standings)) else []
    for group, sets in groups.items():
        plain = [[f"`{one}`", *(_alone(standings, metric, one, name) for name in sets)] for one in board]
        parts.append(folded(f"{group}, set by set", table(["Method", *sets], plain, WORDS)))
    return "\n\n".join(parts)


def _alone(standings: Standings, metric: str, method: str, name: str) -> str:
    found = standings.over_seeds(metric, method, name)
    return f"{100 * found.mean:.1f}" if found else NONE


def _groups(columns: Sequence[Column]) -> dict[str, list[str]]:
    """Return the sets of each group, by its name."""
    groups: dict[str, list[str]] = {}
    for column in columns:
        groups.setdefault(column.group, []).append(column.name)
    return groups


def attack_table(standings: Standings) -> str | None:
    """Return how often each attack fooled each model, and by how much it changed the pixels; None for no attacks.

    The share of images that it left as they were has a column where it is known of some attack.
    """
    found = {
        (column.name, name): [model.attacks[column.name] for model in models if column.name in model.attacks]
        for column in standings.columns
        for name, models in _references(standings).items()
    }
    rows = {key: _attack_row(attacks) for key, attacks in found.items() if attacks}
    hidden = {UNMOVED} if all(row[UNMOVED] == NONE for row in rows.values()) else set()
    headers = ["Attack", "Model", *(name for name in ATTACK if name not in hidden)]
    lines = [
        [attack, f"`{model}`", *(cell for name, cell in row.items() if name not in hidden)]
        for (attack, model), row in rows.items()
    ]
    return table(headers, lines, ("Attack", "Model")) if lines else None


UNMOVED = "Unmoved"
ATTACK = ("Attacked", "Success rate", UNMOVED, "Mean ℓ∞", "Mean ℓ2")
"""What is told of an attack on a model, over seeds."""


def _attack_row(attacks: Sequence[Attack]) -> dict[str, str]:
    n = fmean(attack.n for attack in attacks)
    rates = spread([attack.success_rate for attack in attacks if attack.success_rate is not None])
    unmoved = spread([attack.unmoved / attack.n for attack in attacks if attack.unmoved is not None and attack.n])
    linf = spread([attack.mean_linf for attack in attacks if attack.mean_linf is not None])
    l2 = spread([attack.mean_l2 for attack in attacks if attack.mean_l2 is not None])
    changes = [f"{change.mean:.4f}" if change else NONE for change in (linf, l2)]
    cells = (f"{n:.0f}", mean_and_std(rates), mean_and_std(unmoved), *changes)
    return dict(zip(ATTACK, cells, strict=True))


def method_table(standings: Standings, method: str, metrics: Sequence[str] = tuple(RANKING)) -> str:
    """Return every number of one method by some metrics: a row a set (of many sets, a group), a column a metric."""
    headers = ["Set", *map(standings.kind.heading, metrics)]
    rows = []
    many = len(standings.columns) > MOST_SETS
    for column in () if many else standings.columns:
        rows.append([set_heading(column), *(of_set(standings, metric, method, column.name) for metric in metrics)])
    means = _means(standings.columns) if len(standings.columns) > 1 else {}
    for name, sets in means.items():
        rows.append([name, *(mean_and_std(standings.over_sets(metric, method, sets)) for metric in metrics)])
    return table(headers, rows, ("Set",))


def gap_table(found: Sequence[SharedGap], linked: Linked) -> str:
    """Return what is missing as a table; sets that the same methods lack for the same reason share a row."""
    headers = ("Methods", "Seeds", "Kind", "Set", "Status", "Reason")
    sets: dict[SharedGap, list[str]] = {}
    for one in found:
        alike = one._replace(gap=one.gap._replace(set=None))
        sets.setdefault(alike, []).append(one.gap.set or "all")
    rows = [
        [
            _folded([linked(method) for method in one.methods]),
            ", ".join(map(str, one.seeds)),
            one.gap.kind or "all",
            ", ".join(names),
            one.gap.status,
            one.gap.reason or NONE,
        ]
        for one, names in sets.items()
    ]
    return table(headers, rows, headers)


def _folded(methods: Sequence[str]) -> str:
    """Return names of methods, under their number where there are many."""
    names = ", ".join(methods)
    many = len(methods) > MANY_NAMES
    return f"<details><summary>{len(methods)} methods</summary>{names}</details>" if many else names


def accuracy_text(standings: Standings, method: str) -> str:
    """Return the accuracy of a method's model, marked where it falls behind its plain twin's."""
    behind = f" {BEHIND}" if standings.falls_behind(method) else ""
    return mean_and_std(standings.accuracy(method)) + behind


def rank_and_mean(standings: Standings, metric: str, method: str) -> tuple[str, str]:
    """Return a method's rank and mean by a metric, as tables have them."""
    if method not in standings.entries:
        return NONE, NONE
    mean = standings.over_sets(metric, method, averaged(standings.columns))
    return standings.ranks_by[metric][method], mean_and_std(mean)


def _needs_row(standings: Standings, method: str, linked: Linked) -> list[str]:
    records = standings.records(method)
    sets = averaged(standings.columns)
    means = [mean_and_std(standings.over_sets(metric, method, sets)) for metric in FURTHER]
    first = records[0]
    needs = [first.tuning_access, "yes" if first.fits_on_labels else "no", passes_text(records)]
    return [linked(method), *means, *needs]


def passes_text(records: Sequence[Record]) -> str:
    """Return the mean over seeds of the passes that one input costs: tuning may choose a cheaper variant for a seed."""
    forward, gradient = (fmean(getattr(record.passes, kind) for record in records) for kind in ("forward", "gradient"))
    return f"{forward:.3g} + {gradient:.3g} ∇" if gradient else f"{forward:.3g}"


def _means(columns: Sequence[Column]) -> dict[str, list[str]]:
    """Return the sets behind each mean, by its heading: groups of several sets, then all sets if no group is all."""
    groups = _groups(columns)
    means = {f"mean ({group})": names for group, names in groups.items() if group and len(names) > 1}
    overall = list(averaged(columns))
    return means if overall in means.values() else means | {MEAN: overall}


def set_heading(column: Column) -> str:
    """Return what a set is called above its column: its name and its group."""
    return f"{column.name} ({column.group})" if column.group else column.name


def of_set(standings: Standings, metric: str, method: str, name: str) -> str:
    """Return a method's number on a set, with its interval where it has one, as tables have it."""
    text = mean_and_std(standings.over_seeds(metric, method, name), len(standings.entries[method]))
    interval = standings.interval(metric, method, name)
    return f"{text} [{percent(interval[0])}, {percent(interval[1])}]" if interval else text


def _references(standings: Standings) -> dict[str, list[ModelRecord]]:
    """Return the classifiers that were attacked by name, one a seed."""
    found: dict[str, dict[int, ModelRecord]] = {}
    for seeds in standings.entries.values():
        for seed, entry in seeds.items():
            if entry.reference is not None:
                found.setdefault(entry.reference.name, {})[seed] = entry.reference
    return {name: list(models.values()) for name, models in found.items()}

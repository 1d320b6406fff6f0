"""The papers' own numbers beside ours: never in one column."""

from collections.abc import Iterable

from oodbench.measure.ranking import RANKING
from oodbench.measure.summary import spread
from oodbench.report.at_ratio import SIZED, at_ratio
from oodbench.report.fpr90 import FPR90, fpr90
from oodbench.report.markdown import link, mean_and_std, table
from oodbench.report.reported import Reported, known_as
from oodbench.report.standings import Standings


def comparable(standings: Standings, in_set: str, reported: Iterable[Reported]) -> list[Reported]:
    """Return what papers print for the methods, sets and metrics of a table, in its order."""
    methods, metrics = list(standings.entries), [*RANKING, FPR90]
    sets, in_sets = {**_shown(standings), **_groups(standings)}, known_as(in_set)
    found = [
        one
        for one in reported
        if one.failure == standings.kind.name
        and one.in_set in in_sets
        and one.method in methods
        and one.out_set in sets
        and one.metric in metrics
    ]
    order = list(sets)
    return sorted(found, key=lambda one: (methods.index(one.method), order.index(str(one.out_set)), one.metric))


def _shown(standings: Standings) -> dict[str, str]:
    """Return our own sets by what papers call them; a set of that very name goes first."""
    names = [column.name for column in standings.columns]
    called = {other: name for name in names for other in known_as(name)}
    return called | {name: name for name in names}


def _groups(standings: Standings) -> dict[str, list[str]]:
    """Return the sets of each group that papers may print a mean of: OpenOOD's boards do of near and far."""
    groups: dict[str, list[str]] = {}
    for column in standings.columns:
        groups.setdefault(column.group, []).append(column.name)
    return groups


def reported_table(standings: Standings, how: str, numbers: Iterable[Reported]) -> str:
    """Return the papers' numbers, each with what was measured here, its convention and its source.

    Args:
        standings: What was measured.
        how: How large the classifiers are, in a word or two: "scale tiny".
        numbers: The papers'.
    """
    words = ("Method", "Set", "Metric", "Network", "Tuned on", "Convention", "Source")
    headers = [*words[:3], f"Measured here ({how})", "In the paper", *words[3:]]
    return table(headers, [_row(standings, one) for one in numbers], words)


def as_printed(number: Reported) -> str:
    """Return a number in the paper's own digits, in percent; a doubtful one says so and why."""
    parts = [part for part in (number.value, number.low, number.high) if part is not None]
    text = " to ".join(_digits(part, number.places) for part in parts) or "illegible"
    text += f" ± {_digits(number.std, number.places)}" if number.std is not None else ""
    return f"{text} (doubtful: {number.doubt})" if number.doubt else text


def _digits(share: float, places: int) -> str:
    return f"{100 * share:.{places}f}"


def _row(standings: Standings, one: Reported) -> list[str]:
    name, measured = ours(standings, one)
    what = [f"`{one.method}`", name, standings.kind.heading(one.metric)]
    return [*what, measured, as_printed(one), one.network, one.tuning, one.convention, link(one.short, one.paper.url)]


def ours(standings: Standings, one: Reported) -> tuple[str, str]:
    """Return what we call the set of a paper's number, or the sets that it is the mean over, and our number."""
    own = _shown(standings).get(str(one.out_set))
    if own is None:
        group = _groups(standings)[str(one.out_set)]
        measured = mean_and_std(standings.over_sets(one.metric, one.method, group))
        return f"mean ({one.out_set})", f"{measured} (at our ratios)" if one.metric in SIZED else measured
    return own if own == one.out_set else f"{own} (there {one.out_set})", _measured(standings, one, own)


def _measured(standings: Standings, one: Reported, own: str) -> str:
    """Return our number: at the paper's recall, and its ratio of set sizes where it depends on them and is said."""
    entries = list(standings.entries[one.method].values())
    if one.metric == FPR90:
        by_seed = [fpr90(entry, one.failure) for entry in entries]
        return mean_and_std(spread([of[own] for of in by_seed if own in of]))
    drawn = [found for entry in entries if (found := at_ratio(entry, own, one))]
    if len(drawn) == len(entries):
        several = len(drawn) > 1
        over = spread([found.mean for found in drawn]) if several else drawn[0]
        return f"{mean_and_std(over)} ({drawn[0].n} draws{' a seed' if several else ''} at {_ratio(one)})"
    measured = mean_and_std(standings.over_seeds(one.metric, one.method, own))
    return f"{measured} (at our ratio)" if one.metric in SIZED else measured


def _ratio(one: Reported) -> str:
    assert one.n_good and one.n_bad
    return f"1:{one.n_good / one.n_bad:.3g}"

"""The papers' own numbers beside ours: never in one column."""

from collections.abc import Iterable
from pathlib import Path

from oodbench.data.cards import load_cards
from oodbench.data.fixed import cards_folder
from oodbench.measure.ranking import RANKING
from oodbench.report.collect import REPORTED
from oodbench.report.markdown import link, mean_and_std, metric_title, table
from oodbench.report.reported import Reported, load_reported
from oodbench.report.section import Section


def papers(results: Path) -> tuple[Reported, ...]:
    """Return the papers' numbers: those of the results folder, else those that come with the cards.

    Raises:
        BadCard: A file breaks the schema.
    """
    for folder in (results / REPORTED, cards_folder().parent / "results" / REPORTED):
        if folder.is_dir():
            return load_reported(folder)
    return ()


def beside(section: Section, in_set: str, reported: Iterable[Reported]) -> list[Reported]:
    """Return what papers print for the methods, sets and metrics of a section, in its order."""
    methods, metrics = list(section.entries), list(RANKING)
    sets, in_sets = _shown(section), known_as(in_set)
    found = [
        one
        for one in reported
        if one.failure == section.failure
        and one.in_set in in_sets
        and one.method in methods
        and one.out_set in sets
        and one.metric in metrics
    ]
    order = list(sets)
    return sorted(found, key=lambda one: (methods.index(one.method), order.index(str(one.out_set)), one.metric))


def known_as(name: str) -> tuple[str, ...]:
    """Return what papers may call a set: its card, and the card of the whole where it is a part of another's images."""
    cards = load_cards()
    own = cards.get(name)
    whole = cards.get(own.origin) if own else None
    if own is None or whole is None or own.source.kind == "generator" or own.shape != whole.shape:
        return (name,)
    return tuple(dict.fromkeys((name, whole.name)))


def _shown(section: Section) -> dict[str, str]:
    """Return a section's own sets by what papers call them; a set of that very name goes first."""
    names = [column.name for column in section.columns]
    called = {other: name for name in names for other in known_as(name)}
    return called | {name: name for name in names}


def reported_table(section: Section, scale: str, numbers: Iterable[Reported]) -> str:
    """Return the papers' numbers, each with what was measured here, its convention and its source."""
    words = ("Method", "Set", "Metric", "Network", "Tuned on", "Convention", "Source")
    headers = [*words[:3], f"Measured here (scale {scale})", "In the paper", *words[3:]]
    return table(headers, [_row(section, one) for one in numbers], words)


def as_printed(number: Reported) -> str:
    """Return a number in the paper's own digits, in percent; a doubtful one says so and why."""
    text = " to ".join(_digits(part, number.places) for part in _parts(number)) or "illegible"
    text += f" ± {_digits(number.std, number.places)}" if number.std is not None else ""
    return f"{text} (doubtful: {number.doubt})" if number.doubt else text


def _parts(number: Reported) -> list[float]:
    return [part for part in (number.value, number.low, number.high) if part is not None]


def _digits(share: float, places: int) -> str:
    return f"{100 * share:.{places}f}"


def _row(section: Section, one: Reported) -> list[str]:
    own = _shown(section)[str(one.out_set)]
    ours = mean_and_std(section.over_seeds(one.metric, one.method, own))
    name = own if own == one.out_set else f"{own} (there {one.out_set})"
    what = [f"`{one.method}`", name, metric_title(one.metric, section.failure)]
    return [*what, ours, as_printed(one), one.network, one.tuning, one.convention, link(one.short, one.paper.url)]

"""The papers' own numbers beside ours: never in one column."""

from collections.abc import Iterable
from pathlib import Path

from bench.data.fixed import cards_folder
from bench.measure.ranking import RANKING
from bench.report.collect import REPORTED
from bench.report.markdown import link, mean_and_std, metric_title, table
from bench.report.reported import Reported, load_reported
from bench.report.section import Section


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
    methods, sets, metrics = list(section.entries), [column.name for column in section.columns], list(RANKING)
    found = [
        one
        for one in reported
        if (one.failure, one.in_set) == (section.failure, in_set)
        and one.method in methods
        and one.out_set in sets
        and one.metric in metrics
    ]
    return sorted(found, key=lambda one: (methods.index(one.method), sets.index(str(one.out_set)), one.metric))


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
    ours = mean_and_std(section.over_seeds(one.metric, one.method, str(one.out_set)))
    what = [f"`{one.method}`", str(one.out_set), metric_title(one.metric, section.failure)]
    return [*what, ours, as_printed(one), one.network, one.tuning, one.convention, link(one.short, one.paper.url)]

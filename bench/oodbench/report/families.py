"""What keeps a board of a hundred rows readable: its first rows by family, and tables that are folded."""

from collections.abc import Sequence
from functools import cache

from oodbench import listed
from oodbench.given import method_of
from oodbench.report.standings import MAY_BE_BEST, Standings

FAMILIES = {
    "logits": "functions of the logits",
    "features": "distances, subspaces and densities of activations",
    "shaping": "activations that are clipped, pruned or scaled",
    "perturbation": "derivatives and changed inputs",
    "ensembles": "several networks or masks",
    "bottleneck": "information bottlenecks",
    "generative": "generative models of the inputs",
    "outliers": "training with outliers",
    "training": "other training of the classifier",
    "other": "others",
}
"""What the families of `oodbench.contract.Family` are called, in the order of tables."""

MOST_ROWS = 20
"""Of a table that is not folded."""

MOST_MARKED = 8
"""Of the rows that may be the best, on a short board."""


def family_of(row: str) -> str:
    """Return the family of a row's method; "other" of one that is not in this repository."""
    return _families().get(method_of(row), "other")


def of_families(rows: Sequence[str]) -> dict[str, list[str]]:
    """Return rows in their order by family, the families in theirs."""
    found: dict[str, list[str]] = {family: [] for family in FAMILIES}
    for row in rows:
        found[family_of(row)].append(row)
    return {family: own for family, own in found.items() if own}


def short_board(standings: Standings) -> list[str]:
    """Return the best row of each family, and those that may be the best of all: all rows where they are few.

    Where more than `MOST_MARKED` may be the best, those at place 1 stand beside the best of the families.
    """
    rows = list(standings.ranks)
    if len(rows) <= MOST_ROWS:
        return rows
    shown = {*_leading(standings), *(own[0] for own in of_families(rows).values())}
    return [row for row in rows if row in shown]


def short_board_said(standings: Standings) -> str:
    """Return what a short board leaves out; nothing where it has all rows."""
    shown, rows = short_board(standings), len(standings.ranks)
    if len(shown) == rows:
        return ""
    marked, leading = sum(one.may_be_best for one in standings.ranked), len(_leading(standings))
    which = "the first" if leading == 1 else f"the {leading} at place 1"
    rest = f"every row marked {MAY_BE_BEST}" if marked == leading else f"{which} of the {marked} {MAY_BE_BEST}"
    return f"Shown are {len(shown)} of {rows} rows: the best of each family, and {rest}."


def _leading(standings: Standings) -> list[str]:
    """Return the rows that may be the best; where these are many those at place 1; where these are many the first."""
    marked = [one for one in standings.ranked if one.may_be_best]
    best = [one for one in marked if one.place == 1]
    few = next((some for some in (marked, best) if len(some) <= MOST_MARKED), best[:1])
    return [one.method for one in few]


def folded(summary: str, text: str) -> str:
    """Return a text that a reader opens by its summary."""
    return f"<details>\n<summary>{summary}</summary>\n\n{text}\n\n</details>"


@cache
def _families() -> dict[str, str]:
    return {line.name: line.family for line in listed.rows()}

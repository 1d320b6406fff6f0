"""What there is, for `oodbench list`."""

import json
import textwrap
from collections.abc import Sequence
from dataclasses import asdict
from itertools import zip_longest

from oodbench.corruptions.registry import CORRUPTIONS
from oodbench.data.attack_cards import load_adaptive, load_attacks
from oodbench.data.cards import Card, load_cards
from oodbench.data.matrix import load_matrices
from oodbench.listed import Line
from oodbench.run import catalog

WIDTH = 80
"""Columns of a terminal."""

LONGEST = 20
"""Of a name beside which the rest of its row stands."""

MOST_SPLITS = 10
"""Of a card whose splits are listed one by one."""

WIDEST = 16
"""Of a column between the name and the last: longer cells go on below."""


def listing(judges_mine: bool = False, as_json: bool = False) -> str:
    """Return methods, matrices, data sets, attacks and corruptions as text tables of at most 80 columns, or as JSON.

    Args:
        judges_mine: Only methods that judge a given classifier: what `oodbench.evaluate` takes.
        as_json: All that is known of each, papers' addresses too.
    """
    methods = [line for line in catalog.lines() if line.judges_mine or not judges_mine]
    if as_json:
        return json.dumps(_everything(methods, judges_mine), indent=1, ensure_ascii=False)
    if judges_mine:
        rows = [(line.name, ", ".join(line.needs), " ".join(line.reads), line.title) for line in methods]
        return _table("methods that judge a given classifier", ("name", "needs", "reads", "what"), rows)
    matrices = [
        (m.name, m.scale, m.in_set, len(m.ood), len(m.attacks), len(m.seeds), m.title) for m in load_matrices().values()
    ]
    cards = [(c.name, ", ".join(c.roles), _splits(c), c.title) for c in load_cards().values()]
    attacks = [(a.name, a.kind, f"{a.eps:.4f}" if a.eps else "", a.title) for a in load_attacks().values()]
    adaptive = [(a.name, a.title) for a in load_adaptive().values()]
    corruptions = [(one.name, one.family, one.title) for one in CORRUPTIONS.values()]
    tuned = [(line.name, line.tuned_on, "yes" if line.judges_mine else "", line.title) for line in methods]
    return "\n\n".join(
        [
            _table("methods", ("name", "tuned on", "mine", "what"), tuned),
            _table("matrices", ("name", "scale", "in-set", "out", "att.", "seeds", "what"), matrices),
            _table("data sets", ("name", "roles", "splits", "what"), cards),
            _table("attacks", ("name", "kind", "eps", "what"), attacks),
            _table("attacks that know the detector", ("name", "what"), adaptive),
            _table("corruptions", ("name", "family", "what"), corruptions),
            "mine: judges a classifier of yours (oodbench list --judges-mine)\nout, att.: out-sets, attacks",
        ]
    )


def _everything(methods: Sequence[Line], judges_mine: bool) -> dict[str, object]:
    made: dict[str, object] = {"methods": [asdict(line) for line in methods]}
    if judges_mine:
        return made
    return made | {
        "matrices": [
            {
                **{"name": m.name, "title": m.title, "scale": m.scale, "in_set": m.in_set},
                **{"ood": [s.card for s in m.ood], "attacks": [a.attack for a in m.attacks], "seeds": list(m.seeds)},
            }
            for m in load_matrices().values()
        ],
        "data_sets": [
            {"name": c.name, "title": c.title, "roles": list(c.roles), "splits": dict(c.splits), "url": c.url}
            for c in load_cards().values()
        ],
        "attacks": [
            {"name": a.name, "title": a.title, "kind": a.kind, "norm": a.norm, "eps": a.eps, "target": a.target}
            for a in load_attacks().values()
        ],
        "adaptive_attacks": [
            {"name": a.name, "title": a.title, "of": a.of, "detection": a.detection, "weight": a.weight}
            for a in load_adaptive().values()
        ],
        "corruptions": [
            {"name": one.name, "title": one.title, "family": one.family, "version": one.version}
            for one in CORRUPTIONS.values()
        ],
    }


def _splits(card: Card) -> str:
    """Return a card's splits with their sizes; of many (types and severities) how many there are, and the first."""
    first, *others = (f"{name}:{n}" for name, n in card.splits.items())
    return f"{1 + len(others)} splits, {first} ..." if len(others) >= MOST_SPLITS else " ".join([first, *others])


def _table(title: str, headers: tuple[str, ...], rows: Sequence[tuple[object, ...]]) -> str:
    """Return a table whose cells are broken so that no line is wider than a terminal.

    A name is never broken: a long one has a line of its own, and the rest of its row stands below.
    """
    head, *cells = ([str(row[0]), *(_broken(cell, WIDEST) for cell in row[1:-1])] for row in (headers, *rows))
    short = [row for row in (head, *cells) if len(row[0]) <= LONGEST]
    widths = [max(len(line) for cell in column for line in cell.split("\n")) for column in zip(*short, strict=True)]
    left = WIDTH - sum(widths) - 2 * len(widths)
    lines = [title, *_lines([*head, headers[-1]], widths), "  ".join("-" * width for width in (*widths, left))]
    for row, whole in zip(cells, rows, strict=True):
        lines += _lines([*row, _broken(whole[-1], left)], widths)
    return "\n".join(lines)


def _lines(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    """Return a row's lines: as many as its highest cell has, below a name that is too long for its column."""
    above = [row[0]] if len(row[0]) > widths[0] else []
    columns = [cell.split("\n") for cell in ("" if above else row[0], *row[1:])]
    padded = zip_longest(*columns, fillvalue="")
    made = ["  ".join(cell.ljust(width) for cell, width in zip(line, (*widths, 0), strict=True)) for line in padded]
    return above + [line.rstrip() for line in made]


def _broken(cell: object, width: int) -> str:
    return "\n".join(textwrap.wrap(str(cell), width, break_on_hyphens=False))

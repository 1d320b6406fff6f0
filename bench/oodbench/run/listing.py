"""What there is, for `oodbench list`."""

import json
import textwrap
from collections.abc import Sequence
from dataclasses import asdict

from tabulate import tabulate

from oodbench.data.attack_cards import load_attacks
from oodbench.data.cards import load_cards
from oodbench.data.matrix import load_matrices
from oodbench.run import catalog

WIDTH = 80
"""Columns of a terminal."""

WIDEST = 16
"""Of a column between the name and the last: longer cells go on below."""


def listing(judges_mine: bool = False, as_json: bool = False) -> str:
    """Return methods, matrices, data sets and attacks as text tables of at most 80 columns, or as JSON.

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
    cards = [
        (c.name, ", ".join(c.roles), " ".join(f"{k}:{n}" for k, n in c.splits.items()), c.title)
        for c in load_cards().values()
    ]
    attacks = [(a.name, a.kind, f"{a.eps:.4f}", a.title) for a in load_attacks().values()]
    tuned = [(line.name, line.tuned_on, "yes" if line.judges_mine else "", line.title) for line in methods]
    return "\n\n".join(
        [
            _table("methods", ("name", "tuned on", "mine", "what"), tuned),
            _table("matrices", ("name", "scale", "in-set", "out", "att.", "seeds", "what"), matrices),
            _table("data sets", ("name", "roles", "splits", "what"), cards),
            _table("attacks", ("name", "kind", "eps", "what"), attacks),
            "mine: judges a classifier of yours (oodbench list --judges-mine)\nout, att.: out-sets, attacks",
        ]
    )


def _everything(methods: Sequence[catalog.Line], judges_mine: bool) -> dict[str, object]:
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
        "attacks": [{"name": a.name, "title": a.title, "kind": a.kind, "eps": a.eps} for a in load_attacks().values()],
    }


def _table(title: str, headers: tuple[str, ...], rows: Sequence[tuple[object, ...]]) -> str:
    """Return a table whose cells are broken so that no line is wider than a terminal."""
    inner = [[str(row[0]), *(_broken(cell, WIDEST) for cell in row[1:-1])] for row in rows]
    heads = [f"{header}  " for header in headers[:-1]]  # tabulate leaves two blanks beside a header
    taken = [
        max(len(line) for cell in column for line in cell.split("\n")) for column in zip(heads, *inner, strict=True)
    ]
    left = WIDTH - sum(taken) - 2 * len(taken)
    cells = [[*row, _broken(whole[-1], left)] for row, whole in zip(inner, rows, strict=True)]
    return f"{title}\n{tabulate(cells, headers, tablefmt='simple', disable_numparse=True)}"


def _broken(cell: object, width: int) -> str:
    return "\n".join(textwrap.wrap(str(cell), width, break_on_hyphens=False))

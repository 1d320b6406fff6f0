"""What there is, for `oodbench list`."""

from collections.abc import Sequence

from tabulate import tabulate

from oodbench.data.attack_cards import load_attacks
from oodbench.data.cards import load_cards
from oodbench.data.matrix import load_matrices
from oodbench.run.registry import registry


def listing() -> str:
    """Return methods, matrices, data sets and attacks as text tables."""
    methods = [
        (entry.method.name, entry.method.title, entry.method.tuning_access, entry.method.paper.url)
        for entry in registry().values()
    ]
    matrices = [
        (m.name, m.scale, m.in_set, len(m.ood), len(m.attacks), len(m.seeds), m.title) for m in load_matrices().values()
    ]
    cards = [
        (c.name, ", ".join(c.roles), " ".join(f"{k}:{n}" for k, n in c.splits.items()), c.title)
        for c in load_cards().values()
    ]
    attacks = [(a.name, a.kind, f"{a.eps:.4f}", a.title) for a in load_attacks().values()]
    return "\n\n".join(
        [
            _table("methods", ("name", "what", "tuned on", "paper"), methods),
            _table("matrices", ("name", "scale", "in-set", "out-sets", "attacks", "seeds", "what"), matrices),
            _table("data sets", ("name", "roles", "splits", "what"), cards),
            _table("attacks", ("name", "kind", "eps", "what"), attacks),
        ]
    )


def _table(title: str, headers: tuple[str, ...], rows: Sequence[tuple[object, ...]]) -> str:
    return f"{title}\n{tabulate(rows, headers, tablefmt='simple')}"

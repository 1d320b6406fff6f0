"""What there is, for `oodbench list`."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial

from oodbench.corruptions.registry import CORRUPTIONS
from oodbench.data import glance
from oodbench.listed import Line
from oodbench.run import catalog
from oodbench.shown import Page, Table

MOST_SPLITS = 10
"""Of a card whose splits are listed one by one."""


def listing(judges_mine: bool = False) -> Page:
    """Return methods, matrices, data sets, attacks and corruptions as tables; to programs all that is known of each.

    Args:
        judges_mine: Only methods that judge a given classifier: what `oodbench.evaluate` takes.

    Raises:
        BadCard: A file of a card, matrix or attack cannot be read.
    """
    methods = [line for line in catalog.lines() if line.judges_mine or not judges_mine]
    data = partial(_everything, methods, judges_mine)
    if judges_mine:
        rows = [(line.name, ", ".join(line.needs), " ".join(line.reads), line.title) for line in methods]
        title = "methods that judge a given classifier"
        return Page(Table(("name", "needs", "reads", "what"), rows, title=title), data=data)
    matrices = [(m.name, m.scale, m.in_set, m.out_sets, m.attacks, m.seeds, m.title) for m in glance.matrices()]
    cards = [(c.name, ", ".join(c.roles), _splits(c.splits), c.title) for c in glance.cards()]
    fixed, knowing = glance.attacks()
    attacks = [(a.name, a.kind, f"{a.eps:.4f}" if a.eps else "", a.title) for a in fixed]
    adaptive = [(a.name, a.title) for a in knowing]
    corruptions = [(one.name, one.family, one.title) for one in CORRUPTIONS.values()]
    tuned = [(line.name, line.tuned_on, "yes" if line.judges_mine else "", line.title) for line in methods]
    return Page(
        Table(("name", "tuned on", "mine", "what"), tuned, title="methods"),
        "",
        Table(("name", "scale", "in-set", "out", "att.", "seeds", "what"), matrices, title="matrices"),
        "",
        Table(("name", "roles", "splits", "what"), cards, title="data sets"),
        "",
        Table(("name", "kind", "eps", "what"), attacks, title="attacks"),
        "",
        Table(("name", "what"), adaptive, title="attacks that know the detector"),
        "",
        Table(("name", "family", "what"), corruptions, title="corruptions"),
        "",
        "mine: judges a classifier of yours (oodbench list --judges-mine)",
        "out, att.: out-sets, attacks",
        data=data,
    )


def _everything(methods: Sequence[Line], judges_mine: bool) -> dict[str, object]:
    from oodbench.data.attack_cards import load_adaptive, load_attacks
    from oodbench.data.cards import load_cards
    from oodbench.data.matrix import load_matrices

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


def _splits(splits: Mapping[str, int]) -> str:
    """Return a card's splits with their sizes; of many (types and severities) how many there are, and the first."""
    first, *others = (f"{name}:{n}" for name, n in splits.items())
    return f"{1 + len(others)} splits, {first} ..." if len(others) >= MOST_SPLITS else " ".join([first, *others])

"""What attacks are said to have achieved, on a model and on a model and its detector at once."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from oodbench.data.attack_cards import Attack as Card
from oodbench.data.attack_cards import load_adaptive, load_attacks
from oodbench.data.matrix import Matrix
from oodbench.measure.kinds import KINDS, ROUNDED
from oodbench.schema import AdaptiveAttack, Attack, ModelRecord, Record
from oodbench.scorefile import Scores
from oodbench.spaces import Images


def attack_faults(model: ModelRecord, outcomes: Any, matrix: Matrix) -> Iterator[str]:
    """Yield what is wrong with what attacks are said to do to a model."""
    planned = {column.name for column in KINDS["adversarial"].planned(matrix)}
    acted = outcomes.attacks if outcomes is not None else {}
    for name in sorted(model.attacks.keys() ^ acted.keys()):
        where = "the record alone" if name in model.attacks else "the file of outcomes alone"
        yield f"attacks: {name} stands in {where}"
    for name in sorted((model.attacks.keys() | acted.keys()) - planned):
        yield f"attacks: {name} is none of {matrix.name}"
    failed = (model.attacks_failed or {}).keys()
    for name in sorted(failed & acted.keys()):
        yield f"attacks_failed names {name}, whose outcomes are there"
    for name in sorted(failed - planned):
        yield f"attacks_failed names {name}, which is none of {matrix.name}"
    if outcomes is not None and planned and (lacking := sorted(planned - acted.keys() - failed)):
        yield f"attacks: {', '.join(lacking)} of {matrix.name} are not there"
    asked = {one.attack: one.n for one in matrix.attacks}
    for name, said in model.attacks.items():
        if name in acted:
            yield from _achieved(f"attacks.{name}", said, acted[name], "the outcomes")
            yield from _first(f"attacks.{name}", acted[name], outcomes, asked.get(name.removesuffix(ROUNDED)))
            yield from _norms(f"attacks.{name}", said, load_attacks(), name, matrix)


def adaptive_faults(record: Record, scores: Scores, outcomes: Any, matrix: Matrix) -> Iterator[str]:
    """Yield what is wrong with what attacks on a model and its detector are said to do; what fooled, the scores say."""
    for name in sorted(record.adaptive.keys() ^ scores.adaptive.keys()):
        yield f"adaptive: {name} stands in {'the record' if name in record.adaptive else 'the scores'} alone"
    asked = {one.attack: one.n for one in matrix.adaptive}
    cards = {name: card.attack for name, card in load_adaptive().items()}
    for name, found in scores.adaptive.items():
        place = f"adaptive.{name}"
        yield from _first(place, found, outcomes, asked.get(name))
        if (said := record.adaptive.get(name)) is not None:
            yield from _achieved(place, said, found, "the scores")
            yield from _norms(place, said, cards, name, matrix)
            yield from _known_detector(place, said)


def _achieved(place: str, said: Attack, found: Any, where: str) -> Iterator[str]:
    """Yield counts that are not those of the images."""
    n, fooled = len(found.index), int(found.fooled.sum())
    rate = fooled / n if n else None
    for field, got, expected in (("n", said.n, n), ("fooled", said.fooled, fooled)):
        if got != expected:
            yield f"{place}.{field} is {got}, and {where} come to {expected}"
    if (said.success_rate is None) != (rate is None) or abs((said.success_rate or 0) - (rate or 0)) > 1e-9:
        yield f"{place}.success_rate is {said.success_rate}, and {where} come to {rate}"
    if said.unmoved is not None and said.unmoved + fooled > n:
        yield f"{place}.unmoved is {said.unmoved}, and {fooled} of {n} fooled it, which were right as they were"


def _first(place: str, found: Any, outcomes: Any, asked: int | None) -> Iterator[str]:
    """Yield that other images were attacked than the first that the model gets right."""
    if asked is None or outcomes is None:
        return
    if not np.array_equal(np.flatnonzero(outcomes.correct)[:asked], found.index):
        yield f"{place}: attacked are not the first {asked} test images that the model gets right"


def _norms(place: str, said: Attack, cards: Mapping[str, Card], name: str, matrix: Matrix) -> Iterator[str]:
    """Yield mean norms that no change of pixels has, or that the attack's card does not allow."""
    card = cards.get(name.removesuffix(ROUNDED))
    linf, l2 = said.mean_linf, said.mean_l2
    if card is None or linf is None or l2 is None or not isinstance(matrix.space, Images):
        return
    root = math.sqrt(math.prod(matrix.space.shape))
    rounding = 0.5 / 255 if name.endswith(ROUNDED) else 0.0
    most = 1.0 if card.norm != "linf" or card.eps is None else card.eps * (1 + 1e-5) + rounding
    if linf > most:
        yield f"{place}.mean_linf is {linf:.6g}, and the attack changes a pixel by {most:.6g} at most"
    if not linf * (1 - 1e-5) <= l2 <= linf * root * (1 + 1e-5):
        yield f"{place}.mean_l2 is {l2:.6g}, expected {linf:.4g} to {linf * root * (1 + 1e-5):.4g}"
    if card.norm == "l2" and card.eps is not None and l2 > (longest := card.eps * (1 + 1e-5) + rounding * root):
        yield f"{place}.mean_l2 is {l2:.6g}, and the attack's is {longest:.6g} at most"


def _known_detector(place: str, said: AdaptiveAttack) -> Iterator[str]:
    """Yield what cannot be said of the detector that the attacker knew."""
    if said.flat >= max(said.n, 1):
        yield f"{place}.flat is {said.flat} of {said.n}: where all are flat, nothing is attacked"

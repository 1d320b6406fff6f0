"""Scores of the logits where there are two classes, a thousand, equal logits, or ones that saturate every softmax."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from given import Given
from oodbench.methods import (
    doctor,
    energy,
    entropy,
    gen,
    kl_matching,
    margin,
    max_logit,
    max_logit_pnorm,
    msp,
    openmax,
    rel_u,
    uniform_cross_entropy,
)
from torch import Tensor

from oodbench import formulas
from oodbench.contract import LOGITS

SCORES = [
    module.METHODS[0].detector
    for module in (doctor, entropy, gen, kl_matching, margin, max_logit_pnorm, openmax, rel_u)
]


def some(n: int, C: int, seed: int) -> Tensor:
    return 3 * torch.randn(n, C, generator=torch.Generator().manual_seed(seed))


def score(detector: Any, z: Tensor, labels: Tensor | None = None) -> Tensor:
    """Fit to other logits of as many classes, and score."""
    known = Given({LOGITS: some(200, z.shape[1], 5)})
    known.labels = known.logits.argmax(dim=1) if labels is None else labels  # type: ignore[attr-defined]
    state = detector.fit(SimpleNamespace(train=known, validation=known, classes=z.shape[1], seed=0))
    return detector.score(state, Given({LOGITS: z}))


@pytest.mark.parametrize(
    "detector",
    [m.METHODS[0].detector for m in (doctor, entropy, gen, margin, max_logit_pnorm, rel_u, uniform_cross_entropy)],
    ids=["doctor", "entropy", "gen", "margin", "max-logit-pnorm", "rel-u", "uniform-cross-entropy"],
)
def test_with_two_classes_they_rank_as_the_softmax(detector: Any) -> None:
    z = some(300, 2, 0)
    assert score(detector, z).argsort().tolist() == formulas.msp_key(z.double()).argsort().tolist()


@pytest.mark.parametrize("detector", SCORES, ids=lambda one: type(one).__name__)
@pytest.mark.parametrize("C", [2, 1000])
@pytest.mark.parametrize("wrong", [False, True])
def test_they_are_finite(detector: Any, C: int, wrong: bool) -> None:
    z = torch.cat([some(20, C, 1), torch.full((1, C), -7.0), torch.zeros(1, C), 1e4 * some(2, C, 2)])
    labels = (some(200, C, 5).argmax(dim=1) + 1) % C if wrong else None
    assert score(detector, z, labels).isfinite().all()


@pytest.mark.parametrize("detector", SCORES, ids=lambda one: type(one).__name__)
def test_the_surest_inputs_do_not_tie(detector: Any) -> None:
    z = torch.zeros(40, 10)
    z[:, 3] = torch.linspace(20, 40, 40)
    assert (z.softmax(dim=1).amax(dim=1) == 1).sum() > 30
    assert len(score(detector, z).unique()) == 40


ALL = {
    module.METHODS[0].name: module.METHODS[0].detector
    for module in (
        *(doctor, energy, entropy, gen, kl_matching, margin, max_logit, max_logit_pnorm, msp, openmax, rel_u),
        uniform_cross_entropy,
    )
}


@pytest.mark.parametrize("detector", ALL.values(), ids=list(ALL))
@pytest.mark.parametrize("C", [2, 10])
def test_their_derivatives_are_finite(detector: Any, C: int) -> None:
    """An attacker who knows the detector climbs them, from the surest inputs, too."""
    sure = torch.zeros(4, C)
    sure[:, 1] = torch.tensor([17.0, 40.0, 700.0, 1e5])
    z = torch.cat([some(20, C, 1), sure, torch.full((1, C), -7.0), torch.zeros(1, C)]).requires_grad_()
    (slope,) = torch.autograd.grad(score(detector, z).sum(), z)
    assert slope.isfinite().all(), z[~slope.isfinite().all(dim=1)]

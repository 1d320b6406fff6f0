"""Adaptive attacks: the attacker knows the fitted detector, and fools it along with the model.

Carlini & Wagner, "Adversarial examples are not easily detected: bypassing ten detection methods", 2017; Tramèr et al.,
"On adaptive attacks to adversarial example defenses", 2020. Whatever an attack climbs or makes small has a term more:

    climb  loss(z(x'), y) + λ s'(x')                      PGD, APGD, Square
    min    || x' - x ||_2^2 + c max(0, κ - m(x')) + d L_detect(x')            Carlini-Wagner

Scores of detectors have any unit: a log density in nats, a distance, a logit. So that one λ or d means the same for
all of them, a score is standardised by its mean and standard deviation over clean in-distribution validation images:

    s'(x) = (s(x) - mean) / std

With λ = 1 a standard deviation of the score among clean images is worth one nat of cross-entropy. The term λ s'(x')
counts where the model is fooled (`Victim.climb`), and of the points on the way that fool it the one with the highest s'
is kept (of Carlini and Wagner's, the one of the least || x' - x ||_2^2 + d L_detect). FGSM has no such way, and BIM and
MI-FGSM keep their last step, whatever was on it: they know no detector. Where the model is not fooled yet the score
would lead back to the right class: on ResNet-20 and CIFAR-10, with MSP or the energy as the detector, λ = 1 on the
whole way let PGD fool 8 to 16 % of the images that it fools all of without.

What is added is one of two (`DETECTIONS`). "score" is s' itself: the attacker wants to look as trustworthy as can be.
"typicality" is -L_detect of a two-sided test, after Mackowiak et al., "Generative classifiers as a basis for
trustworthy image classification", 2021, equation 12 (CWD; their d is 0, 66 or 1000):

    L_detect(x) = s'(x)^2  where s'(x) is outside the central 95 % of the clean validation images, else 0

the squared distance to their mean, as far as the test would flag x at p = 5 %. The paper's appendix defines L_detect;
it is not in the text at hand, and the authors released no code of it. Theirs is of the log density per dimension, this
one of the standardised score, so that d is in other units than theirs.

A detector that takes a derivative itself (ODIN) is differentiated with that derivative held constant. Of a step by its
sign that is exact almost everywhere; of others an attacker with second derivatives may do better.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from oodbench.attacks.victim import Map, Victim
from oodbench.errors import BadData

ALPHA = 0.05
"""p: the share of clean images that the two-sided test flags."""


@final
@dataclass(frozen=True)
class Clean:
    """How a detector's scores of clean validation images are spread.

    Attributes:
        mean: Of the scores, in their own unit.
        std: Their standard deviation, with n in the denominator.
        low: The standardised score below which 2.5 % of them lie.
        high: The one above which 2.5 % lie.
    """

    mean: float
    std: float
    low: float
    high: float

    @classmethod
    def of(cls, scores: Float[Tensor, "n"]) -> Clean:
        """Return how scores are spread.

        Raises:
            BadData: There is none, one is NaN or infinite, or all are the same.
        """
        s = scores.double()
        if not len(s) or not s.isfinite().all():
            raise BadData(f"{int((~s.isfinite()).sum())} of {len(s)} scores of validation images are NaN or infinite")
        if s.max() == s.min():
            raise BadData(f"all {len(s)} validation images have the score {float(s[0]):g}: it cannot be standardised")
        mean, std = s.mean(), s.std(correction=0)
        low, high = torch.quantile((s - mean) / std, torch.tensor([ALPHA / 2, 1 - ALPHA / 2], dtype=s.dtype))
        return cls(float(mean), float(std), float(low), float(high))

    def standardised(self, s: Float[Tensor, "n"]) -> Float[Tensor, "n"]:
        """Return (s - mean) / std, in float64."""
        return (s.double() - self.mean) / self.std


def trusted(s: Float[Tensor, "n"], clean: Clean) -> Float[Tensor, "n"]:
    """Return the standardised score: higher = more to be trusted."""
    return s


def typical(s: Float[Tensor, "n"], clean: Clean) -> Float[Tensor, "n"]:
    """Return -L_detect: minus the square of a standardised score that is outside the band, 0 of one inside."""
    return -torch.where((s < clean.low) | (s > clean.high), s.square(), torch.zeros_like(s))


DETECTIONS: Mapping[str, Callable[[Tensor, Clean], Tensor]] = {"score": trusted, "typicality": typical}
"""What an attacker wants of a standardised score [n], the larger the better, by the names of adaptive cards."""


def knowing(victim: Victim, score: Map, clean: Clean, detection: str, weight: float) -> Victim:
    """Return a model under attack whose detector is attacked with it; a weight of 0 leaves the attacker who knows none.

    Args:
        victim: The model.
        score: The fitted detector's, a map of pixels, differentiable by them.
        clean: How that is spread.
        detection: Which of `DETECTIONS`.
        weight: λ or d.
    """
    if weight == 0:
        return victim
    wanted = DETECTIONS[detection]
    return Victim(victim.logits, lambda x: wanted(clean.standardised(score(x)), clean), weight, selective=True)


def slope(score: Map, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"] | None:
    """Return a score's derivative by the pixels; None where it does not depend on them by differentiable steps."""
    with torch.enable_grad():
        pixels = x.detach().requires_grad_()
        s = score(pixels)
        (gradient,) = torch.autograd.grad(s.sum(), pixels, allow_unused=True) if s.requires_grad else (None,)
    return gradient

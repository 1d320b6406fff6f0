"""Augmentations beyond flips and shifts: the plain classifier trained on pictures that were cut, bent or mixed.

DeVries & Taylor, "Improved Regularization of Convolutional Neural Networks with Cutout", 2017 (`cutout-msp`).
Cubuk, Zoph, Shlens & Le, "RandAugment: Practical Automated Data Augmentation with a Reduced Search Space", NeurIPS 2020
(`randaugment-msp`).
Hendrycks, Zou, Mazeika, Tang, Li, Song & Steinhardt, "PixMix: Dreamlike Pictures Comprehensively Improve Safety
Measures", CVPR 2022 (`pixmix-msp`).

    L = mean CE(y, p(t(x))),   t drawn anew for each input and step
    s(x) = max_c softmax(z)_c,   by its rank key

`oodbench.models.augment`, `randaugment` and `pixmix` say what t is. It comes after the matrix's own augmentations, and
any recipe may have it: `augment` of a matrix's training takes these names, too. Cutout hides one square of half the
image's side (16 of 32 pixels, as for CIFAR-10). RandAugment makes N = 1 change of strength 14 of 30, as OpenOOD does.
PixMix mixes up to 4 times with beta = 3, as its authors do. Their 14,230 pictures of fractals and of feature
visualisations are the work of others and are not passed on; the code draws fractals and textures of its own in their
place (`oodbench.models.pixmix` says how). That is the trap: this row is PixMix with synthetic pictures, and the paper's
numbers are of other pictures.

Fails where a class lives in what an augmentation changes: a colour, a small stroke, which way is up. An out-set of
changed inputs (turned, negative, cut) gets harder to tell, as the classifier is told to be sure on such; and synthetic
textures as an out-set are near what PixMix mixes in.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar, final

from jaxtyping import Float
from torch import Tensor

from oodbench import formulas
from oodbench.contract import LOGITS, Citation, Method, Output, Outputs, Stateless
from oodbench.recipes import Plain
from oodbench.training import Defaults, Fit, InSet, Parts, Scale, Training


@final
@dataclass(frozen=True)
class Augmented(Defaults):
    """The matrix's classifier and schedule, with more augmentations.

    Attributes:
        more: Names of `AUGMENTATIONS`, after the matrix's own.
        training: How it is trained.
    """

    more: tuple[str, ...]
    training: Training = Training(network="resnet-small", epochs=8)

    version: ClassVar[int] = 1
    provides: ClassVar[frozenset[Output]] = Plain.provides

    def sized(self, scale: Scale, training: Training) -> "Augmented":
        """Return the recipe with the matrix's training, and the augmentations in it."""
        return replace(self, training=replace(training, augment=(*training.augment, *self.more)))

    def start(self, in_set: InSet, parts: Parts, labels: Tensor, seed: int) -> Fit:
        """Return what the plain recipe does."""
        return Plain(self.training).start(in_set, parts, labels, seed)


def msp(batch: Outputs) -> Float[Tensor, "n"]:
    """Return the rank key of the maximum softmax probability."""
    return formulas.msp_key(batch.logits)


row = partial(Method, family="training", detector=Stateless(frozenset({LOGITS}), msp))

METHODS = (
    row(
        name="cutout-msp",
        title="Cutout, maximum softmax probability",
        paper=Citation(
            authors="DeVries, Taylor",
            title="Improved Regularization of Convolutional Neural Networks with Cutout",
            year=2017,
            url="https://arxiv.org/abs/1708.04552",
        ),
        recipe=Augmented(("cutout",)),
    ),
    row(
        name="randaugment-msp",
        title="RandAugment, maximum softmax probability",
        paper=Citation(
            authors="Cubuk, Zoph, Shlens, Le",
            title="RandAugment: Practical Automated Data Augmentation with a Reduced Search Space",
            year=2020,
            url="https://arxiv.org/abs/1909.13719",
        ),
        recipe=Augmented(("randaugment",)),
    ),
    row(
        name="pixmix-msp",
        title="PixMix, synthetic pictures, maximum softmax probability",
        paper=Citation(
            authors="Hendrycks, Zou, Mazeika, Tang, Li, Song, Steinhardt",
            title="PixMix: Dreamlike Pictures Comprehensively Improve Safety Measures",
            year=2022,
            url="https://arxiv.org/abs/2112.05135",
        ),
        recipe=Augmented(("pixmix",)),
    ),
)

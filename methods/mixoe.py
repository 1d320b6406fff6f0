"""Mixture Outlier Exposure: images between inputs and outliers, their labels between a class and none.

Zhang, Inkawhich, Linderman, Chen & Li, "Mixture Outlier Exposure: Towards Out-of-Distribution Detection in Fine-grained
Environments", WACV 2023.

    x~ = mix(x, o; l),   y~ = l y + (1 - l) U,   l ~ Beta(alpha, alpha),   U uniform over the classes
    L = mean CE(y, p(x)) + beta mean CE(y~, p(x~))
    s(x) = max_c softmax(z)_c,   by its rank key

`mixoe` mixes pixels, x~ = l x + (1 - l) o (alpha = 1); `mixoe-cut` pastes a box of the outlier into the input (alpha =
2): sides sqrt(1 - l) of the image's, a centre anywhere; what reaches over the edge is lost, and l becomes the share of
the input that is left. beta = 5. One l and one box a step, an outlier beside each input. It begins from the plain
classifier of its seed: 10 epochs from a rate of 0.001 (`oodbench.recipes.fine_tuning` sizes that). alpha and beta are
those of the authors' scripts, for fine-grained sets; nobody has others for small images [?].

Inputs and mixed images go through the network at once; the authors' code has two passes, in which BatchNorm could tell
the sets apart. OpenOOD's configuration draws l from Beta(0.1, 1), beta = 1: nearly all of each box is the outlier's, so
what its board calls MixOE is close to Outlier Exposure on half-cut images.

Fails where what comes is neither an outlier nor between one and an input: nothing is asked of the classifier there. It
is told to be less than certain on images that are mostly an input, so mistakes may be told less well, and
accuracy falls: on mnist5k-v1, one seed, from 98.0 % to 94.4 %.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar, Literal, final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import Beta
from torch.nn.functional import cross_entropy

from oodbench import formulas
from oodbench.contract import LOGITS, Citation, Material, Method, Output, Outputs, Stateless
from oodbench.errors import BadMethod
from oodbench.recipes import Plain, fine_tuning, from_plain
from oodbench.training import Defaults, Fit, InSet, Parts, Recipe, Scale, TrainBatch, Training, alone


def blended(x: Tensor, o: Tensor, lam: float) -> tuple[Tensor, float]:
    """Return l x + (1 - l) o, and l."""
    return lam * x + (1 - lam) * o, lam


def pasted(x: Tensor, o: Tensor, lam: float) -> tuple[Tensor, float]:
    """Return inputs with a box of 1 - l of the outliers in them, and the share of the input that is left."""
    h, w = x.shape[2:]
    (top, bottom), (left, right) = (_side(size, lam) for size in (h, w))
    mixed = x.clone()
    mixed[:, :, top:bottom, left:right] = o[:, :, top:bottom, left:right]
    return mixed, 1 - (bottom - top) * (right - left) / (h * w)


def _side(size: int, lam: float) -> tuple[int, int]:
    half, centre = int(size * (1 - lam) ** 0.5) // 2, int(torch.randint(size, ()))
    return max(0, centre - half), min(size, centre + half)


MIXES = {"pixels": blended, "box": pasted}


@final
@dataclass(frozen=True)
class MixOe(Defaults):
    """The plain classifier, trained on with images between inputs and outliers.

    Attributes:
        mix: Whether pixels are mixed, or a box is pasted.
        alpha: Both parameters of the Beta distribution of l.
        beta: Weight of the mixed images' loss.
        plain: Where it begins.
        training: How it is fine-tuned.
    """

    mix: Literal["pixels", "box"] = "pixels"
    alpha: float = 1.0
    beta: float = 5.0
    plain: Plain = Plain()
    training: Training = Training(network="resnet-small", epochs=10, lr=0.001, schedule="cosine", outlier_ratio=1)

    version: ClassVar[int] = 1
    provides: ClassVar[frozenset[Output]] = Plain.provides
    wants: ClassVar[frozenset[Material]] = frozenset({"outliers"})

    def sized(self, scale: Scale, training: Training) -> "MixOe":
        """Return the recipe that begins from the matrix's plain classifier."""
        tuning = replace(fine_tuning(scale, training), outlier_ratio=1)
        return replace(self, plain=self.plain.sized(scale, training), training=tuning)

    def parts(self, seed: int, seeds: tuple[int, ...]) -> tuple[tuple[Recipe, int], ...]:
        """Return the plain classifier of the same seed."""
        return ((self.plain, seed),)

    def start(self, in_set: InSet, parts: Parts, labels: Tensor, seed: int) -> Fit:
        """Return the plain classifier, and its training."""
        net = from_plain(self.plain, in_set, parts, labels, seed)
        return Fit(net, alone(net, partial(self.loss, net)))

    def loss(self, net: nn.Module, batch: TrainBatch) -> Tensor:
        """Return L; l and the box are drawn from torch's global generator.

        Raises:
            BadMethod: the step has no outlier for each input.
        """
        if batch.outliers is None or len(batch.outliers) < len(batch.inputs):
            got = 0 if batch.outliers is None else len(batch.outliers)
            raise BadMethod(
                f"MixOE got {got} outliers for {len(batch.inputs)} inputs, and needs one for each; "
                f"train it on a matrix that offers `outliers`"
            )
        outliers = batch.outliers[: len(batch.inputs)]
        mixed, lam = MIXES[self.mix](batch.inputs, outliers, float(Beta(self.alpha, self.alpha).sample()))
        clean, between = net(torch.cat([batch.inputs, mixed])).double().chunk(2)
        ce = partial(cross_entropy, label_smoothing=self.training.label_smoothing)
        # CE(l y + (1 - l) U, p) = l CE(y, p) + (1 - l) H(U; p)
        soft = lam * ce(between, batch.labels) + (1 - lam) * formulas.uniform_cross_entropy(between).mean()
        return ce(clean, batch.labels) + self.beta * soft


def msp(batch: Outputs) -> Float[Tensor, "n"]:
    """Return the rank key of the maximum softmax probability."""
    return formulas.msp_key(batch.logits)


PAPER = Citation(
    authors="Zhang, Inkawhich, Linderman, Chen, Li",
    title="Mixture Outlier Exposure: Towards Out-of-Distribution Detection in Fine-grained Environments",
    year=2023,
    url="https://arxiv.org/abs/2106.03917",
)
MSP = Stateless(frozenset({LOGITS}), msp)
LINEAR, CUT = MixOe(), MixOe(mix="box", alpha=2.0)

METHODS = (
    Method(name="mixoe", title="MixOE, linear", paper=PAPER, recipe=LINEAR, detector=MSP, family="outliers"),
    Method(name="mixoe-cut", title="MixOE, cut", paper=PAPER, recipe=CUT, detector=MSP, family="outliers"),
)

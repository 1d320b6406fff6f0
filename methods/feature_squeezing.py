"""Feature squeezing: how far the softmax moves when the image is made simpler.

Xu, Evans & Qi, "Feature Squeezing: Detecting Adversarial Examples in Deep Neural Networks", NDSS 2018.

    b(x) = round((2^i - 1) x) / (2^i - 1)              pixels of [0, 1] at a depth of i bits
    m(x) = median of the w x w window at each pixel    channels apart, mirrored at the edges
    l(x)_p = sum_q v_pq x_q / sum_q v_pq               non-local means: q in a window about p
             v_pq = exp(-||P_p - P_q||^2 / (D h^2)),   P the patch of D numbers about a pixel
    s(x) = -max_k || softmax(z(x)) - softmax(z(k(x))) ||_1,   k of the squeezers

Rows: the authors' joint detector of CIFAR-10 (5 bits, median 2 x 2, non-local means with a window of 13, patches of 3
and h = 2 grey levels), that of MNIST (1 bit, median 2 x 2: for grey images that are nearly black and white), and bits,
median and h tuned on attacked validation images. Settled by the authors' code (mzweilin/EvadeML-Zoo): the distance is
of softmax outputs, the maximum over squeezers; an even median's window reaches up and left, and of the two middle
values the larger is taken. There, non-local means is OpenCV's: it rounds to 8 bits and
smooths lightness and colour apart; here it is the formula, on the channels as they are. pytorch-ood has no such method.

The distance is counted without the largest p, whose change is that of the others together; so it does not drown in
rounding where p is 1, and the score is -log of it, which ranks alike and keeps its digits in float32.

Fails where the image has nothing to squeeze: a constant one or flat shapes of full contrast stay as they are, whatever
they show, and get the largest score of all. An attack of large, smooth changes survives all three squeezers.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, final

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import avg_pool2d

from oodbench.contract import INPUTS, LOGITS, NETWORK, Citation, FitData, Grid, Material, Method, Output, Outputs
from oodbench.recipes import Plain

GREYS = 255
"""Grey levels between black and white: the unit of h."""

LEAST = 1e-300
"""Smallest distance: of images that no squeezer changes."""


@final
@dataclass(frozen=True)
class FeatureSqueezing:
    """Minus the log of the largest L1 distance between the softmax of an image and of what squeezers leave of it.

    Attributes:
        bits: Depth of the pixels, 1 to 8.
        median: Side of the median's window, in pixels.
        h: Strength of the non-local means, in grey levels of 255; 0 for none.
        window: Side of the window in which these search, in pixels.
        patch: Side of the patches that they compare, in pixels.
    """

    bits: int = 5
    median: int = 2
    h: float = 2.0
    window: int = 13
    patch: int = 3

    version: ClassVar[int] = 1
    reads: ClassVar[frozenset[Output]] = frozenset({INPUTS, LOGITS, NETWORK})
    fits_on: ClassVar[frozenset[Material]] = frozenset()

    def fit(self, data: FitData) -> tuple[()]:
        """Return the empty state."""
        return ()

    def score(self, state: tuple[()], batch: Outputs) -> Float[Tensor, "n"]:
        """Return -log max_k ||p(x) - p(k(x))||_1, within [-log 2, 691]."""
        distances = [l1(batch.logits, batch.at(squeezed).logits) for squeezed in self._squeezed(batch.inputs)]
        return -torch.stack(distances).amax(dim=0).clamp_min(LEAST).log().float()

    def _squeezed(self, x: Tensor) -> Iterator[Tensor]:
        yield reduced(x, self.bits)
        yield median(x, self.median)
        if self.h:
            yield non_local_means(x, self.h / GREYS, self.window, self.patch)


def l1(z: Float[Tensor, "n C"], other: Float[Tensor, "n C"]) -> Float[Tensor, "n"]:
    """Return ||softmax(z) - softmax(z')||_1 in float64: the largest p changes by what the others change together."""
    p, q = (logits.double().softmax(dim=1) for logits in (z, other))
    change = (q - p).scatter(1, p.argmax(dim=1, keepdim=True), 0.0)
    return change.abs().sum(dim=1) + change.sum(dim=1).abs()


def reduced(x: Float[Tensor, "n c h w"], bits: int) -> Float[Tensor, "n c h w"]:
    """Return pixels of [0, 1] rounded to one of 2^bits values."""
    top: float = 2**bits - 1
    return (x * top).round() / top


def median(x: Float[Tensor, "n c h w"], side: int) -> Float[Tensor, "n c h w"]:
    """Return the median of the window at each pixel, of an even number the larger middle one."""
    up = side // 2
    windows = _mirrored(x, up, side - 1 - up).unfold(2, side, 1).unfold(3, side, 1).flatten(4)
    middle: Tensor = windows.kthvalue(side * side // 2 + 1, dim=4).values
    return middle


def non_local_means(x: Float[Tensor, "n c h w"], h: float, window: int, patch: int) -> Float[Tensor, "n c h w"]:
    """Return each pixel averaged with those of its window whose patches are like its own; an offset at a time."""
    reach, edge = window // 2, patch // 2
    height, width = x.shape[2:]
    around = _mirrored(x, reach + edge, reach + edge)
    own = around[:, :, reach : reach + height + 2 * edge, reach : reach + width + 2 * edge]
    total, weight = torch.zeros_like(x), torch.zeros_like(x[:, :1])
    for down in range(2 * reach + 1):
        for right in range(2 * reach + 1):
            other = around[:, :, down : down + height + 2 * edge, right : right + width + 2 * edge]
            apart = avg_pool2d((own - other).square().mean(dim=1, keepdim=True), patch, stride=1)
            v = (-apart / h**2).exp()
            total += v * other[:, :, edge : edge + height, edge : edge + width]
            weight += v
    return total / weight


def _mirrored(x: Tensor, before: int, after: int) -> Tensor:
    """Return images that go on beyond their edges as in a mirror, the edge pixel twice; mirrored again if need be."""
    for axis in (2, 3):
        n = x.shape[axis]
        place = torch.arange(-before, n + after, device=x.device) % (2 * n)
        x = x.index_select(axis, torch.where(place < n, place, 2 * n - 1 - place))
    return x


PAPER = Citation(
    authors="Xu, Evans, Qi",
    title="Feature Squeezing: Detecting Adversarial Examples in Deep Neural Networks",
    year=2018,
    url="https://arxiv.org/abs/1704.01155",
)

row = partial(Method, family="perturbation", paper=PAPER, recipe=Plain())

METHODS = (
    row(
        name="feature-squeezing",
        title="Feature squeezing (5 bits, median, non-local means)",
        detector=FeatureSqueezing(),
    ),
    row(
        name="feature-squeezing-grey",
        title="Feature squeezing (1 bit, median)",
        detector=FeatureSqueezing(bits=1, h=0.0),
    ),
    row(
        name="feature-squeezing-tuned",
        title="Feature squeezing (tuned on FGSM)",
        detector=FeatureSqueezing(),
        search=Grid(
            over=(("bits", (1, 4, 5)), ("median", (2, 3)), ("h", (0.0, 4.0))),
            on="adversarial_validation",
        ),
    ),
)

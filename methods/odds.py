"""The odds are odd: how noise moves the log-odds of the predicted class against the others.

Roth, Kilcher & Hofmann, "The Odds are Odd: A Statistical Test for Detecting Adversarial Examples", ICML 2019.

    f_yz(x) = z_z(x) - z_y(x),   y = argmax z(x)
    g_yz(x) = E_eta[ f_yz(x + eta) - f_yz(x) ],   eta ~ N(0, sigma^2) at each pixel value
    mu_yz, sigma_yz = mean and standard deviation of g_yz over training images predicted y
    s(x) = -max_{z != y} (g_yz(x) - mu_yz) / sigma_yz

An attacked image sits in a narrow region of its wrong class, and noise leads back towards the right one: g is large
there. The paper's test is one threshold of this score; its correction of the prediction is no detector and left out.
Settled by the authors' code (yk/icml19_public): the deviation is that of an image's mean over the noise, not of single
draws as in the paper's text; the class is the predicted one; the maximum is taken over the standardised values. That
code averages these over nine kinds of noise (normal, uniform and signs, of three sizes each in 0.003 ... 0.008) of 256
draws, and clips noisy pixels at 1. Here it is one kind, `draws` of it and no clipping: the fields of noise are drawn
once by the seed and are the same for all images, so that a score does not depend on the batch. Rows: sigma = 0.005 in
the middle of theirs, and sigma tuned on attacked validation images.

A class that fewer than `least` of the drawn training images are predicted as has no moments of its own; it takes
those of all pairs together. A pair that never varies is measured in logits.

Fails where the attack is stronger than the noise: an image pushed deep into its wrong class moves like any other, or
less, and looks better than clean ones; so does one of a single large step, which ends in no narrow region. Attacks that
know of the test pass it (Tramer et al. 2020).
"""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar, NamedTuple, final

import torch
from jaxtyping import Float
from torch import Tensor

from oodbench import banks
from oodbench.contract import INPUTS, LOGITS, NETWORK, Citation, FitData, Grid, Material, Method, Output, Outputs
from oodbench.recipes import Plain


class Odds(NamedTuple):
    """Moments of g by predicted class y (rows) and other class z (columns), and the seed of the noise."""

    mu: Float[Tensor, "C C"]
    sigma: Float[Tensor, "C C"]
    seed: int


@final
@dataclass(frozen=True)
class OddsAreOdd:
    """Minus the largest standardised change of the log-odds against the predicted class, under noise.

    Attributes:
        sigma: Standard deviation of the noise, in pixels of [0, 1].
        draws: Fields of noise.
        images: Training images whose changes are measured, at least.
        a_class: The same, for each class on average.
        least: Images by which a class has moments of its own.
    """

    sigma: float = 0.005
    draws: int = 16
    images: int = 2000
    a_class: int = 20
    least: int = 10

    version: ClassVar[int] = 1
    reads: ClassVar[frozenset[Output]] = frozenset({INPUTS, LOGITS, NETWORK})
    fits_on: ClassVar[frozenset[Material]] = frozenset()

    def fit(self, data: FitData) -> Odds:
        """Return the moments over training images drawn by the seed."""
        C = data.classes
        n, total, squares = (torch.zeros(C, width, dtype=torch.float64) for width in (1, C, C))
        for batch, rows in banks.drawn_batches(data.train, max(self.images, self.a_class * C), data.seed):
            y, g = self._changes(batch.at(batch.inputs[rows]), data.seed)
            y, g = y.cpu(), g.cpu()
            n.index_add_(0, y, torch.ones(len(y), 1, dtype=torch.float64))
            total.index_add_(0, y, g)
            squares.index_add_(0, y, g.square())
        own, others = n >= self.least, ~torch.eye(C, dtype=torch.bool)
        count = float(n.sum()) * (C - 1)
        mean = torch.where(own, total / n, total[others].sum() / count)
        square = torch.where(own, squares / n, squares[others].sum() / count)
        sigma = (square - mean.square()).clamp_min(0).sqrt()
        device = data.train.logits.device
        return Odds(mean.to(device), torch.where(sigma > 0, sigma, 1.0).to(device), data.seed)

    def score(self, state: Odds, batch: Outputs) -> Float[Tensor, "n"]:
        """Return -max_{z != y} (g_yz - mu_yz) / sigma_yz."""
        y, g = self._changes(batch, state.seed)
        odd = (g - state.mu[y]) / state.sigma[y]
        return -odd.scatter(1, y[:, None], -torch.inf).amax(dim=1).float()

    def _changes(self, batch: Outputs, seed: int) -> tuple[Tensor, Tensor]:
        """Return the predicted class y [n] and the mean change of z_z - z_y for every z [n C], in float64.

        An image goes through with all of its noise in a pass of its own: float32 rounds it alike in any batch.
        """
        x = batch.inputs
        noise = self._noise(x, seed)
        changes = []
        for image in x:
            z = batch.at(image + noise).logits.double()
            changes.append((z[1:] - z[:1]).mean(dim=0))
        y, moved = batch.logits.argmax(dim=1), torch.stack(changes)
        return y, moved - moved.gather(1, y[:, None])

    def _noise(self, x: Tensor, seed: int) -> Float[Tensor, "D c h w"]:
        """Return no noise, and then the fields of noise, D of both."""
        generator = torch.Generator().manual_seed(seed)
        fields = [torch.randn(x.shape[1:], generator=generator, dtype=x.dtype) for _ in range(self.draws)]
        return self.sigma * torch.stack([torch.zeros(x.shape[1:], dtype=x.dtype), *fields]).to(x.device)


PAPER = Citation(
    authors="Roth, Kilcher, Hofmann",
    title="The Odds are Odd: A Statistical Test for Detecting Adversarial Examples",
    year=2019,
    url="https://arxiv.org/abs/1902.04818",
)

row = partial(Method, family="perturbation", paper=PAPER, recipe=Plain())

METHODS = (
    row(name="odds", title="The odds are odd (σ = 0.005)", detector=OddsAreOdd()),
    row(
        name="odds-tuned",
        title="The odds are odd (tuned on FGSM)",
        detector=OddsAreOdd(),
        search=Grid(over=(("sigma", (0.003, 0.008, 0.02, 0.05)),), on="adversarial_validation"),
    ),
)

"""Kernel PCA: the reconstruction error in the space of a cosine kernel (CoP) or a cosine-Gaussian one (CoRP).

Fang, Tao, Lv, He, Huang & Yang, "Kernel PCA for Out-of-Distribution Detection", NeurIPS 2024.

    cop:   phi(f) = f / ||f||
    corp:  phi(f) = sqrt(2 / M) cos(omega f / ||f|| + theta),   omega_mj ~ N(0, 2 gamma),   theta_m ~ U[0, 2 pi)
    s(x) = -|| (I - U U^T) (phi(f(x)) - mean phi) ||,   U = the q first principal directions of phi     (training set)

The M random Fourier features stand for the Gaussian kernel exp(-gamma ||u - v||^2) of unit vectors, so both are a
linear PCA of mapped features. Settled by the authors' code (github.com/fanghenshaometeor/ood-kernel-pca): the mean is
subtracted after the map; q is the smallest number with the wanted share of the variance; omega and theta are drawn
once, for all sets (here by `data.seed`). The share is 0.85 (cop) and 0.8 with gamma = 2, M = 2,048 (corp) on CIFAR-10
with 512 features; 0.99 (cop) and 0.5 with gamma = 3, M = 4,096 (corp) on ImageNet with 2,048. CIFAR-10's are the
defaults here, with M = 4 F and at most 4,096, which is both of theirs; the tuned rows choose the share, and gamma. At
least one direction is always left to err in. Fusions with other scores (MSP, energy, ReAct, BATS) are left out.
Features that are all 0 count as the direction 0.

Fails where outliers differ by the length of their features alone: both maps divide by it. An outlier whose features
point between those of two classes lies in the principal space of cop, and is reconstructed.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, NamedTuple, final

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from oodbench.contract import FEATURES, Citation, FitData, Grid, Material, Method, Output, Outputs
from oodbench.errors import BadMethod
from oodbench.feature_statistics import pca
from oodbench.formulas import ROWS
from oodbench.recipes import Plain

MOST = 4096
"""Random features at most: their covariance is decomposed."""


class Reconstruction(NamedTuple):
    """Mean and principal directions (columns) of mapped features."""

    mean: Float[Tensor, "M"]
    U: Float[Tensor, "M q"]

    def error(self, phi: Float[Tensor, "n M"]) -> Float[Tensor, "n"]:
        """Return ||(I - U U^T)(phi - mean)||."""
        centred = phi.double() - self.mean
        error: Tensor = (centred - centred @ self.U @ self.U.T).norm(dim=1)
        return error


def reconstruction(phi: Iterable[Float[Tensor, "_ M"]], share: float) -> Reconstruction:
    """Return the directions that hold a share of the variance of mapped training features; one at least is left out.

    Raises:
        BadMethod: The share is not between 0 and 1.
    """
    if not 0 < share < 1:
        raise BadMethod(f"a PCA that keeps a share of {share:g} of the variance; expected 0 < share < 1")
    found = pca(phi)
    return Reconstruction(found.origin, found.direction[:, : found.leading(share)].contiguous())


@final
@dataclass(frozen=True)
class Cop:
    """Minus the reconstruction error of the direction of the features.

    Attributes:
        share: Of the variance, that the principal directions hold.
    """

    share: float = 0.85

    version: ClassVar[int] = 1
    reads: ClassVar[frozenset[Output]] = frozenset({FEATURES})
    fits_on: ClassVar[frozenset[Material]] = frozenset()

    def fit(self, data: FitData) -> Reconstruction:
        """Return mean and principal directions of the training features on the unit sphere."""
        return reconstruction((normalize(f, dim=1) for f in torch.split(data.train.features, ROWS)), self.share)

    def score(self, state: Reconstruction, batch: Outputs) -> Float[Tensor, "n"]:
        """Return minus the reconstruction error."""
        return -state.error(normalize(batch.features.double(), dim=1))


class Fourier(NamedTuple):
    """Random Fourier features, and the PCA of the training features that they map."""

    omega: Float[Tensor, "M F"]
    theta: Float[Tensor, "M"]
    pca: Reconstruction


def waves(M: int, F: int, gamma: float, seed: int) -> tuple[Float[Tensor, "M F"], Float[Tensor, "M"]]:
    """Return M frequencies drawn from N(0, 2 gamma I), and phases from [0, 2 pi)."""
    draw = torch.Generator().manual_seed(seed)
    omega = (2 * gamma) ** 0.5 * torch.randn(M, F, generator=draw)
    return omega, 2 * torch.pi * torch.rand(M, generator=draw)


def fourier(f: Float[Tensor, "n F"], omega: Float[Tensor, "M F"], theta: Float[Tensor, "M"]) -> Float[Tensor, "n M"]:
    """Return sqrt(2 / M) cos(omega f / ||f|| + theta), in float32: its errors are far below those of the M draws."""
    phase = normalize(f.float(), dim=1) @ omega.T + theta
    return phase.cos_().mul_((2 / len(theta)) ** 0.5)


@final
@dataclass(frozen=True)
class Corp:
    """Minus the reconstruction error of random Fourier features of the direction of the features.

    Attributes:
        share: Of the variance, that the principal directions hold.
        gamma: Of the Gaussian kernel exp(-gamma ||u - v||^2).
        M: Random features; None for 4 F, at most 4,096.
    """

    share: float = 0.8
    gamma: float = 2.0
    M: int | None = None

    version: ClassVar[int] = 1
    reads: ClassVar[frozenset[Output]] = frozenset({FEATURES})
    fits_on: ClassVar[frozenset[Material]] = frozenset()

    def fit(self, data: FitData) -> Fourier:
        """Return the random features and the PCA of the training set under them."""
        f = data.train.features
        omega, theta = waves(self.M or min(4 * f.shape[1], MOST), f.shape[1], self.gamma, data.seed)
        omega, theta = omega.to(f.device), theta.to(f.device)
        mapped = reconstruction((fourier(rows, omega, theta) for rows in torch.split(f, ROWS)), self.share)
        return Fourier(omega, theta, mapped)

    def score(self, state: Fourier, batch: Outputs) -> Float[Tensor, "n"]:
        """Return minus the reconstruction error."""
        return -state.pca.error(fourier(batch.features, state.omega, state.theta))


PAPER = Citation(
    authors="Fang, Tao, Lv, He, Huang, Yang",
    title="Kernel PCA for Out-of-Distribution Detection",
    year=2024,
    url="https://arxiv.org/abs/2402.02949",
)
SHARES = (0.5, 0.7, 0.8, 0.9)

row = partial(Method, family="features", paper=PAPER, recipe=Plain())

METHODS = (
    row(name="cop", title="Kernel PCA, cosine (CoP)", detector=Cop()),
    row(
        name="cop-tuned",
        title="Kernel PCA, cosine (CoP), tuned",
        detector=Cop(),
        search=Grid(over=(("share", (*SHARES, 0.95, 0.99)),)),
    ),
    row(name="corp", title="Kernel PCA, cosine-Gaussian (CoRP)", detector=Corp()),
    row(
        name="corp-tuned",
        title="Kernel PCA, cosine-Gaussian (CoRP), tuned",
        detector=Corp(),
        search=Grid(over=(("share", SHARES), ("gamma", (0.5, 1.0, 3.0)))),
    ),
)

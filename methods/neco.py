"""NECO: the share of a feature vector that lies in the principal space of neural collapse.

Ammar, Belkhir, Popescu, Manzanera & Franchi, "NECO: NEural Collapse Based Out-of-distribution detection", ICLR 2024.

    g = (f - mu) / sigma, unit by unit,   P = the first d principal directions of g                      (training set)
    neco:            s(x) = ||P^T g(x)|| / ||g(x)||
    neco-max-logit:  s(x) = ||P^T g(x)|| / ||g(x)|| max_c z_c(x)

In a network trained past zero error the class means become a simplex of C - 1 dimensions about their mean, and what
is foreign to it collapses towards the origin. The authors' code (read in copies of gitlab.com/drti/neco)
standardises, multiplies by the largest logit for every network but a ResNet (so there are two rows), and asks for d
on the command line, as "ETF approximative dimension", 100 unless told. Here d is that simplex's own, C - 1; where it
is F or more there is no such simplex, and d is F / 2. Of their code it is not taken over that for DeiT and Swin the
length below the line is that of the raw features, which is no share any more. A unit that never fired is not
standardised, and an input that wakes it has that part outside of P. An input with g = 0 scores 0.

d is everything: one direction more than the simplex has, and the share of an outlier that has no class is that of
whatever varies most within classes. On a CIFAR-10 ResNet-20 (4,000 training images) the AUROC against notMNIST fell
from 97.3 at d = 9 to 76.6 at d = 10; the smallest d that holds 90 % of the variance was 12.

Fails where classes have not collapsed (few epochs, more classes than features): then C - 1 directions are not those
of the classes. With the largest logit as a factor a larger share lowers the score wherever that logit is negative.
"""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar, NamedTuple, final

import torch
from jaxtyping import Float
from torch import Tensor

from oodbench import formulas
from oodbench.contract import FEATURES, LOGITS, Citation, FitData, Grid, Material, Method, Output, Outputs
from oodbench.errors import BadData
from oodbench.estimators import unit_scale
from oodbench.feature_statistics import mean, pca
from oodbench.recipes import Plain


class Collapsed(NamedTuple):
    """Mean and standard deviation of each unit, and orthonormal columns that span the principal space."""

    mu: Float[Tensor, "F"]
    sigma: Float[Tensor, "F"]
    P: Float[Tensor, "F d"]

    def share(self, f: Float[Tensor, "n F"]) -> Float[Tensor, "n"]:
        """Return ||P^T g|| / ||g||, in float64, within [0, 1]; 0 where g is."""
        g = (f.double() - self.mu) / self.sigma
        length = g.norm(dim=1)
        share: Tensor = (g @ self.P).norm(dim=1) / torch.where(length > 0, length, 1.0)
        return share


def collapsed(data: FitData, times: float) -> Collapsed:
    """Return the principal space of the standardised training features.

    Args:
        data: Of the classifier.
        times: Its dimension in units of C - 1.

    Raises:
        BadData: There is one feature, and no space within it.
    """
    f = data.train.features
    F = f.shape[1]
    if F < 2:
        raise BadData(f"neco compares the length of {F} feature with that of a part of it; expected 2 features or more")
    d = max(1, round(times * (data.classes - 1)))
    mu, sigma = mean(f), unit_scale(f)
    _, direction, _ = pca((rows.double() - mu) / sigma for rows in torch.split(f, formulas.ROWS))
    return Collapsed(mu, sigma, direction[:, : d if d < F else F // 2].contiguous())


@final
@dataclass(frozen=True)
class Neco:
    """The share of the features in the principal space.

    Attributes:
        times: Its dimension in units of C - 1, that of the simplex of C class means; F / 2 where that is F or more.
    """

    times: float = 1.0

    version: ClassVar[int] = 1
    reads: ClassVar[frozenset[Output]] = frozenset({FEATURES})
    fits_on: ClassVar[frozenset[Material]] = frozenset()

    def fit(self, data: FitData) -> Collapsed:
        """Return the principal space."""
        return collapsed(data, self.times)

    def score(self, state: Collapsed, batch: Outputs) -> Float[Tensor, "n"]:
        """Return ||P^T g|| / ||g||."""
        return state.share(batch.features)


@final
@dataclass(frozen=True)
class NecoMaxLogit:
    """The share of the features in the principal space, times the largest logit.

    Attributes:
        times: As above.
    """

    times: float = 1.0

    version: ClassVar[int] = 1
    reads: ClassVar[frozenset[Output]] = frozenset({FEATURES, LOGITS})
    fits_on: ClassVar[frozenset[Material]] = frozenset()

    def fit(self, data: FitData) -> Collapsed:
        """Return the principal space."""
        return collapsed(data, self.times)

    def score(self, state: Collapsed, batch: Outputs) -> Float[Tensor, "n"]:
        """Return ||P^T g|| / ||g|| max_c z_c."""
        return state.share(batch.features) * formulas.max_logit(batch.logits)


PAPER = Citation(
    authors="Ammar, Belkhir, Popescu, Manzanera, Franchi",
    title="NECO: NEural Collapse Based Out-of-distribution detection",
    year=2024,
    url="https://arxiv.org/abs/2310.06823",
)

row = partial(Method, family="features", paper=PAPER, recipe=Plain())

METHODS = (
    row(name="neco", title="NECO", detector=Neco()),
    row(name="neco-max-logit", title="NECO times max logit", detector=NecoMaxLogit()),
    row(
        name="neco-tuned",
        title="NECO, d tuned",
        detector=Neco(),
        search=Grid(over=(("times", (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 4.0)),)),
    ),
)

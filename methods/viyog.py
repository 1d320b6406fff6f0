"""Viyog: how rough the quietest channels of the first convolution are.

A. Singh, "Viyog", a package (github amanyagami/viyog, PyPI viyog 0.1.3, 2026). It asks to be cited as Singh, Kumar,
Kashyap, Park, Gurjar, Ko, So, Hwang, Lee & Shrivastava, "Viyog: Separating Adversarial and Out-of-Distribution",
CODES+ISSS 2026.

    a = what the first convolution gives, before any normalisation or activation
    rho_c(x) = ( mean |a_{i+1,j} - a_{i,j}| + mean |a_{i,j+1} - a_{i,j}| ) / ( mean |a_c| + 1e-6 )
    D = the tenth of the channels (one at least) with the smallest mean |a_c| over the training images, of those above
        1e-4
    s(x) = -mean_{c in D} rho_c(x)

The steps of a gradient leave broadband residue, which is seen where an image itself gives hardly any signal. The
package is made to tell attacked inputs from out-of-distribution ones, and centres the score by its training mean, which
moves no rank. All else is as there, but that a map with one row or column varies along the other alone, where it has no
variation in the package; channels of the same mean stand in order. Models whose first convolution nobody can read
(none, or a program) have no such output.

Fails where inputs are rough by nature: noise and sharp strokes score below most attacks. A smooth attack, or one whose
step is small beside the image's own texture, is not seen; nor are mistakes, which look like any image.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple, final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from oodbench.contract import FIRST_MAP, Citation, FitData, Material, Method, Output, Outputs
from oodbench.recipes import Plain

SILENCE = 1e-6
"""Added to a channel's mean size: a map of zeros is not rough."""


class Dormant(NamedTuple):
    """The quietest channels of the first convolution."""

    channels: Int[Tensor, "D"]


@final
@dataclass(frozen=True)
class DormantRoughness:
    """Minus the mean relative total variation of the first convolution's quietest channels.

    Attributes:
        share: Of the channels that are not dead.
        dead: Mean size at or below which a channel counts as dead.
    """

    share: float = 0.1
    dead: float = 1e-4

    version: ClassVar[int] = 1
    reads: ClassVar[frozenset[Output]] = frozenset({FIRST_MAP})
    fits_on: ClassVar[frozenset[Material]] = frozenset()

    def fit(self, data: FitData) -> Dormant:
        """Return the quietest channels over the training images; of all, where every one is dead."""
        batches = (batch[FIRST_MAP].double() for batch in data.train.batches())
        size = sum((a.abs().mean(dim=(2, 3)).sum(dim=0) for a in batches), torch.zeros(())) / len(data.train)
        alive = (size > self.dead).nonzero()[:, 0]
        if not len(alive):
            alive = torch.arange(len(size), device=size.device)
        quietest = size[alive].argsort(stable=True)[: max(1, int(self.share * len(alive)))]
        return Dormant(alive[quietest])

    def score(self, state: Dormant, batch: Outputs) -> Float[Tensor, "n"]:
        """Return -mean rho."""
        a = batch[FIRST_MAP][:, state.channels].double()
        variation = sum((_mean_size(a.diff(dim=axis)) for axis in (2, 3)), torch.zeros((), device=a.device))
        return -(variation / (_mean_size(a) + SILENCE)).mean(dim=1).float()


def _mean_size(a: Tensor) -> Tensor:
    """Return mean |a| of each channel; 0 of an empty map."""
    return a.abs().sum(dim=(2, 3)) / max(1, a.shape[2] * a.shape[3])


METHODS = (
    Method(
        name="viyog",
        title="Roughness of quiet first channels (viyog)",
        paper=Citation(
            authors="Singh",
            title="Viyog: separating adversarial from out-of-distribution inputs",
            year=2026,
            url="https://pypi.org/project/viyog/0.1.3/",
        ),
        recipe=Plain(),
        detector=DormantRoughness(),
        family="features",
    ),
)

"""Gaussians with independent components, by mean and standard deviation."""

from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor


class Gaussian(NamedTuple):
    """n Gaussians of K independent components: posteriors of inputs, or priors."""

    mean: Float[Tensor, "n K"]
    std: Float[Tensor, "n K"]

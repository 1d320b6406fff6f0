"""From grey levels to a density: y = (g + u) / 256, g = 255 x in 0..255, u uniform in [0, 1).

Theis, van den Oord & Bethge, "A note on the evaluation of generative models", ICLR 2016: the mean of log p(y) over u
is at most the log of the mass that p gives to the grey levels, plus D log 256. In training u is drawn afresh; in
evaluation it is drawn once, for each pixel of an image but the same for all images, so that a score depends on its own
input alone.
"""

import torch
from torch import Tensor, nn

from oodbench.spaces import Shape


class Dequantise(nn.Module):
    """Pixels in [0, 1] to y in [0, 1).

    Args:
        shape: Of the inputs.
    """

    u: Tensor

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.register_buffer("u", torch.rand(shape, generator=torch.Generator().manual_seed(0)))

    def forward(self, x: Tensor) -> Tensor:
        """Return y [n c h w], in the precision of x."""
        u = torch.rand_like(x) if self.training else self.u.to(x.dtype)
        return (255 * x + u) / 256

"""A generative adversarial pair after DCGAN (Radford 2016, arXiv:1511.06434), for images of any shape.

Layers and initialisation are those of alinlab/Confident_classifier at f72dff69, which knows 32x32 alone: four layers of
4x4 kernels, each of stride 2 but the one at the 4x4 end. Here there are as many halvings as leave a side of at least 4.

BatchNorm uses the batch's own statistics always: a pair plays only while it is trained, and a look at one side must not
move what the other keeps.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn

from oodbench.networks.around import Around
from oodbench.spaces import Shape

SMALLEST = 4
"""Side of the smallest map."""

WIDEST = 8
"""Most channels of a map, in units of the width."""


def halvings(shape: Shape) -> int:
    """Return how often an image can be halved before a side falls below the smallest; at least once."""
    return max(1, (min(shape[1:]) // SMALLEST).bit_length() - 1)


def smallest(shape: Shape) -> tuple[int, int]:
    """Return height and width of the generator's smallest map; doubled as often again it covers the image."""
    scale = 2 ** halvings(shape)
    return -(-shape[1] // scale), -(-shape[2] // scale)


def channels(shape: Shape, width: int) -> list[int]:
    """Return the channels of the maps from the image's side to the smallest: 2, 4, 8, 8 ... widths."""
    return [width * min(WIDEST, 2**i) for i in range(1, halvings(shape) + 1)]


class Generator(nn.Module):
    """Noise [n latent] to pixels [n c h w] in [0, 1]."""

    def __init__(self, shape: Shape, latent: int, width: int) -> None:
        super().__init__()
        self.shape, self.latent = shape, latent
        wide = channels(shape, width)[::-1]
        layers: list[nn.Module] = [nn.ConvTranspose2d(latent, wide[0], smallest(shape), bias=False)]
        for before, after in pairwise([*wide, shape[0]]):
            layers += [_norm(before), nn.ReLU(), nn.ConvTranspose2d(before, after, 4, 2, padding=1, bias=False)]
        self.body = nn.Sequential(*layers, nn.Sigmoid())
        _initialise(self)

    def forward(self, noise: Tensor) -> Tensor:
        """Return the images, in the precision of the noise."""
        _, h, w = self.shape
        x: Tensor = self.body(noise[:, :, None, None])
        return x[:, :, :h, :w].to(noise.dtype)

    def draw(self, n: int) -> Tensor:
        """Return n images of standard normal noise, drawn from torch's global generator as dropout draws."""
        weight = next(self.parameters())
        return self(torch.randn(n, self.latent, device=weight.device, dtype=weight.dtype))  # type: ignore[no-any-return]


class Discriminator(nn.Module):
    """Pixels [n c h w] in [0, 1] to the log-odds [n] that they are real."""

    def __init__(self, shape: Shape, width: int) -> None:
        super().__init__()
        wide = channels(shape, width)
        layers: list[nn.Module] = [nn.Conv2d(shape[0], wide[0], 4, 2, padding=1, bias=False), nn.LeakyReLU(0.2)]
        for before, after in pairwise(wide):
            layers += [nn.Conv2d(before, after, 4, 2, padding=1, bias=False), _norm(after), nn.LeakyReLU(0.2)]
        last = shape[1] >> len(wide), shape[2] >> len(wide)
        self.body = nn.Sequential(*layers, nn.Conv2d(wide[-1], 1, last, bias=False))
        _initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """Return the log-odds, in float64: their losses are taken where half precision ends."""
        odds: Tensor = self.body(x)
        return odds.flatten(1)[:, 0].double()


class Trio(Around):
    """A classifier and the pair that it is trained beside; its outputs are the classifier's."""

    def __init__(self, classifier: nn.Module, generator: Generator, discriminator: Discriminator) -> None:
        super().__init__()
        self.classifier, self.generator, self.discriminator = classifier, generator, discriminator

    @property
    def inner(self) -> nn.Module:
        """The classifier."""
        return self.classifier


def _norm(width: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(width, track_running_stats=False)


def _initialise(net: nn.Module) -> None:
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0.0, 0.02)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.02)

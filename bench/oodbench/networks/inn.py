"""The IB-INN: an invertible network whose code is a mixture of Gaussians, one a class. A classifier and a density.

Ardizzone et al., NeurIPS 2020; Mackowiak, Ardizzone, Köthe & Rother, "Generative Classifiers as a Basis for Trustworthy
Image Classification", CVPR 2021. With z = f(y), d_k = ||z - mu_k||, w = log softmax(phi), J = dz/dy over D dimensions:

    log q(y|k) = -d_k^2 / 2 - D/2 log 2 pi + log|det J|
    log q(y)   = logsumexp_k(w_k - d_k^2 / 2) - D/2 log 2 pi + log|det J|
    p(k|y)     = softmax_k(w_k - d_k^2 / 2)

The signs of equations 6 and 7 of the CVPR paper are misprints; these are right. y is the dequantised image in [0, 1);
its standardisation is the first layer of f and counts in J.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, final

import torch
from torch import Tensor, nn

from oodbench.contract import FEATURES, INPUTS, LATENT, LOG_DENSITY, LOGITS, NETWORK, PRIOR, Output
from oodbench.networks.classifier import Standardise
from oodbench.networks.dequantise import Dequantise
from oodbench.networks.flow import Chain, Invertible
from oodbench.networks.gaussian import Gaussian
from oodbench.networks.inn_layers import Coupling, Dct, FrequencyFirst, Haar, Rotation, Scale, cosines
from oodbench.networks.inn_means import LowRankMeans, first_means, squared_distances
from oodbench.spaces import Shape

IB_INN = "ib-inn"
"""The name by which a recipe's training calls this network."""

Beta = float | Literal["inf"]
"""Weight of the classes; a number from 0, or "inf", which JSON has no number for."""


class Architecture(ABC):
    """What an IB-INN is made of: its flow, and the dimensions in which class means are free."""

    @abstractmethod
    def flow(self, shape: Shape) -> Chain:
        """Return f without its standardisation."""

    @abstractmethod
    def tail(self, classes: int, dims: int) -> LowRankMeans | None:
        """Return the means in the last dimensions; None where they are free in all of `dims`."""


@final
@dataclass(frozen=True)
class Sizes(Architecture):
    """How large an IB-INN is.

    Attributes:
        blocks: Couplings of each convolutional stage.
        widths: Channels inside their networks.
        fc: Width of each fully connected coupling.
        dropout: Probability of dropping a channel in the last stage, and a unit in the fully connected couplings.
        initial: What each block multiplies by before training.
        gain: What the networks' outputs are multiplied by.
        clamp: Largest log-scale of a coupling.
    """

    blocks: tuple[int, ...]
    widths: tuple[int, ...]
    fc: tuple[int, ...]
    dropout: tuple[float, float]
    initial: float
    gain: float
    clamp: float

    def flow(self, shape: Shape) -> Chain:
        """Return f without its standardisation."""
        return invertible(shape, self)

    def tail(self, classes: int, dims: int) -> None:
        """Return nothing: class means are free in all dimensions."""


def convolutions(inputs: int, hidden: int, outputs: int, dropout: float) -> nn.Module:
    """Return conv3x3-BN-ReLU twice, dropout of channels, and a conv1x1 that begins as 0."""
    last = nn.Conv2d(hidden, outputs, 1)
    return nn.Sequential(
        nn.Conv2d(inputs, hidden, 3, padding=1, bias=False),
        nn.BatchNorm2d(hidden, eps=1e-4),
        nn.ReLU(),
        nn.Conv2d(hidden, hidden, 3, padding=1, bias=False),
        nn.BatchNorm2d(hidden, eps=1e-4),
        nn.ReLU(),
        nn.Dropout2d(dropout),
        _from_zero(last),
    )


def connected(inputs: int, hidden: int, outputs: int, dropout: float) -> nn.Module:
    """Return linear-ReLU, dropout, and a linear layer that begins as 0."""
    last = nn.Linear(hidden, outputs)
    return nn.Sequential(
        nn.Linear(inputs, hidden),
        nn.ReLU(),
        nn.Dropout(dropout),
        _from_zero(last),
    )


def _from_zero(layer: nn.Conv2d | nn.Linear) -> nn.Module:
    nn.init.zeros_(layer.weight)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer


def invertible(shape: Shape, sizes: Sizes) -> Chain:
    """Return f without its standardisation: stages of couplings, wavelets between them, DCT, connected couplings.

    A grey image cannot be parted by channels: wavelets come before its first stage too. Where a side is odd there are
    none. The connected couplings move half of the dimensions each and mix none: every dimension keeps its frequency.
    """
    c, h, w = shape
    layers: list[Invertible] = []
    for stage, (blocks, width) in enumerate(zip(sizes.blocks, sizes.widths, strict=True)):
        if (stage or c == 1) and h % 2 == w % 2 == 0:
            layers.append(Haar())
            c, h, w = 4 * c, h // 2, w // 2
        dropout = sizes.dropout[0] if stage == len(sizes.blocks) - 1 else 0.0
        halves = (c - c // 2, c // 2)
        for _ in range(blocks):
            net = convolutions(halves[0], width, 2 * halves[1], dropout)
            coupling = Coupling(net, halves, clamp=sizes.clamp, gain=sizes.gain)
            layers += (Scale(c, sizes.initial), Rotation(c), coupling)
    layers.append(Dct((c, h, w)))
    halves = (h * w * (c - c // 2), h * w * (c // 2))
    for k, width in enumerate(sizes.fc):
        still, moved = halves[k % 2], halves[1 - k % 2]
        net = connected(still, width, 2 * moved, sizes.dropout[1])
        layers.append(Coupling(net, halves, clamp=sizes.clamp, gain=sizes.gain, second=k % 2 == 1))
    return Chain(layers)


class Code(NamedTuple):
    """What an IB-INN makes of inputs.

    Attributes:
        z: f(y) [n D].
        log_det: log|det J| [n], float64.
        log_joint: w_k - d_k^2 / 2 [n C], float64.
    """

    z: Tensor
    log_det: Tensor
    log_joint: Tensor


class GenerativeClassifier(nn.Module):
    """An invertible network and its mixture.

    Args:
        shape: Of the inputs.
        classes: C.
        mean: Of each channel, to standardise by.
        std: Of each channel.
        sizes: The network's architecture, and how large it is.
        m: Distance between the means before training, in the dimensions where they are free.
        pace: How many times as fast as the network the means move: they are `pace` times a parameter.
        noise: Standard deviation of the Gaussian noise that training adds to y.
    """

    passes = 1
    entries: frozenset[Output] = frozenset()

    def __init__(
        self,
        shape: Shape,
        classes: int,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        sizes: Architecture,
        *,
        m: float,
        pace: float,
        noise: float,
    ) -> None:
        super().__init__()
        self.dequantise, self.standardise = Dequantise(shape), Standardise(mean, std)
        self.flow = sizes.flow(shape)
        self.pooled = next(layer.shape for layer in self.flow.layers if isinstance(layer, Dct))
        self.dims, self.pace, self.noise = math.prod(shape), pace, noise
        self.log_std = shape[1] * shape[2] * sum(math.log(s) for s in std)
        self.tail = sizes.tail(classes, self.dims)
        self.free = self.dims - (0 if self.tail is None else self.tail.dims)
        self.paced_means = nn.Parameter(first_means(classes, self.free, m) / pace)
        self.phi = nn.Parameter(torch.zeros(classes))

    @property
    def mu(self) -> Tensor:
        """The means [C D]."""
        free = self.pace * self.paced_means
        return free if self.tail is None else torch.cat((free, self.tail.mu), dim=1)

    @property
    def w(self) -> Tensor:
        """The classes' log weights [C], float64."""
        return self.phi.double().log_softmax(dim=0)

    @property
    def constants(self) -> Mapping[Output, Any]:
        """The classes' Gaussians."""
        return {PRIOR: self.prior}

    @property
    def prior(self) -> Gaussian:
        """The mixture's components."""
        return Gaussian(self.mu, torch.ones_like(self.mu))

    def forward(self, x: Tensor) -> Tensor:
        """Return log p(k|y) [n C] of pixels [n c h w]."""
        return self.code(x).log_joint.log_softmax(dim=1).to(x.dtype)

    def code(self, x: Tensor) -> Code:
        """Return what the network makes of pixels [n c h w]; in training mode of noisy ones."""
        y = self.dequantise(x)
        if self.training:
            y = y + self.noise * torch.randn_like(y)
        z, log_det = self.flow(self.standardise(y))
        d2 = squared_distances(z[:, : self.free], self.pace * self.paced_means)
        if self.tail is not None:
            d2 = d2 + self.tail.squared_distances(z[:, self.free :])
        return Code(z, log_det - self.log_std, self.w - d2 / 2)

    def decode(self, z: Tensor) -> Tensor:
        """Return y [n c h w] of codes [n D]."""
        return self.flow.inverse(z) * self.standardise.std + self.standardise.mean

    def over_places(self, z: Tensor) -> Tensor:
        """Return the maps [n c h w] whose DCT z [n D] is, in float64; of as great a length."""
        z = z.double()
        for layer in self.flow.layers:
            if isinstance(layer, FrequencyFirst):
                z = layer.inverse(z)
        rows, columns = (cosines(side).to(z.device) for side in self.pooled[1:])
        return rows.T @ z.view(-1, *self.pooled) @ columns

    def outputs(self, x: Tensor, wanted: frozenset[Output]) -> Mapping[Output, Any]:
        """Return outputs for x after one forward pass.

        The features are z, whose classes are the prior's components; the members of the density are the classes, log
        q(y|k). The latent is z less the mean of the likeliest class: standard normal as far as the classes lie apart.
        """
        code = self.code(x)
        volume = code.log_det - self.dims / 2 * math.log(2 * math.pi)
        logits = code.log_joint.log_softmax(dim=1).to(x.dtype)
        return {
            LOGITS: logits,
            FEATURES: code.z,
            LATENT: code.z - self.mu[logits.argmax(dim=1)],
            LOG_DENSITY: code.log_joint.logsumexp(dim=1) + volume,
            LOG_DENSITY.of_members: code.log_joint - self.w + volume[:, None],
        }


def losses(code: Code, labels: Tensor, label_smoothing: float = 0.0) -> tuple[Tensor, Tensor]:
    """Return L_X / D, without the constant 1/2 log 2 pi, and L_Y: means over a batch, in nats.

        L_X = -logsumexp_k(w_k - d_k^2 / 2) - log|det J|,   L_Y = -sum_k t_k log softmax_k(w - d^2 / 2)

    Args:
        code: Of n inputs.
        labels: Their classes [n].
        label_smoothing: Of the targets t.
    """
    l_x = -(code.log_joint.logsumexp(dim=1) + code.log_det).mean() / code.z.shape[1]
    l_y = nn.functional.cross_entropy(code.log_joint, labels, label_smoothing=label_smoothing)
    return l_x, l_y


def share(beta: Beta) -> float:
    """Return beta / (1 + beta), the weight of L_Y beside 1 / (1 + beta) of L_X / D."""
    number = float(beta)
    return 1.0 if math.isinf(number) else number / (1 + number)


def provided(beta: Beta) -> frozenset[Output]:
    """Return the outputs of a model: no logits where no label was used."""
    density: frozenset[Output] = frozenset({INPUTS, FEATURES, LATENT, PRIOR, LOG_DENSITY, NETWORK})
    return density | {LOGITS, LOG_DENSITY.of_members} if beta else density


@torch.no_grad()
def estimate_norms(net: GenerativeClassifier, batches: Iterable[Tensor]) -> None:
    """Give each BatchNorm the mean over batches of its inputs' means and variances; leave the network in evaluation.

    In training a running mean trails the weights by some steps, and a density is sensitive to that: log-determinants
    of hundreds of dimensions add up. As in evaluation there is no noise and no dropout.
    """
    net.eval()
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a cumulative average
        norm.train()
    for x in batches:
        net.code(x)
    for norm in norms:
        norm.eval()

"""Flow-GAN: a flow trained to be likely, to deceive a critic, or both.

Grover, Dhar & Ermon, "Flow-GAN: Combining Maximum Likelihood and Adversarial Learning in Generative Models", AAAI 2018,
arXiv:1705.08868; network and critic are in `oodbench.networks.flow_gan`, facts of the authors' code are those of
github.com/ermongroup/flow-gan at 91b745e7.

    V(p, D) = mean D(y) - mean D(G(eps)),     D of slope 1 (Wasserstein), eps standard normal, G the flow backwards
    flow:     minimise V - lambda mean log p(y),   in nats an image
    critic:   minimise -V + 10 mean (|| dD/dy' || - 1)^2,   y' uniform between a y and a G(eps)

Lipschitz critics can be had by clipping weights or by a penalty on slopes; the authors' code has the penalty, of
weight 10, and so have we, but with the length over all pixels where that code sums over one axis. Like the code, the
flow's loss is divided by lambda, and here by D log 2 also: for large lambda it is Glow's own loss in bits a dimension.

lambda is 1 in the authors' command for MNIST, 20 for CIFAR-10. Rows of all lambda have one network and one training,
but that at infinity no critic is trained.

Scale "paper" trains as that command does (500 epochs of Adam at 1e-4, betas 0.5 and 0.9, five moves of the critic to
one of the flow), but a Glow of our sizes where the authors have NICE and Real NVP, and a critic that is DCGAN's without
normalisation [open choice]. Of the five moves each keeps Adam moments of its own. Smaller scales have 2 levels of 3
steps, 24 channels, a critic of 16 and 32 channels that moves twice to one of the flow, and a warm-up to 4e-3 for the
critic and 1e-3 for the flow. That was chosen at scale "cpu" on MNIST-5k by bits per dimension of validation images,
seed 0. The likelihood alone would like a faster flow (3.70 bits at 2e-3, 4.10 at 1e-3). The critic alone must stay
ahead, or samples grow without bound on smaller images: at lambda = 0 the flow has 1405 bits where both have 2e-3, 682
where both have 1e-3, and 297 here.
"""

from dataclasses import dataclass, replace
from functools import partial
from math import log, prod
from typing import ClassVar, Literal, final

import torch
from torch import Tensor, nn

from oodbench.contract import Output
from oodbench.densities.glow import Glow
from oodbench.networks.flow_gan import FlowGanNet, slopes
from oodbench.networks.glow import GlowNet
from oodbench.training import Defaults, Fit, InSet, Parts, Player, Scale, TrainBatch, Training


@final
@dataclass(frozen=True)
class FlowGan(Defaults):
    """A flow trained by a mixture of maximum likelihood and an adversary.

    Attributes:
        training: How both players are trained.
        lam: lambda, nats of likelihood for one unit of the critic: 0 for the critic alone, "inf", which JSON has no
            number for, for the likelihood alone, where no critic is trained.
        penalty: Weight of the critic's slopes.
        moves: Of the critic before each of the flow.
        pace: Learning rate of the flow, as a multiple of the critic's.
        width: Half the channels of the critic's first map.
        levels: Most levels of the flow.
        depth: Steps a level.
        hidden: Channels inside the couplings.
    """

    training: Training = Training(network="flow-gan", epochs=8)
    lam: float | Literal["inf"] = 1
    penalty: float = 10.0
    moves: int = 2
    pace: float = 0.25
    width: int = 8
    levels: int = 2
    depth: int = 3
    hidden: int = 24

    version: ClassVar[int] = 2
    provides: ClassVar[frozenset[Output]] = Glow.provides

    def sized(self, scale: Scale, training: Training) -> "FlowGan":
        """Return the recipe at a scale."""
        glow = Glow().sized(scale, training)
        how = replace(glow.training, network="flow-gan", optimiser="adam", betas=(0.5, 0.9), schedule="warmup", lr=4e-3)
        if scale == "paper":
            how = replace(how, epochs=500, batch=100, lr=1e-4, schedule="constant")
            sizes = {"levels": glow.levels, "depth": glow.depth, "hidden": glow.hidden}
            return replace(self, training=how, moves=5, pace=1.0, width=64, **sizes)
        epochs = training.epochs // 12 if scale == "cpu" else training.epochs * 3 // 8
        return replace(self, training=replace(how, epochs=max(1, epochs)))

    def start(self, in_set: InSet, parts: Parts, labels: Tensor, seed: int) -> Fit:
        """Return a fresh flow and a fresh critic, and how they move."""
        glow = Glow(levels=self.levels, depth=self.depth, hidden=self.hidden)
        flow = glow.start(in_set, (), labels, seed).net
        assert isinstance(flow, GlowNet)
        net = FlowGanNet(flow, in_set.images.shape, self.width)
        return Fit(net, self.players(net))

    def players(self, net: FlowGanNet) -> tuple[Player, ...]:
        """Return the critic, as often as it moves, and the flow."""
        critic = Player("critic", tuple(net.critic.parameters()), partial(self.judging, net))
        slower = replace(self.training, lr=self.pace * self.training.lr)
        flow = Player("flow", tuple(net.flow.parameters()), partial(self.loss, net), slower)
        return (*(critic,) * (0 if self.lam == "inf" else self.moves), flow)

    def judging(self, net: FlowGanNet, batch: TrainBatch) -> Tensor:
        """Return mean D(G(eps)) - mean D(y) + penalty mean (slope - 1)^2."""
        net.meet(batch.inputs)
        y = net.flow.dequantise(batch.inputs)
        with torch.no_grad():
            fakes = net.draw(len(y))
        between = y + torch.rand(len(y), 1, 1, 1, device=y.device, dtype=y.dtype) * (fakes - y)
        steep = (slopes(net.critic, between) - 1).square().mean()
        return net.critic(fakes).mean() - net.critic(y).mean() + self.penalty * steep  # type: ignore[no-any-return]

    def loss(self, net: nn.Module, batch: TrainBatch) -> Tensor:
        """Return the flow's: -mean D(G(eps)) - lambda mean log p(y), over lambda D log 2 where there is a lambda."""
        assert isinstance(net, FlowGanNet)
        bit = prod(batch.inputs.shape[1:]) * log(2)
        if self.lam == "inf":
            return -net(batch.inputs).mean() / bit  # type: ignore[no-any-return]
        deceit: Tensor = net.critic(net.draw(len(batch.inputs))).mean()
        if not self.lam:
            return -deceit
        log_p: Tensor = net(batch.inputs).mean()
        return -(deceit + self.lam * log_p) / (self.lam * bit)

"""CIDER: embeddings on a hypersphere, close to their class's prototype, prototypes far from each other.

Ming, Sun, Dia & Li, "How to Exploit Hyperspherical Embeddings for Out-of-Distribution Detection?", ICLR 2023.

    v = h(f),  z = v / ||v||,   h two linear layers with a ReLU between
    mu_c <- (alpha mu_c + (1 - alpha) z) / || . ||     for each z of class c in turn
    L_comp = mean -log exp(z . mu_y / tau) / sum_c exp(z . mu_c / tau)
    L_dis  = 1/C sum_i log 1/(C - 1) sum_{j != i} exp(mu_i . mu_j / tau)
    L = L_dis + lambda L_comp
    cider:       s(x) = -||u - u_(k)||,   u = f / ||f||, u_(k) the k-th nearest among the training inputs' u
    cider-head:  the same of z in the place of u

From the authors' code (deeplearning-wisc/cider at dce8ad3): z of the projection head is what is trained, but their
evaluation, as OpenOOD's, takes neighbours among the normalised features f below it (`intermediate_forward`), k = 100
for CIFAR-10; the row of z stands beside it. tau = 0.1, alpha = 0.95, lambda = 2, 128 dimensions; for CIFAR-100 alpha is
0.5 and lambda 1. L_comp sees the prototypes as constants; L_dis moves the network through the z's of the batch that
went into them.

Other than there: lambda weighs L_comp as it is printed. Their loss multiplies it by tau / 0.07 beside (a default of the
code that it grew from), so that their lambda of 2 is one of 2.86 here, and 1 is 1.43. One augmented view of each image,
where the code has two random crops with changed colours; the matrix's schedule, where the code trains 500 epochs at
batch 512 and rate 0.5; a prototype begins as the first embedding of its class, where the code begins with class means
of the untrained network.

The method has no classifier, and OpenOOD leaves its accuracy out. Here the class is that of the nearest prototype,
argmax_c z . mu_c, whose posterior is the one that L_comp maximises; for it, once the weights are final, the prototypes
are the directions of the class means of z over the training images, which the running means approximate. Accuracy,
mistakes and attacks of these rows are those of that classifier.

Fails where mistakes are to be found: the distance to the k-th neighbour does not know which two classes an input lies
between, and is short where they meet.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar, NamedTuple, final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize, relu

from oodbench import banks
from oodbench.contract import FEATURES, LOGITS, Citation, FitData, Material, Method, Output, Outputs
from oodbench.networks import classifier
from oodbench.networks.topped import Topped
from oodbench.training import Defaults, Fit, InSet, Parts, TrainBatch, Training, alone

EMBEDDING = Output[Tensor]("hyperspherical_embedding", "n D")
"""z: on the unit sphere."""


@final
class Hypersphere(nn.Module):
    """The second layer of h, over a head that is the first, and the prototypes.

    Args:
        hidden: Rows of the head.
        width: Dimensions of z.
        classes: C.
        tau: Temperature.
    """

    mu: Tensor

    def __init__(self, hidden: int, width: int, classes: int, tau: float) -> None:
        super().__init__()
        self.project, self.tau = nn.Linear(hidden, width), tau
        self.register_buffer("mu", torch.zeros(classes, width))

    def forward(self, f: Tensor, head: nn.Linear) -> Mapping[Output, Tensor]:
        """Return z . mu_c / tau, and z."""
        z = normalize(self.project(relu(head(f))).float(), dim=1)
        return {LOGITS: z @ self.mu.T / self.tau, EMBEDDING: z}


@final
@dataclass(frozen=True)
class Cider(Defaults):
    """The matrix's network under a projection head, trained by compactness and dispersion.

    Attributes:
        training: How it is trained.
        tau: Temperature of both losses.
        alpha: Weight of the past in a prototype.
        lam: Weight of the compactness.
        hidden: Units between the two layers of h: the width of ResNet-18's features, as there.
        width: Dimensions of z.
    """

    training: Training = Training(network="resnet-small", epochs=8)
    tau: float = 0.1
    alpha: float = 0.95
    lam: float = 2.0
    hidden: int = 512
    width: int = 128

    version: ClassVar[int] = 1
    provides: ClassVar[frozenset[Output]] = frozenset({LOGITS, FEATURES, EMBEDDING})

    def start(self, in_set: InSet, parts: Parts, labels: Tensor, seed: int) -> Fit:
        """Return a fresh model, and its training; last the prototypes are settled."""
        body = classifier(self.training.network, replace(in_set, classes=self.hidden), self.training.dropout)
        net = Topped(body, Hypersphere(self.hidden, self.width, in_set.classes, self.tau))
        return Fit(net, alone(net, partial(self.loss, net)), partial(settle, net))

    def loss(self, net: nn.Module, batch: TrainBatch) -> Tensor:
        """Return L of the batch, whose embeddings go into the prototypes."""
        z, kept = net.answers(batch.inputs)[EMBEDDING], net.get_buffer("top.mu")  # type: ignore[operator]
        mu = moved(kept.clone(), z, batch.labels, self.alpha)
        kept.copy_(mu.detach())
        compactness = cross_entropy(z @ mu.detach().T / self.tau, batch.labels)
        return dispersion(mu, self.tau) + self.lam * compactness


def moved(
    mu: Float[Tensor, "C D"], z: Float[Tensor, "n D"], labels: Int[Tensor, "n"], alpha: float
) -> Float[Tensor, "C D"]:
    """Return the prototypes after each z in turn has gone into its own."""
    same = labels[:, None] == labels[None]
    turn = same.tril(-1).sum(dim=1)  # classes do not touch each other: the t-th of every class go together
    for t in range(int(turn.max()) + 1):
        k = labels[turn == t]
        mu = mu.index_copy(0, k, normalize(alpha * mu[k] + (1 - alpha) * z[turn == t], dim=1))
    return mu


def dispersion(mu: Float[Tensor, "C D"], tau: float) -> Float[Tensor, ""]:
    """Return L_dis."""
    C = len(mu)
    apart = ~torch.eye(C, dtype=torch.bool, device=mu.device)
    others = (mu @ mu.T / tau)[apart].view(C, C - 1)
    return (others.exp().mean(dim=1)).log().mean()


@torch.no_grad()
def settle(net: Topped, batches: Iterator[TrainBatch]) -> None:
    """Make each prototype the direction of its class's mean embedding; one without images stays 0."""
    net.eval()
    kept = net.get_buffer("top.mu")
    total = torch.zeros_like(kept, dtype=torch.float64)
    for batch in batches:
        total.index_add_(0, batch.labels, net.answers(batch.inputs)[EMBEDDING].double())
    kept.copy_(normalize(total, dim=1))


class Bank(NamedTuple):
    """Training inputs on the unit sphere."""

    u: Float[Tensor, "N D"]


@final
@dataclass(frozen=True)
class NearestOn:
    """Minus the distance to the k-th nearest training input on the unit sphere, in [-2, 0].

    Attributes:
        of: What stands for an input, by name: the features, or the embedding.
        k: Which neighbour; the farthest one where there are fewer.
        most: Training inputs that are compared with; of more, so many are drawn.
    """

    of: str = FEATURES.name
    k: int = 100
    most: int = 2**17

    version: ClassVar[int] = 1
    fits_on: ClassVar[frozenset[Material]] = frozenset()

    @property
    def reads(self) -> frozenset[Output]:
        """The one output."""
        return frozenset({self._output})

    @property
    def _output(self) -> Output[Tensor]:
        return next(output for output in (FEATURES, EMBEDDING) if output.name == self.of)

    def fit(self, data: FitData) -> Bank:
        """Return the training inputs."""
        rows = banks.drawn(len(data.train), self.most, data.seed)
        found = data.train[self._output]
        return Bank(normalize(found[rows.to(found.device)], dim=1))

    def score(self, state: Bank, batch: Outputs) -> Float[Tensor, "n"]:
        """Return minus the distance to the k-th neighbour."""
        u = normalize(batch[self._output], dim=1)
        return -banks.neighbours(u, state.u, self.k).distance[:, -1].to(u.dtype)


PAPER = Citation(
    authors="Ming, Sun, Dia, Li",
    title="How to Exploit Hyperspherical Embeddings for Out-of-Distribution Detection?",
    year=2023,
    url="https://arxiv.org/abs/2203.04450",
)

row = partial(Method, family="training", paper=PAPER, recipe=Cider())

METHODS = (
    row(name="cider", title="CIDER, nearest neighbours of features (k = 100)", detector=NearestOn()),
    row(
        name="cider-head", title="CIDER, nearest neighbours of embeddings (k = 100)", detector=NearestOn(EMBEDDING.name)
    ),
)

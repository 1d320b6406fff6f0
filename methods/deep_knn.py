"""Deep k-nearest neighbours: do the training inputs that are nearest at each layer share a label?

Papernot & McDaniel, "Deep k-Nearest Neighbors: Towards Confident, Interpretable and Robust Deep Learning", 2018.

    alpha_j(x) = sum over layers of the number among the k nearest training inputs whose label is not j    nonconformity
    A = {alpha_y(x)} over held-out inputs x with label y                                                   calibration
    p_j(x) = share of A that is >= alpha_j(x),   credibility(x) = max_j p_j(x)
    s(x) = credibility(x) - min_j alpha_j(x) / ((L k + 1) |A|)

The definition is settled from the first author's code. Nearest by the cosine at each of L layers: the stem and each
stage, averaged over places, and the logits; that code takes whole maps, and hashes in the place of an exact search. k =
75 is its choice for MNIST. Credibility falls in steps as the nonconformity of the best label grows, so that calibration
gives the score a meaning, the p-value of a test, and no new order: what is subtracted is less than a step, and ranks
inputs within a step by nonconformity. That code drops from A the held-out inputs whose neighbours all agree, which
stretches the scale and ranks alike; here they stay. Of more than `most` training inputs a random draw of so many stands
for all.

Fails where inputs from outside fall among the training inputs of one class at every layer: their neighbours agree,
however far they are. All inputs whose neighbours agree at all layers tie.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple, final

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import normalize

from oodbench import banks
from oodbench.contract import LAYERS, LOGITS, Citation, FitData, Material, Method, Output, Outputs
from oodbench.recipes import Plain


class Calibrated(NamedTuple):
    """The training inputs, and the nonconformity of held-out ones.

    Attributes:
        u: Directions of each layer's activations.
        labels: True classes.
        A: Nonconformity of the held-out inputs with their own labels, ascending.
    """

    u: tuple[Float[Tensor, "N _"], ...]
    labels: Int[Tensor, "N"]
    A: Int[Tensor, "n"]


@final
@dataclass(frozen=True)
class DeepNeighbours:
    """The credibility: the p-value of the label that most neighbours share.

    Attributes:
        k: Neighbours of each layer; all where there are fewer.
        most: Training inputs that are kept.
    """

    k: int = 75
    most: int = 2**16

    version: ClassVar[int] = 1
    reads: ClassVar[frozenset[Output]] = frozenset({LAYERS, LOGITS})
    fits_on: ClassVar[frozenset[Material]] = frozenset({"labels", "validation"})

    def fit(self, data: FitData) -> Calibrated:
        """Return the training inputs at each layer, and the nonconformity of the validation inputs."""
        rows = banks.drawn(len(data.train), self.most, data.seed)
        u = tuple(normalize(layer[rows], dim=1) for layer in _layers(data.train))
        labels = data.train.labels[rows]
        own = [
            self._nonconformity(u, labels, batch).gather(1, batch.labels[:, None])[:, 0]
            for batch in data.validation.batches()
        ]
        return Calibrated(u, labels, torch.cat(own).sort().values)

    def score(self, state: Calibrated, batch: Outputs) -> Float[Tensor, "n"]:
        """Return the credibility, less a share of a step that grows with the nonconformity."""
        alpha = self._nonconformity(state.u, state.labels, batch).amin(dim=1)
        at_least = len(state.A) - torch.searchsorted(state.A, alpha)
        most = len(state.u) * min(self.k, len(state.labels))
        return ((at_least - alpha.double() / (most + 1)) / len(state.A)).float()

    def _nonconformity(self, u: tuple[Tensor, ...], labels: Tensor, batch: Outputs) -> Int[Tensor, "n C"]:
        alpha = labels.new_zeros(batch.logits.shape)
        for bank, layer in zip(u, _layers(batch), strict=True):
            near = labels[banks.neighbours(normalize(layer, dim=1), bank, self.k).row]
            alpha += near.shape[1] - torch.zeros_like(alpha).scatter_add(1, near, torch.ones_like(near))
        return alpha


def _layers(outputs: Outputs) -> tuple[Tensor, ...]:
    return (*outputs.layers, outputs.logits)


METHODS = (
    Method(
        name="deep-knn",
        title="Deep k-nearest neighbours (k = 75)",
        paper=Citation(
            authors="Papernot, McDaniel",
            title="Deep k-Nearest Neighbors: Towards Confident, Interpretable and Robust Deep Learning",
            year=2018,
            url="https://arxiv.org/abs/1803.04765",
        ),
        recipe=Plain(),
        detector=DeepNeighbours(),
        family="features",
    ),
)

"""LogitNorm: cross-entropy of logits whose length is held fixed.

Wei, Xie, Cheng, Feng, An & Li, "Mitigating Neural Network Overconfidence with Logit Normalization", ICML 2022.

    L = CE(z / (tau ||z||), y)        in training alone
    s(x) = max_c softmax(z)_c         of the logits as they are, ranked by its log-odds

Once the classes are right, cross-entropy still falls as ||z|| grows, so a usual classifier learns long logits for all
that it sees. Here the length earns nothing in training, and only the direction of z does; at test time it is left in
the score. Settled from the authors' code (hongxin001/logitnorm_ood at 0a60eef): 1e-7 is added to the norm, the
prediction is argmax z, and detection takes the softmax of z at T = 1. A softmax of the normalised logits would rank by
direction alone, another score.

tau = 0.04 is OpenOOD's; the authors' README trains with 0.01. As the margin of a unit vector is at most sqrt(C/(C -
1)), the loss cannot fall below log(1 + (C - 1) exp(-sqrt(C/(C - 1)) / tau)): nothing for ten classes at 0.04, 0.7 nats
at 0.5, where it would always ask for more. No tau is tuned here. The schedule is the matrix's own, as in plain
training.

Fails where the score is a function of the length of z: the energy and the largest logit, whose scale nothing in this
training fixes. Its softmax at T = 1 is no calibrated probability either.
"""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar, final

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from oodbench import formulas
from oodbench.contract import LOGITS, Citation, Method, Output, Outputs, Stateless
from oodbench.recipes import Plain
from oodbench.spaces import SpaceName
from oodbench.training import Defaults, Fit, InSet, Parts, TrainBatch, Training, alone

LEAST = 1e-7
"""What is added to the norm, for logits that are all 0."""


@final
@dataclass(frozen=True)
class LogitNorm(Defaults):
    """The matrix's classifier, trained on logits of length 1 / tau.

    Attributes:
        training: How it is trained.
        tau: Temperature.
    """

    training: Training = Training(network="resnet-small", epochs=8)
    tau: float = 0.04

    version: ClassVar[int] = 1
    provides: ClassVar[frozenset[Output]] = Plain.provides
    spaces: ClassVar[frozenset[SpaceName]] = Plain.spaces

    def start(self, in_set: InSet, parts: Parts, labels: Tensor, seed: int) -> Fit:
        """Return a fresh classifier, and its training."""
        net = Plain(self.training).start(in_set, (), labels, seed).net
        return Fit(net, alone(net, partial(self.loss, net)))

    def loss(self, net: nn.Module, batch: TrainBatch) -> Tensor:
        """Return the mean of CE(z / (tau ||z||), y)."""
        z = net(batch.inputs).float()
        direction = z / (z.norm(dim=1, keepdim=True) + LEAST)
        return cross_entropy(direction / self.tau, batch.labels, label_smoothing=self.training.label_smoothing)


def msp(batch: Outputs) -> Float[Tensor, "n"]:
    """Return the rank key of the maximum softmax probability of z itself."""
    return formulas.msp_key(batch.logits)


METHODS = (
    Method(
        name="logitnorm",
        title="LogitNorm, maximum softmax probability",
        paper=Citation(
            authors="Wei, Xie, Cheng, Feng, An, Li",
            title="Mitigating Neural Network Overconfidence with Logit Normalization",
            year=2022,
            url="https://arxiv.org/abs/2205.09310",
        ),
        recipe=LogitNorm(),
        detector=Stateless(frozenset({LOGITS}), msp),
        family="training",
    ),
)

"""A confidence branch: a network that may ask for hints, and pays for each.

DeVries & Taylor, "Learning Confidence for Out-of-Distribution Detection in Neural Networks", 2018.

    c = sigmoid(t),   t a second output beside the logits z,   p = softmax(z)
    L = mean -log p'_y + lambda mean -log c,   p' = c p + (1 - c) y for half of the batch (hints), else p' = p
    lambda <- lambda / 1.01 where mean -log c < beta, else lambda / 0.99;   at first lambda = 0.1, beta = 0.3
    s(x) = c, ranked by t

Whoever asks for a hint, by c < 1, is given part of the answer and pays -log c; the budget beta says how much is spent
on average. From the authors' code (uoguelph-mlrg/confidence_estimation at c98f23d): the branch is one linear unit on
the features, the factors 1.01 and 0.99, and that each input may have a hint with probability 1/2. lambda of a step is
that before it is adjusted; it is kept with the weights, so that training can be resumed. As it moves by 1 % a step, a
training of a few hundred steps hardly gets to spend its budget. p'_y is summed in logarithms, where the code clamps p
and c to [1e-12, 1 - 1e-12].

Not here: the paper's step on the input, which it tunes on outliers, and Cutout; the matrix's own augmentation is used.

Fails where the training images are learnt by heart: with no mistakes left there is nothing to ask a hint for, c goes to
1 on all of them, and no term of the loss says what it is elsewhere. That is why the paper trains with Cutout.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar, final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from oodbench.contract import FEATURES, LOGITS, Citation, Method, Output, Outputs, Stateless
from oodbench.networks import classifier
from oodbench.networks.topped import Topped
from oodbench.spaces import SpaceName
from oodbench.training import Defaults, Fit, InSet, Parts, TrainBatch, Training, alone

CONFIDENCE = Output[Tensor]("confidence", "n")
"""t: the log-odds of c."""


@final
class Branch(nn.Module):
    """The logits and t, of a head whose last row is the branch; it keeps lambda."""

    def __init__(self, lam: float) -> None:
        super().__init__()
        self.register_buffer("lam", torch.tensor(lam))

    def forward(self, f: Tensor, head: nn.Linear) -> Mapping[Output, Tensor]:
        """Return z and t."""
        both = head(f)
        return {LOGITS: both[:, :-1], CONFIDENCE: both[:, -1]}


@final
@dataclass(frozen=True)
class ConfidenceBranch(Defaults):
    """The matrix's classifier with a branch that says how sure it is.

    Attributes:
        training: How it is trained.
        beta: Budget: what -log c is to be on average.
        lam: Price of a hint at first.
    """

    training: Training = Training(network="resnet-small", epochs=8)
    beta: float = 0.3
    lam: float = 0.1

    version: ClassVar[int] = 1
    provides: ClassVar[frozenset[Output]] = frozenset({LOGITS, CONFIDENCE, FEATURES})
    spaces: ClassVar[frozenset[SpaceName]] = frozenset({"images", "tokens"})

    def start(self, in_set: InSet, parts: Parts, labels: Tensor, seed: int) -> Fit:
        """Return a fresh model, and its training."""
        wider = replace(in_set, classes=in_set.classes + 1)
        net = Topped(classifier(self.training.network, wider, self.training.dropout), Branch(self.lam))
        return Fit(net, alone(net, partial(self.loss, net)))

    def loss(self, net: nn.Module, batch: TrainBatch) -> Tensor:
        """Return L of the batch, hints drawn from torch's global generator; lambda is adjusted for the next."""
        answers = net.answers(batch.inputs)  # type: ignore[operator]
        hint = torch.rand(len(batch.labels), device=batch.labels.device) < 0.5
        task, price = hinted(answers[LOGITS], answers[CONFIDENCE], batch.labels, hint)
        lam = net.get_buffer("top.lam")
        loss = task + lam.item() * price
        lam.div_(1.01 if price.item() < self.beta else 0.99)
        return loss


def hinted(
    z: Float[Tensor, "n C"], t: Float[Tensor, "n"], labels: Tensor, hint: Tensor
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Return mean -log p'_y and mean -log c."""
    log_p = z.log_softmax(dim=1).gather(1, labels[:, None])[:, 0]
    # log p'_y = log (c p_y + 1 - c)
    helped = torch.logaddexp(logsigmoid(t) + log_p, logsigmoid(-t))
    return -torch.where(hint, helped, log_p).mean(), -logsigmoid(t).mean()


def confidence(batch: Outputs) -> Float[Tensor, "n"]:
    """Return t."""
    return batch[CONFIDENCE]


EXCUSED = {
    "confbranch": {"direction": "every training image of the toy is learnt: no hint is needed, c is 1 on noise, too"}
}
"""Laws of the check that a row cannot keep, and why."""

METHODS = (
    Method(
        name="confbranch",
        title="Confidence branch",
        paper=Citation(
            authors="DeVries, Taylor",
            title="Learning Confidence for Out-of-Distribution Detection in Neural Networks",
            year=2018,
            url="https://arxiv.org/abs/1802.04865",
        ),
        recipe=ConfidenceBranch(),
        detector=Stateless(frozenset({CONFIDENCE}), confidence),
        family="training",
    ),
)

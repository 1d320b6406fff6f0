"""Temporal ensembling: a classifier that sees few labels, and detectors on it.

Laine & Aila, "Temporal Ensembling for Semi-Supervised Learning", ICLR 2017; judged by Shao, Song & Ermon,
"Understanding Classifier Mistakes with Generative Models", 2020, with 100 labels a class.

    L = 1/|B| sum_{i in B} m_i CE(z_i, y_i) + w(t) 1/(|B| C) sum_{i in B} ||softmax(z_i) - Z_i / (1 - alpha^t)||^2
    Z_i <- alpha Z_i + (1 - alpha) softmax(z_i),   the target from the next epoch on
    w(0) = 0,   w(t) = w_max M/N exp(-5 (1 - t/T)^2),   t = min(epochs done, T),   T = 80/300 of the epochs

m marks the M labelled images of N. Input noise has deviation 0.15 after standardisation. The paper: 300 epochs of Adam
at 0.003, batch 100, flips where the data allows; its rate rises as w does and falls in the last sixth (beta1 with it,
here it stays). w_max is Shao's, for 100 classes. The matrix's network stands for the paper's nine convolutions, as
WRN-28-10 does in Shao; no ZCA; translation pads with zeros.

At the smaller scales the rate goes through one cycle to 0.01, and w_max is a tenth, 10: of the rates 0.003 and 0.01
and the weights 10, 30 and 100 the best by accuracy on validation images (96 % on MNIST-5k, mean of two seeds; 82 % on
Fashion-MNIST, one seed, four of the pairs); 0.003 is as good within noise.

`few-labels-msp` has w_max = 0 and nothing else of its own: the same labels, noise, steps and rates without the
unlabelled images' part in the loss, which Laine calls supervised-only. Without it none of the others shows what
temporal ensembling adds: on MNIST-5k 96.0 and 96.2 % are right with weight 0 and 95.4 and 96.3 % with weight 10.

What the rows see of the labels: the Gaussians those that training saw; the temperature those of the validation split,
as every calibrated row; the softmax and the mixture none.

Fails where few labels leave the classifier inaccurate: what it judges strange may be what it never learnt to name.
Otherwise as the detector that stands on it.
"""

import math
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar, final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from oodbench import formulas
from oodbench.contract import LOGITS, Citation, Method, Output, Outputs, Stateless
from oodbench.detectors.calibrated import CalibratedSoftmax
from oodbench.detectors.few_labels import FewLabelsMahalanobis, labelled
from oodbench.detectors.mixture import FeatureMixture
from oodbench.networks import classifier
from oodbench.recipes import Plain
from oodbench.training import Defaults, Fit, InSet, Parts, Scale, TrainBatch, Training, alone


@final
@dataclass(frozen=True)
class TemporalEnsembling(Defaults):
    """A classifier held to the running mean of its own predictions, and to the few labels that it may see.

    Attributes:
        training: How the one loop drives it.
        per_class: Labels of each class.
        alpha: Weight of the past in the running mean Z.
        w_max: Weight of the squared error before it is scaled by M/N.
        noise: Standard deviation of the noise on standardised inputs.
        rise: Share of the epochs over which w rises.
    """

    training: Training = Training(network="resnet-small", epochs=8)
    per_class: int = 100
    alpha: float = 0.6
    w_max: float = 100.0
    noise: float = 0.15
    rise: float = 80 / 300

    version: ClassVar[int] = 1
    provides: ClassVar[frozenset[Output]] = Plain.provides

    def sized(self, scale: Scale, training: Training) -> "TemporalEnsembling":
        """Return the recipe with Adam on the matrix's network: the paper's training, or one as long as the matrix's."""
        adam = replace(training, optimiser="adam", schedule="bell", weight_decay=0.0)
        if scale == "paper":
            flip = (name for name in training.augment if name == "flip")
            adam = replace(adam, epochs=300, batch=100, lr=0.003, augment=(*flip, "shift2"))
            return replace(self, training=adam)
        return replace(self, training=replace(adam, schedule="onecycle", lr=0.01), w_max=self.w_max / 10)

    def start(self, in_set: InSet, parts: Parts, labels: Tensor, seed: int) -> Fit:
        """Return a fresh classifier with the mask of its labels and its mean predictions, Z; its training."""
        net = classifier(self.training.network, in_set, self.training.dropout)
        mask = labelled(labels, in_set.classes, self.per_class, seed)
        net.register_buffer("labelled", mask)
        net.register_buffer("Z", torch.zeros(len(labels), in_set.classes))
        return Fit(net, alone(net, partial(self.loss, net)), labelled=mask)

    def loss(self, net: nn.Module, batch: TrainBatch) -> Tensor:
        """Return L of the batch; the predictions go into Z, at their images' places in the training split."""
        mask, Z, i, t = net.get_buffer("labelled"), net.get_buffer("Z"), batch.index, batch.epoch
        std = net.get_buffer("standardise.std")
        z = net(batch.inputs + self.noise * std * torch.randn_like(batch.inputs)).float()
        p = z.softmax(dim=1)
        supervised = (mask[i] * cross_entropy(z, batch.labels, reduction="none")).mean()
        target = Z[i] / (1 - self.alpha ** max(t, 1))
        Z[i] = self.alpha * Z[i] + (1 - self.alpha) * p.detach()
        consistency: Tensor = (p - target).square().mean()
        return supervised + self.weight(t, float(mask.float().mean())) * consistency

    def weight(self, epoch: int, share: float) -> float:
        """Return w in an epoch, given the share M/N of images with a label."""
        risen = min(epoch / (self.rise * self.training.epochs), 1.0)
        return self.w_max * share * math.exp(-5 * (1 - risen) ** 2) if epoch else 0.0


def msp(batch: Outputs) -> Float[Tensor, "n"]:
    """Return the rank key of the maximum softmax probability."""
    return formulas.msp_key(batch.logits)


RECIPE = TemporalEnsembling()
LAINE = Citation(
    authors="Laine, Aila",
    title="Temporal Ensembling for Semi-Supervised Learning",
    year=2017,
    url="https://arxiv.org/abs/1610.02242",
)
SHAO = Citation(
    authors="Shao, Song, Ermon",
    title="Understanding Classifier Mistakes with Generative Models",
    year=2020,
    url="https://arxiv.org/abs/2010.02364",
)

METHODS = (
    Method(
        name="few-labels-msp",
        title="Few labels alone (supervised-only baseline of temporal ensembling), maximum softmax probability",
        family="training",
        paper=LAINE,
        recipe=TemporalEnsembling(w_max=0.0),
        detector=Stateless(frozenset({LOGITS}), msp),
    ),
    Method(
        name="te-msp",
        title="Temporal ensembling, maximum softmax probability",
        family="training",
        paper=LAINE,
        recipe=RECIPE,
        detector=Stateless(frozenset({LOGITS}), msp),
    ),
    Method(
        name="te-temperature",
        title="Temporal ensembling, temperature scaling",
        family="training",
        paper=SHAO,
        recipe=RECIPE,
        detector=CalibratedSoftmax(),
    ),
    Method(
        name="te-mahalanobis-a",
        title="Temporal ensembling, Mahalanobis (a) of 100 labels a class",
        family="training",
        paper=SHAO,
        recipe=RECIPE,
        detector=FewLabelsMahalanobis(),
    ),
    Method(
        name="te-gmm-1000",
        title="Temporal ensembling, feature mixture, K = 1000",
        family="training",
        paper=SHAO,
        recipe=RECIPE,
        detector=FeatureMixture(K=1000, max_iter=30),
        detector_at_paper_scale=FeatureMixture(K=1000),
    ),
)

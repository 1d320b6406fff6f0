"""IB-INN for ImageNet: the generative classifier of `ib_inn` as an invertible ResNet-50.

Mackowiak et al., "Generative Classifiers as a Basis for Trustworthy Image Classification", CVPR 2021, and the authors'
code; network in `bench/oodbench/networks/inn_resnet.py`, mixture and losses in `inn.py`.

    loss = 1 / (1 + beta) L_X / D + beta / (1 + beta) L_Y
    s(x) = two-sided p-value of log q(y) among the training inputs'

Other than the recipe for small images: classes of equal weight, never trained; means that are free in the 3,072
dimensions of frequency 0 and of rank 128 beyond; no noise but the dequantisation's; no weight decay; label smoothing
0.05; BatchNorm's running statistics as training leaves them.

Scales "paper" and "cpu" have the authors' network: 77 million weights at 224x224 and 1,000 classes. Differences: the
authors start anew from the best weights at each tenfold drop of the rate, and how many epochs each had they do not say:
here it is 50 in all, with drops at 60 and 85 % (a guess); their first ten steps have a twentieth of the loss. Scale
"tiny" has a network for trials. Measured here are its invertibility, its Jacobian and its size, not its training.

Fails at either end of beta, as `ib_inn` does: near 0 it is a density of images, high for what is simple, and as beta
grows it forgets what tells no class from another.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar, final

from torch import Tensor, nn

from oodbench.contract import Citation, Method, Output
from oodbench.detectors.densities import Typicality
from oodbench.networks.inn import IB_INN, Beta, GenerativeClassifier, losses, provided, share
from oodbench.networks.inn_resnet import IMAGENET, ResNetSizes
from oodbench.spaces import Images, Space
from oodbench.training import Defaults, Fit, InSet, Parts, Player, Scale, TrainBatch, Training

TRIAL = ResNetSizes(blocks=(2,), planes=(4,), entry=8, full=48, rank=2)


@final
@dataclass(frozen=True)
class IbInnImageNet(Defaults):
    """An invertible ResNet trained for likelihood and for classes.

    Attributes:
        training: How the one loop drives it.
        beta: Weight of the classes.
        sizes: Of the network.
        m: Distance between the class means before training, in the dimensions where they are free.
    """

    training: Training = Training(network=IB_INN, epochs=50)
    beta: Beta = 2
    sizes: ResNetSizes = IMAGENET
    m: float = 3.5

    version: ClassVar[int] = 1

    @property
    def provides(self) -> frozenset[Output]:
        """Return its outputs: no logits where no label was used."""
        return provided(self.beta)

    def refuses(self, space: Space) -> str | None:
        """Return which sides cannot be halved often enough."""
        assert isinstance(space, Images)
        c, h, w = space.shape
        unit = 2 ** (self.sizes.halvings + (c == 1))
        if h % unit == w % unit == 0:
            return None
        return (
            f"the IB-INN for ImageNet got images of {c}x{h}x{w}, expected sides that are multiples of {unit}; "
            f"the recipe for small images takes them: ib-inn-2"
        )

    def sized(self, scale: Scale, training: Training) -> "IbInnImageNet":
        """Return the recipe at a scale."""
        how = replace(training, network=IB_INN, clip=8.0, label_smoothing=0.05, precision="float32", nesterov=False)
        if scale == "tiny":
            how = replace(how, optimiser="adam", lr=4e-3, weight_decay=0.0, schedule="onecycle", augment=())
            return replace(self, training=how, sizes=TRIAL)
        how = replace(how, epochs=50, batch=100, optimiser="sgd", lr=0.07, weight_decay=0.0)
        return replace(self, training=replace(how, schedule="step", milestones=(0.6, 0.85), gamma=0.1))

    def start(self, in_set: InSet, parts: Parts, labels: Tensor, seed: int) -> Fit:
        """Return a fresh network and its training."""
        images = in_set.images
        net = GenerativeClassifier(
            images.shape, in_set.classes, images.mean, images.std, self.sizes, m=self.m, pace=1.0, noise=0.0
        )
        net.phi.requires_grad_(False)
        weights = tuple(weight for weight in net.parameters() if weight.requires_grad)
        return Fit(net, (Player("network", weights, partial(self.loss, net)),))

    def loss(self, net: nn.Module, batch: TrainBatch) -> Tensor:
        """Return the weighted sum of L_X / D and L_Y."""
        assert isinstance(net, GenerativeClassifier)
        l_x, l_y = losses(net.code(batch.inputs), batch.labels, self.training.label_smoothing)
        return (1 - share(self.beta)) * l_x + share(self.beta) * l_y


METHODS = (
    Method(
        name="ib-inn-imagenet-2",
        title="IB-INN for ImageNet, beta 2, two-sided p-value of log q(x)",
        family="bottleneck",
        paper=Citation(
            authors="Mackowiak, Ardizzone, Köthe, Rother",
            title="Generative Classifiers as a Basis for Trustworthy Image Classification",
            year=2021,
            url="https://arxiv.org/abs/2007.15036",
        ),
        recipe=IbInnImageNet(),
        detector=Typicality(),
    ),
)

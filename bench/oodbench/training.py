"""What the author of a recipe reads: how a model is built and trained. Importing it needs no torch.

Recipe = everything that a method needs to train its models. A small one, whole:

    @final
    @dataclass(frozen=True)
    class Plain(Defaults):
        training: Training = Training(network="resnet-small", epochs=8)

        version: ClassVar[int] = 1
        provides: ClassVar[frozenset[Output]] = frozenset({LOGITS, FEATURES, FEATURE_MAP, LAYERS, HEAD})

        def start(self, in_set: InSet, parts: Parts, labels: Tensor, seed: int) -> Fit:
            net = classifier(self.training.network, in_set)
            return Fit(net, alone(net, lambda batch: cross_entropy(net(batch.inputs), batch.labels)))
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NamedTuple, Protocol, Self, TypeAlias

from annotated_types import Ge, Gt, Lt, MinLen

from oodbench.errors import BadMethod
from oodbench.extensions import Table
from oodbench.given import GivenModel
from oodbench.spaces import Images, Space, SpaceName, Tokens

if TYPE_CHECKING:
    from torch import Tensor, nn

    from oodbench.contract import Material, Output

Scale = Literal["paper", "cpu", "tiny"]
"""How large a matrix's recipes are: the papers' own (GPU), an hour on two cores, or minutes."""

Parts: TypeAlias = "tuple[nn.Module, ...]"
"""Trained models that another begins from."""

OPTIMISERS = Table(
    "optimiser",
    {
        "sgd": "oodbench.models.optimise:sgd",
        "adam": "oodbench.models.optimise:adam",
        "adamax": "oodbench.models.optimise:adamax",
    },
)
"""(weights, training) -> a torch optimiser. A package adds its own under the entry point `oodbench.optimisers`."""

SCHEDULES = Table(
    "schedule",
    {
        "onecycle": "oodbench.models.optimise:onecycle",
        "cosine": "oodbench.models.optimise:cosine",
        "step": "oodbench.models.optimise:in_steps",
        "bell": "oodbench.models.optimise:bell",
        "constant": "oodbench.models.optimise:constant",
        "warmup": "oodbench.models.optimise:warmup",
        "warmup-cosine": "oodbench.models.optimise:warmup_cosine",
    },
)
"""(training, share of the steps that is done) -> the learning rate. Entry point `oodbench.schedules`."""

AUGMENTATIONS = Table(
    "augmentation",
    {
        "flip": "oodbench.models.augment:flip",
        "crop4": "oodbench.models.augment:crop4",
        "shift2": "oodbench.models.augment:shift2",
        "cutout": "oodbench.models.augment:cutout",
        "randaugment": "oodbench.models.randaugment:randaugment",
        "pixmix": "oodbench.models.pixmix:pixmix",
    },
)
"""(pixels [n c h w], generator) -> pixels of the same shape. Entry point `oodbench.augmentations`."""

Count = Annotated[int, Ge(1)]
Positive = Annotated[float, Gt(0)]
Share = Annotated[float, Ge(0), Lt(1)]


@dataclass(frozen=True, kw_only=True)
class Training:
    """How a matrix trains its plain classifier, in its file too; part of a model's identity.

    Attributes:
        network: Name of a network in `oodbench.networks`.
        epochs: Passes over the training split.
        batch: Inputs per step.
        optimiser: One of `OPTIMISERS`: "sgd" (momentum 0.9), "adam" or "adamax".
        lr: Largest learning rate.
        betas: How slowly Adam forgets the gradient's mean and its square.
        schedule: One of `SCHEDULES`: "onecycle", "cosine" (to 1e-6, per step), "step" (times `gamma` at `milestones`),
            "bell" (Gaussian rise over the first 80/300 and fall over the last 50/300, as Laine 2017), "constant",
            "warmup" (linear over the first 4 %, then constant) or "warmup-cosine" (then a half cosine to a hundredth).
        milestones: Shares of the epochs at which "step" drops the rate.
        gamma: Factor of each drop.
        weight_decay: L2 coefficient.
        clip: Largest norm of a step's gradient; 0 for no limit.
        average: Decay of the running mean of the weights that takes their place in the end; 0 for none.
        nesterov: Nesterov momentum.
        dropout: Probability of dropping a unit inside the network's blocks.
        label_smoothing: Mass moved from the true class to all.
        augment: Of `AUGMENTATIONS`, in order: "flip", "crop4" (pad 4 and crop), "shift2" (2 pixels),
            "cutout", "randaugment", "pixmix".
        outlier_ratio: Outliers beside each input of a step, for recipes that want them.
        precision: "float32", or "bfloat16" autocast while training; scores are always float32.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    network: Annotated[str, MinLen(1)]
    epochs: Count
    batch: Count = 128
    optimiser: str = "sgd"
    lr: Positive = 0.1
    betas: tuple[Share, Share] = (0.9, 0.999)
    schedule: str = "onecycle"
    milestones: tuple[Share, ...] = ()
    gamma: Positive = 0.1
    weight_decay: Annotated[float, Ge(0)] = 5e-4
    clip: Annotated[float, Ge(0)] = 0.0
    average: Share = 0.0
    nesterov: bool = True
    dropout: Share = 0.0
    label_smoothing: Share = 0.0
    augment: tuple[str, ...] = ()
    outlier_ratio: Count = 2
    precision: Literal["float32", "bfloat16"] = "float32"


@dataclass(frozen=True)
class InSet:
    """What a network must know of what it is trained on: what one input is, and how many classes there are."""

    space: Space
    classes: int

    @property
    def images(self) -> Images:
        """The space, for a recipe that takes images.

        Raises:
            BadMethod: The inputs are tokens.
        """
        if not isinstance(self.space, Images):
            raise BadMethod(f"this network takes images, and these inputs are {self.space.name}")
        return self.space

    @property
    def tokens(self) -> Tokens:
        """The space, for a recipe that takes tokens.

        Raises:
            BadMethod: The inputs are images.
        """
        if not isinstance(self.space, Tokens):
            raise BadMethod(f"this network takes tokens, and these inputs are {self.space.name}")
        return self.space


@dataclass(frozen=True)
class TrainBatch:
    """One step's data, on the network's device.

    Attributes:
        inputs: Pixels [n c h w] in [0, 1], or ids of tokens [n length].
        labels: Classes [n].
        index: Each input's place in the training split [n].
        epoch: Epochs done before this one.
        progress: Share of the training that is done, in [0, 1).
        outliers: Auxiliary outliers, m inputs of the same space, for a recipe that wants them.
    """

    inputs: Tensor
    labels: Tensor
    index: Tensor
    epoch: int
    progress: float
    outliers: Tensor | None = None


class Model(Protocol):
    """What a recipe trains: an `nn.Module` that gives outputs for a batch."""

    @property
    def passes(self) -> int:
        """Forward passes that one call of `outputs` costs: one, or one a member."""

    @property
    def constants(self) -> Mapping[Output, Any]:
        """The outputs that are the same for all inputs."""

    @property
    def entries(self) -> frozenset[Output]:
        """The outputs that the network can go on from when they are replaced."""

    def outputs(
        self, x: Tensor, wanted: frozenset[Output], replacing: Mapping[Output, Tensor] = MappingProxyType({})
    ) -> Mapping[Output, Any]:
        """Return at least the wanted outputs for inputs `x`, after one forward pass, differentiable by `x`.

        Where the pass comes by one of `replacing` (of `entries`, never others), it goes on from the value given there.
        What it draws does not depend on the batch.
        """


class Player(NamedTuple):
    """One side of a training: its name, the weights that it moves, and the loss that it minimises.

    `training` holds its optimiser and rates where they are not the recipe's own.
    """

    name: str
    weights: tuple[nn.Parameter, ...]
    loss: Callable[[TrainBatch], Tensor]
    training: Training | None = None


def nothing(batches: Iterator[TrainBatch]) -> None:
    """Finish without doing anything.

    Example:
        >>> nothing(iter(()))
    """


@dataclass(frozen=True, eq=False)
class Fit:
    """A training that is about to begin.

    Attributes:
        net: A fresh network, a `Model`; its buffers are saved and restored with its weights.
        players: In the order of their moves in each step; none where nothing is left to train.
        finish: Given one pass of un-augmented batches in order once the weights are final: for statistics, say.
        labelled: Which labels of the training split the players use [N]; None for all.
    """

    net: nn.Module
    players: tuple[Player, ...] = ()
    finish: Callable[[Iterator[TrainBatch]], None] = nothing
    labelled: Tensor | None = None


def alone(net: nn.Module, loss: Callable[[TrainBatch], Tensor]) -> tuple[Player, ...]:
    """Return the one player of an ordinary training: all weights of a network against one loss.

    Example:
        >>> import torch
        >>> net = torch.nn.Linear(2, 1)
        >>> (player,) = alone(net, lambda batch: net(batch.inputs).sum())
        >>> player.name, len(player.weights)
        ('network', 2)
    """
    return (Player("network", tuple(net.parameters()), loss),)


class Pool(NamedTuple):
    """How a model's outputs follow from those that its parts have given already, without a pass of its own."""

    takes: frozenset[Output]
    combine: Callable[[Sequence[Mapping[Output, Any]]], Mapping[Output, Any]]


class Recipe(Protocol):
    """How a model is built and trained: a frozen dataclass, so that it is a cache key.

    Two methods with equal recipes share one training. Raise `version` whenever weights or outputs move: what was made
    by another version is not current.
    """

    @property
    def version(self) -> int:
        """1 at first: `version: ClassVar[int] = 1`."""

    def __hash__(self) -> int:
        """Return a hash of the fields: equal recipes have equal ones."""

    @property
    def provides(self) -> frozenset[Output]:
        """The outputs of the trained model, beside its inputs and the network itself."""

    @property
    def wants(self) -> frozenset[Material]:
        """The materials that training consumes beyond inputs and labels."""

    @property
    def spaces(self) -> frozenset[SpaceName]:
        """The spaces whose inputs the model takes: "images", "tokens"."""

    def refuses(self, space: Space) -> str | None:
        """Return why no model can be built for such inputs, and what takes them; None where one can."""

    def given(self) -> GivenModel | None:
        """Return the model whose weights are loaded, where nothing is trained; None as a rule."""

    @property
    def training(self) -> Training:
        """How the one training loop drives it."""

    def sized(self, scale: Scale, training: Training) -> Self:
        """Return this recipe sized for a matrix: its scale, and how it trains its plain classifier."""

    def start(self, in_set: InSet, parts: Parts, labels: Tensor, seed: int) -> Fit:
        """Return a fresh network and how it is trained. Layers may draw from torch's global generator, which is seeded.

        Args:
            in_set: What it is trained on.
            parts: The trained `parts`; () where stored weights take the place of all that training would do.
            labels: Classes of the training split [N].
            seed: Of whatever else is drawn.
        """

    def parts(self, seed: int, seeds: tuple[int, ...]) -> tuple[tuple[Recipe, int], ...]:
        """Return the models that this one begins from, as (recipe, seed), in a matrix of `seeds`."""

    def pool(self) -> Pool | None:
        """Return how its outputs follow from its parts', if they do."""


class Defaults:
    """What is true of recipes as a rule; inherit from it, and write what differs."""

    spaces: ClassVar[frozenset[SpaceName]] = frozenset({"images"})

    @property
    def wants(self) -> frozenset[Material]:
        """Nothing: inputs and labels are enough."""
        return frozenset()

    def sized(self, scale: Scale, training: Training) -> Self:
        """Return the recipe with the matrix's training."""
        return replace(self, training=training)  # type: ignore[type-var]

    def refuses(self, space: Space) -> str | None:
        """Return None: all inputs of its spaces fit."""
        return None

    def given(self) -> GivenModel | None:
        """Return None: the model is trained."""
        return None

    def parts(self, seed: int, seeds: tuple[int, ...]) -> tuple[tuple[Recipe, int], ...]:
        """Return nothing: the model begins from no other."""
        return ()

    def pool(self) -> Pool | None:
        """Return None: the model has forward passes of its own."""
        return None

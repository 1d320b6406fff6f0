"""What the author of a method reads: the words of the contract, and nothing else.

A **recipe** says how the network under judgement (the *model*) is built and trained. A **detector** is a scoring
rule: it is fitted on views of training data and then scores views of inputs. A **method** is a recipe and a detector:
one row of the leaderboard. Higher score = more in-distribution = more to be trusted, everywhere.

Inputs are pixels in [0, 1] everywhere; standardisation is part of the network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, NamedTuple, Protocol, Self, TypeVar, runtime_checkable

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

View = Literal[
    "inputs",
    "logits",
    "binary",
    "features",
    "layers",
    "head",
    "gradient",
    "posterior",
    "prior",
    "members",
    "log_density",
    "log_densities",
    "latent",
]
"""What a model can show of an input."""

Material = Literal["labels", "validation", "outliers", "ood_validation", "adversarial_validation"]
"""What fitting or training may consume beyond the training inputs. Held-out sets share no source with any test set."""

Scale = Literal["paper", "cpu", "tiny"]
"""How large a matrix's recipes are: the papers' own (GPU), an hour on two cores, or minutes."""

TuningAccess = Literal["none", "id_val", "ood_val", "adversarial_val"]
"""The most telling held-out data that a row has seen; stands on the row."""

Shape = tuple[int, int, int]
"""Channels, height, width."""

S = TypeVar("S")


class Head(NamedTuple):
    """The last linear layer: logits = features @ weight.T + bias."""

    weight: Float[Tensor, "C F"]
    bias: Float[Tensor, "C"]


class Posterior(NamedTuple):
    """q(z|x), a Gaussian with independent components, for each input."""

    mean: Float[Tensor, "n K"]
    std: Float[Tensor, "n K"]


class Prior(NamedTuple):
    """r(z), or r(z|y) for each class y: R Gaussians with independent components."""

    mean: Float[Tensor, "R K"]
    std: Float[Tensor, "R K"]


class Views(Protocol):
    """n inputs as one model shows them. Reading a view that the detector did not declare raises `Undeclared`."""

    def __len__(self) -> int:
        """Return n, the number of inputs."""

    @property
    def inputs(self) -> Float[Tensor, "n c h w"]:
        """The pixels, in [0, 1]."""

    @property
    def labels(self) -> Int[Tensor, "n"]:
        """The true classes; only when fitting, and only for a detector that fits on `labels`."""

    @property
    def logits(self) -> Float[Tensor, "n C"]:
        """The classifier's outputs before the softmax."""

    @property
    def binary(self) -> Float[Tensor, "n C"]:
        """The log-odds of C independent yes-or-no classifiers, one a class."""

    @property
    def features(self) -> Float[Tensor, "n F"]:
        """The penultimate activations: what the head multiplies."""

    @property
    def layers(self) -> tuple[Float[Tensor, "n _"], ...]:
        """The feature maps after the stem and after each stage, averaged over space."""

    @property
    def head(self) -> Head:
        """The last linear layer."""

    @property
    def posterior(self) -> Posterior:
        """What a stochastic encoder makes of each input."""

    @property
    def prior(self) -> Prior:
        """What the encoder's posteriors are measured against; the same for all inputs."""

    @property
    def members(self) -> Float[Tensor, "n M C"]:
        """The logits of each of M networks, or of one network thinned in M fixed ways."""

    @property
    def log_density(self) -> Float[Tensor, "n"]:
        """Return log p(y) in nats, all C H W dimensions together, in float64.

        y = (g + u) / 256 has grey levels g in 0..255 and u uniform in [0, 1). A mass P over grey levels is the density
        256^(C H W) P that is the same for all u.
        """

    @property
    def log_densities(self) -> Float[Tensor, "n M"]:
        """The same under each of M models."""

    @property
    def latent(self) -> Float[Tensor, "n D"]:
        """The code that a density model gives each input; under its prior it is standard normal."""

    def grad(self, f: Callable[[Views], Float[Tensor, "n"]]) -> Float[Tensor, "n c h w"]:
        """Return the derivative of sum f(views) by the pixels (view `gradient`); all n go through at once."""

    def at(self, inputs: Float[Tensor, "n c h w"]) -> Views:
        """Return the same model's views of other inputs (view `gradient`)."""

    def batches(self, size: int = 512) -> Iterator[Views]:
        """Yield the same inputs in order, at most `size` at a time."""


class FitData(Protocol):
    """What `fit` may see. Opening a material that the detector did not declare raises `Undeclared`."""

    classes: int
    seed: int

    @property
    def train(self) -> Views:
        """The model's training inputs, un-augmented, network in evaluation mode."""

    @property
    def labelled(self) -> Bool[Tensor, "N"]:
        """Which of the training inputs' labels the model saw when it was trained: all, as a rule."""

    @property
    def validation(self) -> Views:
        """In-distribution inputs held out from training."""

    @property
    def ood_validation(self) -> Views:
        """Out-of-distribution inputs, from sources that no test set uses."""

    @property
    def adversarial_validation(self) -> Views:
        """Attacked validation inputs that fooled the model."""


class Detector(Protocol[S]):
    """A scoring rule: a frozen dataclass whose fields are its hyper-parameters.

    There is no unfitted state: `fit` returns what it learnt (tensors, numbers and tuples of them, so that it can be
    saved), `score` takes it.
    """

    @property
    def reads(self) -> frozenset[View]:
        """The views that `fit` or `score` reads."""

    @property
    def fits_on(self) -> frozenset[Material]:
        """The materials that `fit` opens."""

    def fit(self, data: FitData) -> S:
        """Return the fitted state."""

    def score(self, state: S, batch: Views) -> Float[Tensor, "n"]:
        """Return one finite float per input, independent of the others in the batch; higher = more to be trusted."""


@dataclass(frozen=True, kw_only=True)
class Training:
    """How a matrix trains its plain classifier; part of a model's identity.

    Attributes:
        network: Name of a network in `oodbench.networks`.
        epochs: Passes over the training split.
        batch: Images per step.
        optimiser: "sgd" (momentum 0.9) or "adam".
        lr: Largest learning rate.
        betas: How slowly Adam forgets the gradient's mean and its square.
        schedule: "onecycle", "cosine" (to 1e-6, per step), "step" (times `gamma` at `milestones`), "bell" (Gaussian
            rise over the first 80/300 and fall over the last 50/300, as Laine 2017) or "constant".
        milestones: Shares of the epochs at which "step" drops the rate.
        gamma: Factor of each drop.
        weight_decay: L2 coefficient.
        clip: Largest norm of a step's gradient; 0 for no limit.
        average: Decay of the running mean of the weights that takes their place in the end; 0 for none.
        nesterov: Nesterov momentum.
        dropout: Probability of dropping a unit inside the network's blocks.
        label_smoothing: Mass moved from the true class to all.
        augment: Transformations of a training batch, in order: "flip", "crop4" (pad 4 and crop), "shift2" (2 pixels).
        outlier_ratio: Outliers beside each input of a step, for recipes that want them.
        precision: "float32", or "bfloat16" autocast while training; scores are always float32.
    """

    network: str
    epochs: int
    batch: int = 128
    optimiser: Literal["sgd", "adam"] = "sgd"
    lr: float = 0.1
    betas: tuple[float, float] = (0.9, 0.999)
    schedule: Literal["onecycle", "cosine", "step", "bell", "constant"] = "onecycle"
    milestones: tuple[float, ...] = ()
    gamma: float = 0.1
    weight_decay: float = 5e-4
    clip: float = 0.0
    average: float = 0.0
    nesterov: bool = True
    dropout: float = 0.0
    label_smoothing: float = 0.0
    augment: tuple[Literal["flip", "crop4", "shift2"], ...] = ()
    outlier_ratio: int = 2
    precision: Literal["float32", "bfloat16"] = "float32"


@dataclass(frozen=True)
class TrainBatch:
    """One step's data, on the network's device.

    Attributes:
        inputs: Pixels [n c h w] in [0, 1].
        labels: Classes [n].
        index: Each image's place in the training split [n].
        epoch: Epochs done before this one.
        progress: Share of the training that is done, in [0, 1).
        outliers: Pixels [m c h w] of auxiliary outliers, for a recipe that wants them.
    """

    inputs: Tensor
    labels: Tensor
    index: Tensor
    epoch: int
    progress: float
    outliers: Tensor | None = None


class Model(Protocol):
    """What `Recipe.build` returns: an `nn.Module` that can show views of a batch."""

    @property
    def passes(self) -> int:
        """Forward passes that one look costs: one, or one a member."""

    def show(self, x: Float[Tensor, "n c h w"], wanted: frozenset[View]) -> Mapping[View, Any]:
        """Return the wanted views of `x`, differentiable by `x`; what it draws does not depend on the batch."""


class Recipe(Protocol):
    """How a model is built and trained: a frozen dataclass, so that it is a cache key.

    Two methods with equal recipes share one training.
    """

    def __hash__(self) -> int:
        """Return a hash of the fields: equal recipes have equal ones."""

    @property
    def provides(self) -> frozenset[View]:
        """The views that the trained model can show."""

    @property
    def wants(self) -> frozenset[Material]:
        """The materials that training consumes beyond inputs and labels."""

    @property
    def training(self) -> Training:
        """How the one training loop drives it."""

    def at(self, scale: Scale, training: Training) -> Self:
        """Return this recipe sized for a matrix: its scale, and how it trains its plain classifier."""

    def build(self, shape: Shape, classes: int, mean: tuple[float, ...], std: tuple[float, ...]) -> nn.Module:
        """Return a fresh model for inputs of `shape`, standardising by the per-channel `mean` and `std`."""

    def loss(self, net: nn.Module, batch: TrainBatch) -> Float[Tensor, ""]:
        """Return the scalar that the training loop minimises."""


@runtime_checkable
class MadeOfOthers(Protocol):
    """A recipe whose model begins from other trained models: a fine-tuned network, an ensemble."""

    def parts(self, seed: int, seeds: tuple[int, ...]) -> tuple[tuple[Recipe, int], ...]:
        """Return the models that this one is made from, as (recipe, seed); `seeds` are the matrix's."""

    def assemble(self, net: nn.Module, parts: tuple[nn.Module, ...]) -> None:
        """Put what the parts learnt into a fresh network, before it is trained."""


@runtime_checkable
class Prepared(Protocol):
    """A recipe whose network must know the training split before the first step: which labels it may see, say."""

    def prepare(self, net: nn.Module, labels: Int[Tensor, "N"], classes: int, seed: int) -> None:
        """Give the network buffers that depend on the training split; they are saved and restored with its weights.

        A boolean buffer named `labelled` [N] says which labels training sees, where it does not see all.
        """


@runtime_checkable
class Settled(Protocol):
    """A recipe whose network looks at the training split again once its weights are final: for statistics, say."""

    def settle(self, net: nn.Module, batches: Iterator[TrainBatch]) -> None:
        """Put into the network what depends on the final weights; one pass of un-augmented batches in order."""


class Player(NamedTuple):
    """One side of a game: its name, the weights that it moves, and the loss that it minimises.

    `training` holds its optimiser and rates where they are not the recipe's own.
    """

    name: str
    weights: tuple[nn.Parameter, ...]
    loss: Callable[[TrainBatch], Tensor]
    training: Training | None = None


@runtime_checkable
class Game(Protocol):
    """A recipe whose training is a game: in each step every player moves in turn, with an optimiser of its own."""

    def players(self, net: nn.Module) -> tuple[Player, ...]:
        """Return the players, in the order of their moves."""


@dataclass(frozen=True, kw_only=True)
class Citation:
    """Where a method comes from; what nobody knows is None."""

    authors: str
    title: str
    year: int | None
    url: str | None


@dataclass(frozen=True)
class Grid:
    """Hyper-parameters that are tuned: values of detector fields to try, and the held-out bad inputs that judge them.

    The candidate with the smallest FPR95 wins (the mean over held-out sets); of equals, the first.
    """

    over: tuple[tuple[str, tuple[float, ...]], ...]
    on: Literal["ood_validation", "adversarial_validation"] = "ood_validation"


@dataclass(frozen=True, kw_only=True)
class Method:
    """One row of the leaderboard."""

    name: str
    title: str
    paper: Citation
    recipe: Recipe
    detector: Detector[Any]
    search: Grid | None = None

    @property
    def materials(self) -> frozenset[Material]:
        """Everything that the matrix must offer for this method to run."""
        tuned: frozenset[Material] = frozenset({"validation", self.search.on}) if self.search else frozenset()
        return self.recipe.wants | self.detector.fits_on | tuned

    @property
    def tuning_access(self) -> TuningAccess:
        """The most telling held-out data that this row sees."""
        seen = self.materials
        if "ood_validation" in seen:
            return "ood_val"
        if "adversarial_validation" in seen:
            return "adversarial_val"
        return "id_val" if "validation" in seen else "none"

    @property
    def hyper_parameters(self) -> dict[str, Any]:
        """The detector's fields by name, before tuning."""
        return {f.name: getattr(self.detector, f.name) for f in fields(self.detector)}  # type: ignore[arg-type]


@dataclass(frozen=True)
class Stateless:
    """A detector that learns nothing: a pure function of one batch's views."""

    reads: frozenset[View]
    formula: Callable[[Views], Float[Tensor, "n"]]
    fits_on: frozenset[Material] = frozenset()

    def fit(self, data: FitData) -> tuple[()]:
        """Return the empty state."""
        return ()

    def score(self, state: tuple[()], batch: Views) -> Float[Tensor, "n"]:
        """Return formula(batch)."""
        return self.formula(batch)

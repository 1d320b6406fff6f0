"""What the author of a post-hoc method reads: this page, and nothing else.

A **recipe** says how a network is built and trained (the *model*; `oodbench.training`). A **detector** is a scoring
rule: it is fitted on the model's outputs for training inputs, and scores its outputs for others. A **method** is a
recipe and a detector: one row of the leaderboard. Higher score = more in-distribution = more to be trusted, everywhere.
Inputs are pixels in [0, 1] (standardisation is part of the network), or ids of tokens.

    def norm(outputs: Outputs) -> Float[Tensor, "n"]:
        return outputs.features.norm(dim=1)

    METHODS = (Method(name="norm", title="Norm of the features", paper=Citation(...), recipe=Plain(),
                      detector=Stateless(frozenset({FEATURES}), norm)),)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, NamedTuple, Protocol, runtime_checkable

from jaxtyping import Bool, Float, Int
from torch import Tensor
from typing_extensions import TypeVar

from oodbench.errors import BadMethod
from oodbench.spaces import SpaceName

if TYPE_CHECKING:
    from oodbench.training import Recipe, Scale

Material = Literal["labels", "validation", "outliers", "ood_validation", "adversarial_validation"]
"""What `fit` or training may consume beyond the training inputs. Held-out sets share no source with any test set."""

TuningAccess = Literal["none", "id_val", "ood_val", "adversarial_val"]
"""The most telling held-out data that a row is fitted or tuned on; stands on the row."""

Family = Literal[
    "logits",
    "features",
    "shaping",
    "perturbation",
    "ensembles",
    "bottleneck",
    "generative",
    "outliers",
    "training",
    "other",
]
"""What a method is built on; tables fold rows by it. In this order: functions of the logits; distances, subspaces and
densities of activations; activations that are clipped, pruned or scaled; derivatives and changed inputs; several
networks or masks; information bottlenecks; generative models of the inputs; training with outliers; other training of
the classifier.
"""

T = TypeVar("T", default=Any)
S = TypeVar("S")


@dataclass(frozen=True, order=True)
class Output(Generic[T]):
    """Something that a model gives for n inputs: a tensor [n ...], or a tuple of them. Anyone may declare one.

    Attributes:
        name: Small letters, digits and underscores: files are named after it.
        shape: For people, in jaxtyping's words.
        constant: The same for all inputs, so that no forward pass is needed.
        stored: Kept on disk for all methods; not what is large: that costs a forward pass of the method's own.
        space: The only space in which models have it; None for any.
    """

    name: str
    shape: str
    constant: bool = False
    stored: bool = True
    space: SpaceName | None = None

    def __post_init__(self) -> None:
        if not re.fullmatch("[a-z0-9_]+", self.name):
            raise BadMethod(f"an output is named {self.name!r}; expected small letters, digits and underscores")

    def __str__(self) -> str:
        return self.name

    @property
    def of_members(self) -> Output[T]:
        """The same of each of M members: networks of an ensemble, masks of a dropout, classes of a mixture."""
        n, *rest = self.shape.split()
        return replace(self, name=f"member_{self.name}", shape=" ".join([n, "M", *rest]))


class Head(NamedTuple):
    """The last linear layer: logits = features @ weight.T + bias."""

    weight: Float[Tensor, "C F"]
    bias: Float[Tensor, "C"]


INPUTS = Output[Tensor]("inputs", "n c h w", space="images")
"""The pixels, in [0, 1]. Every model of images has them."""
TOKENS = Output[Tensor]("tokens", "n t", space="tokens")
"""The ids of the words, padded behind. Every model of tokens has them."""
EMBEDDINGS = Output[Tensor]("embeddings", "n t E", stored=False, space="tokens")
"""The vectors that stand for the tokens: where a derivative is taken instead of by pixels."""
NETWORK = Output[None]("network", "", constant=True)
"""No array, but a need: `grad` and `at` run the network again. Every model has one."""
LOGITS = Output[Tensor]("logits", "n C")
"""The classifier's answer before the softmax."""
BINARY = Output[Tensor]("binary", "n C")
"""The log-odds of C independent yes-or-no classifiers, one a class."""
FEATURES = Output[Tensor]("features", "n F")
"""The penultimate activations: what the head multiplies."""
FEATURE_MAP = Output[Tensor]("feature_map", "n F h w", stored=False, space="images")
"""The last feature map, before it is pooled into the features."""
FIRST_MAP = Output[Tensor]("first_map", "n F h w", stored=False, space="images")
"""What the first convolution gives, before any normalisation or activation."""
MAPS = Output[tuple[Tensor, ...]]("maps", "n _ h w", stored=False, space="images")
"""The feature maps that `LAYERS` averages: after the stem and after each stage; the last is the last feature map."""
LAYERS = Output[tuple[Tensor, ...]]("layers", "n _")
"""The activations after the stem and after each stage, averaged over places."""
HEAD = Output[Head]("head", "C F, C", constant=True)
"""The last linear layer."""
POSTERIOR = Output[tuple[Tensor, Tensor]]("posterior", "n K, n K")
"""Mean and standard deviation of q(z|x), a Gaussian with independent components, for each input."""
PRIOR = Output[tuple[Tensor, Tensor]]("prior", "R K, R K", constant=True)
"""Means and standard deviations of r(z), or of r(z|y) for each class: what posteriors are measured against."""
LOG_DENSITY = Output[Tensor]("log_density", "n")
"""log p(y) in nats, all C H W dimensions together, in float64.

y = (g + u) / 256 has grey levels g in 0..255 and u uniform in [0, 1). A mass P over grey levels is the density
256^(C H W) P that is the same for all u.
"""
LATENT = Output[Tensor]("latent", "n D")
"""The code that a density model gives each input; under its prior it is standard normal."""


class Outputs(Protocol):
    """A model's outputs for n inputs. What the detector does not declare in `reads` raises `Undeclared`."""

    def __len__(self) -> int:
        """Return n."""

    def __getitem__(self, output: Output[T]) -> T:
        """Return any output: `outputs[LOGITS.of_members]`. The usual ones also have names, as follows."""

    @property
    def inputs(self) -> Float[Tensor, "n c h w"]: ...  # noqa: D102
    @property
    def logits(self) -> Float[Tensor, "n C"]: ...  # noqa: D102
    @property
    def features(self) -> Float[Tensor, "n F"]: ...  # noqa: D102
    @property
    def layers(self) -> tuple[Float[Tensor, "n _"], ...]: ...  # noqa: D102
    @property
    def head(self) -> Head: ...  # noqa: D102
    @property
    def log_density(self) -> Float[Tensor, "n"]: ...  # noqa: D102

    @property
    def labels(self) -> Int[Tensor, "n"]:
        """The true classes; only when fitting, and only for a detector that fits on `labels`."""

    def grad(self, f: Callable[[Outputs], Float[Tensor, "n"]], by: Output[Tensor] = INPUTS) -> Tensor:
        """Return the derivative of sum f(outputs) by an output; all n go through at once.

        From there on the network runs again: `outputs.grad(lambda o: o.logits.logsumexp(1), by=FEATURES)` [n F].
        Needs `NETWORK` and `by` in `reads`.
        """

    def at(
        self, inputs: Tensor | None = None, *, replacing: Mapping[Output[Any], Tensor] = MappingProxyType({})
    ) -> Outputs:
        """Return the same model's outputs for other inputs, or going on from other activations.

        `outputs.at(replacing={FEATURE_MAP: outputs[FEATURE_MAP].relu()}).logits` has the changed map pooled and
        multiplied. Needs `NETWORK`, and what is replaced, in `reads`; costs one forward pass.
        """

    def batches(self, size: int = 512) -> Iterator[Outputs]:
        """Yield the same inputs in order, at most `size` at a time."""


class FitData(Protocol):
    """What `fit` may use. Opening a material that the detector does not declare in `fits_on` raises `Undeclared`."""

    classes: int
    seed: int

    @property
    def train(self) -> Outputs:
        """For the model's training inputs, un-augmented, network in evaluation mode."""

    @property
    def labelled(self) -> Bool[Tensor, "N"]:
        """Which of the training inputs' labels the model was trained on: all, as a rule."""

    @property
    def validation(self) -> Outputs:
        """For in-distribution inputs held out from training."""

    @property
    def ood_validation(self) -> Outputs:
        """For out-of-distribution inputs, from sources that no test set uses."""

    @property
    def adversarial_validation(self) -> Outputs:
        """For attacked validation inputs that fooled the model."""


class Detector(Protocol[S]):
    """A scoring rule: a frozen dataclass whose fields are its hyper-parameters.

    There is no unfitted state: `fit` returns what it learnt (tensors, numbers and tuples of them, so that it can be
    saved), `score` takes it. Numbers in the fields of a NamedTuple, as the steps of an optimiser or a temperature,
    stand in the record and on the method's page as facts of the fit. Raise `version` whenever scores move: what was
    computed by another version is not current.
    """

    @property
    def version(self) -> int:
        """1 at first: `version: ClassVar[int] = 1`."""

    @property
    def reads(self) -> frozenset[Output]:
        """The outputs that `fit` or `score` opens, and `NETWORK` where it calls `grad` or `at`."""

    @property
    def fits_on(self) -> frozenset[Material]:
        """The materials that `fit` opens."""

    def fit(self, data: FitData) -> S:
        """Return the fitted state."""

    def score(self, state: S, batch: Outputs) -> Float[Tensor, "n"]:
        """Return one finite float per input, independent of the others in the batch; higher = more to be trusted."""


@runtime_checkable
class Approximated(Protocol):
    """What a detector adds whose score has no derivative of use, as a rank has none: one that an attacker follows.

    An adaptive attack climbs it in the score's place (backward pass differentiable approximation: Athalye, Carlini &
    Wagner, "Obfuscated gradients give a false sense of security", 2018); what the attack came to is told by the score.
    Raise the detector's `version` when it moves.
    """

    def differentiable(self, state: Any, batch: Outputs) -> Float[Tensor, "n"]:
        """Return a differentiable float per input, in any unit, that orders inputs as the score does or nearly so."""


@dataclass(frozen=True)
class Stateless:
    """A detector that learns nothing: a pure function of one batch's outputs."""

    reads: frozenset[Output]
    formula: Callable[[Outputs], Float[Tensor, "n"]]
    fits_on: frozenset[Material] = frozenset()
    version: int = 1

    def fit(self, data: FitData) -> tuple[()]:
        """Return the empty state."""
        return ()

    def score(self, state: tuple[()], batch: Outputs) -> Float[Tensor, "n"]:
        """Return formula(batch)."""
        return self.formula(batch)


@dataclass(frozen=True)
class Grid:
    """Hyper-parameters that are tuned: values of detector fields to try, and the held-out bad inputs that judge them.

    The candidate with the smallest FPR95 wins (the mean over held-out sets); of equals that with the larger AUROC, of
    equals that with the larger margin between the mean scores of good and bad inputs. Where none of these tells
    candidates apart the first of them stands, and the record says "undecided".

        Grid(over=(("eps", (0.0, 0.0014)),), on="adversarial_validation")
    """

    version: ClassVar[int] = 2

    over: tuple[tuple[str, tuple[float, ...]], ...]
    on: Literal["ood_validation", "adversarial_validation"] = "ood_validation"


@dataclass(frozen=True, kw_only=True)
class Citation:
    """Where a method comes from; what nobody knows is None."""

    authors: str
    title: str
    year: int | None
    url: str | None


@dataclass(frozen=True, kw_only=True)
class Method:
    """One row of the leaderboard.

    Attributes:
        detector_at_paper_scale: The detector where a matrix has the scale "paper", if that is one of other fields: as
            long a fit as the paper's, say. Of the same kind, with the same needs.
    """

    name: str
    title: str
    paper: Citation
    recipe: Recipe
    detector: Detector[Any]
    family: Family = "other"
    search: Grid | None = None
    detector_at_paper_scale: Detector[Any] | None = None

    def sized(self, scale: Scale) -> Method:
        """Return the method with the detector of a matrix's scale; `Recipe.sized` does the like with the recipe."""
        at_paper = self.detector_at_paper_scale if scale == "paper" else None
        return replace(self, detector=at_paper) if at_paper else self

    @property
    def materials(self) -> frozenset[Material]:
        """Everything that the matrix must offer for this method to run."""
        tuned: frozenset[Material] = frozenset({"validation", self.search.on}) if self.search else frozenset()
        return self.recipe.wants | self.detector.fits_on | tuned

    @property
    def tuning_access(self) -> TuningAccess:
        """The most telling held-out data that this row is fitted or tuned on."""
        used = self.materials
        if "ood_validation" in used:
            return "ood_val"
        if "adversarial_validation" in used:
            return "adversarial_val"
        return "id_val" if "validation" in used else "none"

    @property
    def hyper_parameters(self) -> dict[str, Any]:
        """The detector's fields by name, before tuning."""
        return {f.name: getattr(self.detector, f.name) for f in fields(self.detector)}  # type: ignore[arg-type]

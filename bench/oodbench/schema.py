"""What a record holds, as frozen models: unknown keys, NaN and infinities are refused.

A change here that an old record cannot pass is a new schema version; `tests/fixtures/records` holds one record of each.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    NonNegativeFloat,
    NonNegativeInt,
    StringConstraints,
    model_validator,
)

SCHEMA_VERSION = 2

Status = Literal["ok", "skipped", "failed"]
Word = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]*$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Share = Annotated[float, Field(ge=0, le=1)]


def _lists_for_tuples(value: Any) -> Any:
    """Turn tuples into lists at any depth, so that a record equals itself after a round trip through JSON."""
    if isinstance(value, dict):
        return {key: _lists_for_tuples(inner) for key, inner in value.items()}
    return [_lists_for_tuples(inner) for inner in value] if isinstance(value, tuple | list) else value


Json = Annotated[dict[str, JsonValue], BeforeValidator(_lists_for_tuples)]
"""A JSON object with any content."""


class _Frozen(BaseModel):
    """What all parts of a record share: immutable, no unknown key, no NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Citation(_Frozen):
    """The paper a method comes from."""

    authors: str
    title: str
    year: int | None
    url: str | None


class Parameters(_Frozen):
    """A detector's hyper-parameters by name: passed by the caller, left at their defaults, and chosen by tuning.

    Attributes:
        undecided: Whether the held-out sets told other candidates as little apart; what is chosen is the first then.
    """

    given: Json = {}
    default: Json = {}
    chosen: Json = {}
    undecided: bool = False


class DataUsed(_Frozen):
    """The bytes of one set; `card_sha256` is null for arrays that came without a card."""

    card_sha256: Sha256 | None
    data_sha256: Sha256
    split: str
    n: NonNegativeInt


class Git(_Frozen):
    """The commit of the code that ran, and whether files differed from it; null outside a repository."""

    commit: str | None
    dirty: bool | None


class Environment(_Frozen):
    """Where the run took place.

    Attributes:
        dtype: Of the forward passes whose outputs are stored; all else is float32 or float64.
        machine: The class of machine, see `oodbench.run.machine`.
    """

    device: str
    threads: int
    dtype: str
    python: str
    platform: str
    machine: str | None = None


class Quality(_Frozen):
    """How good a classifier is; a number that a model cannot have (a density's accuracy) is null.

    Attributes:
        parameters: How many trainable numbers it has.
        n_test: Test images that the numbers below stand on.
        oce: Overconfidence error; null also when no prediction is that confident.
        oce_share: Share of the predictions that it is about; null in records from before it was measured, too.

    The others are the functions of `oodbench.measure.calibration` by name.
    """

    accuracy: Share | None = None
    parameters: NonNegativeInt | None = None
    n_test: NonNegativeInt | None = None
    ece_10: Share | None = None
    ece_15: Share | None = None
    rms_calibration: Share | None = None
    mad_calibration: Share | None = None
    soft_f1: Share | None = None
    oce: NonNegativeFloat | None = None
    oce_share: Share | None = None
    brier: NonNegativeFloat | None = None
    nll: NonNegativeFloat | None = None


class Calibration(_Frozen):
    """How well a classifier's probabilities fit what happens, on the in-set's test images.

    Fields are the numbers of `oodbench.measure.calibration` by name; null where a number is of nothing.
    """

    ece_10: Share
    ece_15: Share
    classwise_ece: Share
    rms_calibration: Share
    mad_calibration: Share
    soft_f1: Share | None
    oce: NonNegativeFloat | None
    oce_share: Share
    brier: NonNegativeFloat
    nll: NonNegativeFloat
    ib_inn_ece: Share | None
    ib_inn_mce: Share | None
    ib_inn_ice: NonNegativeFloat | None


class Scaled(_Frozen):
    """Calibration before and after temperature scaling.

    Attributes:
        plain: Of softmax(z).
        temperature: T, fitted on the matrix's validation images for the NLL; null where there are none.
        scaled: Of softmax(z / T), on the same test images.
    """

    plain: Calibration
    temperature: NonNegativeFloat | None = None
    scaled: Calibration | None = None


class Passes(_Frozen):
    """Passes through the network that one test input costs."""

    forward: NonNegativeFloat = 0.0
    gradient: NonNegativeFloat = 0.0


class Attack(_Frozen):
    """What an attack achieved: images attacked, how many fooled the model, mean norms of the change to pixels.

    Attributes:
        unmoved: Images that it returned as they were; null in records from before they were counted.
    """

    n: NonNegativeInt
    fooled: NonNegativeInt
    success_rate: Share | None
    mean_linf: NonNegativeFloat | None
    mean_l2: NonNegativeFloat | None
    unmoved: NonNegativeInt | None = None


class AdaptiveAttack(Attack):
    """What an attack on the model and this detector at once achieved.

    Attributes:
        flat: Images at which the derivative of the score by the pixels is zero, before and after the attack: there the
            attacker learnt nothing of the detector, and that it holds says nothing of its strength.
        mean: Of the score, over the clean validation images that it was standardised on.
        std: Its standard deviation there.
    """

    flat: NonNegativeInt
    mean: float
    std: NonNegativeFloat


class Corrupted(_Frozen):
    """What a type and severity of corruption do to a classifier.

    Attributes:
        n: Test images that were corrupted.
        error: Share of them that it gets wrong.
        clean_error: Share of the same images, as they were, that it gets wrong.
        delta_entropy: Mean entropy of its prediction on the corrupted ones minus that on the clean ones, in nats.
    """

    n: NonNegativeInt
    error: Share
    clean_error: Share
    delta_entropy: float


class _Outcome(_Frozen):
    """Something that came out, was skipped, or failed; the latter two say why."""

    status: Status = "ok"
    reason: str | None = None

    @model_validator(mode="after")
    def _reason_iff_not_ok(self) -> Self:
        if (self.status == "ok") == bool(self.reason):
            raise ValueError(
                f"status {self.status!r} with reason {self.reason!r}: a reason stands with skipped and failed only"
            )
        return self


class CellRecord(_Outcome):
    """A failure set that has no scores, and why; numbers are not stored: they follow from the scores.

    Attributes:
        failure: The kind of failure, by its name in `oodbench.measure.kinds`.
        name: Card or attack name, "<type>-<severity>", or "misclassified".
    """

    status: Literal["skipped", "failed"]
    failure: Word
    name: str


class ModelUsed(_Frozen):
    """The record of a model that a method's numbers stand on: its name, and the sha256 of its content."""

    name: str
    sha256: Sha256


class ModelRecord(_Frozen):
    """What belongs to one model of a matrix and seed, whichever method asks it.

    Attributes:
        name: Its folder: the recipe's name, and the fields that differ from the recipe's own defaults.
        quality: How good a classifier it is.
        calibration: How well its probabilities fit, before and after temperature scaling; null in records from before
            it was measured, and no part of what a model is known by.
        bits_per_dimension: Mean -log2 P(8-bit image) / D of each set, by role or card, where it is a density.
        attacks: What each attack on it achieved, by name; the rounded twin of an attack is an attack of its own.
        attacks_failed: Why others of the matrix's attacks were not made, by name; absent in the file where all were.
        corruptions: What each corruption does to it, by "<type>-<severity>"; null where the matrix has none.
        outcomes_sha256: Of the content of the file beside it (`oodbench.outcomes`); null where it does not classify.
        key: Content address of all that the model depends on: one of another key is another model of that name.
        source_sha256: Digest of the code that made it, comments aside: provenance. Of what was moved from schema 1 it
            is the code that its method was tried with at the move; `git` names the code that made the record.
        machine: Class of the machine that made it: provenance.
    """

    schema_version: Literal[2] = 2
    matrix: str
    name: str
    seed: int
    recipe: Json
    quality: Quality = Quality()
    calibration: Scaled | None = None
    bits_per_dimension: dict[str, float] = {}
    attacks: dict[str, Attack] = {}
    attacks_failed: dict[str, str] | None = None
    corruptions: dict[str, Corrupted] | None = None
    outcomes_sha256: Sha256 | None = None
    key: Sha256 | None = None
    source_sha256: Sha256 | None = None
    machine: str | None = None


class Record(_Outcome):
    """Where the scores of one (matrix, method, seed) come from.

    Attributes:
        versions: Declared versions of the protocol, the training loop, the recipe and the detector, and of the
            choice among candidates where there is one.
        source_sha256: Digest of the code that made it, comments aside: provenance. Of what was moved from schema 1 it
            is the code that its method was tried with at the move; `git` names the code that made the record.
        behaviour: A few numbers that this code made of the toy, by group (`oodbench.run.behaviour`): other code keeps
            the record only if it makes the same ones.
        key: Content address of all that the numbers depend on (names, versions, parameters, data, seed): a run that
            would compute the same key keeps the record instead.
        checked: Whether the method passed the cheap laws of `oodbench check` right before this run; false where it ran
            without (`--unchecked`), and such a row has no rank. Null of a method of this repository, whose laws are
            tested at every change, and in records from before anybody asked.
        facts: What the fit says of itself, by name: the numbers in the detector's fitted state, null for one that is
            not finite (`oodbench.run.facts`). They follow from what `key` is the address of.
        cells: The failure sets that have no scores, each with its reason.
        members: Seeds of the models that this one is made from. Where two seeds of a method have one in common their
            spread is none over seeds.
        model: The model whose outputs are scored.
        reference: The classifier whose errors are judged: the model itself, or the plain classifier beside a density.
        scores_sha256: Of the content of the scores file.
        adaptive: What attacks that know this detector achieved, by name; which images fooled stands with the scores.
    """

    schema_version: Literal[2] = 2
    matrix: str
    method: str
    seed: int
    title: str
    citation: Citation
    parameters: Parameters = Parameters()
    checked: bool | None = None
    facts: dict[str, float | None] = {}
    tuning_access: Literal["none", "id_val", "ood_val", "ood_val_same", "adversarial_val"]
    fits_on_labels: bool
    recipe: Json
    scale: Literal["paper", "cpu", "tiny"]
    in_set: str
    data: dict[str, DataUsed] = {}
    versions: dict[str, NonNegativeInt] = {}
    source_sha256: Sha256
    behaviour: dict[str, tuple[float, ...]] = {}
    key: Sha256 | None = None
    git: Git
    packages: dict[str, str]
    environment: Environment
    passes: Passes = Passes()
    cells: tuple[CellRecord, ...] = ()
    members: tuple[int, ...] = ()
    model: ModelUsed | None = None
    reference: ModelUsed | None = None
    scores_sha256: Sha256 | None = None
    adaptive: dict[str, AdaptiveAttack] = {}

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        if "name" not in self.recipe:
            raise ValueError("recipe has no 'name'")
        if self.status == "ok" and self.scores_sha256 is None:
            raise ValueError("status 'ok' without scores_sha256")
        twice = {(cell.failure, cell.name) for cell in self.cells}
        if len(twice) < len(self.cells):
            raise ValueError("two cells of one failure and name")
        return self


class Cost(_Frozen):
    """What a record cost, by stage: its own, and those of its model and of all models that this is made from.

    Attributes:
        seconds: Of the clock.
        cpu_seconds: Of the processor, all threads together.
        gpu_seconds: Of the clock while a GPU was held.
        passes: Images that went through the network, forward and backward.
        peak_memory_mb: Peak resident memory.
        started_at: When the evaluation began.
        workers: Processes of the run beside each other, on which all of these depend; null where it is not known.
    """

    seconds: dict[str, NonNegativeFloat]
    cpu_seconds: dict[str, NonNegativeFloat] = {}
    gpu_seconds: dict[str, NonNegativeFloat] = {}
    passes: dict[str, dict[str, NonNegativeInt]] = {}
    peak_memory_mb: NonNegativeFloat
    started_at: AwareDatetime
    workers: Annotated[int, Field(gt=0)] | None = None

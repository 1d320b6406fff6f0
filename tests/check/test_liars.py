"""A planted liar of each kind is caught, by the law that it breaks and by no other."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor

from oodbench import formulas
from oodbench.check.conformance import checks_of
from oodbench.check.trial import Trial
from oodbench.contract import (
    FEATURES,
    HEAD,
    INPUTS,
    LOG_DENSITY,
    LOGITS,
    NETWORK,
    Citation,
    FitData,
    Grid,
    Material,
    Method,
    Output,
    Outputs,
    Stateless,
)
from oodbench.recipes import Plain
from oodbench.training import Defaults, Recipe, Scale, Training

ANSWER: frozenset[Output] = frozenset({LOGITS})
NOTHING: frozenset[Material] = frozenset()


def learn_nothing(data: FitData) -> tuple[()]:
    return ()


def margin(state: Any, batch: Outputs) -> Tensor:
    return formulas.msp_key(batch.logits)


@dataclass(frozen=True)
class Detector:
    """Honest as it stands; a liar with other functions or other declarations."""

    rule: Callable[[Any, Outputs], Tensor] = margin
    learn: Callable[[FitData], Any] = learn_nothing
    reads: frozenset[Output] = ANSWER
    fits_on: frozenset[Material] = NOTHING
    weight: Any = 1.0
    version: int = 1

    def fit(self, data: FitData) -> Any:
        return self.learn(data)

    def score(self, state: Any, batch: Outputs) -> Tensor:
        return self.rule(state, batch)


def method(detector: Any, name: str = "liar", recipe: Recipe | None = None, search: Grid | None = None) -> Method:
    paper = Citation(authors="Nobody", title="Nothing", year=2000, url="https://example.org")
    return Method(name=name, title=name, paper=paper, recipe=recipe or Plain(), detector=detector, search=search)


def failures(of: Method) -> dict[str, str]:
    verdicts = {check.law.name: check.run() for check in checks_of(of)}
    return {name: verdict.why for name, verdict in verdicts.items() if not verdict.well}


def learn_directions(data: FitData) -> tuple[Tensor]:
    """Return eigenvectors, which come in columns: a slice of them is a view with strides of its own."""
    pixels = data.train.inputs.flatten(1)
    return (torch.linalg.eigh(pixels.T @ pixels).eigenvectors[:, 3:],)


def along_directions(state: tuple[Tensor], batch: Outputs) -> Tensor:
    nearest = torch.cdist(batch.inputs.flatten(1), state[0].T).amin(dim=1)  # of which strides move the last bits
    return margin(state, batch) - 1e-3 * nearest


def test_a_state_of_strided_slices_is_honest() -> None:
    detector = Detector(along_directions, learn_directions, reads=two(INPUTS))
    (state,) = Trial(method(detector)).fitted.state
    assert not state.is_contiguous()
    assert failures(method(detector)) == {}


def test_the_honest_detector_that_liars_are_made_from_passes() -> None:
    assert failures(method(Detector())) == {}


# Liars in what they return.


def one_column(state: Any, batch: Outputs) -> Tensor:
    return margin(state, batch)[:, None]


def one_number(state: Any, batch: Outputs) -> Tensor:
    return margin(state, batch).mean()


def squeezed(state: Any, batch: Outputs) -> Tensor:
    return margin(state, batch).squeeze()


def numpy_array(state: Any, batch: Outputs) -> Any:
    return margin(state, batch).numpy()


def half_precision(state: Any, batch: Outputs) -> Tensor:
    return margin(state, batch).half()


def integers(state: Any, batch: Outputs) -> Tensor:
    return margin(state, batch).long()


def nan_for_some(state: Any, batch: Outputs) -> Tensor:
    s = margin(state, batch)
    return torch.where(s > s.median(), torch.nan, s)


def infinite_far_away(state: Any, batch: Outputs) -> Tensor:
    s = margin(state, batch)
    return torch.where(s < 2, -torch.inf, s)


def constant(state: Any, batch: Outputs) -> Tensor:
    return torch.zeros(len(batch)) * margin(state, batch)


def unseeded(state: Any, batch: Outputs) -> Tensor:
    return margin(state, batch) + torch.from_numpy(np.random.default_rng().normal(0, 1e-5, len(batch))).float()


def learn_unseeded(data: FitData) -> float:
    return float(np.random.default_rng().normal())


def learn_the_callers_seed(data: FitData) -> float:
    return float(torch.initial_seed() % 1000)


def shifted_by_state(state: float, batch: Outputs) -> Tensor:
    return margin(state, batch) + state


def batch_length(state: Any, batch: Outputs) -> Tensor:
    return margin(state, batch) + len(batch)


def first_of_the_batch(state: Any, batch: Outputs) -> Tensor:
    # The toy's test images take turns in class, so that every batch of a multiple of three begins with class 0.
    strange = len(batch) > 1 and batch.logits[0].argmax() != 0
    return margin(state, batch) + float(strange)


def upside_down(state: Any, batch: Outputs) -> Tensor:
    return -margin(state, batch)


# Liars in what they change.


def spoil_pixels(state: Any, batch: Outputs) -> Tensor:
    batch.inputs.add_(1)
    return margin(state, batch)


def spoil_shared_logits(state: Any, batch: Outputs) -> Tensor:
    s = margin(state, batch)
    batch.logits.round_(decimals=4)
    return s


def spoil_training_labels(data: FitData) -> tuple[()]:
    data.train.labels.zero_()
    return ()


def spoil_head(state: Any, batch: Outputs) -> Tensor:
    batch.head.weight.mul_(1.1)
    return margin(state, batch)


def spoil_buffer(state: Any, batch: Any) -> Tensor:
    batch._model.net.trunk.bn.running_mean.add_(0.1)
    return margin(state, batch)


def want_gradients(state: Any, batch: Any) -> Tensor:
    batch._model.net.requires_grad_()
    return margin(state, batch)


def train_mode(state: Any, batch: Any) -> Tensor:
    batch._model.net.trunk.bn.train()
    return margin(state, batch)


def seed_torch(state: Any, batch: Outputs) -> Tensor:
    torch.manual_seed(0)
    return margin(state, batch)


def draw_numpy(state: Any, batch: Outputs) -> Tensor:
    np.random.normal()  # noqa: NPY002
    return margin(state, batch)


def draw_python(data: FitData) -> tuple[()]:
    random.random()
    return ()


# Liars in what they need.


def features(state: Any, batch: Outputs) -> Tensor:
    return margin(state, batch) + 0 * batch.features.sum(dim=1)


def learn_features(data: FitData) -> tuple[()]:
    data.train.features  # noqa: B018
    return ()


def open_validation(data: FitData) -> tuple[()]:
    data.validation  # noqa: B018
    return ()


def learn_labels(data: FitData) -> tuple[()]:
    data.train.labels  # noqa: B018
    return ()


def peek_at_labels(state: Any, batch: Outputs) -> Tensor:
    return margin(state, batch) + 0 * batch.labels


# Liars in what they keep.


def a_dict(data: FitData) -> dict[str, float]:
    return {"T": 1.0}


def a_function(data: FitData) -> tuple[Any]:
    return (lambda z: z,)


def an_array(data: FitData) -> tuple[Any]:
    return (np.zeros(3),)


class Kept(tuple[float]):
    """A tuple of a kind that no file can name."""


class Climb(NamedTuple):
    gain: float


def a_gain_without_end(data: FitData) -> Climb:
    return Climb(float("inf"))


def a_strange_tuple(data: FitData) -> Kept:
    return Kept((1.0,))


class Memory:
    """Learns outside its state: what is loaded elsewhere will not know it."""

    of: ClassVar[list[Tensor]] = []


def learn_outside(data: FitData) -> tuple[Tensor]:
    Memory.of.append(torch.zeros(1))
    return (Memory.of[-1],)


def recall(state: tuple[Tensor], batch: Outputs) -> Tensor:
    return margin(state, batch) * (1.0 if any(state[0] is known for known in Memory.of) else 2.0)


def raises(state: Any, batch: Outputs) -> Tensor:
    raise ZeroDivisionError("on purpose")


def two(*outputs: Output) -> frozenset[Output]:
    return ANSWER | frozenset(outputs)


LIARS = [
    ("runs", Detector(raises)),
    ("shape", Detector(one_column)),
    ("shape", Detector(one_number)),
    ("shape", Detector(squeezed)),
    ("shape", Detector(numpy_array)),
    ("dtype", Detector(half_precision)),
    ("dtype", Detector(integers)),
    ("finite", Detector(nan_for_some)),
    ("finite", Detector(infinite_far_away)),
    ("deterministic", Detector(unseeded)),
    ("deterministic", Detector(shifted_by_state, learn_unseeded)),
    ("deterministic", Detector(shifted_by_state, learn_the_callers_seed)),
    ("alone-as-in-a-batch", Detector(batch_length)),
    ("order-of-a-batch", Detector(first_of_the_batch)),
    ("direction", Detector(upside_down)),
    ("inputs-kept", Detector(spoil_pixels, reads=two(INPUTS))),
    ("inputs-kept", Detector(learn=spoil_training_labels, fits_on=frozenset({"labels"}))),
    ("weights-kept", Detector(spoil_head, reads=two(HEAD))),
    ("weights-kept", Detector(spoil_buffer)),
    ("weights-kept", Detector(want_gradients)),
    ("modes-kept", Detector(train_mode)),
    ("generators-kept", Detector(seed_torch)),
    ("generators-kept", Detector(draw_numpy)),
    ("generators-kept", Detector(learn=draw_python)),
    ("outputs-as-declared", Detector(features)),
    ("outputs-as-declared", Detector(learn=learn_features)),
    ("outputs-as-declared", Detector(reads=two(FEATURES))),
    ("outputs-as-declared", Detector(reads=two(NETWORK))),
    ("materials-as-declared", Detector(learn=open_validation)),
    ("materials-as-declared", Detector(learn=learn_labels)),
    ("materials-as-declared", Detector(fits_on=frozenset({"ood_validation"}))),
    ("materials-as-declared", Detector(fits_on=frozenset({"labels"}))),
    ("labels-only-for-fitting", Detector(peek_at_labels)),
    ("facts-finite", Detector(learn=a_gain_without_end)),
    ("state-saved", Detector(learn=a_dict)),
    ("state-saved", Detector(learn=a_function)),
    ("state-saved", Detector(learn=an_array)),
    ("state-saved", Detector(learn=a_strange_tuple)),
    ("state-saved", Detector(recall, learn_outside)),
    ("parameters-in-json", Detector(lambda state, batch: margin(state, batch))),
    ("parameters-in-json", Detector(weight=Fraction(1, 3))),
    ("parameters-in-json", Detector(weight=float("inf"))),
    ("parameters-in-json", Detector(weight=np.float64(1.0))),
]


def named(value: Any) -> str:
    return value if isinstance(value, str) else f"{value.rule.__name__}-{value.learn.__name__}"


@pytest.mark.parametrize(("law", "liar"), LIARS, ids=named)
def test_a_liar_is_caught_by_its_law_and_no_other(law: str, liar: Detector) -> None:
    assert list(failures(method(liar))) == [law]


def test_who_spoils_what_others_read_is_caught_and_gives_other_scores_the_next_time() -> None:
    assert list(failures(method(Detector(spoil_shared_logits)))) == ["deterministic", "inputs-kept"]


def test_a_constant_score_is_caught_as_constant_and_as_without_direction() -> None:
    assert list(failures(method(Detector(constant)))) == ["varied", "direction"]


# Liars in what they are.


@dataclass
class Mutable:
    """A detector that can change under the harness's hands."""

    T: float = 1.0
    version: ClassVar[int] = 1
    reads: ClassVar[frozenset[Output]] = ANSWER
    fits_on: ClassVar[frozenset[Material]] = NOTHING

    def fit(self, data: FitData) -> tuple[()]:
        return ()

    def score(self, state: tuple[()], batch: Outputs) -> Tensor:
        return margin(state, batch)


@dataclass(frozen=True)
class PlainWithList(Defaults):
    """A recipe that no dictionary takes as a key."""

    training: Training = field(default_factory=lambda: Training(network="toy-cnn", epochs=1))
    widths: list[int] = field(default_factory=list)
    version: ClassVar[int] = 1
    provides: ClassVar[frozenset[Output]] = Plain.provides
    wants: ClassVar[frozenset[Material]] = NOTHING

    def sized(self, scale: Scale, training: Training) -> "PlainWithList":
        return replace(self, training=training)

    start = Plain.start
    loss = Plain.loss


def answer(batch: Outputs) -> Tensor:
    return margin((), batch)


@dataclass(frozen=True)
class Unversioned:
    """A recipe that nobody can tell from its next edition."""

    training: Training = Training(network="toy-cnn", epochs=1)
    provides: ClassVar[frozenset[Output]] = Plain.provides
    wants: ClassVar[frozenset[Material]] = NOTHING


@pytest.mark.parametrize("at_paper", [Stateless(ANSWER, answer), Detector(reads=two(FEATURES))])
def test_a_detector_at_paper_scale_of_another_kind_or_other_needs_is_caught(at_paper: Any) -> None:
    liar = replace(method(Detector()), detector_at_paper_scale=at_paper)
    assert "detector_at_paper_scale" in failures(liar)["well-formed"]
    assert failures(replace(liar, detector_at_paper_scale=Detector(weight=2.0))) == {}


def test_a_detector_that_is_not_frozen_is_caught() -> None:
    assert "not a frozen dataclass" in failures(method(Mutable()))["frozen"]


def test_a_detector_without_a_hash_is_caught() -> None:
    assert "has no hash" in failures(method(Detector(weight=[1.0])))["frozen"]


def test_a_recipe_without_a_hash_is_caught() -> None:
    assert "the recipe has no hash" in failures(method(Detector(), recipe=PlainWithList()))["frozen"]


MALFORMED = [
    (method(Detector(), name="Not A Folder"), "its name is 'Not A Folder'"),
    (method(Detector(), name="../up"), "its name is '../up'"),
    (method(Detector(reads=frozenset({"logits"}))), "an output is declared as 'logits'; expected an `Output`"),  # type: ignore[arg-type]
    (method(Detector(reads=two(Output("logits", "n")))), "two outputs are named 'logits'"),
    (method(Detector(version=0)), "the detector, a Detector, has the version 0; expected a whole number from 1"),
    (method(Detector(version=True)), "has the version True"),
    (method(Stateless(ANSWER, answer, version="2")), "the detector, a Stateless, has the version '2'"),  # type: ignore[arg-type]
    (method(Detector(), recipe=Unversioned()), "the recipe, a Unversioned, has the version None"),
    (method(Detector(fits_on=frozenset({"label"}))), "unknown material 'label'; did you mean 'labels'"),  # type: ignore[arg-type]
    (method(Detector(reads=two(LOG_DENSITY))), "reads log_density, which a Plain model of images does not have"),
    (method(Detector(), search=Grid(over=(("wieght", (1.0,)),))), "did you mean 'weight'"),
    (method(Detector(), search=Grid(over=(("weight", ()),))), "no value to try for 'weight'"),
]


@pytest.mark.parametrize(("malformed", "why"), MALFORMED, ids=[why for _, why in MALFORMED])
def test_a_malformed_declaration_is_caught_and_the_rest_is_skipped(malformed: Method, why: str) -> None:
    verdicts = {check.law.name: check.run() for check in checks_of(malformed)}
    assert verdicts["well-formed"].status == "FAILED"
    assert why in verdicts["well-formed"].why
    assert {v.status for law, v in verdicts.items() if law not in ("frozen", "well-formed")} == {"skipped"}


def test_what_a_liar_spoils_is_its_own_copy() -> None:
    failures(method(Detector(spoil_head, reads=two(HEAD))))
    failures(method(Detector(spoil_shared_logits)))
    assert failures(method(Detector(features, reads=two(FEATURES)))) == {}

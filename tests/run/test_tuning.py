"""What a method is handed, and how its grid is searched: on held-out images that the fit has not seen."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor

from oodbench.check.toy import blends, blobs, noise, toy
from oodbench.contract import INPUTS, LOGITS, Citation, FitData, Grid, Material, Method, Output, Outputs
from oodbench.data.images import ArrayImages
from oodbench.data.inputs import Inputs
from oodbench.errors import BadData, BadMethod
from oodbench.measure.ranking import ranking
from oodbench.models.outputs import to_store
from oodbench.recipes import Plain
from oodbench.run.examine import Exam, examine
from oodbench.run.registry import registry
from oodbench.run.tune import Judged, candidates, judged, margin

PAPER = Citation(authors="Me", title="Mine", year=2026, url="https://example.org")
VALIDATION, BLENDS, NOISE = blobs(60, 21), blends(40, 22), noise(30, 23)


@dataclass(frozen=True)
class Spy:
    """Notes every pixel that it sees, by occasion; scores as it is told."""

    a: float = 0.0
    b: float = 0.0
    rule: Callable[[float, float, Outputs], Tensor] = lambda a, b, batch: batch.inputs.mean((1, 2, 3))
    fits_on: frozenset[Material] = frozenset({"validation", "ood_validation"})

    reads: ClassVar[frozenset[Output]] = frozenset({INPUTS, LOGITS})
    fitted: ClassVar[list[Tensor]] = []
    scored: ClassVar[list[Tensor]] = []

    def fit(self, data: FitData) -> tuple[()]:
        for material in sorted(self.fits_on):
            self.fitted.append(getattr(data, material).inputs)
        return ()

    def score(self, state: tuple[()], batch: Outputs) -> Tensor:
        self.scored.append(batch.inputs)
        return self.rule(self.a, self.b, batch)


@pytest.fixture(autouse=True)
def forgetful() -> None:
    Spy.fitted.clear()
    Spy.scored.clear()


def exam(**changed: Any) -> Exam:
    model = toy(Plain()).model

    def outputs(images: Inputs) -> Any:
        with torch.no_grad():
            return model.net.outputs(torch.from_numpy(images.batch(slice(None))), to_store(Plain.provides))  # type: ignore[operator]

    given: dict[str, Any] = {
        "model": model,
        "outputs": outputs,
        "seed": 0,
        "classes": 3,
        "train": blobs(60, 20),
        "validation": VALIDATION,
        "test": blobs(30, 24),
        "correct": None,
        "tuning": {"blends": BLENDS, "noise": NOISE},
    }
    return Exam(**given | changed)


def method(detector: Spy, search: Grid | None = None) -> Method:
    return Method(name="spy", title="Spy", paper=PAPER, recipe=Plain(), detector=detector, search=search)


def images_in(seen: list[Tensor]) -> set[bytes]:
    return {image.numpy().tobytes() for x in seen for image in x}


def pixels(*sets: ArrayImages) -> set[bytes]:
    return images_in([torch.from_numpy(one.pixels) for one in sets])


GRID = Grid(over=(("a", (0.0, 1.0)),))


def test_without_a_grid_the_fit_sees_all_that_is_held_out() -> None:
    examine(method(Spy()), exam())
    assert images_in(Spy.fitted) == pixels(VALIDATION, BLENDS, NOISE)
    assert images_in(Spy.scored) == pixels(blobs(30, 24))


def test_what_judges_a_grid_is_not_what_was_fitted_on() -> None:
    examine(method(Spy(), GRID), exam(test=blobs(30, 24)))
    fitted, judged = images_in(Spy.fitted), images_in(Spy.scored) - pixels(blobs(30, 24))
    assert fitted & judged == set()
    assert fitted | judged == pixels(VALIDATION, BLENDS, NOISE)
    for one in (VALIDATION, BLENDS, NOISE):
        assert len(fitted & pixels(one)) == len(judged & pixels(one)) == len(one) / 2


def test_only_as_many_good_images_stand_against_bad_ones_as_the_matrix_says() -> None:
    examine(method(Spy(), GRID), exam(n_validation=20))
    seen = (images_in(Spy.fitted) | images_in(Spy.scored)) & pixels(VALIDATION)
    assert seen == pixels(VALIDATION.take(slice(0, 20)))


def test_a_method_that_only_looks_at_good_images_sees_all_of_them() -> None:
    examine(method(Spy(fits_on=frozenset({"validation"}))), exam(n_validation=20))
    assert images_in(Spy.fitted) == pixels(VALIDATION)


def test_a_grid_is_walked_with_the_last_field_fastest() -> None:
    grid = Grid(over=(("a", (1.0, 2.0)), ("b", (3.0, 4.0))))
    walked = list(candidates(Spy(), grid))
    assert [(one.a, one.b) for one, _ in walked] == [(1, 3), (1, 4), (2, 3), (2, 4)]  # type: ignore[attr-defined]
    assert [point for _, point in walked][1] == {"a": 1.0, "b": 4.0}


def brightness_or_logit(a: float, b: float, batch: Outputs) -> Tensor:
    return a * batch.inputs.mean((1, 2, 3)) + b * batch.logits.amax(1)


def test_the_least_mean_fpr95_wins() -> None:
    detector = Spy(rule=brightness_or_logit)
    grid = Grid(over=(("a", (-1.0, 0.0, 1.0)), ("b", (0.0, 1.0))))

    def fpr95(a: float, b: float) -> float:
        model = toy(Plain()).model
        net: Any = model.net

        def scores(images: ArrayImages) -> np.ndarray[Any, Any]:
            x = torch.from_numpy(images.pixels[1::2])
            return (a * x.mean((1, 2, 3)) + b * net(x).amax(1)).double().numpy()  # type: ignore[no-any-return]

        return float(np.mean([ranking(scores(VALIDATION), scores(bad))["fpr95"] for bad in (BLENDS, NOISE)]))

    with torch.no_grad():
        table = {(a, b): fpr95(a, b) for a in (-1.0, 0.0, 1.0) for b in (0.0, 1.0)}
    assert len(set(table.values())) > 2
    (a, b) = min(table, key=lambda point: table[point])
    assert examine(method(detector, grid), exam()).chosen == {"a": a, "b": b}


def test_of_equals_the_first_wins_and_is_undecided() -> None:
    grid = Grid(over=(("a", (3.0, 1.0, 2.0)),))
    tuned = examine(method(Spy(rule=lambda a, b, batch: batch.logits.amax(1)), grid), exam()).tuned
    assert (tuned.chosen, tuned.undecided) == ({"a": 3.0}, True)


def apart(a: float, b: float, batch: Outputs) -> Tensor:
    """Blobs are dark and noise is bright: no two overlap, and `a` is how far apart they are."""
    return torch.where(batch.inputs.mean((1, 2, 3)) < 0.4, a, 0.0) + 0.1 * batch.inputs[:, 0, 0, 0]


def test_on_a_saturated_set_the_widest_margin_wins() -> None:
    held_out = {"tuning": {"bright": ArrayImages(np.full_like(NOISE.pixels, 0.9))}}
    dark = {"validation": ArrayImages(0.3 * VALIDATION.pixels)}
    for values in [(1.0, 3.0, 2.0), (3.0, 2.0, 1.0)]:
        tuned = examine(method(Spy(rule=apart), Grid(over=(("a", values),))), exam(**held_out, **dark)).tuned
        assert (tuned.chosen, tuned.undecided) == ({"a": 3.0}, False)


def test_candidates_are_judged_by_fpr95_then_auroc_then_margin() -> None:
    assert Judged(0.9, 0.8, 1.0).beats(Judged(0.8, 0.9, 9.0))
    assert Judged(0.9, 0.8, 1.0).beats(Judged(0.9, 0.7, 9.0))
    assert Judged(0.9, 0.8, 1.1).beats(Judged(0.9, 0.8, 1.0))
    assert Judged(1.0, 1.0, np.inf).beats(Judged(1.0, 1.0, 30.0))
    assert not Judged(1.0, 1.0, 30.0).beats(Judged(1.0, 1.0, np.inf))
    assert not Judged(1.0, 1.0, np.inf).beats(Judged(1.0, 1.0, np.inf))
    same = Judged(0.9, 0.8, 1.0), Judged(0.9, 0.8 + 1e-9, 1.0 - 1e-9)
    assert not same[0].beats(same[1])
    assert not same[1].beats(same[0])


def test_auroc_breaks_a_tie_of_fpr95_whatever_the_margin() -> None:
    """All bad inputs pass the threshold of both; one of the better candidate is far out, which AUROC does not mind."""
    good = np.arange(20.0)
    better, wider = judged(good, [np.array([9.5, 9.5, 9.5, 9.5, 1000.0])]), judged(good, [np.full(5, 12.0)])
    assert better.kept_out == wider.kept_out == 0
    assert better.margin < wider.margin
    assert better.beats(wider)


def test_a_grid_that_fpr95_decides_chooses_as_it_did() -> None:
    rng = np.random.default_rng(0)
    good, bad = rng.normal(1, 1, 200), rng.normal(0, 1, (6, 2, 200))
    fpr95 = [float(np.mean([ranking(good, one)["fpr95"] for one in sets])) for sets in bad]
    assert len(set(fpr95)) == 6
    found = [judged(good, list(sets)) for sets in bad]
    best = [one for one in found if not any(other.beats(one) for other in found)]
    assert best == [found[int(np.argmin(fpr95))]]


@pytest.mark.parametrize(("unit", "shift"), [(1.0, 0.0), (1e-6, 5.0), (1e4, -1e5)])
def test_the_margin_has_no_unit(unit: float, shift: float) -> None:
    """By hand: means 4 and 1, variances 1 and 1."""
    good, bad = np.array([3.0, 5.0]), np.array([0.0, 2.0])
    assert margin(unit * good + shift, unit * bad + shift) == pytest.approx(3.0, rel=1e-6)


def test_the_margin_of_scores_without_spread() -> None:
    one, two = np.ones(3, np.float32), np.full(4, 2.0, np.float32)
    assert (margin(one, one), margin(one, two), margin(two, one)) == (0.0, -np.inf, np.inf)
    assert margin(np.full(500, 0.1), np.full(333, 0.1)) == 0.0  # whose means differ by rounding
    assert not judged(two, [one]).beats(judged(two, [one]))


def test_the_winner_is_what_scores() -> None:
    mine = method(Spy(rule=brightness_or_logit), Grid(over=(("a", (0.0,)), ("b", (1.0,)))))
    expected = examine(registry()["max-logit"].method, exam()).scores.test
    assert examine(mine, exam()).scores.test.tobytes() == expected.tobytes()


def test_attacked_images_tune_where_the_grid_says_so() -> None:
    attacked = noise(20, 30)
    grid = replace(GRID, on="adversarial_validation")
    spy = Spy(fits_on=frozenset({"adversarial_validation"}))
    examine(method(spy, grid), exam(adversarial_validation=attacked))
    assert images_in(Spy.fitted) == pixels(attacked.take(slice(0, None, 2)))
    assert pixels(attacked.take(slice(1, None, 2))) < images_in(Spy.scored)
    assert images_in(Spy.scored) & pixels(BLENDS, NOISE) == set()


def test_an_attack_that_fooled_nobody_leaves_nothing_to_tune_or_fit_on() -> None:
    with pytest.raises(BadData, match="nothing to tune on: adversarial_validation holds no image here"):
        examine(method(Spy(fits_on=frozenset()), replace(GRID, on="adversarial_validation")), exam())
    with pytest.raises(BadData, match="adversarial_validation holds no image here"):
        examine(method(Spy(fits_on=frozenset({"adversarial_validation"}))), exam())


def test_scores_that_are_not_one_an_input_are_told() -> None:
    spy = Spy(rule=lambda a, b, batch: batch.logits)
    with pytest.raises(BadMethod, match=r"score returned shape \(30, 3\) for 30 inputs; expected one number each"):
        examine(method(spy), exam())

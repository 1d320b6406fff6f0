"""Adaptive attacks on fitted detectors of the toy: what is made, kept, resumed, counted and skipped."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from small import context_in, here, toy_context_in

from oodbench.check.toy import blobs, toy
from oodbench.contract import INPUTS, LOGITS, NETWORK, Outputs, Stateless
from oodbench.data.attack_cards import Pgd, find_adaptive, find_attack
from oodbench.data.attacks import craft
from oodbench.data.images import ArrayImages
from oodbench.data.matrix import AdaptivelyAttacked, Attacked
from oodbench.errors import UnknownName
from oodbench.measure.cells import cells
from oodbench.models.outputs import Passes
from oodbench.outcomes import Fooled, Outcomes
from oodbench.recipes import Plain
from oodbench.records import Adapted, Scores, read_cost, read_scores, record_paths
from oodbench.records import Changed as Scored
from oodbench.report.leaderboard import leaderboard
from oodbench.run import keys
from oodbench.run.adaptive import Fitted, adapt
from oodbench.run.attack import attempted, craft_first, victim_of
from oodbench.run.execute import execute
from oodbench.run.keys import content, record_key
from oodbench.run.plan import plan
from oodbench.run.registry import find

READS = frozenset({LOGITS})
WANTED = AdaptivelyAttacked(attack="pgd-26@score-1", n=20)


def energy(outputs: Outputs) -> torch.Tensor:
    return outputs.logits.logsumexp(1)


def fitted(folder: Path, score=energy, reads=READS, **changes: Any) -> Fitted:
    """The toy's classifier, which is surer than a real one: the attack's radius is wide enough to fool it."""
    model = replace(toy(Plain()).model, passes=Passes())

    def outputs(images) -> dict[Any, torch.Tensor]:
        with torch.no_grad():
            return dict(model.outputs(torch.from_numpy(images.batch(slice(None))), READS))

    return Fitted(
        **{
            "method": "own",
            "detector": Stateless(reads, score),
            "state": (),
            "model": model,
            "classifier": model,
            "classes": lambda images: outputs(images)[LOGITS].argmax(1).numpy(),
            "outputs": outputs,
            "test": blobs(45, 2),
            "validation": blobs(30, 1),
            "folder": folder,
            "models": ("model", "classifier"),
        }
        | changes
    )


@pytest.fixture
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attacks of the toy's own size, eight images a part."""
    card = find_attack("pgd-26").model_copy(update={"eps": 0.3, "alpha": 0.05, "steps": 10})
    monkeypatch.setattr("oodbench.data.attack_cards.find_attack", lambda name: card)
    monkeypatch.setattr(Pgd, "at_once", 8)


@pytest.mark.usefixtures("wide")
def test_what_an_attack_comes_to(tmp_path: Path) -> None:
    own = fitted(tmp_path)
    found = adapt((WANTED,), own)
    made, achieved = found.scores[WANTED.attack], found.achieved[WANTED.attack]
    right = np.flatnonzero(own.classes(own.test) == own.test.labels)[:20]
    assert made.index.tolist() == right.tolist()
    assert made.fooled.any()
    assert (achieved.n, achieved.fooled, achieved.flat) == (20, made.fooled.sum(), 0)
    assert achieved.success_rate == made.fooled.mean()
    assert achieved.mean_linf == pytest.approx(0.3, abs=1e-6)
    scores = own.scores(own.validation).astype(np.float64)
    assert (achieved.mean, achieved.std) == (pytest.approx(scores.mean()), pytest.approx(scores.std()))
    assert not found.cells
    assert found.spent.gradient == found.spent.forward - 2 * 20  # the last points are only looked at, by both
    assert found.spent.gradient == 20 * 10 * 2

    plain, adaptive = (one.scores[one.fooled] for one in (crafted_without(own), made))
    assert adaptive.mean() > plain.mean()


def crafted_without(own: Fitted):
    """Return what the attack of the same budget comes to that does not know the detector."""
    card = find_adaptive(WANTED.attack).attack
    parts = list(craft_first(card, 20, own.classifier, own.classes(own.test), own.test, own.folder / "plain"))
    attempt = attempted(
        ArrayImages(np.concatenate([some for some, _ in parts])),
        np.concatenate([index for _, index in parts]),
        own.classes,
        own.test,
    )
    return Adapted(own.scores(attempt.images), attempt.index, attempt.fooled)


@pytest.mark.usefixtures("wide")
def test_a_run_that_was_stopped_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    whole = adapt((WANTED,), fitted(tmp_path / "whole"))

    def stop(text: str, done: int, total: int) -> None:
        if done >= 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        adapt((WANTED,), fitted(tmp_path / "killed"), stop)
    assert list((tmp_path / "killed").rglob("parts/0.npy"))
    again = fitted(tmp_path / "killed")
    resumed = adapt((WANTED,), again)
    assert files(tmp_path / "killed") == files(tmp_path / "whole")
    assert resumed.scores[WANTED.attack].scores.tobytes() == whole.scores[WANTED.attack].scores.tobytes()
    assert resumed.achieved == whole.achieved
    assert resumed.spent.gradient == whole.spent.gradient, "what the killed run spent counts"

    kept = fitted(tmp_path / "whole")
    before = kept.model.passes.forward
    assert adapt((WANTED,), kept).achieved == whole.achieved
    assert kept.model.passes.gradient == 2 * 20, "only the derivatives before and after: nothing is crafted again"
    assert kept.model.passes.forward > before


@pytest.mark.usefixtures("wide")
def test_of_two_at_once_one_crafts_and_the_other_waits(tmp_path: Path) -> None:
    middle, go_on = Event(), Event()

    def pause(text: str, done: int, total: int) -> None:
        if done >= 8:
            middle.set()
            assert go_on.wait(30)

    own, other = fitted(tmp_path), fitted(tmp_path)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(adapt, (WANTED,), own, pause)
        assert middle.wait(30)
        second = pool.submit(adapt, (WANTED,), other)
        go_on.wait(0.5)
        go_on.set()
        assert first.result(60).achieved == second.result(60).achieved
    assert other.model.passes.gradient == 2 * 20, "only the derivatives before and after: nothing is crafted again"


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith(".cost.json")
    }


@pytest.mark.usefixtures("wide")
@pytest.mark.parametrize(
    "change",
    [
        {"state": (torch.ones(2),)},
        {"state": (torch.zeros(2),)},
        {"models": ("other", "classifier")},
        {"validation": blobs(30, 7)},
        {"test": blobs(45, 8)},
        {"detector": Stateless(READS, energy, version=2)},
    ],
)
def test_whatever_an_attack_depends_on_is_in_its_address(tmp_path: Path, change: dict[str, Any]) -> None:
    places = [place(tmp_path, fitted(tmp_path / "one", **some)) for some in ({}, change)]
    assert places[0] != places[1]


def place(folder: Path, own: Fitted) -> str:
    """Return where an attack begins to be made."""
    known = set(own.folder.glob("attacks/*"))

    def stop(text: str, done: int, total: int) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        adapt((WANTED,), own, stop)
    (new,) = set(own.folder.glob("attacks/*")) - known
    return new.name


def said(outputs: Outputs) -> torch.Tensor:
    return outputs.logits.argmax(1).float()


def of_numpy(outputs: Outputs) -> torch.Tensor:
    return torch.from_numpy(outputs.logits.numpy().max(1))


def nothing(outputs: Outputs) -> torch.Tensor:
    return said(outputs) + 0 * outputs.logits.sum(1)


@pytest.mark.parametrize(
    ("score", "message"),
    [
        (said, "its score has no derivative by the pixels"),
        (of_numpy, "its score cannot be differentiated by the pixels: Can't call numpy"),
        (nothing, "unmoved: the derivative of its score by the pixels is zero at all 20 images"),
    ],
)
def test_a_score_without_a_derivative_is_skipped(tmp_path: Path, score, message: str) -> None:
    found = adapt((WANTED,), fitted(tmp_path, score))
    (cell,) = found.cells
    assert (cell.status, cell.failure, cell.name) == ("skipped", "adaptive", WANTED.attack)
    assert message in cell.reason
    assert not found.scores
    assert not list(tmp_path.rglob("*.npy"))


@pytest.mark.usefixtures("wide")
def test_images_at_which_the_score_is_flat_are_counted(tmp_path: Path) -> None:
    """A score that saturates: at those clean images that are beyond its end, and stay there."""
    own = fitted(tmp_path)
    test = own.test.take(np.flatnonzero(own.classes(own.test) == own.test.labels)[:20])
    end = float(np.median(own.scores(test)))

    def saturated(outputs: Outputs) -> torch.Tensor:
        return energy(outputs).clamp(max=end)

    own = fitted(tmp_path, saturated)
    found = adapt((WANTED,), own)
    (pixels,) = tmp_path.rglob("pixels.npy")
    ends = [own.scores(test) >= end, energy_of(own, np.load(pixels)) > end]
    assert found.achieved[WANTED.attack].flat == (ends[0] & ends[1]).sum()


def energy_of(own: Fitted, pixels: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return own.logits(torch.from_numpy(pixels)).logsumexp(1).numpy()


def broken(outputs: Outputs) -> torch.Tensor:
    away = (outputs.logits - outputs.logits.detach()).square().sum(1)
    return outputs.logits.amax(1) + away.sqrt()


@pytest.mark.usefixtures("wide")
def test_a_fault_costs_its_own_cell(tmp_path: Path) -> None:
    found = adapt((WANTED,), fitted(tmp_path, broken))
    (cell,) = found.cells
    assert cell.status == "failed"
    assert "derivatives by the pixels are NaN" in cell.reason


def test_no_image_that_is_right_and_a_method_that_is_not_asked_for(tmp_path: Path) -> None:
    own = fitted(tmp_path, classes=lambda images: np.full(len(images), 9))
    (cell,) = adapt((WANTED,), own).cells
    assert cell.reason == "the model gets no test image right: nothing to attack"
    asked = WANTED.model_copy(update={"methods": ("msp", "knn")})
    (cell,) = adapt((asked,), fitted(tmp_path)).cells
    assert (cell.status, cell.reason) == ("skipped", "the matrix tries it on msp, knn")
    assert (
        adapt((asked,), fitted(tmp_path, said, method="knn@resnet-20")).cells[0].reason.startswith("its score has no")
    )


@pytest.mark.usefixtures("wide")
def test_a_detector_that_takes_a_derivative_itself(tmp_path: Path) -> None:
    def odin(outputs: Outputs) -> torch.Tensor:
        step = outputs.grad(lambda one: one.logits.amax(1)).sign()
        return outputs.at(outputs.inputs + 0.01 * step).logits.amax(1)

    own = fitted(tmp_path, odin, frozenset({LOGITS, NETWORK, INPUTS}))
    found = adapt((WANTED,), own)
    assert not found.cells
    assert found.scores[WANTED.attack].fooled.any()


@pytest.mark.usefixtures("wide")
def test_the_attack_beside_is_on_the_same_images(tmp_path: Path) -> None:
    """It was made on more of them; those that only it has are left out."""
    own = fitted(tmp_path)
    found = adapt((WANTED,), own)
    card = find_adaptive(WANTED.attack).attack
    right = np.flatnonzero(own.classes(own.test) == own.test.labels)[:30].astype(np.int32)
    x, y = torch.from_numpy(own.test.batch(right)), torch.from_numpy(own.test.labels[right])
    attempt = attempted(
        ArrayImages(craft(card, x, y, victim_of(own.classifier), tuple(right.tolist())).numpy()),
        right,
        own.classes,
        own.test,
    )
    known = Scored(own.scores(attempt.images), right)
    scores = Scores(own.scores(own.test), {}, {"pgd-26": known}, {}, found.scores)
    correct = own.classes(own.test) == own.test.labels
    outcomes = Outcomes(correct, {"pgd-26": Fooled(right, attempt.fooled)})
    by_name = {cell.name: cell for cell in cells(scores, outcomes) if cell.failure == "adaptive"}
    assert set(by_name) == {"pgd-26@score-1", "pgd-26@known"}
    assert by_name["pgd-26@known"].good.tolist() == by_name["pgd-26@score-1"].good.tolist()
    assert by_name["pgd-26@known"].bad.tolist() == known.scores[:20][attempt.fooled[:20]].astype(np.float64).tolist()


def test_a_matrix_that_asks_for_none_is_as_it_was(tmp_path: Path) -> None:
    matrix = context_in(tmp_path).matrix
    said = content(matrix)
    assert "adaptive" not in said["matrix"]
    assert all("@" not in name for name in said["attacks"])
    asked = matrix.model_copy(
        update={"attacks": (Attacked(attack="pgd-26", n=30),), "adaptive": (WANTED.model_copy(update={"n": 20}),)}
    )
    found = content(asked)
    assert found["matrix"]["adaptive"] == [{"attack": "pgd-26@score-1", "n": 20}]
    assert found["attacks"]["pgd-26@score-1"]["of"] == found["attacks"]["pgd-26"]


def test_a_method_that_there_is_not(tmp_path: Path) -> None:
    asked = context_in(tmp_path).matrix.model_copy(
        update={"adaptive": (WANTED.model_copy(update={"methods": ("mps",)}),)}
    )
    with pytest.raises(UnknownName, match="did you mean 'msp'"):
        plan(asked, find(["msp"]), [0])


def test_a_run_of_a_matrix(tmp_path: Path) -> None:
    """From the matrix to scores, records, costs and pages; methods that are not attacked say so."""
    context = toy_context_in(tmp_path)
    attacks = (*context.matrix.attacks, Attacked(attack="pgd-26", n=40))
    wanted = (AdaptivelyAttacked(attack="pgd-26@score-10", n=30, methods=("msp", "mahalanobis-a")),)
    matrix = context.matrix.model_copy(update={"name": "adaptive-toy-v1", "attacks": attacks, "adaptive": wanted})
    context = replace(context, matrix=matrix)
    methods = ["msp", "mahalanobis-a", "energy"]
    summary = execute(context, plan(matrix, find(methods), [0]), here(context))
    assert not summary.failed
    by_name = {record.method: record for record in summary.records}
    for name in methods[:2]:
        record, paths = by_name[name], record_paths(tmp_path / "results", matrix.name, name, 0)
        scores = read_scores(paths.scores, record.scores_sha256)
        made, achieved = scores.adaptive["pgd-26@score-10"], record.adaptive["pgd-26@score-10"]
        assert (achieved.n, achieved.fooled) == (len(made.index), made.fooled.sum())
        assert read_cost(paths.cost).passes["adaptive"]["gradient"] == 30 * 40 * 2
        assert not record.cells
    (cell,) = by_name["energy"].cells
    assert (cell.failure, cell.reason) == ("adaptive", "the matrix tries it on msp, mahalanobis-a")
    text = leaderboard(tmp_path / "results")["docs/leaderboard/adaptive-toy-v1/README.md"]
    assert "Adaptive" in text


@dataclass(frozen=True)
class Ranked:
    """The share of reference energies below an input's: a score of steps."""

    version: ClassVar[int] = 1
    reads: ClassVar[frozenset[Any]] = READS
    fits_on: ClassVar[frozenset[Any]] = frozenset()

    def fit(self, data: Any) -> torch.Tensor:
        raise AssertionError

    def score(self, state: torch.Tensor, batch: Outputs) -> torch.Tensor:
        return torch.searchsorted(state, energy(batch).double(), right=True).double() / len(state)


class Followed(Ranked):
    """The same score, with the energy for an attacker to follow."""

    def differentiable(self, state: torch.Tensor, batch: Outputs) -> torch.Tensor:
        return energy(batch)


@pytest.mark.usefixtures("wide")
def test_a_score_of_steps_is_attacked_by_its_approximation_and_told_by_itself(tmp_path: Path) -> None:
    def on(detector: Any, **changes: Any) -> Fitted:
        return replace(fitted(tmp_path / "own"), detector=detector, **changes)

    energies = on(Stateless(READS, energy))
    state = torch.from_numpy(energies.scores(blobs(60, 3))).double().sort().values
    skipped = adapt((WANTED,), on(Ranked(), state=state))
    assert [cell.status for cell in skipped.cells] == ["skipped"]
    assert not skipped.scores

    found = adapt((WANTED,), on(Followed(), state=state))
    direct = adapt((WANTED,), energies)
    made, followed = found.scores[WANTED.attack], direct.scores[WANTED.attack]
    assert not found.cells
    assert found.achieved == direct.achieved, "the same images, standardised alike"
    assert (made.fooled == followed.fooled).all()
    below = (state.numpy() <= followed.scores[:, None]).mean(1)
    assert made.scores == pytest.approx(below)


def test_a_record_says_by_what_its_detector_is_attacked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Of rows that are attacked adaptively, the key; of all others it stays what it was."""
    context = toy_context_in(tmp_path)
    entry = find(["typicality"])[0]
    (job,) = plan(context.matrix, [entry], (0,))
    aware = replace(context, matrix=context.matrix.model_copy(update={"adaptive": (WANTED,)}))
    before, attacked = record_key(context, job), record_key(aware, job)
    monkeypatch.setattr(keys, "Approximated", Followed)  # as if its detector had none
    assert record_key(context, job) == before
    assert record_key(aware, job) != attacked

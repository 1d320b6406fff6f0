"""Attacks on a matrix's models, crafted in parts that a stop does not lose, on themselves or on another seed's."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from oodbench.check.toy import toy
from oodbench.contract import LOGITS
from oodbench.data.attack_cards import Attack, Pgd, find_attack
from oodbench.data.changed import rounded_to_8_bits
from oodbench.data.images import ArrayImages
from oodbench.data.inputs import Inputs
from oodbench.data.matrix import Matrix, find_matrix
from oodbench.data.toys import blobs
from oodbench.errors import BadSetting
from oodbench.models.outputs import Passes, Trained
from oodbench.recipes import Plain
from oodbench.run.attack import Attempt, Crafter, Target, attempts
from oodbench.run.context import Context
from oodbench.run.execute import graph
from oodbench.run.model_records import attack_record
from oodbench.run.plan import plan
from oodbench.run.registry import find
from oodbench.run.tasks import StoreOutputs
from oodbench.run.workspace import Workspace

N = 40


@pytest.fixture
def clean() -> Inputs:
    x, y = blobs(np.random.default_rng(14), 60)
    return ArrayImages(x.clip(0, 1).astype(np.float32), y)


@pytest.fixture
def model() -> Trained:
    return replace(toy(Plain()).model, passes=Passes())


def target(model: Trained, folder: Path) -> Target:
    def logits(images: Inputs) -> Tensor:
        with torch.no_grad():
            return model.outputs(torch.from_numpy(images.batch(slice(None))), frozenset({LOGITS}))[LOGITS]

    return Target({"itself": Crafter(lambda: model)}, logits, folder)


@pytest.fixture
def pgd(monkeypatch: pytest.MonkeyPatch) -> Attack:
    """In parts of eight images."""
    monkeypatch.setattr(Pgd, "at_once", 8)
    return find_attack("pgd-26").model_copy(update={"steps": 5, "eps": 0.3, "alpha": 0.1})


def craft(attack: Attack, model: Trained, folder: Path, clean: Inputs, report: Callable = lambda *_: None) -> Attempt:
    return attempts("a", attack, N, target(model, folder), clean, report)["a"]


def pixels(attempt: Attempt) -> np.ndarray:
    return np.asarray(attempt.images.batch(slice(None)))


def test_a_stopped_run_goes_on_after_its_last_part(model: Trained, pgd: Attack, clean: Inputs, tmp_path: Path) -> None:
    """To the same bytes, at the cost of the parts that were not there: a part is kept as soon as it is made."""
    whole = craft(pgd, model, tmp_path / "whole", clean)
    passes = model.passes.forward
    told: list[int] = []

    def stop(text: str, done: int, total: int) -> None:
        told.append(done)
        if done == 16:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        craft(pgd, model, tmp_path / "stopped", clean, stop)
    assert told == [0, 8, 16]
    model.passes.forward = 0
    resumed = craft(pgd, model, tmp_path / "stopped", clean)
    assert pixels(resumed).tobytes() == pixels(whole).tobytes()
    assert passes - model.passes.forward == 16 * 6  # five steps and a look at the end, of two parts
    files = {path.name for path in (tmp_path / "stopped").rglob("*") if path.is_file()}
    assert files == {"pixels.npy", "index.npy", "done.json", ".lock"}


def test_a_damaged_part_is_made_again(model: Trained, pgd: Attack, clean: Inputs, tmp_path: Path) -> None:
    whole = craft(pgd, model, tmp_path / "whole", clean)

    def stop(text: str, done: int, total: int) -> None:
        if done == 16:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        craft(pgd, model, tmp_path / "stopped", clean, stop)
    (part,) = (tmp_path / "stopped").rglob("parts/8.npy")
    part.write_bytes(part.read_bytes()[:-4] + b"abcd")
    assert pixels(craft(pgd, model, tmp_path / "stopped", clean)).tobytes() == pixels(whole).tobytes()


def test_what_did_not_move_is_counted(pgd: Attack, clean: Inputs, tmp_path: Path) -> None:
    """The attack of a saturated classifier fools none, and says that it moved none."""
    net = toy(Plain()).model.net

    class Saturated(torch.nn.Module):
        passes, entries = 1, frozenset()

        def outputs(self, x: Tensor, wanted: frozenset, replacing: dict | None = None) -> dict:
            z = net.outputs(x, frozenset({LOGITS}))[LOGITS]
            return {LOGITS: 100 * torch.nn.functional.one_hot(z.argmax(1), z.shape[1]) + 0 * z}

    found = craft(pgd, Trained(Saturated(), torch.device("cpu")), tmp_path, clean)
    record = attack_record(found)
    assert record.unmoved == record.n == N and record.fooled == 0 and record.mean_l2 is None
    moved = attack_record(craft(pgd, toy(Plain()).model, tmp_path / "moved", clean))
    assert moved.unmoved == 0 and moved.fooled > 0


def test_rounding_may_undo_an_attack(model: Trained, pgd: Attack, clean: Inputs, tmp_path: Path) -> None:
    """The twin counts its own unmoved images: those whose change is rounded away."""
    clean = ArrayImages(rounded_to_8_bits(clean.batch(slice(None))), clean.labels)
    tiny = pgd.model_copy(update={"eps": 0.001, "alpha": 0.001})
    found = attempts("a", tiny, N, target(model, tmp_path), clean, lambda *_: None)
    assert found["a"].unmoved == 0 and found["a@uint8"].unmoved == N


def two_seeds() -> Matrix:
    toy_matrix = find_matrix("toy-v1")
    attacks = tuple(one.model_copy(update={"attack": name}) for name in NAMES for one in toy_matrix.attacks)
    training = replace(toy_matrix.training, epochs=2)
    return toy_matrix.model_copy(update={"seeds": (3, 5), "attacks": attacks, "training": training})


NAMES = ("mim-26", "mim-26-transferred")


def test_a_transferred_attack_is_crafted_on_the_next_seeds_model(tmp_path: Path) -> None:
    matrix = two_seeds()
    context = Context(matrix, Workspace(results=tmp_path / "results", cache=tmp_path / "cache"))
    recipe = Plain().sized(matrix.scale, matrix.training)
    own, other = (context.attacked(recipe, seed).made for seed in matrix.seeds)
    assert matrix.seed_after(5) == 3
    carried = own["mim-26-transferred"]
    assert carried.index.tolist() == own["mim-26"].index.tolist()  # what the classifier under attack gets right
    both, a, b = np.intersect1d(carried.index, other["mim-26"].index, return_indices=True)
    assert len(both) > 10
    assert np.array_equal(carried.images.batch(slice(None))[a], other["mim-26"].images.batch(slice(None))[b])
    assert not np.array_equal(pixels(carried), pixels(own["mim-26"]))
    assert carried.fooled.sum() <= own["mim-26"].fooled.sum()
    logits = context.outputs(recipe, 3, frozenset({LOGITS}), carried.images)[LOGITS].numpy()
    assert context.sets.test.labels is not None
    assert carried.fooled.tolist() == (logits.argmax(1) != context.sets.test.labels[carried.index]).tolist()


def test_the_other_seeds_model_is_trained_before_the_attack(tmp_path: Path) -> None:
    matrix = two_seeds()
    context = Context(matrix, Workspace(results=tmp_path / "results", cache=tmp_path / "cache"))
    tasks = graph(context, [one for one in plan(matrix, find(["msp"]), [5]) if hasattr(one, "recipe")])
    (outputs,) = (task for task in tasks if isinstance(task, StoreOutputs))
    recipe = Plain().sized(matrix.scale, matrix.training)
    from oodbench.run.tasks import train_key

    assert set(outputs.after) == {train_key(recipe, 5), train_key(recipe, 3)} <= {task.key for task in tasks}
    without = context.matrix.model_copy(update={"attacks": matrix.attacks[:1]})
    (outputs,) = (
        task
        for task in graph(Context(without, context.workspace), plan(without, find(["msp"]), [5]))
        if isinstance(task, StoreOutputs)
    )
    assert outputs.after == (train_key(recipe, 5),)


def test_one_classifier_alone_has_no_transferred_attack(model: Trained, clean: Inputs, tmp_path: Path) -> None:
    with pytest.raises(
        BadSetting, match="mim-26-transferred is crafted on another-seed, and there is one classifier here"
    ):
        craft(find_attack("mim-26-transferred"), model, tmp_path, clean)

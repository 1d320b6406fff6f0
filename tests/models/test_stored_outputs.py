"""Trained models and what they show, kept: one training and one pass, whatever the number of those who ask."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor

from oodbench.check.toy import IN_SET, TRAINING, blobs, noise
from oodbench.contract import FEATURES, HEAD, INPUTS, LAYERS, LOGITS, NETWORK, Output, Outputs, Stateless
from oodbench.errors import BadCheckpoint
from oodbench.models.outputs import Passes, Trained
from oodbench.models.train import start
from oodbench.recipes import Plain
from oodbench.run.examine import Exam, examine
from oodbench.run.models import ModelKey, is_trained, stored_outputs, trained
from oodbench.run.registry import find

CPU = torch.device("cpu")
TRAIN, TEST, FAR = blobs(96, 0), blobs(700, 1), noise(60, 2)
RECIPE = Plain(replace(TRAINING, epochs=2))
ALL: frozenset[Output] = frozenset({LOGITS, FEATURES, LAYERS})


def key(recipe: Plain = RECIPE, seed: int = 0) -> ModelKey:
    return ModelKey(recipe, seed, IN_SET, TRAIN.sha256())


@pytest.fixture
def model() -> Trained:
    net = start(RECIPE, IN_SET, torch.zeros(0), 0).net.eval().requires_grad_(False)
    return Trained(net, CPU)


def test_a_model_is_trained_once(tmp_path: Path) -> None:
    told: list[int] = []
    report = lambda text, done, total: told.append(done)  # noqa: E731
    assert not is_trained(key(), tmp_path)
    first = trained(key(), TRAIN, tmp_path, CPU, report)
    assert is_trained(key(), tmp_path)
    second = trained(key(), TRAIN, tmp_path, CPU, report)
    assert told == [1, 2]
    pairs = zip(first.net.state_dict().values(), second.net.state_dict().values(), strict=True)
    assert all(a.equal(b) for a, b in pairs)
    assert not second.net.training
    assert not any(weight.requires_grad for weight in second.net.parameters())
    assert [path.name for path in key().folder(tmp_path).iterdir()] == ["weights.safetensors"]


def test_models_of_another_recipe_seed_or_data_are_others() -> None:
    others = [key(), key(seed=1), key(replace(RECIPE, training=TRAINING)), replace(key(), train_sha256="0")]
    others.append(replace(key(), in_set=replace(IN_SET, classes=4)))
    assert len({one.digest for one in others}) == len(others)


def test_broken_weights_in_the_cache_are_named(tmp_path: Path) -> None:
    trained(key(), TRAIN, tmp_path, CPU)
    weights = key().folder(tmp_path) / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:99])
    with pytest.raises(BadCheckpoint, match=r"weights\.safetensors: not a whole safetensors file .* delete it"):
        trained(key(), TRAIN, tmp_path, CPU)


def test_one_forward_pass_a_set_whatever_is_asked_and_how_often(model: Trained, tmp_path: Path) -> None:
    first = stored_outputs(model, TEST, ALL, tmp_path)
    assert model.passes == Passes(len(TEST), 0)
    again = stored_outputs(model, TEST, ALL, tmp_path)
    stored_outputs(model, TEST, frozenset({LOGITS}), tmp_path)
    stored_outputs(model, TEST, frozenset({HEAD, INPUTS, NETWORK}), tmp_path)
    assert model.passes == Passes(len(TEST), 0)
    assert again[LOGITS].equal(first[LOGITS])
    live = model.net.outputs(torch.from_numpy(TEST.batch(slice(512, None))), ALL)  # type: ignore[operator]
    assert first[LOGITS][512:].equal(live[LOGITS])
    assert all(a[512:].equal(b) for a, b in zip(first[LAYERS], live[LAYERS], strict=True))


def test_only_views_that_are_missing_are_made(model: Trained, tmp_path: Path) -> None:
    stored_outputs(model, FAR, frozenset({LOGITS}), tmp_path)
    logits = {path: path.read_bytes() for path in tmp_path.rglob("logits*")}
    stored_outputs(model, FAR, ALL, tmp_path)
    assert model.passes.forward == 2 * len(FAR)
    assert logits == {path: path.read_bytes() for path in tmp_path.rglob("logits*")}


def test_whoever_writes_on_a_view_does_not_change_the_file(model: Trained, tmp_path: Path) -> None:
    before = stored_outputs(model, FAR, ALL, tmp_path)[LOGITS].clone()
    stored_outputs(model, FAR, ALL, tmp_path)[LOGITS].zero_()
    assert stored_outputs(model, FAR, ALL, tmp_path)[LOGITS].equal(before)


@pytest.mark.parametrize("broken", [b"", b"\x93NUMPY\x01\x00", b"not an array"])
def test_a_broken_array_in_the_cache_is_named(model: Trained, tmp_path: Path, broken: bytes) -> None:
    stored_outputs(model, FAR, ALL, tmp_path)
    (array,) = tmp_path.rglob("features.0.npy")
    array.write_bytes(broken)
    with pytest.raises(BadCheckpoint, match=r"features\.0\.npy: broken array in the cache .* delete its folder"):
        stored_outputs(model, FAR, ALL, tmp_path)


def test_a_forward_pass_that_was_killed_leaves_no_view_behind(model: Trained, tmp_path: Path) -> None:
    def killer(text: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stored_outputs(model, TEST, ALL, tmp_path, killer)
    assert not list(tmp_path.rglob("*.json"))
    assert stored_outputs(model, TEST, ALL, tmp_path)[LOGITS].isfinite().all()


def test_one_forward_pass_a_set_serves_all_methods_that_need_no_gradient(model: Trained, tmp_path: Path) -> None:
    exam = Exam(
        model=model,
        outputs=partial(stored_outputs, model, wanted=ALL, folder=tmp_path),
        seed=0,
        classes=3,
        train=TRAIN,
        validation=None,
        test=TEST,
        correct=None,
        ood={"far": FAR},
    )
    methods = [entry.method for entry in find(["msp", "max-logit", "energy", "knn", "mahalanobis-a", "gmm-100"])]
    for method in methods:
        examine(method, exam)
    assert model.passes == Passes(len(TRAIN) + len(TEST) + len(FAR), 0)
    step = Stateless(frozenset({LOGITS, INPUTS, NETWORK}), after_a_step)
    outcome = examine(replace(methods[0], detector=step), exam)
    n = len(TEST) + len(FAR)  # a pass each way for the gradient, and one for the other inputs
    assert model.passes == Passes(len(TRAIN) + n + 2 * n, n)
    assert (outcome.forward, outcome.gradient) == (3.0, 1.0)  # the stored one is counted for each that reads it


def after_a_step(batch: Outputs) -> Tensor:
    step = batch.grad(lambda views: views.logits.amax(dim=1)).sign()
    return batch.at(batch.inputs + 0.001 * step).logits.amax(dim=1) - batch.logits.amax(dim=1)

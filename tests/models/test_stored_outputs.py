"""Trained models and their outputs, kept: one training and one pass, whatever the number of those who ask."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

from oodbench.check.toy import IN_SET, TRAINING, blobs, noise
from oodbench.contract import FEATURE_MAP, FEATURES, HEAD, INPUTS, LAYERS, LOGITS, NETWORK, Output, Outputs, Stateless
from oodbench.models.outputs import Access, ModelOutputs, Passes, Trained
from oodbench.models.train import start
from oodbench.recipes import Plain
from oodbench.run.examine import Exam, examine
from oodbench.run.models import ModelKey, is_trained, trained
from oodbench.run.outputs import outputs_of
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
    assert not is_trained(key(), tmp_path, CPU)
    first = trained(key(), TRAIN, tmp_path, CPU, report)
    assert is_trained(key(), tmp_path, CPU)
    second = trained(key(), TRAIN, tmp_path, CPU, report)
    assert told == [1, 2]
    pairs = zip(first.net.state_dict().values(), second.net.state_dict().values(), strict=True)
    assert all(a.equal(b) for a, b in pairs)
    assert not second.net.training
    assert not any(weight.requires_grad for weight in second.net.parameters())
    kept = sorted(path.name for path in key().folder(tmp_path, CPU).iterdir())
    assert kept == ["weights.json", "weights.safetensors"]


def test_models_of_another_recipe_seed_or_data_are_others() -> None:
    others = [key(), key(seed=1), key(replace(RECIPE, training=TRAINING)), replace(key(), train_sha256="0")]
    others.append(replace(key(), in_set=replace(IN_SET, classes=4)))
    assert len({one.address for one in others}) == len(others)


def test_broken_weights_in_the_cache_are_made_again(tmp_path: Path) -> None:
    whole = trained(key(), TRAIN, tmp_path, CPU).net.state_dict()
    weights = key().folder(tmp_path, CPU) / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:99])
    again = trained(key(), TRAIN, tmp_path, CPU).net.state_dict()
    assert all(again[name].equal(tensor) for name, tensor in whole.items())


def test_one_forward_pass_a_set_whatever_is_asked_and_how_often(model: Trained, tmp_path: Path) -> None:
    first = outputs_of(lambda: model, TEST, ALL, tmp_path)
    assert model.passes == Passes(len(TEST), 0)
    again = outputs_of(lambda: model, TEST, ALL, tmp_path)
    outputs_of(lambda: model, TEST, frozenset({LOGITS}), tmp_path)
    outputs_of(lambda: model, TEST, frozenset({HEAD, INPUTS, NETWORK}), tmp_path)
    assert model.passes == Passes(len(TEST), 0)
    assert again[LOGITS].equal(first[LOGITS])
    live = model.net.outputs(torch.from_numpy(TEST.batch(slice(512, None))), ALL)  # type: ignore[operator]
    assert first[LOGITS][512:].equal(live[LOGITS])
    assert all(a[512:].equal(b) for a, b in zip(first[LAYERS], live[LAYERS], strict=True))


def test_only_outputs_that_are_missing_are_made(model: Trained, tmp_path: Path) -> None:
    outputs_of(lambda: model, FAR, frozenset({LOGITS}), tmp_path)
    logits = {path: path.read_bytes() for path in tmp_path.rglob("logits*")}
    outputs_of(lambda: model, FAR, ALL, tmp_path)
    assert model.passes.forward == 2 * len(FAR)
    assert logits == {path: path.read_bytes() for path in tmp_path.rglob("logits*")}


def test_whoever_writes_on_an_output_does_not_change_the_file(model: Trained, tmp_path: Path) -> None:
    before = outputs_of(lambda: model, FAR, ALL, tmp_path)[LOGITS].clone()
    outputs_of(lambda: model, FAR, ALL, tmp_path)[LOGITS].zero_()
    assert outputs_of(lambda: model, FAR, ALL, tmp_path)[LOGITS].equal(before)


@pytest.mark.parametrize("broken", [b"", b"\x93NUMPY\x01\x00", b"not an array"])
def test_a_broken_array_in_the_cache_is_made_again(model: Trained, tmp_path: Path, broken: bytes) -> None:
    whole = outputs_of(lambda: model, FAR, ALL, tmp_path)[FEATURES].clone()
    (array,) = tmp_path.rglob("features.0.npy")
    array.write_bytes(broken)
    assert outputs_of(lambda: model, FAR, ALL, tmp_path)[FEATURES].equal(whole)


def test_a_forward_pass_that_was_killed_leaves_no_output_behind(model: Trained, tmp_path: Path) -> None:
    def killer(text: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        outputs_of(lambda: model, TEST, ALL, tmp_path, killer)
    assert not list(tmp_path.rglob("*.json"))
    assert outputs_of(lambda: model, TEST, ALL, tmp_path)[LOGITS].isfinite().all()


def test_one_forward_pass_a_set_serves_all_methods_that_need_no_gradient(model: Trained, tmp_path: Path) -> None:
    exam = Exam(
        model=model,
        outputs=partial(outputs_of, lambda: model, wanted=ALL, folder=tmp_path),
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


PAIR = Output[tuple[Tensor, Tensor]]("mean_and_spread", "n, n 2")
"""An output of nobody's but this test's."""


class Twice(nn.Module):
    passes = 1
    entries: ClassVar[frozenset[Output]] = frozenset()
    constants: ClassVar[Mapping[Output, Any]] = {}

    def outputs(self, x: Tensor, wanted: frozenset[Output]) -> Mapping[Output, Any]:
        flat = x.flatten(1)
        return {PAIR: (flat.mean(dim=1), torch.stack([flat.amin(dim=1), flat.amax(dim=1)], dim=1))}


def test_an_output_that_anyone_declares_is_stored_and_the_same_either_way(tmp_path: Path) -> None:
    one = Trained(Twice(), CPU)
    kept = outputs_of(lambda: one, TEST, frozenset({PAIR}), tmp_path)
    assert one.passes == Passes(len(TEST), 0)
    access = Access(frozenset({PAIR}))
    live, read = ModelOutputs(one, TEST, access), ModelOutputs(one, TEST, access, lambda: kept)
    for fresh, stored in zip(live[PAIR], read[PAIR], strict=True):
        assert fresh.equal(stored)
    assert isinstance(live[PAIR], tuple)
    assert isinstance(read[PAIR], tuple)


def test_a_map_is_left_out_of_what_is_stored(model: Trained, tmp_path: Path) -> None:
    assert set(outputs_of(lambda: model, FAR, ALL | {FEATURE_MAP}, tmp_path)) == ALL
    assert not list(tmp_path.rglob("feature_map*"))

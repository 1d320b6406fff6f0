"""OpenOOD v1.5 from end to end: a twin of its CIFAR-10 matrix on drawn pictures in its layout, and its checkpoints."""

import hashlib
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from oodbench.data import cards, splits
from oodbench.data.cards import Card, ImageLists, find_card
from oodbench.data.fixed import parse
from oodbench.data.given import get_weights, resolved, weights_file
from oodbench.data.matrix import Matrix, find_matrix
from oodbench.errors import BadCard, BadSetting, MissingData
from oodbench.networks import classifier
from oodbench.records import read_record, record_paths
from oodbench.run.context import Context
from oodbench.run.engines import InProcess
from oodbench.run.execute import execute
from oodbench.run.forecast import forecast
from oodbench.run.keys import record_key
from oodbench.run.plan import Job, plan, tuning_access
from oodbench.run.registry import find
from oodbench.run.rows import rows
from oodbench.run.workspace import Workspace
from oodbench.spaces import Images
from oodbench.training import InSet

WHOLE = find_matrix("openood-cifar10-v1")
N = 20
RUN = "cifar10_resnet18_32x32_base_e100_lr0.1_default"


def small(card: Card, root: Path) -> Card:
    """Return a card of N drawn pictures a part, laid out as OpenOOD lays out the real ones."""
    assert isinstance(card.source, ImageLists)
    parts = {}
    for place, (split, part) in enumerate(card.source.parts.items()):
        rng = np.random.default_rng(place)
        names = [f"{card.name}/{split}/{number}.{('png', 'jpg')[number % 2]}" for number in range(N)]
        labels = [number % card.classes if card.classes else -1 for number in range(N)]
        for name in names:
            path = root / part.images / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (30, 40, 3), np.uint8)).save(path)
        lines = "".join(f"{name} {label}\r\n" for name, label in zip(names, labels, strict=True))
        path = root / part.list.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(lines.encode())
        sha256 = hashlib.sha256(lines.replace("\r\n", "\n").encode()).hexdigest()
        parts[split] = {"list": {"name": part.list.name, "sha256": sha256}, "images": part.images}
    content = card.model_dump(mode="json", exclude_none=True)
    content |= {"splits": dict.fromkeys(card.splits, N), "source": {**content["source"], "parts": parts}}
    return parse(content, Card, card.name)


def checkpoint(path: Path, seed: int) -> None:
    """Write the bare state dict of a network, as OpenOOD's `best.ckpt` is."""
    torch.manual_seed(seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(classifier("toy-cnn", InSet(Images((3, 32, 32), (0.5,) * 3, (0.2,) * 3), 10)).state_dict(), path)


@pytest.fixture
def twin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Matrix:
    """Return the matrix with N pictures a set, below tmp_path/OpenOOD."""
    root = tmp_path / "OpenOOD"
    made = {name: small(find_card(name), root / "data") for name in WHOLE.cards}
    monkeypatch.setattr(cards, "_load", lambda folder: made)
    monkeypatch.setattr(splits, "cards_folder", lambda: tmp_path)
    for seed in WHOLE.seeds:
        checkpoint(root / "results" / RUN / f"s{seed}" / "best.ckpt", seed)
    content = WHOLE.model_dump(mode="json", exclude_none=True)
    content |= {"n_test": N, "n_validation": N}
    for one in (*content["ood"], *content["tuning_ood"]):
        one["n"] = N
    content["model"][0]["network"] = "toy-cnn"
    return parse(content, Matrix, "openood-cifar10-v1.toml")


def context_of(matrix: Matrix, tmp_path: Path) -> Context:
    workspace = Workspace(tmp_path / "r", tmp_path / "OpenOOD", tmp_path / "c", "cpu")
    return Context(resolved(matrix, workspace.data), workspace)


def jobs(context: Context, *names: str) -> list[Any]:
    return plan(context.matrix, rows(context.matrix, names), context.matrix.seeds)


def test_a_user_of_openood_runs_on_what_is_there(twin: Matrix, tmp_path: Path) -> None:
    context = context_of(twin, tmp_path)
    planned = jobs(context, "msp", "knn")
    made = execute(context, planned, InProcess([context.workspace]))
    assert {(one.method, one.seed, one.status) for one in made.records} == {
        (name, seed, "ok") for name in ("msp", "knn") for seed in (0, 1, 2)
    }
    for seed in (0, 1, 2):
        record = read_record(record_paths(context.workspace.results, twin.name, "msp", seed).record)
        path = tmp_path / "OpenOOD" / "results" / RUN / f"s{seed}" / "best.ckpt"
        said = {one["seed"]: one["sha256"] for one in record.recipe["model"]["weights"]}
        assert said[seed] == hashlib.sha256(path.read_bytes()).hexdigest(), "what was read stands in the record"
        assert not record.cells, "every set was measured"


def test_the_sha256_that_nobody_published_is_told_and_another_file_makes_another_record(
    twin: Matrix, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        before = context_of(twin, tmp_path)
    assert "nobody has published the sha256 of resnet18-32x32, seed 1; taken as it is, and recorded" in caplog.text
    (job, *_) = [item for item in jobs(before, "msp") if isinstance(item, Job)]
    key = record_key(before, job)
    checkpoint(tmp_path / "OpenOOD" / "results" / RUN / "s0" / "best.ckpt", 7)
    after = context_of(twin, tmp_path)
    (job, *_) = [item for item in jobs(after, "msp") if isinstance(item, Job)]
    assert record_key(after, job) != key
    with pytest.raises(BadSetting, match=r"which file s0/best\.ckpt is, is not known"):
        weights_file(twin, twin.model[0], 0, tmp_path / "OpenOOD")
    assert len(list(get_weights(twin, tmp_path / "OpenOOD"))) == 3


def test_a_plan_needs_neither_data_nor_checkpoints(tmp_path: Path) -> None:
    context = Context(resolved(WHOLE, tmp_path), Workspace(tmp_path / "r", tmp_path, tmp_path / "c", "cpu"))
    text = forecast(context, plan(WHOLE, rows(WHOLE, ["msp", "knn", "oe-scratch"]), WHOLE.seeds))
    for one in WHOLE.ood:
        assert one.card in text
    for words in ("openood-tin-validation", "s2/best.ckpt", "trains a network of its own", "--data DIR"):
        assert words in text
    with pytest.raises(MissingData, match="openood-cifar-10"):
        context.require([item for item in plan(WHOLE, find(["msp"]), (0,)) if isinstance(item, Job)])


def test_rows_that_tune_on_a_tested_source_say_so() -> None:
    access = {name: tuning_access(WHOLE, find([name])[0].method) for name in ("msp", "temperature", "odin-tuned")}
    assert access == {"msp": "none", "temperature": "id_val", "odin-tuned": "ood_val_same"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"tuning_shares_source": False}, "has the origin 'imagenet', and so has openood-tin, which is tested"),
        ({"tuning_ood": []}, "tuning_shares_source: no set of tuning_ood has an origin that is tested"),
    ],
)
def test_sharing_a_source_is_said_and_true(change: dict[str, Any], said: str) -> None:
    with pytest.raises(BadCard, match=said):
        parse(WHOLE.model_dump(mode="json", exclude_none=True) | change, Matrix, "openood-cifar10-v1.toml")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": "../best.ckpt"}, "name"),
        ({"name": "s0/.best.ckpt"}, "name"),
        ({"size": 9}, "give sha256 and size, or neither"),
        ({"url": "https://x.org/a"}, "an address needs the sha256"),
    ],
)
def test_weights_do_not_lead_out_of_their_folder_nor_come_from_anywhere(change: dict[str, Any], said: str) -> None:
    content = WHOLE.model_dump(mode="json", exclude_none=True)
    content["model"][0]["weights"][0] |= change
    with pytest.raises(BadCard, match=said):
        parse(content, Matrix, "openood-cifar10-v1.toml")


def test_a_told_file_is_not_looked_at_to_plan(tmp_path: Path) -> None:
    told = tuple(replace(one, sha256="0" * 64, size=1) for one in WHOLE.model[0].weights)
    matrix = WHOLE.model_copy(update={"model": (replace(WHOLE.model[0], weights=told),)})
    assert resolved(matrix, tmp_path) is matrix

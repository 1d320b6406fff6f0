"""Workers that share nothing but a store: what one made the others get, and records come home with the same bytes."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from small import bytes_of, toy_context_in

from oodbench.errors import BadSetting
from oodbench.run.context import Context
from oodbench.run.depot import FolderDepot
from oodbench.run.engines import engine
from oodbench.run.execute import Summary, execute
from oodbench.run.plan import plan
from oodbench.run.registry import find
from oodbench.run.shared import get_folder, land, put_folder
from oodbench.run.tasks import guarded

METHODS = ["msp", "deep-ensemble"]


def run_apart(folder: Path, store: Path) -> Summary:
    """Run as a driver and its worker do that share no cache, here one process."""
    context = toy_context_in(folder)
    context = guarded(context.matrix, replace(context.workspace, store=str(store)))
    return ended(context)


def ended(context: Context) -> Summary:
    backend = engine("process", context.workspace, ["cpu"], 1)
    try:
        return execute(context, plan(context.matrix, find(METHODS), (0,)), backend)
    finally:
        backend.close()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    ended(toy_context_in(folder))
    return folder


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("store")
    summary = run_apart(folder / "first", folder / "store")
    assert not summary.failed
    yield folder / "store"


def test_records_come_home_with_the_bytes_of_an_undivided_run(whole: Path, store: Path) -> None:
    assert bytes_of(store.parent / "first" / "results") == bytes_of(whole / "results")


def test_what_one_worker_made_another_gets(whole: Path, store: Path, tmp_path: Path) -> None:
    """A second worker trains nothing: what training cost is what the first one noted, to the last digit."""
    assert not run_apart(tmp_path, store).failed
    assert bytes_of(tmp_path / "results") == bytes_of(whole / "results")
    noted = sorted((tmp_path / "cache" / "models").rglob("train.cost.json"))
    assert noted
    for path in noted:
        assert path.read_bytes() == (store / "cache" / path.relative_to(tmp_path / "cache")).read_bytes()


def sealed_model(cache: Path, weights: bytes, behaviour: float) -> Path:
    from oodbench.run.sealed import seal

    folder = cache / "models" / "cpu" / "abc"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "weights.safetensors").write_bytes(weights)
    seal(folder / "weights.json", ["weights.safetensors"], made={"behaviour": behaviour})
    return folder


def test_of_two_that_made_the_same_the_first_wins(tmp_path: Path) -> None:
    depot = FolderDepot(tmp_path / "store")
    first, second = (sealed_model(tmp_path / name, name.encode(), 1.0) for name in ("one", "two"))
    put_folder(depot, first, tmp_path / "one")
    put_folder(depot, second, tmp_path / "two")
    assert (second / "weights.safetensors").read_bytes() == b"one"
    assert (second / "weights.json").read_bytes() == (first / "weights.json").read_bytes()


def test_a_model_of_other_code_is_not_taken(tmp_path: Path) -> None:
    depot = FolderDepot(tmp_path / "store")
    put_folder(depot, sealed_model(tmp_path / "one", b"one", 1.0), tmp_path / "one")
    with pytest.raises(BadSetting, match="was made by other code"):
        put_folder(depot, sealed_model(tmp_path / "two", b"two", 2.0), tmp_path / "two")


def test_what_the_store_spoilt_counts_as_absent(tmp_path: Path) -> None:
    depot = FolderDepot(tmp_path / "store")
    put_folder(depot, sealed_model(tmp_path / "one", b"one", 1.0), tmp_path / "one")
    (blob,) = (tmp_path / "store" / "blobs").iterdir()
    blob.write_bytes(b"rot")
    there = tmp_path / "two" / "models" / "cpu" / "abc"
    get_folder(depot, there, tmp_path / "two")
    assert not (there / "weights.json").exists()
    assert not (there / "weights.safetensors").exists()


def test_a_record_whose_file_is_gone_does_not_land(tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match="was put there and is gone"):
        land(FolderDepot(tmp_path / "store"), {"toy-v1/msp/0.json": "0" * 64}, tmp_path / "results")
    assert not (tmp_path / "results").exists()


def test_a_seal_names_what_it_needs(store: Path) -> None:
    seals = list((store / "cache").rglob("*.json"))
    blobs = {path.name for path in (store / "blobs").iterdir()}
    assert seals
    for path in seals:
        assert set(json.loads(path.read_text())["sha256"].values()) <= blobs

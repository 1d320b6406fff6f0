"""Edits of code: harmless ones cost nothing, others are caught though nobody raised a version."""

import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small import bytes_of, here

from oodbench import formulas
from oodbench.attacks import Victim
from oodbench.contract import LOGITS
from oodbench.data.images import ArrayImages
from oodbench.data.matrix import find_matrix
from oodbench.models.outputs import Trained
from oodbench.records import read_record, record_paths, write_record
from oodbench.run import behaviour, models, outputs, quality, standing
from oodbench.run.context import Context
from oodbench.run.execute import execute
from oodbench.run.forecast import forecast
from oodbench.run.guard import ACROSS_MACHINES, Made, alike, moved
from oodbench.run.plan import plan
from oodbench.run.registry import Registered, find
from oodbench.run.tasks import guarded
from oodbench.run.workspace import Workspace
from oodbench.schema import CellRecord

Patch = pytest.MonkeyPatch


@pytest.fixture
def context(tmp_path: Path) -> Context:
    return guarded(find_matrix("toy-v1"), Workspace(results=tmp_path / "results", cache=tmp_path / "cache"))


def run(context: Context, *methods: str) -> None:
    summary = execute(context, plan(context.matrix, find(methods), [0]), here(context))
    assert not summary.failed


def edited(monkeypatch: Patch) -> None:
    """Let all code look edited, as a moved line would."""
    monkeypatch.setattr(behaviour, "method_source", lambda entry: "e" * 64)
    monkeypatch.setattr(behaviour, "model_source", lambda recipe: "e" * 64)
    from oodbench.run import model_records, records, standing

    monkeypatch.setattr(model_records, "model_record_source", lambda recipe: "e" * 64)
    monkeypatch.setattr(records, "method_source", lambda entry: "e" * 64)
    monkeypatch.setattr(standing, "method_source", lambda entry: "e" * 64)


def doubled_scores(monkeypatch: Patch) -> None:
    real = formulas.msp_key
    monkeypatch.setattr(formulas, "msp_key", lambda *args: 2 * real(*args))


def doubled_logits(monkeypatch: Patch) -> None:
    real = Trained.outputs

    def outputs(self: Trained, *args: Any) -> Any:
        made = dict(real(self, *args))
        return made | {LOGITS: 2 * made[LOGITS]} if LOGITS in made else made

    monkeypatch.setattr(Trained, "outputs", outputs)


def darker_pixels(monkeypatch: Patch) -> None:
    real = ArrayImages.batch
    monkeypatch.setattr(ArrayImages, "batch", lambda self, rows: np.float32(0.8) * real(self, rows))


def stretched_arrays(monkeypatch: Patch) -> None:
    real = outputs._read

    def read(place: Path, name: Any) -> Any:
        value = real(place, name)
        return None if value is None else 1.5 * value

    monkeypatch.setattr(outputs, "_read", read)


def another_attack(monkeypatch: Patch) -> None:
    real = Victim.climb

    def downhill(self: Victim, *args: Any) -> Any:
        slope = real(self, *args)
        return replace(slope, gradient=-slope.gradient)

    monkeypatch.setattr(Victim, "climb", downhill)


def another_calibration(monkeypatch: Patch) -> None:
    real = quality.report
    monkeypatch.setattr(quality, "report", lambda *args: real(*args) | {"ece_15": 0.123})


def another_training(monkeypatch: Patch) -> None:
    real = models.train

    def train(*args: Any, **kwargs: Any) -> torch.nn.Module:
        net = real(*args, **kwargs)
        with torch.no_grad():
            for weight in net.parameters():
                weight.mul_(0.9)
        return net

    monkeypatch.setattr(models, "train", train)


def test_an_edit_that_changes_nothing_costs_nothing(
    context: Context, monkeypatch: Patch, caplog: pytest.LogCaptureFixture
) -> None:
    run(context, "msp", "odin")
    before = bytes_of(context.workspace.results)
    kept = [*context.workspace.cache.rglob("*.npy"), *context.workspace.cache.rglob("weights.*")]
    cached = {path: path.stat().st_mtime_ns for path in kept}
    edited(monkeypatch)
    planned = plan(context.matrix, find(["msp"]), [0])
    assert "a run compares their behaviour on the toy" in forecast(context, planned)
    with caplog.at_level(logging.INFO, logger="oodbench"):
        run(context, "msp", "odin")
    assert "held against what this code does on the toy: msp, odin" in caplog.text
    assert bytes_of(context.workspace.results) == before
    run(context, "energy")  # stands on the cached model
    assert {path: path.stat().st_mtime_ns for path in cached} == cached


@pytest.mark.parametrize(
    ("edit", "groups"),
    [
        (doubled_scores, {"test", "ood/toy-noise"}),
        (doubled_logits, {"test", "model"}),
        (darker_pixels, {"test"}),
        (stretched_arrays, {"model"}),
        (another_attack, {"adversarial/fgsm-64"}),
        (another_calibration, {"model"}),
        (another_training, {"test", "model"}),
    ],
)
def test_an_edit_that_changes_numbers_is_caught_and_they_are_made_again(
    context: Context,
    monkeypatch: Patch,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
    edit: Callable[[Patch], None],
    groups: set[str],
) -> None:
    """As if the edited code had run from the first: nothing old is mixed in."""
    run(context, "msp")
    old = bytes_of(context.workspace.results)
    edited(monkeypatch)
    edit(monkeypatch)
    with caplog.at_level(logging.WARNING, logger="oodbench"):
        run(context, "msp")
    assert "raise the version of what changed" in caplog.text
    assert all(group in caplog.text for group in groups)
    fresh = guarded(context.matrix, Workspace(results=tmp_path / "fresh", cache=tmp_path / "other"))
    run(fresh, "msp")
    new = bytes_of(context.workspace.results)
    assert new == bytes_of(fresh.workspace.results)
    assert new != old


def test_bits_per_dimension_are_guarded_too(
    context: Context, monkeypatch: Patch, caplog: pytest.LogCaptureFixture
) -> None:
    run(context, "vae")
    edited(monkeypatch)
    real = quality.bits_per_dim
    monkeypatch.setattr(quality, "bits_per_dim", lambda *args: real(*args) + 1)
    run(context, "vae")
    assert "scores otherwise on the toy (bits)" in caplog.text


def test_cached_models_go_when_code_trains_others(
    context: Context, monkeypatch: Patch, caplog: pytest.LogCaptureFixture
) -> None:
    """Though no record says so: another method on the same model."""
    run(context, "msp")
    edited(monkeypatch)
    another_training(monkeypatch)
    run(context, "energy")
    assert "this code trains another one; it is trained again" in caplog.text


def test_stored_outputs_go_when_code_makes_others(
    context: Context, monkeypatch: Patch, caplog: pytest.LogCaptureFixture
) -> None:
    run(context, "msp")
    edited(monkeypatch)
    doubled_logits(monkeypatch)
    weights = next((context.workspace.cache / "models").rglob("weights.safetensors")).stat().st_mtime_ns
    run(context, "max-logit")
    assert "this code makes others (attacks/fgsm-64" in caplog.text or "outputs/logits" in caplog.text
    assert next((context.workspace.cache / "models").rglob("weights.safetensors")).stat().st_mtime_ns == weights


# Machines.


def test_another_class_of_machine_has_its_own_weights(context: Context, monkeypatch: Patch) -> None:
    run(context, "msp")
    folders = {path.name for path in (context.workspace.cache / "models").iterdir()}
    monkeypatch.setattr(models, "machine_class", lambda device: "cpu OF ANOTHER KIND")
    run(context, "energy")
    assert {path.name for path in (context.workspace.cache / "models").iterdir()} - folders == {"cpu-of-another-kind"}


def test_a_run_says_what_it_did_not_compute_here(
    context: Context, monkeypatch: Patch, capsys: pytest.CaptureFixture[str]
) -> None:
    from oodbench import cli
    from oodbench.run import execute as module

    run(context, "msp")
    before = bytes_of(context.workspace.results)
    monkeypatch.setattr(module, "machine_class", lambda device: "cuda NVIDIA X9")
    folders = ["--results", str(context.workspace.results), "--cache", str(context.workspace.cache)]
    assert cli.main(["run", "toy-v1", "--methods", "msp", *folders, "--workers", "1"]) == 1
    said = capsys.readouterr().err
    assert "nothing was computed on cpu for records that stand already: 1 made on cpu" in said
    assert "--remake, or --results DIR" in said
    assert bytes_of(context.workspace.results) == before


def test_remake_makes_again_what_stands(context: Context) -> None:
    run(context, "msp")
    path = record_paths(context.workspace.results, "toy-v1", "msp", 0).record
    written = path.stat().st_mtime_ns
    run(context, "msp")
    assert path.stat().st_mtime_ns == written
    execute(context, plan(context.matrix, find(["msp"]), [0]), here(context), remake=True)
    assert path.stat().st_mtime_ns > written
    assert read_record(path).status == "ok"


def test_the_toy_is_tried_in_one_thread_as_in_a_run(context: Context, monkeypatch: Patch) -> None:
    """A plan asks in its own process; in several threads sums are others in the last bits, and a fit amplifies them."""
    seen: list[int] = []
    monkeypatch.setattr(behaviour, "method_behaviour", lambda *args: seen.append(torch.get_num_threads()) or {})
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert context.guard is not None
        context.guard.made_method(find(["msp"])[0])
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert seen == [1]


def test_seeds_that_ask_at_once_try_the_toy_once(context: Context, monkeypatch: Patch) -> None:
    """Two trials would train one toy into one folder, each under the other's hands."""
    tries: list[str] = []

    def slowly(entry: Registered, *_: object) -> dict[str, list[float]]:
        tries.append(entry.method.name)
        time.sleep(0.2)
        return {"test": [float(len(tries))]}

    monkeypatch.setattr(behaviour, "method_behaviour", slowly)
    guard = context.guard
    assert guard is not None
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: guard.made_method(find(["msp"])[0]), range(4)))
    assert tries == ["msp"]
    assert [one.behaviour for one in made] == [{"test": [1.0]}] * 4


def test_what_failed_is_tried_again_by_other_code_alone(context: Context, monkeypatch: Patch) -> None:
    run(context, "msp")
    path = record_paths(context.workspace.results, "toy-v1", "msp", 0).record
    record = read_record(path)
    cell = CellRecord(status="failed", reason="the derivatives are NaN", failure="adversarial", name="fgsm-64")
    write_record(path, record.model_copy(update={"cells": (cell,)}))
    written = path.stat().st_mtime_ns
    assert execute(context, plan(context.matrix, find(["msp"]), [0]), here(context)).failed
    assert path.stat().st_mtime_ns == written
    monkeypatch.setattr(standing, "method_source", lambda entry: "0" * 64)
    run(context, "msp")
    assert read_record(path).cells == ()


# Comparing.


def test_on_one_machine_every_number_counts_and_across_machines_most() -> None:
    a = [float(n) for n in range(10)]
    b = [*a[:-1], a[-1] + 1]
    assert alike(a, a, same_machine=True)
    assert not alike(b, a, same_machine=True)
    assert alike(b, a, same_machine=False)
    shifted = [value + 2 * ACROSS_MACHINES * float(np.std(a)) for value in a]
    assert not alike(shifted, a, same_machine=False)
    assert not alike(a, a[:-1], same_machine=False)


def test_what_could_not_be_tried_does_not_stand() -> None:
    made = Made("s", "cpu", {"test": [1.0, 2.0]})
    assert moved(made, made) == frozenset()
    assert moved(made, replace(made, behaviour={})) == {"weights", "untried"}

"""The cost model: makespans against a clock that ticks, the critical path, how costs scale."""

import random
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest

from oodbench.data.matrix import find_matrix
from oodbench.errors import BadSetting
from oodbench.records import record_paths, write_cost
from oodbench.run.context import Context
from oodbench.run.cost_model import (
    Model,
    Timed,
    _on_record,
    critical_path,
    expected,
    forecast_on,
    makespan,
    n_images,
    operations,
)
from oodbench.run.plan import Job, plan
from oodbench.run.registry import find
from oodbench.run.rows import rows
from oodbench.run.workspace import Workspace
from oodbench.schema import Cost

ROOT = Path(__file__).resolve().parents[2]


def by_ticks(tasks: list[Timed], workers: int) -> float:
    """Step through whole seconds: start what may start, the first given first."""
    left = {task.key: int(task.seconds) for task in tasks}
    started: list[str] = []
    ended: set[str] = set()
    now = 0
    while len(ended) < len(tasks):
        for task in tasks:
            running = len(started) - len(ended)
            if task.key not in started and ended >= set(task.after) and running < workers:
                started.append(task.key)
        now += 1
        for key in started:
            left[key] -= 1
            if left[key] == 0:
                ended.add(key)
    return float(now)


def some_graph(seed: int) -> list[Timed]:
    chance = random.Random(seed)
    keys = [str(number) for number in range(chance.randint(1, 14))]
    return [
        Timed(key, tuple(chance.sample(keys[:place], min(place, chance.randint(0, 2)))), float(chance.randint(1, 9)))
        for place, key in enumerate(keys)
    ]


@pytest.mark.parametrize("seed", range(12))
def test_makespans_are_those_of_a_clock_that_ticks(seed: int) -> None:
    tasks = some_graph(seed)
    for workers in (1, 2, 3, 20):
        assert makespan(tasks, workers) == by_ticks(tasks, workers)


@pytest.mark.parametrize("seed", range(12))
def test_the_critical_path_is_a_chain_as_long_as_the_run_on_any_number(seed: int) -> None:
    tasks = some_graph(seed)
    chain = critical_path(tasks)
    assert sum(one.seconds for one in chain) == makespan(tasks, len(tasks))
    assert all(before.key in after.after for before, after in pairwise(chain))
    shuffled = random.Random(seed).sample(tasks, len(tasks))
    assert sum(one.seconds for one in critical_path(shuffled)) == sum(one.seconds for one in chain)


def test_of_tasks_that_are_ready_the_first_given_starts_first() -> None:
    tasks = [Timed("a", (), 1.0), Timed("b", (), 1.0), Timed("long", (), 3.0)]
    assert makespan(tasks, 2) == 4.0
    assert makespan(tasks[::-1], 2) == 3.0


def test_nothing_takes_no_time() -> None:
    assert makespan([], 8) == 0.0
    assert critical_path([]) == []


def test_a_matrix_on_record_takes_what_it_cost() -> None:
    """On its own matrix nothing is scaled: a training costs what the record says, an evaluation too."""
    matrix = find_matrix("fashion-mnist-v3")
    known = _on_record(ROOT / "results")["knn"]
    assert known.matrix == matrix
    tasks = {task.key: task for task in Model(ROOT / "results").tasks(matrix, rows(matrix, ["knn"]))}
    assert len(tasks) == 3 * len(matrix.seeds)
    assert tasks["fashion-mnist-v3 evaluate knn 0"].seconds == pytest.approx(known.cost.cpu_seconds["evaluate"])
    (training,) = [one for key, one in tasks.items() if " train " in key and key.endswith(" 0")]
    per_image = known.cost.cpu_seconds["train"] / known.cost.passes["train"]["forward"]
    assert training.seconds == pytest.approx(per_image * matrix.training.epochs * 60000)
    twice = {task.key: task for task in Model(ROOT / "results", speed=2.0).tasks(matrix, rows(matrix, ["knn"]))}
    assert all(twice[key].seconds == pytest.approx(one.seconds / 2) for key, one in tasks.items())


def test_another_matrix_scales_by_images_epochs_and_operations() -> None:
    here, there = find_matrix("fashion-mnist-v3"), find_matrix("svhn-v1")
    known = _on_record(ROOT / "results")["msp"]
    tasks = {task.key: task for task in Model(ROOT / "results").tasks(there, rows(there, ["msp"]))}
    (training,) = [one for key, one in tasks.items() if " train " in key and key.endswith(" 0")]
    heavier = operations(there.training.network, (3, 32, 32), 10) / operations("resnet-small", (1, 28, 28), 10)
    per_image = known.cost.cpu_seconds["train"] / known.cost.passes["train"]["forward"]
    assert training.seconds == pytest.approx(per_image * there.training.epochs * 73257 * heavier)
    assert tasks["svhn-v1 evaluate msp 0"].seconds == pytest.approx(
        known.cost.cpu_seconds["evaluate"] * n_images(there) / n_images(here)
    )


def test_operations_are_those_of_a_count_by_hand() -> None:
    """torchvision says 1.81 G multiply-adds of resnet18 at 224 x 224: twice that in operations."""
    counted = operations("torchvision:resnet18", (3, 224, 224), 1000)
    assert counted is not None
    assert counted / 2 == pytest.approx(1.814e9, rel=0.005)
    assert operations("no-such-network", (3, 32, 32), 10) is None


def test_equal_trainings_of_two_matrices_are_one_task() -> None:
    one, other = (find_matrix(f"lee2018-cifar10-dense-{name}-v1") for name in ("svhn", "lsun-resize"))
    model = Model(ROOT / "results")
    keys = [{task.key for task in model.tasks(matrix, rows(matrix, ["msp"]))} for matrix in (one, other)]
    shared = keys[0] & keys[1]
    assert len(shared) == 5
    assert all(" train " in key for key in shared)


def test_without_costs_on_record_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match="no cost on record"):
        forecast_on("tiny-v1", ["msp"], tmp_path, [1], 1.0)


def test_the_table_names_workers_work_and_path() -> None:
    said = forecast_on("tiny-v1", ["msp", "knn"], ROOT / "results", [1, 64], 10.0)
    assert "tiny-v1: 1 matrix, 4 tasks" in said
    assert "64" in said
    assert "critical path" in said
    assert "tiny-v1: train plain (resnet-small), seed 0" in said


def test_what_a_gpu_made_says_nothing_of_a_cores_seconds(tmp_path: Path) -> None:
    for seed, on_gpu in ((0, 9.0), (1, 0.0)):
        path = record_paths(tmp_path, "tiny-v1", "msp", seed).cost
        path.parent.mkdir(parents=True, exist_ok=True)
        spent = {
            "seconds": {"train": 10.0 + seed},
            "cpu_seconds": {"train": 1.0 + seed},
            "gpu_seconds": {"train": on_gpu},
        }
        write_cost(path, Cost(**spent, peak_memory_mb=1.0, started_at=datetime(2026, 1, 1, tzinfo=UTC)))
    assert _on_record(tmp_path)["msp"].cost.cpu_seconds == {"train": 2.0}


def test_what_a_row_took_on_another_matrix_is_expected_here(tmp_path: Path) -> None:
    """The tasks of the model, without the trainings that the cache has; nothing where no cost is on record."""
    matrix = find_matrix("mnist5k-v1")
    context = Context(matrix, Workspace(results=ROOT / "results"))
    jobs = [item for item in plan(matrix, find(["msp", "knn"]), [0, 1]) if isinstance(item, Job)]
    tasks = Model(ROOT / "results").tasks(matrix, rows(matrix, ["msp", "knn"]))
    of_two_seeds = [task for task in tasks if task.key.endswith((" 0", " 1"))]
    assert expected(context, jobs, lambda *_: False) == pytest.approx(sum(task.seconds for task in of_two_seeds))
    untrained = [task for task in of_two_seeds if " train " not in task.key]
    assert len(untrained) == len(of_two_seeds) - 2
    assert expected(context, jobs, lambda *_: True) == pytest.approx(sum(task.seconds for task in untrained))
    assert expected(replace(context, workspace=Workspace(results=tmp_path)), jobs, lambda *_: False) is None
    texts = find_matrix("trec-v2")
    of_texts = [item for item in plan(texts, find(["msp"]), [0]) if isinstance(item, Job)]
    assert expected(Context(texts, context.workspace), of_texts, lambda *_: False) is None

"""Two workers on two cores against one, on real cells of tiny-v1; as a ratio, with what else the machine was doing."""

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from oodbench.data.matrix import find_matrix
from oodbench.run.context import Context
from oodbench.run.engines import engine
from oodbench.run.execute import execute
from oodbench.run.plan import Job, plan
from oodbench.run.registry import find
from oodbench.run.tasks import guarded
from oodbench.run.workspace import Workspace

METHODS = ["msp", "odin", "mahalanobis-c", "knn"]
SEEDS = range(4)
"""Trainings of equal length, an even number: what a second worker is good for."""

WANTED = 1.8
ENGINES = os.environ.get("OODBENCH_ENGINES", "pool").split()


def seconds(context: Context, folder: Path, name: str, workers: int) -> float:
    """Return how long a run takes from nothing, its workers started and warm."""
    place = replace(context.workspace, results=folder / "results", cache=folder / "cache")
    here = guarded(context.matrix, place)
    backend = engine(name, place, ["cpu"], workers)
    try:
        warm = guarded(context.matrix, replace(place, results=folder / "warm", cache=place.cache))
        execute(warm, _jobs(context, ["msp"], range(100, 100 + workers)), backend)
        began = time.perf_counter()
        assert not execute(here, _jobs(context, METHODS, SEEDS), backend).failed
        return time.perf_counter() - began
    finally:
        backend.close()


def _jobs(context: Context, methods: list[str], seeds: range) -> list[Job]:
    return [job for job in plan(context.matrix, find(methods), seeds) if isinstance(job, Job)]


def others() -> float:
    """Return the cores that others keep busy: those that this process waits for in vain when it asks for all."""
    with Path("/proc/stat").open() as stat:
        before = list(map(int, stat.readline().split()[1:9]))
    time.sleep(1.0)
    with Path("/proc/stat").open() as stat:
        after = list(map(int, stat.readline().split()[1:9]))
    spent = [b - a for a, b in zip(before, after, strict=True)]
    return (os.cpu_count() or 1) * (1 - (spent[3] + spent[4]) / max(1, sum(spent)))


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="one core")
@pytest.mark.parametrize("name", ENGINES)
def test_two_workers_do_nearly_twice_as_much(name: str, tmp_path: Path) -> None:
    context = guarded(find_matrix("tiny-v1"), Workspace(results=tmp_path / "results", cache=tmp_path / "cache"))
    busy = others()
    one, two = (seconds(context, tmp_path / str(workers), name, workers) for workers in (1, 2))
    after = others()
    print(
        f"\nengine {name}, tiny-v1, {len(METHODS) * len(SEEDS)} records on {len(SEEDS)} models: "
        f"one worker {one:.1f} s, two {two:.1f} s, {one / two:.2f} times as fast; "
        f"others kept {busy:.1f} cores busy before, {after:.1f} after"
    )
    if max(busy, after) > 0.2:
        pytest.skip(
            f"others keep up to {max(busy, after):.1f} of {os.cpu_count()} cores busy: {one / two:.2f} bounds nothing"
        )
    assert one / two >= WANTED

"""What a fit says of itself: from a detector's state into the record, and into nothing else."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from small import at, context_in, here

from oodbench.records import read_record, record_paths
from oodbench.run.execute import execute
from oodbench.run.facts import facts_of
from oodbench.run.keys import record_key
from oodbench.run.plan import Job, plan
from oodbench.run.registry import registry


class Inner(NamedTuple):
    steps: int
    gain: float
    mu: torch.Tensor = torch.zeros(2)


class Outer(NamedTuple):
    T: float
    note: str
    converged: bool
    inner: Any


@pytest.mark.parametrize(
    ("state", "facts"),
    [
        ((), {}),
        (torch.ones(3), {}),
        ((1.0, 2), {}),  # nameless numbers
        (Inner(3, 0.5), {"steps": 3.0, "gain": 0.5}),
        (Outer(2.0, "x", True, None), {"T": 2.0}),
        (Outer(2.0, "x", True, Inner(3, 0.5)), {"T": 2.0, "inner.steps": 3.0, "inner.gain": 0.5}),
        (Outer(2.0, "x", True, (Inner(3, 0.5), Inner(6, 0.25))), {"T": 2.0, "inner.steps": 4.5, "inner.gain": 0.375}),
        ((Inner(3, math.inf), Inner(4, 1.0)), {"steps": 3.5, "gain": None}),
        (Inner(3, math.nan), {"steps": 3.0, "gain": None}),
    ],
)
def test_the_named_numbers_of_a_state(state: Any, facts: dict[str, float | None]) -> None:
    assert facts_of(state) == facts


def test_the_record_says_how_em_went_and_no_key_knows(trained_cache: Path, tmp_path: Path) -> None:
    context = at(context_in(tmp_path), cache=trained_cache / "cache")
    given = [registry()[name] for name in ("gmm-100", "zheng", "temperature", "msp")]
    short = [
        replace(entry, method=replace(entry.method, detector=replace(entry.method.detector, K=2, max_iter=3, tol=0.0)))
        for entry in given[:2]
    ]
    jobs = plan(context.matrix, [*short, *given[2:]], [0])
    execute(context, jobs, here(context))
    facts = {}
    for job in jobs:
        assert isinstance(job, Job)
        record = read_record(record_paths(context.workspace.results, context.matrix.name, job.method.name, 0).record)
        assert record.key == record_key(context, job)
        facts[job.method.name] = record.facts
    mixture = facts["gmm-100"]
    assert set(mixture) == {"iterations", "gain", "floored"}
    assert mixture["iterations"] == 3
    assert mixture["gain"] > 0
    assert 0 <= mixture["floored"] < 1
    assert set(facts["zheng"]) == {"mixtures.iterations", "mixtures.gain", "mixtures.floored"}
    assert set(facts["temperature"]) == {"T"}
    assert facts["msp"] == {}

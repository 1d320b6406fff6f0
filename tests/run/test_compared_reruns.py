"""Real re-runs of the toy, compared: other threads and workers raise no alarm, a sign that slips in the code does."""

from pathlib import Path

import pytest
import torch
from small import toy_context_in

from oodbench import formulas
from oodbench.compare.comparison import as_markdown, compare
from oodbench.run.engines import InProcess, engine
from oodbench.run.execute import execute
from oodbench.run.plan import plan
from oodbench.run.registry import find


def run(folder: Path, methods: list[str], seeds: tuple[int, ...], *, threads: int = 1, workers: int = 1) -> Path:
    """Run the toy from nothing; of several workers each has one thread, as always."""
    context = toy_context_in(folder)
    real = torch.set_num_threads
    pool = workers > 1
    backend = engine("local", context.workspace, ["cpu"], workers) if pool else InProcess([context.workspace])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "set_num_threads", lambda n: real(threads if n == 1 and not pool else n))
        try:
            assert not execute(context, plan(context.matrix, find(methods), seeds), backend).failed
        finally:
            backend.close()
    real(1)
    return folder / "results"


@pytest.fixture(scope="module")
def first(tmp_path_factory) -> Path:
    return run(tmp_path_factory.mktemp("first"), ["msp"], (0,))


def test_other_threads_raise_no_alarm(first, tmp_path) -> None:
    found = compare(str(first), str(run(tmp_path, ["msp"], (0,), threads=2)))
    assert not found.fails(["regression", "unversioned"]), as_markdown(found)


def test_a_sign_that_slips_in_the_code_is_found(first, tmp_path, monkeypatch) -> None:
    right = formulas.msp_key
    monkeypatch.setattr(formulas, "msp_key", lambda logits: -right(logits))
    found = compare(str(first), str(run(tmp_path, ["msp"], (0,))))

    assert found.fails(["regression"])
    assert found.fails(["unversioned"])
    assert any(one.kind == "ood" and one.unversioned for one in found.of("regression")), as_markdown(found)


@pytest.mark.slow
def test_twenty_runs_with_other_threads_and_workers_raise_no_alarm(tmp_path) -> None:
    methods, seeds = ["msp", "odin", "knn", "energy"], (0, 1, 2)
    before = run(tmp_path / "first", methods, seeds)
    ways = [{"threads": n} for n in (1, 2, 3, 4)] + [{"workers": n} for n in (2, 3)]
    for number in range(20):
        after = run(tmp_path / str(number), methods, seeds, **ways[number % len(ways)])
        found = compare(str(before), str(after))
        assert not found.fails(["regression", "unversioned"]), as_markdown(found)

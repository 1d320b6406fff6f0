"""A matrix small enough to run whole in a few seconds, and runs of the toy's in a process of their own."""

import contextlib
import os
import signal
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from oodbench.data.matrix import Matrix, find_matrix
from oodbench.run.context import Context
from oodbench.run.engines import InProcess, engine, starting
from oodbench.run.execute import execute
from oodbench.run.plan import plan
from oodbench.run.registry import find
from oodbench.run.tasks import guarded
from oodbench.run.workspace import Workspace

ROOT = Path(__file__).resolve().parents[2]


def small_matrix() -> Matrix:
    tiny = find_matrix("tiny-v1")
    training = replace(tiny.training, epochs=1)
    few = {"n_test": 200, "n_validation": 60, "training": training}
    sets = {"ood": tuple(s.model_copy(update={"n": 60}) for s in tiny.ood if s.card in ("glyphs", "hflip", "uniform"))}
    tuning = {"tuning_ood": tuple(s.model_copy(update={"n": 60}) for s in tiny.tuning_ood)}
    attacks = {"attacks": tuple(a.model_copy(update={"n": 40}) for a in tiny.attacks)}
    held_out = {"adversarial_validation": tiny.adversarial_validation.model_copy(update={"n": 40})}
    return tiny.model_copy(update={"name": "small-v1", **few, **sets, **tuning, **attacks, **held_out})


def context_in(folder: Path) -> Context:
    return guarded(small_matrix(), Workspace(results=folder / "results", cache=folder / "cache"))


def toy_context_in(folder: Path) -> Context:
    return guarded(find_matrix("toy-v1"), Workspace(results=folder / "results", cache=folder / "cache"))


def at(context: Context, **changes: Path) -> Context:
    """Return the same matrix with other folders."""
    return guarded(context.matrix, replace(context.workspace, **changes))


def here(context: Context) -> InProcess:
    """Return this process as a backend."""
    return InProcess([context.workspace])


@dataclass(frozen=True)
class Run:
    """A run below a folder in a process of its own, the first of its session."""

    process: Any
    folder: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    def end(self) -> float:
        """Wait until it has ended well; return its seconds."""
        self.process.join(300)
        assert self.process.exitcode == 0, (self.folder / "log.txt").read_text()
        return float((self.folder / "seconds.txt").read_text())

    def kill(self) -> None:
        """Kill it and all that it started."""
        for kill in (os.kill, os.killpg):
            with contextlib.suppress(ProcessLookupError):
                kill(self.pid, signal.SIGKILL)
        self.process.join()


def start(folder: Path, methods: list[str], *, workers: int = 1) -> Run:
    """Run the toy matrix below a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    process = starting().Process(target=_run, args=(folder, methods, workers))
    process.start()
    return Run(process, folder)


def _run(folder: Path, methods: list[str], workers: int) -> None:
    os.setsid()
    with (folder / "log.txt").open("a") as told:
        os.dup2(told.fileno(), 1)
        os.dup2(told.fileno(), 2)
    began = time.monotonic()
    context = toy_context_in(folder)
    pool = engine("local", context.workspace, ["cpu"], workers)
    try:
        execute(context, plan(context.matrix, find(methods), (0,)), pool)
    finally:
        pool.close()
    (folder / "seconds.txt").write_text(str(time.monotonic() - began))


def bytes_of(results: Path) -> dict[str, bytes]:
    """Every file of a results folder but costs, which are the clock's, the lock, and what follows from all others."""
    follows = {results / ".lock", results / "metrics.parquet", results / "ranks.csv", *(results / ".cache").rglob("*")}
    files = sorted(
        p for p in results.rglob("*") if p.is_file() and not p.name.endswith(".cost.json") and p not in follows
    )
    return {str(p.relative_to(results)): p.read_bytes() for p in files}

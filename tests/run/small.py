"""A matrix small enough to run whole in a few seconds, and a script that runs it in a process of its own."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from oodbench.data.matrix import Matrix, find_matrix
from oodbench.run.context import Context
from oodbench.run.engines import InProcess
from oodbench.run.tasks import guarded
from oodbench.run.workspace import Workspace

ROOT = Path(__file__).resolve().parents[2]

SCRIPT = """
import sys, torch
from dataclasses import replace
from pathlib import Path
sys.path.insert(0, {here!r})
from small import context_in
from oodbench.run.engines import engine
from oodbench.run.execute import execute
from oodbench.run.plan import plan
from oodbench.run.registry import find
torch.set_num_threads(1)
context = context_in(Path({folder!r}), epochs={epochs})
pool = engine('local', context.workspace, ['cpu'], {workers})
try:
    execute(context, plan(context.matrix, find({methods!r}), {seeds!r}), pool)
finally:
    pool.close()
"""


def small_matrix(epochs: int = 1) -> Matrix:
    tiny = find_matrix("tiny-v1")
    training = replace(tiny.training, epochs=epochs)
    few = {"n_test": 200, "n_validation": 60, "training": training}
    sets = {"ood": tuple(s.model_copy(update={"n": 60}) for s in tiny.ood if s.card in ("glyphs", "hflip", "uniform"))}
    tuning = {"tuning_ood": tuple(s.model_copy(update={"n": 60}) for s in tiny.tuning_ood)}
    attacks = {"attacks": tuple(a.model_copy(update={"n": 40}) for a in tiny.attacks)}
    held_out = {"adversarial_validation": tiny.adversarial_validation.model_copy(update={"n": 40})}
    return tiny.model_copy(update={"name": "small-v1", **few, **sets, **tuning, **attacks, **held_out})


def context_in(folder: Path, epochs: int = 1) -> Context:
    return guarded(small_matrix(epochs), Workspace(results=folder / "results", cache=folder / "cache"))


def at(context: Context, **changes: Path) -> Context:
    """Return the same matrix with other folders."""
    return guarded(context.matrix, replace(context.workspace, **changes))


def here(context: Context) -> InProcess:
    """Return this process as a backend."""
    return InProcess([context.workspace])


def start(folder: Path, methods: list[str], *, seeds=(0,), workers: int = 1, epochs: int = 1) -> subprocess.Popen:
    script = SCRIPT.format(
        here=str(Path(__file__).parent),
        folder=str(folder),
        methods=methods,
        seeds=list(seeds),
        workers=workers,
        epochs=epochs,
    )
    # A guard for the spawned workers, which import the main module anew.
    body = "\n".join("    " + line for line in script.splitlines())
    program = folder / "program.py"
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text(f"if __name__ == '__main__':\n{body}\n")
    return subprocess.Popen(
        [sys.executable, str(program)],
        cwd=ROOT,
        env=_environment(),
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _environment() -> dict[str, str]:
    import os

    return {**os.environ, "OMP_WAIT_POLICY": "PASSIVE", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}


def bytes_of(results: Path) -> dict[str, bytes]:
    """Every file of a results folder but costs, which are the clock's, the lock, and what follows from all others."""
    follows = {results / ".lock", results / "metrics.parquet", results / "ranks.csv", *(results / ".cache").rglob("*")}
    files = sorted(
        p for p in results.rglob("*") if p.is_file() and not p.name.endswith(".cost.json") and p not in follows
    )
    return {str(p.relative_to(results)): p.read_bytes() for p in files}

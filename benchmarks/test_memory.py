"""Peak memory of a run, in a process of its own: few out-sets and methods beside many. Printed as a ratio."""

import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys, tempfile, torch
from pathlib import Path
from oodbench.data.matrix import find_matrix
from oodbench.run.context import Context
from oodbench.run.engines import Inline
from oodbench.run.execute import execute
from oodbench.run.plan import plan
from oodbench.run.registry import find
from oodbench.run.workspace import Workspace
torch.set_num_threads(1)
tiny = find_matrix("tiny-v1")
matrix = tiny.model_copy(update={{
    "training": tiny.training.model_copy(update={{"epochs": 1}}), "ood": tiny.ood[:{sets}], "attacks": (),
}})
with tempfile.TemporaryDirectory() as folder:
    context = Context(matrix, Workspace(results=Path(folder) / "results", cache=Path(folder) / "cache"))
    execute(context, plan(matrix, find({methods!r}), [0]), Inline())
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(peak / (1 << 20 if sys.platform == "darwin" else 1 << 10))
"""

FEW = {"sets": 1, "methods": ["mahalanobis-a"]}
MANY = {"sets": 8, "methods": ["mahalanobis-a", "msp", "max-logit", "energy", "temperature", "zheng", "odin", "knn"]}


def peak_mb(size: dict) -> float:
    ran = subprocess.run([sys.executable, "-c", PROGRAM.format(**size)], capture_output=True, text=True, check=True)
    return float(ran.stdout.splitlines()[-1])


@pytest.mark.benchmark(group="memory")
def test_memory_stays_flat_as_sets_and_methods_grow(benchmark):
    few, many = peak_mb(FEW), benchmark.pedantic(peak_mb, (MANY,), rounds=1)
    benchmark.extra_info.update({"few_mb": few, "many_mb": many})
    print(f"\n1 set, 1 method: {few:.0f} MB; 8 sets, 8 methods: {many:.0f} MB; ratio {many / few:.2f}")
    assert many < 1.25 * few

"""Peak memory of a run, in a process of its own: few out-sets and methods beside many. Printed as a ratio."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

PROGRAM = """
import resource, sys, tempfile, torch
from dataclasses import replace
from pathlib import Path
from oodbench.data.matrix import find_matrix
from oodbench.run.context import Context
from oodbench.run.engines import InProcess
from oodbench.run.execute import execute
from oodbench.run.plan import plan
from oodbench.run.registry import find
from oodbench.run.workspace import Workspace
torch.set_num_threads(1)
tiny = find_matrix("tiny-v1")
matrix = tiny.model_copy(update={{
    "training": replace(tiny.training, epochs=1), "ood": tiny.ood[:{sets}], "attacks": (),
}})
with tempfile.TemporaryDirectory() as folder:
    context = Context(matrix, Workspace(results=Path(folder) / "results", cache=Path(folder) / "cache"))
    execute(context, plan(matrix, find({methods!r}), [0]), InProcess([context.workspace]))
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


OF_A_FOLDER = """
import resource, sys, torch, oodbench
from torch import nn
from torchvision import transforms
torch.set_num_threads(1)
torch.manual_seed(0)
net = nn.Sequential(
    nn.Conv2d(3, 16, 7, stride=4), nn.ReLU(), nn.Conv2d(16, 64, 3, stride=2), nn.ReLU(),
    nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 2),
).eval()
fit = transforms.Compose([transforms.Resize(256), transforms.CenterCrop(224), transforms.ToTensor()])
oodbench.evaluate(
    net, train=sys.argv[1] + "/test", test=sys.argv[1] + "/test", failures=dict(far=sys.argv[1] + "/far"),
    methods=["msp", "energy", "knn", "mahalanobis-a", "odin"], transform=fit,
)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(peak / (1 << 20 if sys.platform == "darwin" else 1 << 10))
"""


def folder_of(place: Path, n: int) -> Path:
    """Return a folder with n pictures of 300x260 in two classes, and as many that are of none: links to a few files."""
    rng = np.random.default_rng(0)
    for number in range(8):
        Image.fromarray(rng.integers(0, 256, size=(260, 300, 3), dtype=np.uint8)).save(place / f"{number}.jpg")
    for below in ("test/0", "test/1", "far"):
        (place / str(n) / below).mkdir(parents=True)
    for row in range(n // 2):
        for below in (f"test/{row % 2}", "far"):
            (place / str(n) / below / f"{row}.jpg").symlink_to(place / f"{row % 8}.jpg")
    return place / str(n)


@pytest.mark.benchmark(group="memory")
def test_memory_stays_flat_as_images_grow(benchmark, tmp_path: Path):
    """3,000 and 12,000 images of 3x224x224 under five methods: outputs are on disk, images are decoded as needed."""

    def peak(n: int) -> float:
        place = folder_of(tmp_path, n)
        ran = subprocess.run(
            [sys.executable, "-c", OF_A_FOLDER, str(place)], capture_output=True, text=True, check=True
        )
        return float(ran.stdout.splitlines()[-1])

    few, many = peak(3000), benchmark.pedantic(peak, (12000,), rounds=1)
    benchmark.extra_info.update({"few_mb": few, "many_mb": many})
    print(f"\n3,000 images: {few:.0f} MB; 12,000 images: {many:.0f} MB; ratio {many / few:.3f}")
    assert many < 1.05 * few

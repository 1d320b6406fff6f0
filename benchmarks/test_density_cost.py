"""What a log density costs beside the plain classifier's pass: time and memory to score 1,000 images.

Recipes are those of fashion-mnist-v2 (scale cpu, 28x28 grey). Weights are untrained: no layer's work depends on them.
Every model has a process of its own, which takes turns with the classifier; the least of several processor times
counts. Memory is how far the process's peak rises above what it holds with weights and images already there.
"""

import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import NamedTuple

import pytest
import torch
from oodbench.methods.ib_inn import IbInn
from tabulate import tabulate

from oodbench.contract import LOG_DENSITY, LOGITS, Stateless
from oodbench.data.inputs import Inputs
from oodbench.data.load import load
from oodbench.data.matrix import find_matrix
from oodbench.densities.ensemble import DensityEnsemble
from oodbench.densities.glow import Glow
from oodbench.densities.pixelcnn import PixelCnn
from oodbench.densities.vae import Vae
from oodbench.detectors.densities import WAIC
from oodbench.models.outputs import Access, ModelOutputs, Trained
from oodbench.models.train import start
from oodbench.recipes import Plain
from oodbench.run.provenance import peak_memory_mb
from oodbench.run.sets import in_set
from oodbench.run.tune import scores_of
from oodbench.training import Recipe

PLAIN = "classifier"
SCORED: dict[str, tuple[Recipe, Stateless]] = {
    PLAIN: (Plain(), Stateless(frozenset({LOGITS}), lambda batch: batch.logits.amax(dim=1))),
    "glow": (Glow(), LOG_DENSITY),
    "pixelcnn++": (PixelCnn(), LOG_DENSITY),
    "vae": (Vae(), LOG_DENSITY),
    "ib-inn-2": (IbInn(beta=2), LOG_DENSITY),
    "waic-glow": (DensityEnsemble(Glow()), WAIC),
}
IMAGES = 1000
ROUNDS = 3


class Cost(NamedTuple):
    """Of scoring the images: processor seconds of the density and of the classifier, and the density's memory."""

    seconds: float
    plain_seconds: float
    mb: float


def scorer(name: str, images: Inputs) -> Callable[[], object]:
    """Return the scoring of all images by a fresh model."""
    recipe, detector = SCORED[name]
    matrix = find_matrix("fashion-mnist-v2")
    recipe = recipe.sized(matrix.scale, matrix.training)
    net = start(recipe, in_set(matrix), torch.zeros(0), 0).net.eval().requires_grad_(False)
    model = Trained(net.to(memory_format=torch.channels_last), torch.device("cpu"))
    return lambda: scores_of(detector, (), ModelOutputs(model, images, Access(detector.reads)))


def seconds(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def resident_mb() -> float:
    """Peak so far; on Linux of this program alone, where the usual call begins at what the parent held."""
    if not sys.platform.startswith("linux"):
        return peak_memory_mb()
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM"))


def cost(name: str) -> Cost:
    torch.set_num_threads(1)
    images = load("mnist-5k", "test", n=IMAGES)
    density, plain = scorer(name, images), scorer(PLAIN, images)
    before = resident_mb()
    density()
    mb = resident_mb() - before
    plain()
    times = [(seconds(density), min(seconds(plain) for _ in range(ROUNDS))) for _ in range(ROUNDS)]
    return Cost(*(min(column) for column in zip(*times, strict=True)), mb)


def costs() -> dict[str, Cost]:
    """Return what each costs, each in a process of its own, one after the other."""
    forks = get_context("forkserver")  # torch is imported once
    forks.set_forkserver_preload(["torch", "oodbench.run.tune", __name__])
    with ProcessPoolExecutor(1, forks, max_tasks_per_child=1) as pool:
        return dict(zip(SCORED, pool.map(cost, SCORED), strict=True))


@pytest.mark.benchmark(group="densities")
def test_cost_of_a_density_beside_the_classifier(benchmark) -> None:
    found = benchmark.pedantic(costs, rounds=1)
    ratios = {name: one.seconds / one.plain_seconds for name, one in found.items()}
    benchmark.extra_info.update({f"{name}_x": ratio for name, ratio in ratios.items()})
    rows = [(name, one.seconds, one.mb, ratios[name]) for name, one in found.items()]
    headers = (f"{IMAGES:,} images", "CPU s", "MB", "x classifier")
    print(f"\n{tabulate(rows, headers, floatfmt=('', '.2f', '.0f', '.1f'))}")
    assert ratios["waic-glow"] < 1.5 * 5 * ratios["glow"]  # five members cost five passes, not more
    assert found["waic-glow"].mb < 3 * found["glow"].mb  # and one member's memory at a time

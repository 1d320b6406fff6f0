"""The same evaluation here, in pytorch-ood, and at its floor: the passes that nobody can avoid.

Same network, same sets, same five methods (MSP, ODIN, Mahalanobis, energy, k nearest neighbours), from pixels to
metrics, fitting included. The floor is one forward pass over the training set and over each test set, plus, for ODIN,
one gradient and one more forward pass over each test set. Printed: both times in units of the floor, and the largest
difference in AUROC per method.
"""

import time
from collections.abc import Callable, Iterator

import pytest
import torch
from conftest import Bench, pixels
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

import oodbench

METHODS = ("msp", "odin", "mahalanobis-a", "energy", "knn")
BATCH = 512


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def batches(x: Tensor) -> Iterator[Tensor]:
    yield from torch.split(x, BATCH)


def floor(net: torch.nn.Module, train: Tensor, tests: list[Tensor]) -> None:
    with torch.no_grad():
        for x in (train, *tests):
            for part in batches(x):
                net(part)
    for x in tests:
        for part in batches(x):
            part = part.clone().requires_grad_()
            loss = cross_entropy(net(part) / 1000, torch.zeros(len(part), dtype=torch.long))
            step = torch.autograd.grad(loss, part)[0]
            with torch.no_grad():
                net(part + 0.0014 * step.sign())


def peer(net, train: tuple[Tensor, Tensor], tests: dict[str, Tensor]) -> dict[tuple[str, str], float]:
    """pytorch-ood as its documentation runs it: fit each detector, then feed every set through it."""
    from pytorch_ood.detector import KNN, ODIN, EnergyBased, Mahalanobis, MaxSoftmax
    from pytorch_ood.metrics import OODMetrics

    def features(x: Tensor) -> Tensor:
        return net.layers(x)[-1]

    loader = DataLoader(TensorDataset(*train), batch_size=BATCH)
    detectors = {
        "msp": MaxSoftmax(net),
        "odin": ODIN(net, temperature=1000, eps=0.0014),
        "mahalanobis-a": Mahalanobis(features),
        "energy": EnergyBased(net),
        "knn": KNN(features, k=50),
    }
    found = {}
    for name, detector in detectors.items():
        detector.fit(loader)
        for out in list(tests)[1:]:
            metrics = OODMetrics()
            for which, label in (("test", 0), (out, -1)):
                for (x,) in DataLoader(TensorDataset(tests[which]), batch_size=BATCH):
                    metrics.update(detector(x).detach(), torch.full((len(x),), label))
            found[name, out] = float(metrics.compute()["AUROC"])
    return found


@pytest.mark.benchmark(group="peer")
def test_evaluation_beside_pytorch_ood(benchmark, real: Bench) -> None:
    train = torch.from_numpy(pixels(real.train))
    labels = torch.from_numpy(real.train.labels)
    tests = {"test": torch.from_numpy(pixels(real.test))} | {
        n: torch.from_numpy(pixels(s)) for n, s in real.ood.items()
    }

    def ours() -> object:
        return oodbench.evaluate(
            real.net,
            train=(train, labels),
            test=(tests["test"], torch.from_numpy(real.test.labels)),
            failures={name: tests[name] for name in real.ood},
            methods=METHODS,
        ).table

    floors, theirs, frames = [], [], []
    for _ in range(3):  # in turn, so that a machine that drifts drifts for all
        floors.append(seconds(lambda: floor(real.net, train, list(tests.values()))))
        frames.append(seconds(ours))
    theirs.append(seconds(lambda: peer(real.net, (train, labels), tests)))
    table = benchmark.pedantic(ours, rounds=1)
    least = sorted(floors)[1]
    here, there = sorted(frames)[1] / least, theirs[0] / least
    benchmark.extra_info.update({"floor_s": least, "oodbench_x": here, "pytorch_ood_x": there})
    print(
        f"\nfloor {least:.2f} s; oodbench {here:.2f}x the floor, pytorch-ood {there:.2f}x: {there / here:.1f}x faster"
    )
    scores = peer(real.net, (train, labels), tests)
    rows = table[table.failure == "ood"].set_index(["method", "set"]).auroc
    for method in METHODS:
        apart = max(abs(rows[method, name] - scores[method, name]) for name in real.ood)
        print(f"  {method:14} largest AUROC difference {apart:.1e}")

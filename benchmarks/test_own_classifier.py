"""`oodbench.evaluate` beside its floor: the passes that nobody can avoid, made in the best way that is known.

Printed are ratios of times of one process, one thread, taken in turn. The floor is a bare loop over batches, at the
best of several batch sizes and memory formats. Networks have random weights and images are noise: what is measured
depends on neither, but for one thing, that a model that is mostly wrong is tried with pixels in other ranges; so
classes are its own.
"""

import time
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

import oodbench
from oodbench.contract import HEAD
from oodbench.models.outputs import Trained, to_store
from oodbench.networks import classifier
from oodbench.recipes import Plain
from oodbench.run.batch_size import suited
from oodbench.run.memory_format import channels_last
from oodbench.run.registry import registry
from oodbench.spaces import Images
from oodbench.training import InSet

NETWORKS = {"he-resnet-20": ((3, 32, 32), 1024), "resnet-small": ((1, 28, 28), 2048), "resnet-18": ((3, 32, 32), 128)}
BATCHES = (16, 32, 64, 128, 256, 512)
FORMATS = (torch.contiguous_format, torch.channels_last)
FIVE = ("msp", "odin", "mahalanobis-a", "energy", "knn")
TRAINS = ("confidnet-train", "feature-maf", "feature-maf-spread", "feature-vae", "gmm-100", "gmm-1000")
"""Read one forward pass, and train on its features for epochs: their cost is the fit's."""
COMPARE = ("cf-ood", "corp", "relation", "trust-score", "weiper-kld")
"""Do more for an input than a small network's pass does: compare it with every training input, or with many heads."""

ROUNDS = 2


def network(name: str) -> nn.Module:
    torch.manual_seed(0)
    c = NETWORKS[name][0][0]
    return classifier(name, InSet(Images(NETWORKS[name][0], (0.5,) * c, (0.25,) * c), 10)).eval()


def seconds(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def forward(net: nn.Module, x: Tensor, batch: int) -> None:
    with torch.no_grad():
        for part in x.split(batch):
            net(part)


def odin(net: nn.Module, x: Tensor, batch: int) -> None:
    """One gradient, and a forward pass of the stepped images."""
    for part in x.split(batch):
        leaf = part.clone().requires_grad_()
        loss = cross_entropy(net(leaf) / 1000, torch.zeros(len(leaf), dtype=torch.long), reduction="sum")
        step = torch.autograd.grad(loss, leaf)[0]
        with torch.no_grad():
            net(part + 0.0014 * step.sign())


Ways = dict[tuple[torch.memory_format, int], float]


def ways(net: nn.Module, x: Tensor, work: Callable[[nn.Module, Tensor, int], None]) -> Ways:
    """Return the least time of a work by memory format and batch size."""
    found: Ways = {}
    weights = [weight.requires_grad_(False) for weight in net.parameters()]
    for _, form, batch in product(range(ROUNDS), FORMATS, BATCHES):
        if batch > len(x):
            continue
        net.to(memory_format=form)
        took = seconds(lambda batch=batch: work(net, x, batch))
        found[form, batch] = min(took, found.get((form, batch), took))
    net.to(memory_format=torch.contiguous_format)
    for weight in weights:
        weight.requires_grad_(True)
    return found


@pytest.mark.benchmark(group="batch")
@pytest.mark.parametrize("name", NETWORKS)
def test_the_rule_beside_the_best_batch_and_memory_format(benchmark: Any, name: str) -> None:
    net, (shape, n) = network(name), NETWORKS[name]
    x = torch.rand(n, *shape)
    with channels_last(Trained(net, torch.device("cpu")), x[:4]) as last:
        chosen = (
            (torch.channels_last if last else torch.contiguous_format),
            min(suited(net, x[:4]), max(b for b in BATCHES if b <= n)),
        )
    for what, work in (("forward", forward), ("gradient", odin)):
        found = ways(net, x, work)
        best = min(found, key=lambda way: found[way])
        share = found[best] / found[chosen]
        benchmark.extra_info[f"{what}_share_of_best"] = share
        print(
            f"\n{name}, {what}: the rule's {told(chosen)} at {share:.2f} of the best, {told(best)}; the worst "
            f"{found[best] / max(found.values()):.2f}"
        )
    benchmark.pedantic(lambda: forward(net, x, chosen[1]), rounds=1)


def told(way: tuple[torch.memory_format, int]) -> str:
    return f"batch {way[1]}{', channels last' if way[0] == torch.channels_last else ''}"


class Case:
    """ResNet-20 on images of 32 pixels: 1,024 for training, 512 for test, two out-sets of 512."""

    def __init__(self) -> None:
        self.net = network("he-resnet-20")
        rng = np.random.default_rng(0)
        self.pixels = {
            name: rng.integers(0, 256, size=(n, 3, 32, 32), dtype=np.uint8)
            for name, n in (("train", 1024), ("test", 512), ("a", 512), ("b", 512))
        }
        self.x = {name: torch.from_numpy(pixels).float() / 255 for name, pixels in self.pixels.items()}
        with torch.no_grad():
            own = {name: self.net(self.x[name]).argmax(1).numpy() for name in ("train", "test")}
        own["test"][:40] = (own["test"][:40] + 1) % 10
        self.classes = own
        self.best = {
            what: min(found, key=lambda way: found[way])
            for what, work in (("forward", forward), ("gradient", odin))
            for found in [ways(self.net, self.x["a"], work)]
        }

    def floor(self, sets: tuple[str, ...], stepped: tuple[str, ...]) -> None:
        for what, work, names in (("forward", forward, sets), ("gradient", odin, stepped)):
            form, batch = self.best[what]
            self.net.to(memory_format=form)
            for name in names:
                work(self.net, self.x[name], batch)
        self.net.to(memory_format=torch.contiguous_format)

    def judge(self, methods: tuple[str, ...]) -> oodbench.Result:
        result = oodbench.evaluate(
            self.net,
            train=(self.pixels["train"], self.classes["train"]),
            test=(self.pixels["test"], self.classes["test"]),
            failures={name: self.pixels[name] for name in ("a", "b")},
            methods=methods,
        )
        assert result.table["auroc"].notna().all()
        return result


@pytest.fixture(scope="module")
def case() -> Iterator[Case]:
    yield Case()


def beside(benchmark: Any, work: Callable[[], object], floor: Callable[[], object], what: str) -> None:
    work()
    times = np.array([(seconds(floor), seconds(work)) for _ in range(ROUNDS)])
    ratio = float(np.median(times[:, 1]) / np.median(times[:, 0]))
    benchmark.extra_info["of_floor"] = ratio
    benchmark.pedantic(floor, rounds=1)
    print(f"\n{what}: {ratio:.2f}x the floor of {np.median(times[:, 0]):.2f} s")


ALL, TESTS = ("train", "test", "a", "b"), ("test", "a", "b")


@pytest.mark.benchmark(group="own classifier")
def test_five_methods(benchmark: Any, case: Case) -> None:
    beside(benchmark, lambda: case.judge(FIVE), lambda: case.floor(ALL, TESTS), "five methods, one of gradients")


@pytest.mark.benchmark(group="own classifier")
def test_all_methods_of_one_forward_pass(benchmark: Any, case: Case) -> None:
    methods = tuple(
        name
        for name, one in registry().items()
        if isinstance(one.method.recipe, Plain)
        and to_store(one.method.detector.reads) | {HEAD} >= one.method.detector.reads
        and one.method.materials <= {"labels"}
        and name not in TRAINS + COMPARE
    )
    beside(benchmark, lambda: case.judge(methods), lambda: case.floor(ALL, ()), f"{', '.join(methods)}")


@pytest.mark.benchmark(group="own classifier")
def test_one_method_of_logits(benchmark: Any, case: Case) -> None:
    """MSP reads no training images but the 512 on which accuracy is measured."""
    beside(benchmark, lambda: case.judge(("msp",)), lambda: case.floor(("b", "test", "a", "b"), ()), "msp")

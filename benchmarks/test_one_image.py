"""A fitted detector beside its model: one image, as a program asks that answers one request at a time.

Printed for each method: the median time of `detector.score(image[None])` in units of the model's forward pass on the
same image, taken in turn. The network is ResNet-20 for CIFAR with random weights: what is measured does not depend on
them.
"""

import time
from collections.abc import Callable

import numpy as np
import pytest
import torch

import oodbench
from oodbench.networks import classifier
from oodbench.spaces import Images
from oodbench.training import InSet

ROUNDS = 300


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


@pytest.mark.benchmark(group="one image")
@pytest.mark.parametrize("method", ["msp", "knn", "mahalanobis-a"])
def test_one_image_beside_its_forward_pass(benchmark, method: str) -> None:
    torch.manual_seed(0)
    net = classifier("he-resnet-20", InSet(Images((3, 32, 32), mean=(0.5,) * 3, std=(0.25,) * 3), 10)).eval()
    x = np.random.default_rng(0).uniform(size=(500, 3, 32, 32)).astype(np.float32)
    detector = oodbench.fit(net, method, train=(x, np.arange(500) % 10))
    image = torch.from_numpy(x[:1])

    def forward() -> None:
        with torch.no_grad():
            net(image)

    def score() -> None:
        detector.score(image)

    for _ in range(20):
        forward(), score()
    passes, scores = np.array([(seconds(forward), seconds(score)) for _ in range(ROUNDS)]).T
    benchmark.pedantic(score, rounds=20)
    ratio = float(np.median(scores) / np.median(passes))
    benchmark.extra_info.update({"forward_ms": 1000 * float(np.median(passes)), "score_x": ratio})
    print(f"\n{method}: one image in {ratio:.2f}x its forward pass of {1000 * np.median(passes):.1f} ms")

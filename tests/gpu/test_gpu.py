"""Every method of tiny-v1 on a GPU against the CPU, on the same weights; memory; speed. Skipped without a GPU."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from on_device import OnDevice, Speed, decoded, multiplications, on_same_weights, speed, table, write

from oodbench.data.matrix import find_matrix
from oodbench.run.rows import rows
from oodbench.run.tasks import guarded
from oodbench.run.verify import AUROC
from oodbench.run.workspace import Workspace

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here"),
    pytest.mark.filterwarnings("ignore::UserWarning"),  # of kernels that have no fixed order
]

DEVICE = "cuda:0"
SPEEDS = [("resnet-small", (1, 28, 28), 10, 1024), ("wrn-28-10", (3, 32, 32), 10, 512)]
SPEEDS += [("torchvision:resnet50", (3, 224, 224), 1000, 128)]


@pytest.fixture(scope="module")
def methods(tmp_path_factory: pytest.TempPathFactory) -> list[OnDevice]:
    folder = tmp_path_factory.mktemp("cpu")
    matrix = find_matrix("tiny-v1")
    context = guarded(matrix, Workspace(results=folder / "results", cache=folder / "cache"))
    return on_same_weights(context, rows(matrix, []), DEVICE, tmp_path_factory.mktemp("gpu"))


@pytest.fixture(scope="module")
def limit() -> float:
    return multiplications(DEVICE)


@pytest.fixture(scope="module")
def speeds(limit: float) -> list[Speed]:
    return [speed(*one, DEVICE, limit) for one in SPEEDS]


@pytest.fixture(scope="module", autouse=True)
def page(methods: list[OnDevice], speeds: list[Speed], limit: float) -> Iterator[None]:
    """Write the table where `make gpu` wants it, whatever the tests find."""
    if wanted := os.environ.get("OODBENCH_GPU_TABLE"):
        write(Path(wanted), table(methods, speeds, limit, decoded(), DEVICE))
    yield


def test_every_method_says_on_the_gpu_what_it_says_on_the_cpu(methods: list[OnDevice]) -> None:
    off = [one for one in methods if one.verdict in ("drifted", "failed") or one.auroc > AUROC]
    assert methods
    assert not off


def test_no_evaluation_takes_more_than_a_small_gpu_has(methods: list[OnDevice]) -> None:
    assert max(one.megabytes for one in methods) < 8 * 1024


def test_forward_passes_come_near_the_devices_own_rate(speeds: list[Speed]) -> None:
    """Of large networks, a quarter; a small one waits for its kernels to start."""
    assert [one.network for one in speeds if one.share < 0.25] in ([], ["resnet-small"])


def test_large_networks_are_faster_in_bfloat16(speeds: list[Speed]) -> None:
    """That is all that it is for; what it does to the numbers is in docs/many-gpus.md."""
    assert [one.network for one in speeds if one.coarse < 1.5 * one.images] in ([], ["resnet-small"])


def test_decoders_keep_up_with_forward_passes(speeds: list[Speed]) -> None:
    cores = os.cpu_count() or 1
    assert cores * decoded() > speeds[-1].images / 4, "with so few cores the GPU waits for pictures"

"""On a GPU, work is done in whole float32 and in a fixed order; nobody's settings are lost by it."""

from types import SimpleNamespace

import pytest
import torch

from oodbench.run.engines import attempt
from oodbench.run.machine import exact


def settings() -> dict[str, object]:
    return {
        "tf32 convolutions": torch.backends.cudnn.allow_tf32,
        "fixed convolutions": torch.backends.cudnn.deterministic,
        "fastest convolutions": torch.backends.cudnn.benchmark,
        "products": torch.get_float32_matmul_precision(),
        "fixed order": torch.are_deterministic_algorithms_enabled(),
    }


EXACT = {
    "tf32 convolutions": False,
    "fixed convolutions": True,
    "fastest convolutions": False,
    "products": "highest",
    "fixed order": True,
}


@pytest.fixture
def coarse():
    """A user who asked for speed."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    yield settings()
    torch.set_float32_matmul_precision(before)


def test_on_a_gpu_float32_is_whole_and_order_is_fixed_and_settings_come_back(coarse):
    assert coarse != EXACT
    with exact("cuda:1"):
        assert settings() == EXACT
    assert settings() == coarse


def test_settings_come_back_after_an_error(coarse):
    with pytest.raises(ZeroDivisionError), exact("cuda"):
        1 / 0  # noqa: B018
    assert settings() == coarse


def test_nothing_is_set_on_a_cpu(coarse):
    with exact("cpu"):
        assert settings() == coarse


def test_every_task_of_a_run_works_so():
    task = SimpleNamespace(run=lambda place, report: settings())
    done = attempt(task, SimpleNamespace(torch_device=torch.device("cuda"), store=None), lambda *news: None)
    assert done.result == EXACT

"""A class of machine rounds alike; on a GPU, work is done in whole float32, in a fixed order, settings come back."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from oodbench.run.engines import attempt
from oodbench.run.machine import exact, kind_of, machine_class, processor, slug


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


@pytest.mark.parametrize(
    ("listing", "named"),
    [
        (
            "vendor_id\t: AuthenticAMD\ncpu family\t: 25\nmodel\t\t: 17\n\nvendor_id\t: Other\n",
            "AuthenticAMD-25-17",
        ),
        ("vendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 143\n", "GenuineIntel-6-143"),
        ("processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd4f\n", "0x41-0xd4f"),
        ("cpu: <script>a|b</script>\nvendor_id: <b>|`x`\n", "b-x"),
    ],
)
def test_processors_that_round_unlike_are_classes_of_their_own(listing: str, named: str, tmp_path: Path) -> None:
    path = tmp_path / "cpuinfo"
    path.write_text(listing)
    assert processor(path) == named


def test_a_system_that_lists_no_processors_still_has_a_class(tmp_path: Path) -> None:
    assert not set(processor(tmp_path / "none")) & set(" |<>`")


def test_the_class_of_this_cpu() -> None:
    machine = machine_class("cpu")
    assert machine == f"cpu {torch.backends.cpu.get_cpu_capability()} {processor()}".strip()
    assert kind_of(machine) == kind_of("cpu AVX512") == "cpu"
    assert slug("cpu AVX512 AuthenticAMD-25-17") == "cpu-avx512-authenticamd-25-17"

"""The class of machine: within one, equal work gives equal bytes; across classes it may not."""

import os
import platform
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

import torch

PROCESSOR = ("vendor_id", "cpu family", "model", "CPU implementer", "CPU part")
"""Lines of /proc/cpuinfo that name a processor, on x86 and on ARM."""


@contextmanager
def exact(device: str | torch.device) -> Iterator[None]:
    """Compute in whole float32 and, where there is such a kernel, in a fixed order; afterwards all is as it was.

    By default a convolution on a GPU rounds its float32 inputs to TF32, 10 bits, and the fastest kernels sum in any
    order. On CPU nothing is set: torch computes there as asked.

    Example:
        >>> with exact("cuda"):
        ...     torch.backends.cudnn.allow_tf32
        False
    """
    if torch.device(device).type != "cuda":
        yield
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when cuBLAS starts; else it may sum in any order
    matmul = torch.get_float32_matmul_precision()
    strict, warns = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    torch.set_float32_matmul_precision("highest")
    torch.use_deterministic_algorithms(True, warn_only=True)  # what has no such kernel says so, and goes on
    try:
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
            yield
    finally:
        torch.use_deterministic_algorithms(strict, warn_only=warns)
        torch.set_float32_matmul_precision(matmul)


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute in one thread on the CPU: the last bits of float sums depend on how many there are; then as before.

    Example:
        >>> with one_thread():
        ...     torch.get_num_threads()
        1
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def machine_class(device: str | torch.device) -> str:
    """Return the class of a device: its type, and the name of the GPU, or the capability and the model of the CPU.

    The model counts: libraries choose their kernels and block their sums by it, so that two processors with AVX-512
    round unlike: "cpu AVX512 AuthenticAMD-25-17" is one class, "cpu AVX512 GenuineIntel-6-143" another.

    Example:
        >>> machine_class("cpu").split(" ")[0]
        'cpu'
    """
    device = torch.device(device)
    if device.type == "cuda":
        return f"cuda {torch.cuda.get_device_name(device)}"
    if device.type == "cpu":
        return f"cpu {torch.backends.cpu.get_cpu_capability()} {processor()}".strip()
    return device.type


@cache
def processor(listing: Path = Path("/proc/cpuinfo")) -> str:
    """Return the maker, family and model of this machine's processor, as far as the system tells; else an empty text.

    Args:
        listing: Where Linux tells of processors.
    """
    found: dict[str, str] = {}
    with suppress(OSError):
        for line in listing.read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            found.setdefault(name.strip(), value.strip())
    named = [found[name] for name in PROCESSOR if found.get(name)]
    return re.sub(r"[^A-Za-z0-9-]+", "-", "-".join(named) or platform.processor()).strip("-")


def kind_of(machine: str) -> str:
    """Return what a class of machine is told apart by at first sight: all CPUs are one kind, each GPU is its own."""
    return "cpu" if machine.split(" ")[0] == "cpu" else machine


def slug(machine: str) -> str:
    """Return a class of machine as a folder's name."""
    return re.sub(r"[^a-z0-9]+", "-", machine.lower()).strip("-")

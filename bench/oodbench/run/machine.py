"""The class of machine: within one, equal work gives equal bytes; across classes it may not."""

import re

import torch


def machine_class(device: str | torch.device) -> str:
    """Return the class of a device: its type, and the name of the GPU or the capability of the CPU.

    Example:
        >>> machine_class("cpu")
        'cpu AVX512'
    """
    device = torch.device(device)
    if device.type == "cuda":
        return f"cuda {torch.cuda.get_device_name(device)}"
    if device.type == "cpu":
        return f"cpu {torch.backends.cpu.get_cpu_capability()}"
    return device.type


def kind_of(machine: str) -> str:
    """Return what a class of machine is told apart by at first sight: all CPUs are one kind, each GPU is its own."""
    return "cpu" if machine.split(" ")[0] == "cpu" else machine


def slug(machine: str) -> str:
    """Return a class of machine as a folder's name."""
    return re.sub(r"[^a-z0-9]+", "-", machine.lower()).strip("-")

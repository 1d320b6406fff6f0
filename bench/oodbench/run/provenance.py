"""Where a number comes from: code, versions, machine."""

import platform
import resource
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version

import torch

import oodbench
from oodbench import checkout
from oodbench.forward_precision import WHOLE, Precision
from oodbench.records import Environment, Git
from oodbench.run.machine import machine_class

PACKAGES = ("oodbench", "torch", "torchvision", "numpy", "scipy", "scikit-learn", "pandas", "pillow")


@cache
def git() -> Git:
    """Return the commit of this checkout and whether its code differs from it; nulls outside a repository."""
    top = checkout.folder()
    commit = checkout.ask(top, "rev-parse", "HEAD") if top else None
    if top is None or commit is None:
        return Git(commit=None, dirty=None)
    return Git(
        commit=commit, dirty=bool(checkout.ask(top, "status", "--porcelain", "--", "bench", "methods", "datasets"))
    )


@cache
def packages() -> dict[str, str]:
    """Return the versions of the packages that numbers may depend on."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = oodbench.__version__ if name == "oodbench" else "absent"
    return found


def environment(device: str, precision: Precision = WHOLE) -> Environment:
    """Return the machine, and the precision of forward passes, as far as numbers depend on them."""
    return Environment(
        device=device,
        machine=machine_class(device),
        threads=torch.get_num_threads(),
        dtype=precision,
        python=platform.python_version(),
        platform=f"{platform.system()} {platform.machine()}",
    )


def peak_memory_mb() -> float:
    """Return the peak resident memory of this process."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 * 1024) if sys.platform == "darwin" else peak / 1024

"""Where a number comes from: code, versions, machine."""

import platform
import resource
import subprocess
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

import oodbench
from oodbench.forward_precision import WHOLE, Precision
from oodbench.records import Environment, Git
from oodbench.run.machine import machine_class

PACKAGES = ("oodbench", "torch", "torchvision", "numpy", "scipy", "scikit-learn", "pandas", "pillow")


@cache
def git() -> Git:
    """Return the commit of this checkout and whether its code differs from it; nulls outside a repository."""
    package = Path(oodbench.__file__).parent
    folder = package.parents[1]
    if package != folder / "bench" / "oodbench":  # installed: a repository above it is somebody else's
        return Git(commit=None, dirty=None)

    def ask(*words: str) -> str | None:
        done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, check=False)
        return done.stdout.strip() if done.returncode == 0 else None

    try:
        commit = ask("rev-parse", "HEAD")
        changes = ask("status", "--porcelain", "--", "bench", "methods", "datasets")
    except FileNotFoundError:
        return Git(commit=None, dirty=None)
    return Git(commit=commit, dirty=None if commit is None else bool(changes))


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

"""A fresh environment: oodbench as a wheel installs it, and of this one no more than what oodbench depends on."""

import os
import resource
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

ROOT = Path(__file__).parents[2]

SOURCE = ("bench", "methods", "datasets", "results/reported", "pyproject.toml", "README.md", "LICENSE")
"""What a wheel is built from."""


@dataclass(frozen=True)
class Fresh:
    """A virtual environment."""

    folder: Path

    def run(self, line: str, cwd: Path, **more: str) -> str:
        """Run a line as a person would, with this environment activated; return what it printed."""
        began, spent = perf_counter(), of_children()
        env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "OODBENCH_"))}
        env |= {"PATH": f"{self.folder / 'bin'}:{env['PATH']}", "OMP_NUM_THREADS": "1", **OFFLINE, **more}
        ran = subprocess.run(["bash", "-c", line], cwd=cwd, env=env, capture_output=True, text=True)
        print(f"{perf_counter() - began:7.1f} s, {of_children() - spent:6.1f} s of the processor  {line}", flush=True)
        assert ran.returncode == 0, f"{line}\n{ran.stdout[-3000:]}\n{ran.stderr[-3000:]}"
        return ran.stdout

    def install(self, source: Path, *, wheel: bool) -> None:
        """Install what lies in a folder: a wheel that is built of it, or the folder itself."""
        quiet = "--quiet --no-deps"
        if not wheel:
            self.run(f"python -m pip install {quiet} --editable {source}", self.folder)
            return
        self.run(f"python -m pip wheel {quiet} --wheel-dir wheels {source}", self.folder)
        self.run(f"python -m pip install {quiet} --force-reinstall wheels/*.whl && rm -r wheels", self.folder)


def of_children() -> float:
    """Return the processor seconds of all programs that this process started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


OFFLINE = {"PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
"""As these tests never download: what a build needs is here. (pip reads its negative options the other way round.)"""


def fresh(folder: Path) -> Fresh:
    """Return an environment without oodbench; what that depends on is found where this process finds it."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    (place,) = folder.glob("lib/python*/site-packages")
    for old in (*place.glob("setuptools*"), *place.glob("*distutils*"), place / "pkg_resources"):
        shutil.rmtree(old) if old.is_dir() else old.unlink(
            missing_ok=True
        )  # Python 3.11 has one that knows no licences
    there = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
    (place / "_dependencies.pth").write_text("\n".join(there) + "\n")
    return Fresh(folder)


def copied(to: Path, *more: str) -> Path:
    """Return a copy of what a wheel is built from, and of more files and folders."""
    for name in (*SOURCE, *more):
        source, copy = ROOT / name, to / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info", "build"))
        else:
            shutil.copy(source, copy)
    return to

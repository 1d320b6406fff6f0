"""Settings of the whole suite."""

import os
import shutil
import tempfile

import pytest
from hypothesis import settings

# The same examples on every machine, and no deadline: a busy machine is no bug.
settings.register_profile("oodbench", derandomize=True, deadline=None)
settings.load_profile("oodbench")

TOYS = pytest.StashKey[str]()


def pytest_configure(config: pytest.Config) -> None:
    """Let all workers share one folder of trained toys: each is trained once."""
    if not hasattr(config, "workerinput"):  # workers inherit the environment of the process that starts them
        config.stash[TOYS] = os.environ["OODBENCH_TOYS"] = tempfile.mkdtemp(prefix="oodbench-toys-")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the folder."""
    if TOYS in config.stash:
        shutil.rmtree(config.stash[TOYS], ignore_errors=True)

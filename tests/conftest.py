"""Settings of the whole suite."""

import gc
import os
import pickle
import shutil
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import checked_shapes  # noqa: F401  before the hook that calls it
import pytest
import torch
from hypothesis import settings
from jaxtyping import install_import_hook

from oodbench.data import packaged
from oodbench.data.images import ArrayImages

# A thread a worker, however pytest was started: sums, and so golden scores, depend on the number in their last bits.
torch.set_num_threads(1)

# Shapes and types are checked in every call, here and nowhere else: an annotation that is wrong fails a test.
ROOMS = (
    "formulas",
    "banks",
    "feature_statistics",
    "shaping",
    "estimators",
    "detectors",
    "densities",
    "networks",
    "methods",
    "attacks",
    "data.attacks",
    "explain",
)
install_import_hook([f"oodbench.{room}" for room in ROOMS], "checked_shapes.typechecker")

# The same examples on every machine, and no deadline: a busy machine is no bug.
settings.register_profile("oodbench", derandomize=True, deadline=None)
settings.load_profile("oodbench")

collect_ignore = ["package"]
"""A package of its own: its tests run where it is installed (`tests/walk`)."""

TOYS = pytest.StashKey[str]()
MEMORY = Path("/dev/shm")
ROOM = 4 * 2**30
"""Bytes that have to be free in memory for the folders of tests to lie there."""


def pytest_configure(config: pytest.Config) -> None:
    """Let all workers share one folder of trained toys: each is trained once. Folders lie in memory if there is room.

    On a disk, removing what tests wrote takes a tenth of their time.
    """
    if not hasattr(config, "workerinput"):  # workers inherit the environment of the process that starts them
        if "TMPDIR" not in os.environ and MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM:
            os.environ["TMPDIR"] = tempfile.tempdir = str(MEMORY)
        config.stash[TOYS] = os.environ["OODBENCH_TOYS"] = tempfile.mkdtemp(prefix="oodbench-toys-")


def pytest_collection_finish() -> None:
    """Let no collection of garbage look through seven thousand tests again."""
    gc.collect()
    gc.freeze()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the folder."""
    if TOYS in config.stash:
        shutil.rmtree(config.stash[TOYS], ignore_errors=True)


@pytest.fixture(scope="session", autouse=True)
def no_test_waits_for_the_disk() -> Iterator[None]:
    """What a test writes need not outlive a power failure; tests of a full disk put their own in this place."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda handle: None)
        yield


@pytest.fixture(scope="session", autouse=True)
def pictures_of_packages_are_made_once() -> Iterator[None]:
    """Thousands of letters are drawn and digits parsed to open a small matrix: all tests share them."""
    made: dict[object, ArrayImages] = {}

    def remembered(make: Callable[..., ArrayImages], *given: Any) -> ArrayImages:
        key = pickle.dumps((make.__name__, given))
        if key not in made:
            made[key] = make(*given)
        return ArrayImages(made[key].pixels.copy(), made[key].labels, made[key].card)

    with pytest.MonkeyPatch.context() as patch:
        for make in (packaged._glyphs, packaged._mnist):
            patch.setattr(packaged, make.__name__, partial(remembered, make))
        yield


@pytest.fixture(scope="session", autouse=True)
def nothing_is_kept_in_the_users_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Weights, outputs and fingerprints of tests stay theirs; programs that tests start inherit the variable."""
    before = os.environ.get("OODBENCH_CACHE")
    os.environ["OODBENCH_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    yield
    if before is None:
        del os.environ["OODBENCH_CACHE"]
    else:
        os.environ["OODBENCH_CACHE"] = before

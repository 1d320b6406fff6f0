"""Each entry of the catalogue is found, and its message names the file and the fault; nothing is found without one."""

import shutil
import sys
from pathlib import Path

import pytest
from tests.verify.catalogue import CATALOGUE, Forgery
from tests.verify.made import make

from oodbench.verify.state import State
from oodbench.verify.verified import verify


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clean")
    return make(folder / "results")


@pytest.fixture(scope="module")
def state(clean: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is known of the clean folder: a forgery costs what it changed."""
    folder = tmp_path_factory.mktemp("state")
    assert verify(clean, state=State(folder)).faults == ()
    assert "pickle" not in {name for name in sys.modules if name.startswith("oodbench")}
    return folder


@pytest.mark.parametrize("one", CATALOGUE, ids=lambda one: f"{one.kind}: {one.what}"[:60])
def test_it_is_found(one: Forgery, clean: Path, state: Path, tmp_path: Path) -> None:
    root = tmp_path / "results"
    shutil.copytree(clean, root)
    one.forge(root)
    faults = [str(fault) for fault in verify(root, state=State(state)).faults]
    assert any(fault.startswith(f"{one.file}: ") and one.says in fault for fault in faults), "\n".join(faults[:20])


def test_the_catalogue_is_as_large_as_it_says() -> None:
    assert len(CATALOGUE) >= 60
    assert len({(one.kind, one.what) for one in CATALOGUE}) == len(CATALOGUE)

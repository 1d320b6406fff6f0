"""Numbers move exactly when a version does: every method on the toy, against its golden scores."""

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from make_scores import FOLDER, fault, now, path_of, tried

from oodbench.run.registry import Registered
from oodbench.run.workspace import Workspace
from oodbench.spaces import SpaceName


@pytest.fixture(scope="session")
def toys(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """One cache for all workers of pytest: no model is trained twice."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "toys"
    folder.mkdir(exist_ok=True)
    return Workspace(results=folder, cache=folder)


@pytest.mark.parametrize(("entry", "space"), tried(), ids=lambda one: getattr(one, "module", one))
def test_numbers_move_exactly_when_a_version_does(entry: Registered, space: SpaceName, toys: Workspace) -> None:
    assert fault(entry, now(entry, toys, space), space) is None


def test_no_golden_scores_are_of_a_method_that_is_gone() -> None:
    assert {path.name for path in FOLDER.glob("*.json")} == {path_of(*one).name for one in tried()}

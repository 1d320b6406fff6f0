"""A submission of a method that is not of this repository: from an installed package to what verify says of it."""

import importlib
import json
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.verify import made
from tests.verify.made import MATRIX

from oodbench.cli import main
from oodbench.data.matrix import find_matrix
from oodbench.manifest import FILE, Manifest
from oodbench.run.context import Context
from oodbench.run.plan import plan
from oodbench.run.registry import find, registry
from oodbench.run.workspace import Workspace

NAME = "standardised-norm"
PACKAGE = Path(__file__).parents[1] / "package"


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The package of these tests, as `pip install --editable` leaves it."""
    folder, site = tmp_path / NAME, tmp_path / "site"
    shutil.copytree(PACKAGE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    info = site / "oodbench_standardised_norm-0.1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: oodbench-standardised-norm\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text(f"[oodbench.methods]\n{NAME} = standardised_norm.method:METHODS\n")
    (info / "top_level.txt").write_text("standardised_norm\n")
    (info / "direct_url.json").write_text(json.dumps({"url": folder.as_uri(), "dir_info": {"editable": True}}))
    for path in (site, folder / "src"):
        monkeypatch.syspath_prepend(str(path))
    importlib.invalidate_caches()
    registry.cache_clear()
    yield folder
    registry.cache_clear()
    for name in [name for name in sys.modules if name.startswith("standardised_norm")]:
        del sys.modules[name]


@pytest.fixture
def results(installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Drawn records of it, as a run makes them that has checked it."""
    monkeypatch.setattr(made, "METHODS", (*made.METHODS, NAME))
    root, matrix = tmp_path / "results", find_matrix(MATRIX)
    entries = [replace(entry, checked=True) for entry in find([NAME])]
    for job in plan(matrix, entries, matrix.seeds):
        made.put(root, Context(matrix, Workspace(results=root)), job)
    return root


def test_its_source_is_its_project_and_verify_takes_what_is_new(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    words = ["submit", NAME, "--matrix", MATRIX, "--results", str(results), "--out", str(out)]
    assert main(words) == 0, capsys.readouterr()
    manifest = Manifest.model_validate_json((out / FILE).read_text())
    assert (manifest.module, manifest.package) == ("standardised_norm.method", "oodbench-standardised-norm 0.1.0")
    assert {name for name in manifest.files if name.startswith("source/")} == {
        "source/pyproject.toml",
        "source/src/standardised_norm/__init__.py",
        "source/src/standardised_norm/method.py",
        "source/tests/test_standardised_norm.py",
    }
    assert main(["verify", str(out), "--no-state", "--workers", "1"]) == 0, capsys.readouterr()
    (out / FILE).unlink()
    assert main(["verify", str(out), "--no-state", "--workers", "1"]) == 1
    assert f"no method here has the row '{NAME}' in {MATRIX}; is it new? --new {NAME}" in capsys.readouterr().out

"""What `oodbench new` writes: it keeps every law, passes its own test and this repository's linter, as it stands."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from oodbench.check.conformance import checks_of
from oodbench.cli import main
from oodbench.errors import BadMethod, BadSetting
from oodbench.submission.template import new

ROOT = Path(__file__).parents[2]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Folders that make a clone."""
    for name in ("methods", "bench/oodbench"):
        (tmp_path / name).mkdir(parents=True)
    return tmp_path


def loaded(name: str, path: Path, monkeypatch: pytest.MonkeyPatch):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    return module


def linted(folder: Path) -> None:
    config = ["--config", str(ROOT / "pyproject.toml")]
    for words in (["check", "--ignore", "INP"], ["format", "--check"]):
        ran = subprocess.run(
            [sys.executable, "-m", "ruff", *words, *config, str(folder)], capture_output=True, text=True
        )
        assert ran.returncode == 0, ran.stdout


def test_two_files_in_a_clone(clone: Path, lab, monkeypatch: pytest.MonkeyPatch) -> None:
    made = new("very-near-mean", clone, package=False)
    assert list(made.texts) == ["methods/very_near_mean.py", "tests/methods/test_very_near_mean.py"]
    module = loaded("oodbench.methods.very_near_mean", clone / "methods" / "very_near_mean.py", monkeypatch)
    (method,) = module.METHODS
    assert (method.name, method.title, type(method.detector).__name__) == (
        *("very-near-mean", "Very near mean", "VeryNearMean"),
    )
    broken = {str(check): verdict for check in checks_of(method) if (verdict := check.run()).status != "ok"}
    assert broken == {}
    test = loaded("written", clone / "tests" / "methods" / "test_very_near_mean.py", monkeypatch)
    test.test_score_by_loops(lab)
    linted(clone / "methods")


def test_a_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", "x-mean", "--package", str(tmp_path)]) == 0
    assert f"python -m pip install --editable {tmp_path}" in capsys.readouterr().out
    assert {path.name for path in tmp_path.iterdir()} == {
        *("pyproject.toml", "oodbench_x_mean.py", "test_oodbench_x_mean.py")
    }
    loaded("oodbench_x_mean", tmp_path / "oodbench_x_mean.py", monkeypatch)
    loaded("written", tmp_path / "test_oodbench_x_mean.py", monkeypatch).test_score_by_loops()
    assert 'x-mean = "oodbench_x_mean:METHODS"' in (tmp_path / "pyproject.toml").read_text()


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("odin", "odin is taken, by oodbench.methods.odin"),
        ("od1n", "od1n looks like odin"),
        ("Mine", "cannot be named 'Mine'"),
        ("a--b", "cannot be named"),
        ("../x", "cannot be named"),
        ("1st", "cannot be named"),
        ("x" * 41, "cannot be named"),
    ],
)
def test_a_name_that_cannot_be(name: str, says: str, clone: Path) -> None:
    with pytest.raises(BadMethod, match=says):
        new(name, clone, package=False)


def test_nothing_is_written_over_or_outside_of_a_clone(clone: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    new("mine", clone, package=False)
    (clone / "methods" / "mine.py").write_text("mine")
    with pytest.raises(BadSetting, match=r"methods/mine\.py: is there already"):
        new("mine", clone, package=False)
    assert (clone / "methods" / "mine.py").read_text() == "mine"
    with pytest.raises(BadSetting, match=r"is no clone of oodbench; .* oodbench new mine --package"):
        new("mine", tmp_path_factory.mktemp("elsewhere"), package=False)

"""The walk of CONTRIBUTING.md, line by line as it stands there: with a method that it writes, and with a package."""

import re
import shutil
from pathlib import Path

import pytest
from tests.walk.fresh import ROOT, Fresh, copied, fresh

from oodbench.manifest import FILE, Manifest
from oodbench.records import read_record

pytestmark = pytest.mark.slow

BLOCK = re.compile(r"<!-- walk -->\n```console\n(.*?)```", re.DOTALL)
NAME, OTHER = "nearest-mean", "standardised-norm"


def lines() -> list[str]:
    (block,) = BLOCK.findall((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))
    return [line.removeprefix("$ ").partition("  #")[0].rstrip() for line in block.splitlines()]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Fresh:
    made = fresh(tmp_path_factory.mktemp("fresh") / "env")
    made.install(copied(tmp_path_factory.mktemp("source")), wheel=True)
    return made


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("walk")


@pytest.fixture(scope="module")
def walked(environment: Fresh, folder: Path) -> dict[str, str]:
    """What each line printed."""
    return {line: environment.run(line, folder, OODBENCH_CACHE=str(folder / "cache")) for line in lines()}


def test_ten_lines_at_most_take_a_method_from_nothing_to_a_submission(walked: dict[str, str], folder: Path) -> None:
    assert len(walked) <= 10
    said = "\n".join(walked.values())
    assert "21 ok, 0 failed, 0 skipped" in said
    assert "nothing is wrong that can be seen without a re-run" in said
    record = read_record(folder / "results" / "tiny-v1" / NAME / "0.json")
    assert (record.status, record.checked) == ("ok", True)
    manifest = Manifest.model_validate_json((folder / "submission" / NAME / FILE).read_text())
    assert manifest.package == f"oodbench-{NAME} 0.1.0"
    own = {"source/oodbench_nearest_mean.py", "source/test_oodbench_nearest_mean.py", "source/pyproject.toml"}
    assert own <= manifest.files.keys()


def test_a_package_is_built_installed_and_taken_through_the_walk(
    walked: dict[str, str], environment: Fresh, folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(ROOT / "tests" / "package", tmp_path / OTHER)
    environment.install(tmp_path / OTHER, wheel=True)
    said = environment.run(f"python -m pytest -q {tmp_path / OTHER}", folder)
    assert "22 passed" in said
    ours = [line for line in lines() if line.startswith("oodbench") and not line.startswith("oodbench new")]
    for line in ours:
        said = environment.run(line.replace(NAME, OTHER), folder, OODBENCH_CACHE=str(folder / "cache"))
    assert "nothing is wrong that can be seen without a re-run" in said
    manifest = Manifest.model_validate_json((folder / "submission" / OTHER / FILE).read_text())
    assert (manifest.module, manifest.package) == ("standardised_norm.method", "oodbench-standardised-norm 0.1.0")
    source = {name for name in manifest.files if name.startswith("source/")}
    assert source == {"source/standardised_norm/__init__.py", "source/standardised_norm/method.py"}

"""`make nightly` on a copy of this repository: as it is it passes, with a sign the wrong way round it does not."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from tests.walk.fresh import ROOT, copied, fresh

pytestmark = pytest.mark.slow

ENERGY = "return formulas.energy(batch.logits, self.T)"
ROWS = ("msp", "energy")


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy with an environment of its own, in which its code runs, and results of it that were made on this machine.

    Those of the repository were made on one class of machine: on another, training makes another classifier.
    """
    root = copied(tmp_path_factory.mktemp("copy"), "Makefile", "requirements")
    environment = fresh(root / ".venv")
    environment.install(root, wheel=False)
    (root / ".venv" / ".installed").touch()
    where = "--workers 1 --results results --cache build/before"
    environment.run(f"oodbench run tiny-v1 --methods {' '.join(ROWS)} {where}", root)
    return root


def nightly(root: Path) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "OODBENCH_", "MAKE"))}
    words = ["make", "nightly", "MATRIX=tiny-v1", f"METHODS={' '.join(ROWS)}", "WORKERS=1"]
    return subprocess.run(words, cwd=root, env=env | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True)


def verdicts(root: Path) -> str:
    return (root / "build" / "nightly" / "comparison.json").read_text()


def test_what_did_not_change_passes_and_a_planted_sign_slip_does_not(copy: Path) -> None:
    ran = nightly(copy)
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-3000:]
    assert json.loads(verdicts(copy))
    method = copy / "methods" / "energy.py"
    assert ENERGY in method.read_text()
    method.write_text(method.read_text().replace(ENERGY, ENERGY.replace("return ", "return -")))
    ran = nightly(copy)
    assert "Error 1" in ran.stderr, ran.stdout[-3000:] + ran.stderr[-3000:]
    assert ran.returncode != 0
    findings = json.loads(verdicts(copy))["findings"]
    worse = {one["row"] for one in findings if one["verdict"] == "regression"}
    assert worse == {"energy"}, "and the row that nobody touched is not worse"


def test_the_workflow_does_what_make_does() -> None:
    workflow = (ROOT / ".github" / "workflows" / "nightly.yml").read_text()
    assert 'run: make nightly DEVICE=cuda MATRIX="$MATRIX"' in workflow
    assert 'run: make sample DEVICE=cuda MATRIX="$MATRIX"' in workflow

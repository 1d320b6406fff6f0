"""docs/judge-your-classifier.md is run as it stands: its files are written, its commands and its Python run."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parent.parent / "docs" / "judge-your-classifier.md"
BLOCK = re.compile(r"```(console|python)(?: file=(\S+))?\n(.*?)```", re.DOTALL)

pytestmark = pytest.mark.slow


def test_the_tutorial_runs_as_it_stands(tmp_path: Path) -> None:
    commands = ["set -e"]
    program = []
    for language, file, text in BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        if file:
            (tmp_path / file).write_text(text)
        elif language == "console":
            commands += [line.removeprefix("$ ") for line in text.splitlines() if line.startswith("$ ")]
        else:
            program.append(text)
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}
    run = {"cwd": tmp_path, "env": env, "text": True, "capture_output": True}
    ran = subprocess.run(["bash", "-c", "\n".join(commands)], **run)
    if "No matching distribution" in ran.stderr or "Could not find a version" in ran.stderr:
        pytest.skip("the checkpoint of the tutorial cannot be had: no package index is reachable")
    assert ran.returncode == 0, ran.stderr
    assert "accuracy on 500 test images: 99.80%" in ran.stdout
    for kind in ("Out-of-distribution inputs", "Adversarial inputs", "misclassifications"):
        assert kind in ran.stdout
    ran = subprocess.run([sys.executable, "-c", "\n".join(program)], **run)
    assert ran.returncode == 0, ran.stderr
    assert "of the bricks would be accepted" in ran.stdout

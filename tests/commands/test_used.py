"""The lines by which this repository itself calls oodbench are understood: Makefile, workflows, scripts."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from oodbench.commands.grammar import VERBS, verb

ROOT = Path(__file__).resolve().parents[2]
TARGETS = ("demo", "leaderboard", "nightly", "sample", "site")


def understood(line: str) -> str:
    """Return the verb of a line of a shell that calls oodbench."""
    words = shlex.split(line[re.search(r"\boodbench ", line).end() :].split(">")[0])  # type: ignore[union-attr]
    words = ["1/4" if "$" in word and "/" in word else word for word in words]
    assert words[0] in VERBS
    verb(words[0]).make_context(words[0], words[1:])
    return words[0]


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not here")
@pytest.mark.parametrize("target", TARGETS)
def test_the_makefile(target: str) -> None:
    said = subprocess.run(
        ["make", "-n", target, "METHODS=msp odin"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    lines = [line for line in re.sub(r"\\\n\s*", " ", said).splitlines() if "bin/oodbench " in line]
    assert {understood(line) for line in lines} <= set(VERBS)
    assert lines


def test_the_makefile_has_no_other() -> None:
    text = (ROOT / "Makefile").read_text()
    named = {
        re.match(r"[a-z]+", block).group() for block in re.split(r"\n(?=[a-z]+:)", text) if "$(BIN)/oodbench" in block
    }  # type: ignore[union-attr]
    assert named == set(TARGETS)


def test_the_workflows() -> None:
    text = "\n".join(path.read_text() for path in sorted((ROOT / ".github" / "workflows").glob("*.yml")))
    lines = re.findall(r"bin/oodbench ([a-z].*)", re.sub(r"\\\n\s*", " ", text))
    assert {understood(f"oodbench {line.rstrip(')')}") for line in lines} >= {"verify", "compare", "table"}


def test_the_script_for_slurm() -> None:
    text = (ROOT / "docs" / "many-gpus" / "shards.sh").read_text()
    (line,) = re.findall(r"exec (oodbench .*)", text)
    assert understood(line.replace('"$@"', "tiny-v1 --methods msp odin")) == "run"

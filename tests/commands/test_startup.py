"""What help, the list and completion do not wait for; how long they take is in `benchmarks/test_startup.py`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("torch", "torchvision", "pandas", "scipy", "sklearn", "pyarrow", "datasets", "matplotlib", "requests")
HEAVY += ("pydantic", "tqdm", "jinja2", "ray")

ARRAYS = ("numpy", "PIL", "tabulate", "rich")

PROGRAM = """
import sys
from oodbench.cli import main
try:
    code = main(sys.argv[1:])
except SystemExit as end:
    code = end.code
print(*sorted({name.split(".")[0] for name in sys.modules}), file=sys.stderr)
sys.exit(code)
"""


def loaded(*words: str, **variables: str) -> set[str]:
    """Return the top-level modules that a call of the command line has loaded when it ends."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *words],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    return set(done.stderr.splitlines()[-1].split())


@pytest.mark.parametrize("words", ["--help", "--version", "run --help", "evaluate --help", "verify -h"])
def test_help_loads_nothing_heavy(words: str) -> None:
    assert not loaded(*words.split()) & {*HEAVY, *ARRAYS}


@pytest.mark.parametrize("words", ["list", "list --judges-mine"])
def test_the_list_loads_numpy_and_no_more(words: str) -> None:
    assert not loaded(*words.split()) & set(HEAVY)


@pytest.mark.parametrize("line", ["oodbench ru", "oodbench run tiny", "oodbench run tiny-v1 --methods ms"])
def test_completion_loads_no_torch(line: str) -> None:
    words = {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split()) - 1), "_OODBENCH_COMPLETE": "complete_bash"}
    found = loaded(**words)
    assert not found & ({*HEAVY, "numpy", "PIL", "tabulate"} - {"pydantic"})


def test_a_mistyped_verb_is_told_at_once() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM, "lst"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert not set(done.stderr.splitlines()[-1].split()) & {*HEAVY, *ARRAYS}

"""Completion: the names of verbs, options, methods, matrices and data sets, as the shells ask for them."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from oodbench.cli import main
from oodbench.commands import names
from oodbench.data.attack_cards import load_attacks
from oodbench.data.cards import load_cards
from oodbench.data.matrix import load_matrices
from oodbench.run.registry import registry


@pytest.fixture
def completed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., list[str]]:
    """Returns what may stand in the place of the last word."""

    def ask(*words: str) -> list[str]:
        monkeypatch.setenv("_OODBENCH_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", " ".join(("oodbench", *words)))
        monkeypatch.setenv("COMP_CWORD", str(len(words)))
        with pytest.raises(SystemExit) as end:
            main([])
        assert end.value.code == 0
        return capsys.readouterr().out.split()

    return ask


def shell(tmp_path: Path, line: str, style: str = "bash", **more: str) -> subprocess.CompletedProcess[str]:
    """Ask as a shell does."""
    asked = {
        "bash": {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1)},
        "zsh": {"_TYPER_COMPLETE_ARGS": line},
        "fish": {"_TYPER_COMPLETE_ARGS": line, "_TYPER_COMPLETE_FISH_ACTION": "get-args"},
    }[style]
    code = "import sys; sys.argv[0] = 'oodbench'; from oodbench.cli import main; sys.exit(main())"
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "_OODBENCH_COMPLETE": f"complete_{style}", "HOME": str(tmp_path), **asked, **more},
        capture_output=True,
        text=True,
        check=True,
    )


def test_names_are_those_that_there_are() -> None:
    assert set(names.methods()) == set(registry())
    assert names.matrices() == tuple(load_matrices())
    assert names.cards() == tuple(load_cards())
    assert names.attacks() == tuple(load_attacks())
    assert set(names.cards_and_matrices()) == {*load_cards(), *load_matrices()}
    assert set(names.judges_mine()) < set(names.methods())
    assert "likelihood" in names.diagnostics()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("oodbench da", ["data"]),
        ("oodbench run tiny-v", ["tiny-v1"]),
        ("oodbench run tiny-v1 --methods msp od", ["odds", "odds-tuned", "odin", "odin-fgsm", "odin-tuned"]),
        ("oodbench run tiny-v1 --rema", ["--remake"]),
        ("oodbench data get imagenet3", ["imagenet32"]),
        ("oodbench data ch", ["check"]),
    ],
)
def test_a_line_in_bash(line: str, expected: list[str], tmp_path: Path) -> None:
    assert shell(tmp_path, line).stdout.split() == expected


@pytest.mark.parametrize("style", ["zsh", "fish"])
def test_other_shells_show_what_options_do(style: str, tmp_path: Path) -> None:
    said = shell(tmp_path, "oodbench evaluate --f", style).stdout
    assert "--failures" in said
    assert "out-of-distribution images" in said


def test_what_an_option_does_is_said_in_one_line_with_its_brackets(tmp_path: Path) -> None:
    lines = shell(tmp_path, "oodbench evaluate --m", "fish").stdout.splitlines()
    assert [line.split("\t")[0] for line in lines] == ["--model", "--mean", "--matrix", "--methods"]
    assert lines[0].split("\t")[1].startswith("timm:NAME, torchvision:NAME(@WEIGHTS)")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("run", "--methods", "msp", "energy-f"), ["energy-finetune", "energy-finetune-cifar"]),
        (("run", "--methods", "msp", "--seeds", "0", "t"), []),
        (("run", "--all", "tiny-"), ["tiny-v1"]),
        (("compare", "a", "b", "--fail-on", "regression", "un"), ["unversioned"]),
        (("export", "x.csv", "--matrix", "tiny-"), ["tiny-v1"]),
        (("diagnose", "lik"), ["likelihood"]),
        (("evaluate", "--attacks", "fgsm-8", "bim-1"), ["bim-13"]),
        (("evaluate", "--methods", "deep-ens"), []),
        (("run", "tiny-v1", "--unknown", "x", "--al"), ["--all"]),
    ],
)
def test_what_may_follow(words: tuple[str, ...], expected: list[str], completed: Callable[..., list[str]]) -> None:
    assert completed(*words) == expected


@pytest.mark.parametrize("style", ["bash", "zsh", "fish"])
def test_the_script_for_a_shell_names_the_program(style: str, tmp_path: Path) -> None:
    code = "import sys; from oodbench.cli import main; sys.exit(main(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", code, "--show-completion", style],
        env={**os.environ, "HOME": str(tmp_path), "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"_OODBENCH_COMPLETE=complete_{style}" in done.stdout
    assert not list(tmp_path.iterdir())

"""How command lines are read: several values after one option, nothing swallowed, the nearest name."""

import re
from typing import Any

import pytest
import typer

from oodbench.cli import main
from oodbench.commands.grammar import VERBS, Takes, is_option, spread, verb
from oodbench.errors import BadSetting, UnknownName

FLAG, ONE, SEVERAL = Takes(True, False, False), Takes(False, False, False), Takes(False, True, False)
OPTIONS = {"--all": FLAG, "--cache": ONE, "--methods": SEVERAL, "--seeds": SEVERAL}
BARE = {"--attacks": Takes(False, True, True), "--json": Takes(False, False, True)}


def read(name: str, *words: str) -> dict[str, Any]:
    """Return what a verb understands."""
    return verb(name).make_context(name, list(words)).params


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(list(words)) == 2
    out, err = capsys.readouterr()
    assert out == ""
    return err


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("tiny-v1 --methods a b c", "tiny-v1 --methods=a --methods=b --methods=c"),
        ("--methods a b --all tiny-v1", "--methods=a --methods=b --all tiny-v1"),
        ("--methods a --methods b", "--methods=a --methods=b"),
        ("--methods a b -- tiny-v1 --all", "--methods=a --methods=b -- tiny-v1 --all"),
        ("--cache x y --all", "--cache=x y --all"),
        ("--cache - y", "--cache=- y"),
        ("--cache=--all y", "--cache=--all y"),
        ("--seeds -1 0 --cache c", "--seeds=-1 --seeds=0 --cache=c"),
        ("--methods name=with=signs b", "--methods=name=with=signs --methods=b"),
        ("a b", "a b"),
        ("", ""),
    ],
)
def test_each_value_stands_beside_its_option(words: str, expected: str) -> None:
    assert spread(words.split(), OPTIONS)[0] == expected.split()


@pytest.mark.parametrize(
    ("words", "open_"),
    [
        ("--methods a", "--methods"),
        ("--methods a --seeds 0 1", "--seeds"),
        ("--methods a --all", None),
        ("--cache c", None),
        ("--methods a --", None),
        ("x", None),
    ],
)
def test_the_option_is_open_whose_values_the_end_belongs_to(words: str, open_: str | None) -> None:
    assert spread(words.split(), OPTIONS)[1] == open_


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("--attacks", ["--attacks="]),
        ("--attacks --json", ["--attacks=", "--json=-"]),
        ("--json --attacks a b", ["--json=-", "--attacks=a", "--attacks=b"]),
        ("--json file x", ["--json=file", "x"]),
    ],
)
def test_an_option_whose_value_may_be_left_out(words: str, expected: list[str]) -> None:
    assert spread(words.split(), BARE)[0] == expected


@pytest.mark.parametrize("words", ["--methods", "--methods --all", "--cache --seeds 0", "x --cache", "--cache -- x"])
def test_no_option_takes_the_next_for_its_value(words: str) -> None:
    with pytest.raises(BadSetting, match=r"^--(methods: got no value, expected one or more|cache: got no .* one$)"):
        spread(words.split(), OPTIONS)


def test_an_unknown_option_offers_the_nearest() -> None:
    with pytest.raises(UnknownName, match=r"unknown option '--metods'; did you mean '--methods'\?"):
        spread(["--metods=a"], OPTIONS)


@pytest.mark.parametrize(
    ("word", "is_one"),
    [
        *((word, True) for word in ("--x", "-v", "--", "-1x", "-1-")),
        *((word, False) for word in ("-", "-1", "-.5", "-1.5", "", "x-y")),
    ],
)
def test_what_begins_an_option(word: str, is_one: bool) -> None:
    assert is_option(word) is is_one


def test_verbs_take_several_values_in_one_go() -> None:
    run = read("run", "tiny-v1", "--methods", "msp", "odin", "--seeds", "0", "1", "2", "--shard", "3/16")
    assert (run["methods"], run["seeds"]) == (["msp", "odin"], [0, 1, 2])
    assert (run["part"].part, run["part"].parts) == (3, 16)
    judged = read("evaluate", "--model", "m", "--mean", "-.4", "0.5", "--failures", "a=b", "c", "--attacks")
    assert judged["mean"] == [-0.4, 0.5]
    assert judged["failures"] == ["a=b", "c"]
    assert judged["attacks"] == [""]
    assert not read("evaluate", "--model", "m")["attacks"]
    assert read("plan", "paper", "--workers", "1", "8")["workers"] == [1, 8]
    assert read("submit", "a", "b", "--matrix", "c", "d")["methods"] == ["a", "b"]
    assert read("compare", "a", "b", "--fail-on", "regression", "unversioned")["fail_on"][1] == "unversioned"


def test_an_argument_may_stand_after_options() -> None:
    assert read("plan", "--cache", "c", "tiny-v1")["matrix"] == "tiny-v1"
    assert read("plan", "--methods", "a", "b", "--", "tiny-v1")["matrix"] == "tiny-v1"


def examples() -> list[tuple[str, str]]:
    found = []
    for name in VERBS:
        text = re.sub(r"\\\n\s*", " ", str(verb(name).epilog))
        found += [(name, line.strip()) for line in text.splitlines() if line.startswith("  oodbench")]
    return found


@pytest.mark.parametrize(("name", "line"), examples())
def test_examples_are_understood(name: str, line: str) -> None:
    _, used, *words = line.split()
    assert read(used, *words)
    assert any(f"oodbench {name}" in one for other, one in examples() if other == name)


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("lst",), "unknown verb 'lst'; did you mean 'list'?"),
        (("--jsn", "list"), "unknown option '--jsn'"),
        (("run", "tiny-v1", "--metods", "msp"), "unknown option '--metods'; did you mean '--methods'?"),
        (("data", "gett"), "unknown action 'gett'; did you mean 'get'?"),
        (("diagnose", "wiac", "tiny-v1"), "did you mean 'waic'?"),
        (("compare", "a", "b", "--fail-on", "regresion"), "did you mean 'regression'?"),
        (("run",), "MATRIX"),
        ((), "oodbench --help tells more"),
        (("run", "tiny-v1", "extra"), "extra"),
        (("run", "tiny-v1", "--workers", "two"), "got 'two', expected a whole number from 1"),
        (("run", "tiny-v1", "--gpus", "0"), "got '0', expected a number above 0"),
        (("verify", "--rerun", "1.5"), "got '1.5', expected a share in (0, 1], as 0.02"),
        (("evaluate", "--model", "m", "--mean", "x"), "got 'x', expected a number"),
        (("run", "tiny-v1", "--all", "--methods", "msp"), "--all: not allowed with --methods"),
        (("run", "tiny-v1", "--remake=yes"), "--remake"),
    ],
)
def test_what_cannot_be_read_is_said_in_a_line_or_two(
    words: tuple[str, ...], what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refused(capsys, *words)
    assert what in said
    assert said.startswith("oodbench: ")
    assert len(said.splitlines()) <= 2
    assert "\x1b" not in said


@pytest.mark.parametrize("words", [("--help",), ("-h",), *((name, "-h") for name in VERBS)])
def test_help_fits_a_terminal(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(list(words)) == 0
    said = capsys.readouterr().out.split("examples:")[0]
    assert max(map(len, said.splitlines())) <= 80
    assert "\x1b" not in said


def test_help_of_all_names_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--help"])
    said = capsys.readouterr().out.split("verbs:")[1]
    assert tuple(re.findall(r"^  ([a-z]+)  ", said, re.MULTILINE)) == VERBS


def test_every_option_of_a_verb_stands_in_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    for name in VERBS:
        main([name, "--help"])
        said = capsys.readouterr().out
        context = typer.Context(verb(name), info_name=name)
        for option in verb(name).takes(context):
            assert re.search(rf"(^|[ ,]){option}\b", said, re.MULTILINE), (name, option)


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    from oodbench import __version__

    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"oodbench {__version__}\n"

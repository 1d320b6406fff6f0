"""`--json`: every verb has it, and prints one value and nothing else."""

import doctest
import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer

from oodbench.cli import main
from oodbench.commands.grammar import VERBS, verb
from oodbench.commands.told import as_text, plain

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ("--results", str(ROOT / "results"))


@pytest.mark.parametrize("name", VERBS)
def test_every_verb_has_it(name: str) -> None:
    takes = verb(name).takes(typer.Context(verb(name), info_name=name))["--json"]
    assert takes.none or takes.bare


def answer(capsys: pytest.CaptureFixture[str], *words: object, code: int = 0) -> Any:
    assert main([*map(str, words), "--json"]) == code
    return json.loads(capsys.readouterr().out, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


@pytest.mark.parametrize("name", ["shown", "commands.grammar", "commands.told", "run.progress"])
def test_examples_hold(name: str) -> None:
    found = doctest.testmod(importlib.import_module(f"oodbench.{name}"))
    assert found.attempted
    assert not found.failed


def test_values_of_all_kinds() -> None:
    assert plain({1: np.float32(0.5), "b": {"z", "a"}, "c": np.int64(3), "d": [float("-inf"), True, None]}) == {
        "1": 0.5,
        "b": ["a", "z"],
        "c": 3,
        "d": [None, True, None],
    }
    assert json.loads(as_text({"ε": Path("x/y")})) == {"ε": "x/y"}


def test_metrics_list_and_data(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.arange(5.0))
    assert answer(capsys, "metrics", "--good", tmp_path / "a.npy", "--bad", tmp_path / "a.npy")["auroc"] == 0.5
    assert {"methods", "matrices"} <= answer(capsys, "list").keys()
    assert answer(capsys, "list", "--judges-mine").keys() == {"methods"}
    found = answer(capsys, "data", "list", "uniform", "imagenet", "--data", tmp_path)
    assert [(one["set"], one["here"]) for one in found] == [("uniform", True), ("imagenet", False)]
    assert found[1]["how_to_get"]
    assert answer(capsys, "data", "get", code=1)["error"].startswith("name the data sets")


def test_plan(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    places = ("--results", tmp_path / "r", "--cache", tmp_path / "c")
    found = answer(capsys, "plan", "tiny-v1", "--methods", "msp", "odin", "--seeds", 0, 1, *places)
    assert [(one["method"], one["seed"], one["state"]) for one in found["records"]] == [
        ("msp", 0, "run"),
        ("msp", 1, "run"),
        ("odin", 0, "run"),
        ("odin", 1, "run"),
    ]
    found = answer(capsys, "plan", "tiny-v1", "--methods", "msp", "--workers", 1, 4, *RESULTS)
    assert found["seconds"].keys() == {"1", "4"}
    assert (
        found["seconds"]["1"] >= found["seconds"]["4"] >= sum(one["seconds"] for one in found["critical_path"]) - 1e-6
    )


def test_a_plan_without_its_data(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    places = ("--results", tmp_path / "r", "--cache", tmp_path / "c")
    found = answer(capsys, "plan", "imagenet-v1", "--methods", "msp", "knn", "--seeds", 0, 1, *places)
    assert {(one["method"], one["seed"]) for one in found["records"]} == {
        (m, s) for m in ("msp", "knn") for s in (0, 1)
    }
    assert "imagenet" in found["stops"]
    assert {"set", "split", "role", "n", "state", "how_to_get"} == found["sets"][0].keys()


def test_of_stored_results(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    found = answer(capsys, "cite", "tiny-v1/odin@1#ood/glyphs/fpr95", *RESULTS)
    assert found["id"] == "tiny-v1/odin@1#ood/glyphs/fpr95"
    assert found["sentence"].startswith("ODIN")
    assert "@" in found["bibtex"]
    found = answer(capsys, "export", tmp_path / "n.csv", "--matrix", "tiny-v1", "--method", "msp", *RESULTS)
    assert found["rows"] == 1
    assert found["numbers"] == len((tmp_path / "n.csv").read_text().splitlines()) - 1
    found = answer(capsys, "compare", "tiny-v1/msp", "tiny-v1/odin", *RESULTS)
    assert {"findings", "counts"} <= found.keys()
    assert main(["compare", "tiny-v1/msp", "tiny-v1/odin", *RESULTS, "--json", str(tmp_path / "c.json")]) == 0
    assert "# `tiny-v1/msp` → `tiny-v1/odin`" in capsys.readouterr().out
    assert json.loads((tmp_path / "c.json").read_text()) == found
    found = answer(capsys, "show", "tiny-v1", "msp", "--out", tmp_path / "shown", *RESULTS)
    assert all(Path(path).is_file() for path in found["files"])
    assert found["sets"][0].keys() == {"inputs", "n", "median", "accepted", "beyond"}


def test_a_method_to_start_from(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    found = answer(capsys, "new", "nearest-mean-of-mine", "--package", tmp_path / "p")
    assert all(Path(path).is_file() for path in found["files"])


def test_check(capsys: pytest.CaptureFixture[str]) -> None:
    (found,) = answer(capsys, "check", "msp")
    assert found["method"] == "msp"
    assert found["laws"]["deterministic"] == {"status": "ok", "why": ""}


def test_an_evaluation_of_stored_outputs(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 1, (60, 3)).astype(np.float32)
    labels = np.where(np.arange(60) < 45, logits.argmax(1), (logits.argmax(1) + 1) % 3)
    np.savez(tmp_path / "test.npz", logits=logits, features=logits, labels=labels)
    np.savez(tmp_path / "far.npz", logits=logits / 9, features=logits / 9)
    words = ("--model", "stored", "--test", tmp_path / "test.npz", "--failures", f"far={tmp_path / 'far.npz'}")
    found = answer(capsys, "evaluate", *words, "--methods", "msp", "energy", "--out", tmp_path / "report")
    assert found["accuracy"] == {"test": 0.75}
    assert found["test_images"] == 60
    assert {one["method"] for one in found["numbers"]} == {"msp", "energy"}
    (far,) = (one for one in found["numbers"] if (one["method"], one["set"]) == ("msp", "far"))
    assert 0.9 < far["auroc"] <= 1
    assert found["out"] == str(tmp_path / "report")
    assert (tmp_path / "report" / "report.md").is_file()


def test_pages(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    places = ("--results", tmp_path, "--page", tmp_path / "page.md")
    found = answer(capsys, "diagnostics", *places)
    assert found == {
        "page": str(tmp_path / "page.md"),
        "checked": False,
        "well": True,
        "said": [f"wrote {tmp_path / 'page.md'}"],
    }
    (tmp_path / "page.md").write_text("x")
    found = answer(capsys, "diagnostics", "--check", *places, code=1)
    assert (found["checked"], found["well"]) == (True, False)
    assert "rebuild it: oodbench diagnostics" in found["said"][-1]


def test_an_error_leaves_stdout_empty(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cite", "nowhere-v1", "--json", *RESULTS]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("oodbench: unknown")


def test_a_run_has_its_progress_on_stderr(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    words = ["run", "toy-v1", "--methods", "msp", "--workers", "1", "--json"]
    assert main([*words, "--results", str(tmp_path / "r"), "--cache", str(tmp_path / "c")]) == 0
    out, err = capfd.readouterr()
    found = json.loads(out)
    assert found["matrix"] == "toy-v1"
    assert [row["method"] for row in found["ranked"][0]["rows"]] == ["msp"]
    assert 0 <= found["ranked"][0]["rows"][0]["fpr95"]["mean"] <= 1
    assert found["failed"] == []
    assert "done  " in err

"""The command line: what each verb prints, and a clear error, exit 2 and nothing lost for each kind of bad input."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from oodbench.cli import main
from oodbench.commands import grammar
from oodbench.commands.grammar import VERBS
from oodbench.data.matrix import find_matrix, load_matrices
from oodbench.run.registry import registry


def oodbench(capsys, *words):
    code = main([str(word) for word in words])
    out, err = capsys.readouterr()
    return code, out, err


@pytest.fixture
def scores(tmp_path):
    rng = np.random.default_rng(0)
    np.save(tmp_path / "good.npy", rng.normal(1, 1, 300))
    np.save(tmp_path / "bad.npy", rng.normal(0, 1, 200).astype(np.float32))
    return tmp_path


@pytest.mark.parametrize("verb", VERBS)
def test_help_has_an_example(verb, capsys):
    assert main([verb, "--help"]) == 0
    assert f"oodbench {verb}" in capsys.readouterr().out.split("examples:")[1]


def test_each_verb_is_a_module_and_each_module_of_a_command_a_verb():
    folder = Path(grammar.__file__).parent
    assert {path.stem for path in folder.glob("*.py") if "\ndef command(" in path.read_text()} == set(VERBS)


def test_list_names_methods_matrices_sets_and_attacks(capsys):
    code, out, _ = oodbench(capsys, "list")
    assert code == 0
    assert {"mahalanobis-d", "fashion-mnist-v1", "textures-skimage", "bim-8"} <= set(out.split())


def test_list_says_which_methods_judge_ones_own_classifier(capsys):
    code, mine, _ = oodbench(capsys, "list", "--judges-mine")
    assert code == 0
    assert {"msp", "mahalanobis-c"} <= set(mine.split())
    assert not {"deep-ensemble", "fashion-mnist-v1"} & set(mine.split())
    code, text, _ = oodbench(capsys, "list", "--json")
    assert code == 0
    found = json.loads(text)
    assert {line["name"] for line in found["methods"]} == set(registry())
    assert found["methods"][0].keys() >= {"judges_mine", "needs", "reads", "paper", "tuned_on", "title"}
    assert "fashion-mnist-v1" in {one["name"] for one in found["matrices"]}
    assert {"data_sets", "attacks"} <= found.keys()


def test_list_has_a_line_a_row_where_no_terminal_is(capsys):
    """For grep and awk: nothing is broken, and nothing is coloured."""
    _, out, _ = oodbench(capsys, "list")
    lines = [line.split()[0] for line in out.splitlines() if line.strip()]
    assert "\x1b" not in out
    assert set(registry()) <= set(lines)
    assert set(load_matrices()) <= set(lines)
    for line in registry().values():
        assert any(
            one.startswith(f"{line.method.name} ") and one.endswith(line.method.title) for one in out.split("\n")
        )


def test_list_does_not_wait_for_torch():
    script = "import sys; from oodbench.cli import main; main(['list']); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)


def test_metrics_prints_every_metric_under_its_name(capsys, scores):
    code, out, _ = oodbench(capsys, "metrics", "--good", scores / "good.npy", "--bad", scores / "bad.npy", "--json")
    names = {
        *("fpr95", "fpr95_ood_positive", "detection_error", "min_detection_error", "auroc", "aupr_in", "aupr_out"),
        *("aupr_in_balanced", "aupr_out_balanced", "n_good", "n_bad"),
    }
    numbers = json.loads(out)
    assert code == 0
    assert names <= set(numbers)
    assert (numbers["n_good"], numbers["n_bad"]) == (300, 200)


def test_metrics_and_tables_load_no_torch(scores):
    program = (
        "import sys; from oodbench.cli import main; "
        f"main(['metrics', '--good', {str(scores / 'good.npy')!r}, '--bad', {str(scores / 'bad.npy')!r}]); "
        f"main(['table', '--results', {str(scores)!r}, '--leaderboard', {str(scores / 'board.md')!r}]); "
        "assert 'torch' not in sys.modules, 'torch was loaded'"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)


BAD_ARRAYS = {
    "nan": (np.array([1.0, np.nan, 2.0]), "1 of 3 scores are NaN or infinite, the first at index 1"),
    "infinite": (np.array([np.inf, 1.0]), "the first at index 0"),
    "empty": (np.array([]), "no scores"),
    "matrix": (np.ones((3, 2)), "[3, 2]"),
    "words": (np.array(["a", "b"]), "expected a vector of real scores"),
}


@pytest.mark.parametrize("kind", BAD_ARRAYS)
def test_metrics_of_bad_scores(capsys, scores, kind):
    array, what = BAD_ARRAYS[kind]
    np.save(scores / "broken.npy", array)
    code, out, err = oodbench(capsys, "metrics", "--good", scores / "broken.npy", "--bad", scores / "bad.npy")
    assert (code, out) == (2, "")
    assert what in err


@pytest.mark.parametrize("content", [b"", b"not an array", b"\x93NUMPY\x01\x00v\x00{'descr'"])
def test_metrics_of_a_broken_file(capsys, scores, content):
    (scores / "broken.npy").write_bytes(content)
    code, _, err = oodbench(capsys, "metrics", "--good", scores / "broken.npy", "--bad", scores / "bad.npy")
    assert code == 2
    assert "broken.npy" in err


def test_metrics_never_opens_a_pickle(capsys, scores):
    np.save(scores / "objects.npy", np.array([{}, []], dtype=object), allow_pickle=True)
    code, _, err = oodbench(capsys, "metrics", "--good", scores / "objects.npy", "--bad", scores / "bad.npy")
    assert code == 2
    assert "objects.npy" in err


def test_metrics_of_a_missing_file(capsys, scores):
    code, _, err = oodbench(capsys, "metrics", "--good", scores / "nowhere.npy", "--bad", scores / "bad.npy")
    assert code == 2
    assert "nowhere.npy" in err


@pytest.mark.parametrize(
    "words, what",
    [
        (("plan", "tinny-v1"), "unknown matrix 'tinny-v1'; did you mean 'tiny-v1'?"),
        (
            ("plan", "tiny-v1", "--methods", "mahalanobis-e"),
            "unknown method 'mahalanobis-e'; did you mean 'mahalanobis-",
        ),
        (("run", "tiny-v1", "--methods", "mps"), "did you mean 'msp'?"),
        (("data", "check", "fashion-mnst"), "did you mean 'fashion-mnist'?"),
        (("check", "odinn"), "did you mean 'odin'?"),
        (("plan", "tiny-v1", "--data", "/no/such/folder"), "/no/such/folder"),
        (("run", "tiny-v1", "--methods", "msp", "--device", "cuda:77"), "cuda:77"),
        (("run", "tiny-v1", "--methods", "msp", "--workers", "0"), "workers"),
        (("plan", "tiny-v1", "--seeds", "-1"), "seed"),
        (("plan", "tiny-v1", "--all", "--methods", "msp"), "not allowed with"),
    ],
)
def test_bad_names_and_values(capsys, tmp_path, words, what):
    more = ("--results", tmp_path / "r", "--cache", tmp_path / "c") if words[0] in ("plan", "run") else ()
    code, _, err = oodbench(capsys, *words, *more)
    assert code == 2
    assert what in err
    assert not (tmp_path / "c").exists()


def test_a_set_that_is_not_here_names_the_command_that_gets_it(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("OODBENCH_CACHE", str(tmp_path))
    code, out, err = oodbench(capsys, "run", "cifar10-v1", "--results", tmp_path / "r", "--workers", 1)
    assert code == 2
    assert "oodbench data get cifar-10" in err
    code, out, _ = oodbench(capsys, "plan", "cifar10-v1", "--results", tmp_path / "r")
    assert "oodbench data get cifar-10" in out


def test_get_without_a_name_says_how(capsys):
    code, out, _ = oodbench(capsys, "data", "get")
    assert code == 1
    assert "oodbench data get fashion-mnist" in out


def test_data_list_says_where_or_how(capsys):
    code, out, _ = oodbench(capsys, "data", "list", "mnist-5k", "cifar-10")
    assert code == 0
    assert "2 here" in out or "1 of 2 here" in out


def test_a_wrong_checksum_is_named(capsys, tmp_path):
    folder = tmp_path / "fashion-mnist"
    folder.mkdir()
    for name in (
        "train-images-idx3-ubyte",
        "train-labels-idx1-ubyte",
        "t10k-images-idx3-ubyte",
        "t10k-labels-idx1-ubyte",
    ):
        (folder / name).write_bytes(b"\0\0\x08\x01\0\0\0\x01\x05")
    code, out, _ = oodbench(capsys, "data", "check", "fashion-mnist", "--data", tmp_path)
    assert code == 1
    assert "FAILED" in out
    assert "sha256" in out


def test_a_matrix_names_what_runs_unless_all_are_asked_for(capsys, tmp_path):
    where = ("--results", tmp_path / "r", "--cache", tmp_path / "c")
    own, every = (oodbench(capsys, "plan", "tiny-v1", *all_, *where)[1].split("\n") for all_ in ((), ("--all",)))
    named = find_matrix("tiny-v1").methods
    planned = [line.split()[0] for line in own if " 0  run" in line]
    assert planned == list(named)
    assert [line.split()[0] for line in every if " 0  run" in line or " 0  skip" in line] == list(registry())


@pytest.mark.parametrize("matrix", load_matrices().values(), ids=lambda matrix: matrix.name)
def test_the_methods_that_a_matrix_names_exist(matrix):
    assert set(matrix.methods) <= set(registry())


@pytest.mark.processes
def test_a_run_prints_where_everything_lies(capsys, tmp_path):
    """The whole way on real images, and again: nothing is done twice, and every byte stays."""
    words = ("run", "tiny-v1", "--methods", "msp", "energy", "--workers", 1)
    where = ("--results", tmp_path / "r", "--cache", tmp_path / "c", "--leaderboard", tmp_path / "board.md")
    code, out, _ = oodbench(capsys, *words, *where)
    assert code == 0
    assert str(tmp_path / "r" / "tiny-v1") in out
    assert str(tmp_path / "board.md") in out
    assert "FPR95" in out
    board = (tmp_path / "board.md").read_bytes()
    record = (tmp_path / "r" / "tiny-v1" / "msp" / "0.json").read_bytes()
    assert oodbench(capsys, *words, *where)[1] == out
    assert (tmp_path / "board.md").read_bytes() == board
    assert (tmp_path / "r" / "tiny-v1" / "msp" / "0.json").read_bytes() == record
    check = ("table", "--check", "--results", tmp_path / "r", "--leaderboard", tmp_path / "board.md")
    assert oodbench(capsys, *check)[0] == 0
    (tmp_path / "board.md").write_bytes(board.replace(b"9", b"8", 1))
    code, out, _ = oodbench(capsys, *check)
    assert code == 1
    assert "oodbench table" in out


def test_the_wheel_carries_the_cards_and_shadows_nothing(tmp_path):
    import zipfile

    root = Path(__file__).resolve().parents[1]
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--wheel-dir",
        tmp_path,
        root,
    ]
    subprocess.run(command, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert "oodbench/cards/fashion-mnist.toml" in names
    assert "oodbench/cards/matrices/tiny-v1.toml" in names
    assert "oodbench/cards/splits/mnist-5k.toml" in names
    assert any(name.startswith("oodbench/results/reported/") for name in names)
    assert {"oodbench/site/templates/board.html", "oodbench/site/assets/board.js"} <= set(names)
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"oodbench"}

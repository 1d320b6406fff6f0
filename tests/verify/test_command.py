"""`oodbench verify` on the command line: what it prints, its exit codes, and that it needs no torch."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.verify.made import MATRIX, make, mapped, record_at, rescore, set_field

from oodbench.cli import main
from oodbench.errors import BadSetting
from oodbench.records import read_record
from oodbench.verify.faults import Fault, shown
from oodbench.verify.pins import made, path, pins, written
from oodbench.verify.state import usable
from oodbench.verify.verified import place
from oodbench.verify.walk import skeleton

COMMITTED = Path(__file__).parents[2] / "results"


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("clean") / "results")


def verify(*words: object) -> int:
    return main(["verify", *map(str, words), "--workers", "1"])


def test_a_clean_folder_a_matrix_of_it_and_a_matrix_by_name(
    clean: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = ("--state", tmp_path / "state")
    assert verify(clean, *state) == 0
    assert "20 records in" in (said := capsys.readouterr().out)
    assert "20 measured now" in said
    assert "nothing is wrong that can be seen without a re-run" in said
    assert "oodbench verify {matrix} --rerun 0.02" in said
    assert verify(clean / MATRIX, *state) == 0
    assert "0 measured now" in capsys.readouterr().out
    assert verify(MATRIX, "--results", clean, *state) == 0


def test_a_seed_made_by_another_release_of_torch_may_behave_otherwise(clean: Path, tmp_path: Path) -> None:
    root = tmp_path / "results"
    shutil.copytree(clean, root)
    state = ("--state", tmp_path / "state")
    set_field(root, "behaviour", {"test": [0.5, 0.75]}, seed=1)
    assert verify(root, *state) == 1
    set_field(root, "packages", {**read_record(record_at(root, seed=1)).packages, "torch": "2.11.0"}, seed=1)
    assert verify(root, *state) == 0


def test_a_submission_is_held_against_what_is_believed(
    clean: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another folder's scores, another model, a link beside the results: each is named."""
    root = tmp_path / "handed-in" / "results"
    shutil.copytree(clean / MATRIX / "msp", root / MATRIX / "msp")
    shutil.copytree(clean / MATRIX / "models" / "plain", root / MATRIX / "models" / "plain")
    against = ("--against", clean, "--no-state")
    assert verify(tmp_path / "handed-in", *against) == 0
    for name in ("0.json", "0.parquet", "0.cost.json"):
        (root / MATRIX / "msp" / name).unlink()
    shutil.copytree(clean / MATRIX / "knn", root / MATRIX / "ours")
    (tmp_path / "handed-in" / "source.py").symlink_to("/etc/passwd")
    capsys.readouterr()
    assert verify(tmp_path / "handed-in", *against) == 1
    said = capsys.readouterr().out
    assert "../source.py: is a link" in said
    assert f"{MATRIX}/ours/0.json: holds the record of {MATRIX}, knn, seed 0: not of its own place" in said
    assert f"{MATRIX}/ours/0.parquet: has the scores of {MATRIX}/knn/0" not in said, "one and the same method"


def test_what_stands_in_the_place_of_a_believed_record_is_held_against_it(
    clean: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Other scores under its key; and nobody else's scores are another's because a record of that name came along."""
    rng = np.random.default_rng(3)

    def noisy(values: np.ndarray) -> np.ndarray:
        return values + rng.normal(size=values.shape)

    root = tmp_path / "handed-in" / "results"
    for name in ("msp", "knn", "models/plain"):
        shutil.copytree(clean / MATRIX / name, root / MATRIX / name)
    against = ("--against", clean, "--no-state", "--new", "ours")
    assert verify(tmp_path / "handed-in", *against) == 0
    shutil.copytree(root / MATRIX / "knn", root / MATRIX / "ours")
    for seed in range(5):
        for field, value in (("method", "ours"), ("key", f"{seed}" * 64), ("checked", True)):
            set_field(root, field, value, "ours", seed)
        noise = np.random.default_rng(seed)
        rescore(
            root,
            lambda scores, rng=noise: mapped(scores, lambda v: v + rng.normal(size=v.shape)),
            "knn",
            seed,
            tables=False,
        )
    capsys.readouterr()
    assert verify(tmp_path / "handed-in", *against) == 1
    said = capsys.readouterr().out
    for seed in range(5):
        assert f"{MATRIX}/knn/{seed}.json: has other scores than the believed record of this key and class" in said
        assert f"{MATRIX}/ours/{seed}.parquet: has the scores of {MATRIX}/knn/{seed}, another method" in said


def test_programs_get_every_fault(clean: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "results"
    shutil.copytree(clean, root)
    assert verify(root, "--no-state", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["root"], found["only"], found["faults"], found["records"]) == (str(root), None, [], 20)
    set_field(root, "passes|forward", 5.0)
    assert verify(root, "--no-state", "--json") == 1
    found = json.loads(capsys.readouterr().out)
    assert found["faults"]
    assert found["faults"][0].keys() == {"path", "says"}


def test_what_others_have_and_a_whole_folder_has_no_longer(clean: Path, tmp_path: Path, capsys) -> None:
    root = tmp_path / "results"
    shutil.copytree(clean, root)
    shutil.rmtree(root / MATRIX / "knn")
    set_field(root, "passes|forward", 5.0)
    assert verify(root, "--against", clean, "--no-state", "--verbose") == 1
    said = capsys.readouterr().out
    assert f"{MATRIX}/knn/0.json: stands in {clean}, and is not here any more" in said


def test_it_needs_no_torch(clean: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from oodbench.cli import main; "
        f"code = main(['verify', {str(clean)!r}, '--no-state', '--workers', '1']); "
        "sys.exit(code or 10 * ('torch' in sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert run.returncode == 0, run.stdout[-2000:] + run.stderr[-2000:]


def test_the_state_lies_outside_of_what_is_verified(clean: Path, tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match="whose author could write it"):
        usable(clean / "state", clean)
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(BadSetting, match="somebody else may write to it"):
        usable(tmp_path / "open", clean)
    assert usable(tmp_path / "own", clean).is_dir()


@pytest.mark.parametrize(("words", "says"), [(("nowhere",), "no such folder"), ((".", "--rerun", "1"), "is no matrix")])
def test_bad_input(words: tuple[str, ...], says: str, tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert verify(*words, "--no-state") == 2
    assert says in capsys.readouterr().err


def test_what_a_path_names(clean: Path) -> None:
    assert place(clean) == (clean, None)
    assert place(clean / MATRIX) == (clean.resolve(), MATRIX)
    assert place(clean.parent) == (clean, None)


def test_names_that_look_alike_and_text_that_a_terminal_would_obey() -> None:
    assert skeleton("0DlN-tuned") == skeleton("odin-tuned") != skeleton("odin")
    assert str(Fault("a/\x1b[2J\u0455", "b\x07\nc")) == "a/\\x1b[2J\\u0455: b\\x07\\nc"
    assert len(shown("x" * 9999)) == 400


def test_pins_are_those_of_the_committed_results() -> None:
    assert path().read_text() == written(made(COMMITTED)), "reviewed? make pins"
    assert pins()["files"].keys() >= {"claims.toml", "superseded.toml"}


@pytest.mark.slow
def test_the_committed_results_are_clean(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(COMMITTED), "--state", str(tmp_path / "state")]) == 0, capsys.readouterr().out

"""The table of all numbers: measured once, never believed over the scores; and what else lies in a results folder."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made import put, scores

from oodbench.cli import main
from oodbench.errors import BadRecord
from oodbench.records import read_model, write_model
from oodbench.report import numbers as module
from oodbench.report.entries import collect
from oodbench.report.leaderboard import compare, leaderboard, table, write
from oodbench.report.numbers import keep, numbers, read_metrics


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results with the leaderboard beside them, made once; each test harms a copy."""
    folder = tmp_path_factory.mktemp("written")
    for seed in (0, 1):
        for method, shift in (("msp", 2.0), ("odin", 3.5)):
            put(folder / "results", method, seed, scores(seed, shift))
    write(folder / "results", folder / "leaderboard.md")
    return folder


@pytest.fixture
def results(written: Path, tmp_path: Path) -> Path:
    shutil.copytree(written, tmp_path, dirs_exist_ok=True)
    return tmp_path / "results"


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Returns the kinds of the cells that are measured, and of those that are drawn for ranks, from now on."""
    calls: list[str] = []

    def counted(name):
        original = getattr(module, name)

        def call(first, *rest):
            calls.append(name)
            return original(first, *rest)

        monkeypatch.setattr(module, name, call)

    counted("measure")
    counted("drawn_mean")
    return calls


def test_pandas_reads_the_table_as_it_is(results: Path) -> None:
    frame = pd.read_parquet(results / "metrics.parquet")
    assert list(frame.columns) == [*module.COLUMNS, "inputs"]
    pd.testing.assert_frame_equal(frame[list(module.COLUMNS)], table(results), check_dtype=False)


def test_what_was_measured_is_not_measured_again(results: Path, measured: list[str]) -> None:
    before = (results / "metrics.parquet").read_bytes()
    first = leaderboard(results)
    assert measured == []
    write(results, results.parent / "leaderboard.md")
    assert (results / "metrics.parquet").read_bytes() == before
    assert leaderboard(results) == first


def test_a_new_record_is_measured_alone(results: Path, measured: list[str]) -> None:
    put(results, "new", 0, scores(0, 1.0))
    numbers(results, collect(results))
    assert (measured.count("measure"), measured.count("drawn_mean")) == (5, 6)


def test_a_changed_record_is_measured_again(results: Path, measured: list[str]) -> None:
    put(results, "msp", 0, scores(0, 1.0))
    found = numbers(results, collect(results))
    assert measured.count("measure") == 5
    (row,) = found.frame.query("method == 'msp' and seed == 0 and set == 'hflip' and metric == 'auroc'").itertuples()
    assert row.value < 0.9


def test_another_version_of_the_metrics_measures_everything(results, measured, monkeypatch) -> None:
    monkeypatch.setattr(module, "METRICS_VERSION", module.METRICS_VERSION + 1)
    numbers(results, collect(results))
    assert measured.count("measure") == 4 * 5


@pytest.mark.parametrize("kept", [{".cache"}, {"metrics.parquet"}, set()])
def test_what_is_kept_changes_no_page(results: Path, kept: set[str]) -> None:
    before = leaderboard(results)
    for name in ({".cache", "metrics.parquet"}) - kept:
        shutil.rmtree(results / name) if name == ".cache" else (results / name).unlink()
    assert leaderboard(results) == before


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1 not really PAR1", b"PK\x03\x04"])
@pytest.mark.parametrize("name", ["metrics.parquet", ".cache/draws.npz", ".cache/verified.json"])
def test_what_is_kept_and_broken_is_made_again(results: Path, name: str, content: bytes) -> None:
    before = leaderboard(results)
    (results / name).write_bytes(content)
    assert leaderboard(results) == before
    write(results, results.parent / "leaderboard.md")
    assert compare(results, results.parent / "leaderboard.md") == []


def test_check_never_believes_what_is_kept(results: Path) -> None:
    """A number that was changed in the table, with the pages that follow from it, is found."""
    frame = read_metrics(results)
    chosen = (frame["method"] == "msp") & (frame["metric"] == "fpr95")
    frame.loc[chosen, "value"] = 0.0
    found = numbers(results, collect(results))
    keep(results, module.Numbers(frame, found.draws))
    index = results.parent / "leaderboard.md"
    write(results, index)
    assert "0.00 ± 0.00" in index.read_text()
    faults = "\n".join(compare(results, index))
    assert f"{results / 'metrics.parquet'} is not what the scores make" in faults
    assert f"{index} is not what the scores make" in faults


def test_a_flipped_bit_is_noticed_though_the_numbers_are_kept(results: Path) -> None:
    path = results / "made-v1" / "msp" / "0.parquet"
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 2] ^= 1
    path.write_bytes(whole)
    with pytest.raises(BadRecord, match=r"msp/0\.parquet.*oodbench run made-v1 --methods msp --seeds 0"):
        leaderboard(results)


def test_a_matrix_alone_leaves_the_numbers_of_the_others(results: Path) -> None:
    put(results, "msp", 0, scores(0, 2.0), matrix="other-v1")
    keep(results, numbers(results, collect(results, "other-v1")), "other-v1")
    assert set(read_metrics(results)["matrix"]) == {"made-v1", "other-v1"}
    assert len(read_metrics(results)) == len(table(results))


def test_without_a_place_for_the_cache_all_works(results: Path) -> None:
    before = leaderboard(results)
    shutil.rmtree(results / ".cache")
    (results / ".cache").write_text("a file where a folder should be")
    assert leaderboard(results) == before
    write(results, results.parent / "leaderboard.md")


BROKEN = {
    "made-v1/msp/0.json": "oodbench run made-v1 --methods msp --seeds 0",
    "made-v1/msp/0.parquet": "oodbench run made-v1 --methods msp --seeds 0",
    "made-v1/models/plain/0.json": "oodbench run made-v1 --methods msp --seeds 0",
    "made-v1/models/plain/0.parquet": "oodbench run made-v1 --methods msp --seeds 0",
}


@pytest.mark.parametrize("content", [None, b"", b"{", b"\xff\xfe", b"[" * 100_000, b"{}"])
@pytest.mark.parametrize("name", BROKEN)
def test_whatever_is_broken_is_named_with_the_command_that_makes_it_again(results, capsys, name, content) -> None:
    path = results / name
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    elif name == "made-v1/msp/0.json":
        path.mkdir()  # a folder where a file should be
        return_code = main(
            ["table", "--results", str(results), "--leaderboard", str(results.parent / "leaderboard.md")]
        )
        assert return_code == 0, "a folder is no record, and takes no part"
        return
    code = main(["table", "--results", str(results), "--leaderboard", str(results.parent / "leaderboard.md")])
    said = capsys.readouterr().err
    assert code == 2
    assert str(path) in said
    assert BROKEN[name] in said


def test_the_record_of_another_model_is_noticed(results: Path) -> None:
    path = results / "made-v1" / "models" / "plain" / "0.json"
    write_model(path, read_model(path).model_copy(update={"bits_per_dimension": {"test": 3.0}}))
    with pytest.raises(BadRecord, match="is not the model that msp, seed 0 was scored on"):
        leaderboard(results)
    path.write_bytes((results / "made-v1" / "models" / "plain" / "1.json").read_bytes())
    with pytest.raises(BadRecord, match="holds the record of made-v1, plain, seed 1"):
        leaderboard(results)


LITTER = (".DS_Store", "Thumbs.db", "desktop.ini", "._0.json", ".0.json.x1y2.tmp", "._leaderboard.md", "notes.txt")


def test_what_systems_leave_in_folders_is_passed_over(results: Path) -> None:
    before = leaderboard(results)
    for folder in (
        ".",
        "made-v1",
        "made-v1/msp",
        "made-v1/models",
        "made-v1/models/plain",
        "diagnostics/made-v1/msp/0",
    ):
        (results / folder).mkdir(parents=True, exist_ok=True)
        for name in LITTER:
            (results / folder / name).write_bytes(b"\0\1litter")
    (results / ".Trash" / "x" / "y").mkdir(parents=True)
    (results / ".Trash" / "x" / "y" / "0.json").write_text("{}")
    assert leaderboard(results) == before
    words = ["--results", str(results)]
    assert main(["table", *words, "--leaderboard", str(results.parent / "leaderboard.md")]) == 0
    assert main(["diagnostics", *words, "--page", str(results.parent / "diagnostics.md")]) == 0


def test_draws_do_not_depend_on_who_else_is_ranked(results: Path) -> None:
    whole = numbers(results, collect(results), trust=False).draws
    alone = numbers(results, [collect(results)[0]], trust=False).draws
    for key, draws in alone.items():
        np.testing.assert_array_equal(draws, whole[key])

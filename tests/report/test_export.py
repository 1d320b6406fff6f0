"""What is exported is read back: by pandas, `datasets` and mlcroissant; LaTeX has what the pages have."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest
from made import put, scores

from oodbench.cli import main
from oodbench.errors import BadSetting, UnknownName
from oodbench.report.dataset_folder import MEANING, TYPES, write_dataset
from oodbench.report.export import BEST, TIED, Chosen, chosen, export, latex
from oodbench.report.ids import Id
from oodbench.report.standings import read_matrices
from oodbench.report.values import COLUMNS, values
from oodbench.store import file_sha256


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("export") / "results"
    for seed in (0, 1):
        for method, shift in (("msp_t", 2.0), ("twin", 2.0), ("odin", 3.0)):
            put(folder, method, seed, scores(seed, shift))
    put(folder, "msp_t", 0, scores(5, 1.0), matrix="other-v2")
    return folder


@pytest.fixture(scope="module")
def whole(results) -> pd.DataFrame:
    return values(read_matrices(results))


def test_every_column_has_a_type_and_a_meaning() -> None:
    assert list(MEANING) == list(COLUMNS)
    assert set(COLUMNS.values()) <= set(TYPES)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_files_are_read_back(results, whole, tmp_path, ending) -> None:
    out = tmp_path / f"numbers.{ending}"
    said = export(results, out, Chosen())
    read = pd.read_csv(out, dtype=COLUMNS, keep_default_na=True) if ending == "csv" else pd.read_parquet(out)

    assert said == f"wrote {len(whole)} numbers of 3 rows to {out}"
    assert list(read.columns) == list(COLUMNS)
    for column in ("id", "metric", "n", "mean", "std", "rank"):
        pd.testing.assert_series_equal(read[column].astype(COLUMNS[column]), whole[column], rtol=1e-12)
    assert all(str(Id.read(one)) == one for one in read["id"])


def test_equal_results_make_equal_bytes(results, tmp_path) -> None:
    for name in ("a.csv", "b.csv", "a.parquet", "b.parquet", "a.tex", "b.tex"):
        export(results, tmp_path / name, Chosen(metrics=("fpr95",)))
    for ending in ("csv", "parquet", "tex"):
        assert (tmp_path / f"a.{ending}").read_bytes() == (tmp_path / f"b.{ending}").read_bytes()


def test_filters_leave_the_ranks_as_they_are(results, whole) -> None:
    some = chosen(results, Chosen(("made-v1",), ("ood",), ("fpr95", "auroc"), ("msp_t",)))
    assert set(some["matrix"]) == {"made-v1"}
    assert set(some["kind"]) == {"ood"}
    assert set(some["metric"]) == {"fpr95", "auroc"}
    assert set(some["method"]) == {"msp_t"}
    assert set(some["rank"].dropna()) == {2}
    assert set(some["id"]) <= set(whole["id"])
    assert set(chosen(results, Chosen(kinds=("model",)))["metric"]) == {"accuracy"}


@pytest.mark.parametrize(
    ("what", "told"),
    [
        (Chosen(methods=("odim",)), "did you mean 'odin'"),
        (Chosen(kinds=("odd",)), "did you mean 'ood'"),
        (Chosen(metrics=("fpr96",)), "did you mean 'fpr95'"),
        (Chosen(matrices=("made-v3",)), "did you mean 'made-v1'"),
    ],
)
def test_an_unknown_name_offers_the_nearest(results, what, told) -> None:
    with pytest.raises(UnknownName, match=re.escape(told)):
        chosen(results, what)


def test_nothing_left_and_other_endings_are_refused(results, tmp_path) -> None:
    with pytest.raises(BadSetting, match="has no number that is all of"):
        chosen(results, Chosen(kinds=("ood",), metrics=("accuracy",)))
    with pytest.raises(BadSetting, match=r"ends in \.csv, \.parquet or \.tex"):
        export(results, tmp_path / "numbers.xlsx", Chosen())


def rows_of(text: str) -> dict[str, list[str]]:
    lines = [line.split(r" \\")[0] for line in text.splitlines() if line.startswith(r"\texttt")]
    return {cells[0]: cells[1:] for cells in (line.split(" & ") for line in lines)}


def test_latex_has_the_best_in_bold_ties_marked_and_names_escaped(results) -> None:
    table = chosen(results, Chosen(("made-v1",), ("ood",), ("fpr95",)))
    text = latex(table)
    rows = rows_of(text)

    assert next(iter(rows)) == r"\texttt{odin}"
    assert set(rows) == {r"\texttt{odin}", r"\texttt{msp\_t}", r"\texttt{twin}"}
    number = table[(table["method"] == "odin") & (table["set"] == "glyphs")].iloc[0]
    place = next(line for line in text.splitlines() if line.startswith("Method")).split(" & ").index("glyphs") - 1
    mean, std = (f"{100 * number[name]:.2f}" for name in ("mean", "std"))
    assert rows[r"\texttt{odin}"][place] == rf"{BEST % mean} $\pm$ {std}"
    assert r"\textbf" not in " ".join(rows[r"\texttt{twin}"])
    assert rows[r"\texttt{odin}"][-1].startswith("1 (1--")
    assert "made-v1/msp_t@1" in text
    tied = rows_of(latex(table[table["method"] != "odin"]))
    assert all(cell.startswith(r"\textbf{") and TIED in cell for row in tied.values() for cell in row[:-1])


def test_latex_says_over_how_many_seeds_and_judges_no_p_value(results) -> None:
    """What is over fewer seeds is not the best of its column; a small p-value is no good number."""
    table = chosen(results, Chosen(("made-v1",), ("ood",), ("auroc",)))
    few = table.assign(
        n=[3 if (m, s) == ("odin", "glyphs") else 5 for m, s in zip(table["method"], table["set"], strict=True)]
    )
    text = latex(few)
    place = next(line for line in text.splitlines() if line.startswith("Method")).split(" & ").index("glyphs") - 1
    cell = rows_of(text)[r"\texttt{odin}"][place]
    assert cell.endswith(" ($n = 3$)") and r"\textbf" not in cell
    assert "($n" not in rows_of(text)[r"\texttt{msp\_t}"][place]
    tested = latex(chosen(results, Chosen(metrics=("mann_whitney_log10_p",))))
    assert r"\textbf" not in tested and "arrow" not in tested


def test_latex_is_balanced_and_uses_booktabs(results) -> None:
    text = latex(chosen(results, Chosen(metrics=("auroc", "fpr95"))))
    for rule in (r"\toprule", r"\midrule", r"\bottomrule", r"\begin{table}", r"\end{table}"):
        assert text.count(rule) == text.count(r"\begin{tabular}") > 3
    for block in text.split(r"\begin{tabular}")[1:]:
        columns = len(re.match(r"\{(l[r]*)\}", block)[1])
        body = [line for line in block.splitlines() if r" \\" in line]
        assert {line.split(r" \\")[0].count(" & ") + 1 for line in body} == {columns}
    outside = [line.split("%")[0] for line in re.sub(r"\\.", "", text).splitlines()]
    assert not [line for line in outside if "_" in line]
    assert text.count("{") == text.count("}")


def test_higher_is_better_where_it_is(results) -> None:
    rows = rows_of(latex(chosen(results, Chosen(("made-v1",), ("ood",), ("auroc",)))))
    assert all(r"\textbf" in cell for cell in rows[r"\texttt{odin}"][:2])


@pytest.fixture(scope="module")
def folder(whole, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("hub") / "numbers"
    write_dataset(whole, out)
    return out


def test_datasets_reads_the_folder_back(folder, whole, tmp_path) -> None:
    from datasets import load_dataset

    every = load_dataset(str(folder), "all", split="train", cache_dir=str(tmp_path / "cache"))
    one = load_dataset(str(folder), "made-v1", split="train", cache_dir=str(tmp_path / "cache"))

    assert sorted(every["id"]) == sorted(whole["id"])
    assert set(one["matrix"]) == {"made-v1"}
    by_id = dict(zip(every["id"], every["mean"], strict=True))
    assert by_id == dict(zip(whole["id"], whole["mean"], strict=True))


def test_croissant_says_what_lies_there(folder, whole) -> None:
    said = json.loads((folder / "croissant.json").read_text())
    for file in said["distribution"]:
        assert file["sha256"] == file_sha256(folder / file["contentUrl"])
        assert file["contentSize"] == f"{(folder / file['contentUrl']).stat().st_size} B"
    assert {record["name"] for record in said["recordSet"]} == set(whole["matrix"])
    for record in said["recordSet"]:
        assert [field["name"] for field in record["field"]] == list(COLUMNS)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # of what mlcroissant stands on
def test_croissant_is_valid_and_reads_the_numbers(folder, whole) -> None:
    croissant = pytest.importorskip("mlcroissant", reason="mlcroissant is not installed: nothing validates Croissant")
    dataset = croissant.Dataset(jsonld=folder / "croissant.json")
    assert not dataset.metadata.ctx.issues.errors
    own = whole[whole["matrix"] == "other-v2"]
    records = list(dataset.records("other-v2"))
    assert [one["other-v2/id"].decode() for one in records] == list(own["id"])
    assert [one["other-v2/mean"] for one in records] == pytest.approx(list(own["mean"]))


def test_the_command_writes_each_format(results, tmp_path, capsys) -> None:
    words = ["--results", str(results), "--matrix", "made-v1", "--kind", "ood", "--metric", "fpr95", "--method", "odin"]
    for name in ("n.csv", "n.parquet", "n.tex", "folder"):
        assert main(["export", str(tmp_path / name), *words]) == 0
        assert capsys.readouterr().out.startswith("wrote 3 numbers of 1 rows to ")
    assert (tmp_path / "folder" / "data" / "made-v1.parquet").is_file()
    assert main(["export", str(tmp_path / "x.doc"), *words]) == 2

"""leaderboard.md: made of scores and records alone, byte for byte the same, and honest about what is missing."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made import put, scores, skipped_set

from oodbench.errors import BadCard, BadRecord
from oodbench.measure.ranking import ranking
from oodbench.records import Attacked, CellRecord, Scores, read_scores
from oodbench.report.leaderboard import check, leaderboard, rebuild, table, write
from oodbench.report.summary import summary

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = Path(__file__).parent / "golden-leaderboard.md"

PAPER = """
[paper]
authors = "A. One, B. Two, C. Three"
title = "T"
year = 2019
url = "https://example.org/paper"
[methods]
odin = "ODIN"
msp = "Baseline"
[tuning]
odin = "ood_val_same"
msp = "none"
[sets]
mnist-5k = "MNIST"
glyphs = "Glyphs"
[[table]]
source = "Table 1"
failure = "ood"
in_set = "mnist-5k"
out_set = "glyphs"
network = "LeNet"
convention = "in-set positive"
columns = ["method", "1 - fpr95", "auroc"]
rows = [
  ["odin", 40.2, { value = 99.5, doubt = "misprint" }],
  ["msp",  "-",  [90.0, 1.25]],
]
"""


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Two seeds of three methods: `twin` scores exactly as `msp` does, `odin` better; a fourth could not run."""
    folder = tmp_path / "results"
    for seed in (0, 1):
        for method, shift in (("msp", 2.0), ("twin", 2.0), ("odin", 3.5)):
            put(folder, method, seed, scores(seed, shift), tuning_access="ood_val" if method == "odin" else "none")
        put(folder, "blind", seed, None, status="skipped", reason="reads latent, which plain models do not show")
    (folder / "reported").mkdir()
    (folder / "reported" / "one2019.toml").write_text(PAPER, encoding="utf-8")
    return folder


def rows(text: str, heading: str) -> list[list[str]]:
    """Return the cells of the first table below a heading, without its two header lines."""
    below = text.split(f"{heading}\n", 1)[1]
    lines = next(part for part in below.strip().split("\n\n") if part.startswith("|")).splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def of(text: str, heading: str, method: str) -> list[str]:
    (row,) = [row for row in rows(text, heading) if any(f"`{method}`" in cell for cell in row)]
    return row


OOD = "### Out-of-distribution inputs (`ood`)"


def test_a_golden_page(results: Path) -> None:
    assert leaderboard(results) == GOLDEN.read_text(encoding="utf-8")


def test_its_numbers_are_those_of_the_scores(results: Path) -> None:
    page = leaderboard(results)
    fprs = []
    for seed in (0, 1):
        said = read_scores(results / "toy-v1" / "odin" / f"{seed}.npz")
        fprs.append([ranking(said.test, said.ood[name])["fpr95"] for name in ("glyphs", "hflip")])
    by_seed = 100 * np.mean(fprs, axis=1)
    expected = f"{by_seed.mean():.2f} ± {by_seed.std(ddof=1):.2f}"
    assert of(page, OOD, "odin")[2] == expected
    glyphs = 100 * np.array(fprs)[:, 0]
    assert of(page, "#### FPR95 ↓ by set", "odin")[1] == f"{glyphs.mean():.2f} ± {glyphs.std(ddof=1):.2f}"


def test_equal_methods_share_their_rank(results: Path) -> None:
    ranks = {row[1].split("`")[1]: row[0] for row in rows(leaderboard(results), OOD)}
    assert ranks == {"odin": "1", "msp": "2=", "twin": "2="}


def of_accuracy(seed: int, right: int) -> Scores:
    """Scores of a model that is right on so many of 200 test images."""
    return replace(scores(seed, 2.0), correct=np.arange(200) < right)


@pytest.mark.parametrize(
    ("plain", "own", "flagged"),
    [
        ((184, 186), (179, 182), True),  # 2.25 points on the mean
        ((184, 186), (180, 182), False),  # 2 points are not more than 2
        ((184, 186), (178, 190), False),  # the mean counts, not the worst seed
        ((184, 186), (199, 199), False),
    ],
)
def test_a_model_far_less_accurate_than_its_plain_twin_is_flagged(
    tmp_path: Path, plain: tuple[int, int], own: tuple[int, int], flagged: bool
) -> None:
    for seed in (0, 1):
        put(tmp_path, "msp", seed, of_accuracy(seed, plain[seed]))
        put(tmp_path, "bin", seed, of_accuracy(seed, own[seed]), recipe={"name": "bin"})
    page, said = leaderboard(tmp_path), summary(tmp_path, "toy-v1")
    expected = np.array(own) / 2
    for heading in (OOD, "### The model's own misclassifications (`misclassification`)"):
        accuracy = of(page, heading, "bin")[8]
        assert accuracy == f"{expected.mean():.2f} ± {expected.std(ddof=1):.2f}{' ▼' if flagged else ''}"
        assert "▼" not in of(page, heading, "msp")[8]
    assert ("▼ more than 2 points" in said) is flagged
    assert said.count("▼") == (4 if flagged else 0)


def test_the_twins_are_compared_at_the_seeds_that_both_have(tmp_path: Path) -> None:
    for seed, right in ((0, 180), (1, 199)):
        put(tmp_path, "msp", seed, of_accuracy(seed, right))
    put(tmp_path, "bin", 0, of_accuracy(0, 179), recipe={"name": "bin"})
    put(tmp_path, "binc", 1, of_accuracy(1, 180), recipe={"name": "binc"})
    put(tmp_path, "vib", 2, of_accuracy(2, 20), recipe={"name": "vib"})
    page = leaderboard(tmp_path)
    assert [of(page, OOD, name)[8].endswith("▼") for name in ("msp", "bin", "binc", "vib")] == [
        False,
        False,
        True,
        False,
    ]


def test_no_torch_and_no_images() -> None:
    program = (
        "import sys, oodbench.report.leaderboard, oodbench.report.summary\n"
        "assert not {'torch', 'torchvision', 'datasets', 'matplotlib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)


def test_the_same_folder_makes_the_same_bytes_wherever_it_lies(results: Path, tmp_path: Path) -> None:
    first = leaderboard(results)
    assert leaderboard(results.rename(tmp_path / "elsewhere")) == first
    assert str(tmp_path) not in first


def test_check_finds_a_changed_byte(results: Path, tmp_path: Path) -> None:
    page = tmp_path / "leaderboard.md"
    assert f"oodbench table --results {results} --leaderboard {page}" in check(results, page)
    write(results, page)
    assert check(results, page) is None
    page.write_bytes(page.read_bytes().replace(b"|     2= |", b"|     1= |", 1))
    difference = check(results, page)
    assert "is not what the scores" in difference
    assert f"oodbench table --results {results} --leaderboard {page}" in difference
    assert difference.count("\n-|") == 1
    assert difference.count("\n+|") == 1


def test_rebuild_says_what_it_did(results: Path, tmp_path: Path) -> None:
    page, csv = tmp_path / "leaderboard.md", tmp_path / "numbers.csv"
    assert rebuild(results, page, check=True)[1] is False
    assert rebuild(results, page, csv=csv) == (f"wrote {page} and {csv}", True)
    assert rebuild(results, page, check=True)[1] is True
    header, *lines = csv.read_text().splitlines()
    assert header == "matrix,failure,set,method,seed,metric,value,low,high,n_good,n_bad"
    assert len(lines) == len(table(results))


def test_the_long_form_holds_every_metric_of_every_cell(results: Path) -> None:
    frame = table(results)
    assert len(frame) == 3 * 2 * (2 + 2 + 1) * 9
    assert set(frame["failure"]) == {"ood", "adversarial", "misclassification"}
    said = read_scores(results / "toy-v1" / "msp" / "1.npz")
    chosen = frame.query("failure == 'ood' and set == 'hflip' and method == 'msp' and seed == 1").set_index("metric")
    expected = ranking(said.test, said.ood["hflip"])
    assert chosen["value"].to_dict() == {k: v for k, v in expected.items() if k not in ("n_good", "n_bad")}
    assert set(chosen["n_good"]) == {200}
    assert set(chosen["n_bad"]) == {60}
    assert chosen.loc["auroc", "low"] < chosen.loc["auroc", "value"] < chosen.loc["auroc", "high"]
    assert table(results, "no-v1").empty


def test_one_seed_has_no_plus_minus_but_intervals(tmp_path: Path) -> None:
    put(tmp_path, "msp", 0, scores(0, 2.0))
    page = leaderboard(tmp_path)
    assert "±" not in page.split("## `toy-v1`")[1]
    said = read_scores(tmp_path / "toy-v1" / "msp" / "0.npz")
    auroc = ranking(said.test, said.ood["glyphs"])["auroc"]
    text = of(page, "#### AUROC ↑ by set", "msp")[1]
    low, high = (float(part) for part in text.split("[")[1].rstrip("]").split(", "))
    assert text.startswith(f"{100 * auroc:.2f} [")
    assert low < 100 * auroc < high
    assert "[" not in of(page, "#### AUPR-In ↑ by set", "msp")[1]


def test_a_missing_set_leaves_no_average_and_no_rank(results: Path) -> None:
    few = scores(0, 9.0, sets=("glyphs",))
    put(results, "best", 0, few, cells=(skipped_set("hflip"),))
    page = leaderboard(results)
    row = of(page, OOD, "best")
    assert row[0] == "–"
    assert row[2:7] == ["–"] * 5
    assert of(page, "#### FPR95 ↓ by set", "best")[1] != "–"
    assert of(page, "#### FPR95 ↓ by set", "best")[2:] == ["–", "–"]
    assert rows(page, OOD)[-1] == row
    hole = of(page, "### Not measured", "best")
    assert hole == ["`best`", "0", "ood", "hflip", "skipped", "hflip is not here; oodbench data get hflip"]


def test_a_set_missing_at_one_seed_shows_how_many_seeds_it_stands_on(results: Path) -> None:
    put(results, "msp", 1, scores(1, 2.0, sets=("glyphs",)), cells=(skipped_set("hflip"),))
    page = leaderboard(results)
    assert of(page, "#### FPR95 ↓ by set", "msp")[2].endswith("(n = 1)")
    assert of(page, OOD, "msp")[2] == "–"


def test_failed_and_skipped_records_are_listed_with_their_reasons(results: Path) -> None:
    put(results, "broken", 1, None, status="failed", reason="ValueError: singular | matrix\nat line 3")
    page = leaderboard(results)
    listed = rows(page, "### Not measured")
    assert ["`blind`", "0, 1", "all", "all", "skipped", "reads latent, which plain models do not show"] in listed
    assert "| failed   | ValueError: singular \\| matrix at line 3" in page
    assert "`broken`" not in page.split("### Not measured")[0]


def test_an_attack_that_never_works_is_a_gap_and_no_crash(results: Path) -> None:
    said = scores(0, 2.0)
    index = np.arange(5, dtype=np.int32)
    feeble = Attacked(np.zeros(5, dtype=np.float32), index, np.zeros(5, dtype=bool))
    put(results, "robust", 0, Scores(said.test, said.correct, said.ood, {"fgsm-8": feeble, "fgsm-8@uint8": feeble}))
    page = leaderboard(results)
    assert of(page, "### Adversarial inputs (`adversarial`)", "robust")[2] == "–"
    reasons = {row[3]: row[5] for row in rows(page, "### Not measured") if row[0] == "`robust`"}
    assert list(reasons) == ["fgsm-8", "fgsm-8@uint8"]
    assert "no scores, a one-class set" in reasons["fgsm-8"]


def test_a_named_matrix_has_its_sets_groups_and_seeds(tmp_path: Path) -> None:
    said = {"matrix": "tiny-v1"}
    put(tmp_path, "msp", 1, scores(1, 2.0, sets=("glyphs", "digits", "hflip", "vflip")), **said)
    page = leaderboard(tmp_path)
    assert "## MNIST, 5,000 images: `tiny-v1`" in page
    assert "Scale tiny" in page
    headers = next(line for line in page.splitlines() if "digits (near)" in line)
    assert headers.index("digits (near)") < headers.index("glyphs (far)") < headers.index("constant (synthetic)")
    assert (
        headers.index("constant (synthetic)") < headers.index("mean (near)") < headers.index("| mean ")
        if "| mean " in headers
        else True
    )
    cells = [cell.strip() for cell in headers.strip("|").split("|")]
    values = dict(zip(cells, of(page, "#### FPR95 ↓ by set", "msp"), strict=True))
    assert values["mean (near)"] != "–"
    assert values["mean (far)"] == values["mean"] == values["uniform (synthetic)"] == "–"
    listed = rows(page, "### Not measured")
    assert ["`msp`", "0", "all", "all", "never run", "run it: oodbench run tiny-v1 --methods msp"] in listed


def test_the_papers_numbers_stand_apart_with_their_doubts(results: Path) -> None:
    page = leaderboard(results)
    listed = rows(page, "#### The papers' own numbers")
    cells = {(row[0], row[2]): row for row in listed}
    assert cells["`msp`", "AUROC ↑"][4] == "90.00 ± 1.25"
    assert cells["`odin`", "FPR95 ↓"][4] == "59.8"
    assert cells["`odin`", "AUROC ↑"][4] == "99.5 (doubtful: misprint)"
    ours = of(page, "#### FPR95 ↓ by set", "odin")[1]
    assert cells["`odin`", "FPR95 ↓"][3] == ours
    assert cells["`odin`", "FPR95 ↓"][5:] == [
        "LeNet",
        "ood_val_same",
        "in-set positive",
        "[One et al. 2019, Table 1](https://example.org/paper)",
    ]
    assert "59.8" not in page.split("#### The papers' own numbers")[0]


def test_a_slip_in_the_papers_numbers_stops_the_table(results: Path) -> None:
    path = results / "reported" / "one2019.toml"
    path.write_text(path.read_text().replace('"auroc"]', '"aurok"]'))
    with pytest.raises(BadCard, match=r"one2019\.toml: table 1 .*'aurok'; did you mean 'auroc'"):
        leaderboard(results)


def test_scores_that_do_not_match_their_record(results: Path) -> None:
    path = results / "toy-v1" / "msp" / "0.npz"
    path.write_bytes((results / "toy-v1" / "odin" / "0.npz").read_bytes())
    with pytest.raises(BadRecord, match=r"does not match its record.*oodbench run toy-v1 --methods msp --seeds 0"):
        leaderboard(results)
    path.unlink()
    with pytest.raises(BadRecord, match="no such scores file"):
        leaderboard(results)


def test_a_record_in_the_wrong_place(results: Path) -> None:
    (results / "toy-v1" / "msp" / "0.json").rename(results / "toy-v1" / "msp" / "7.json")
    with pytest.raises(BadRecord, match=r"7\.json: holds the record of toy-v1, msp, seed 0"):
        leaderboard(results)


def test_a_record_of_a_newer_program(results: Path) -> None:
    path = results / "toy-v1" / "msp" / "0.json"
    path.write_text(path.read_text().replace('"schema_version": 2', '"schema_version": 99'))
    with pytest.raises(BadRecord, match="newer"):
        leaderboard(results)


def test_no_results_folder(tmp_path: Path) -> None:
    with pytest.raises(BadRecord, match=r"no such folder of results; .*oodbench run"):
        leaderboard(tmp_path / "nothing")


def test_what_a_run_prints(results: Path, tmp_path: Path) -> None:
    page = tmp_path / "leaderboard.md"
    said = summary(results, "toy-v1", page)
    assert page.read_text(encoding="utf-8") == leaderboard(results)
    assert str(page) in said
    assert str(results / "toy-v1") in said
    lines = [line.split()[:2] for line in said.splitlines() if line.strip().startswith(("1", "2"))]
    assert lines[:3] == [["1", "odin"], ["2=", "msp"], ["2=", "twin"]]
    assert "Not measured: 1 " in said


def test_a_method_that_failed_on_one_attack_keeps_its_other_rows(results: Path) -> None:
    said = scores(0, 2.0)
    failed = CellRecord(failure="adversarial", name="fgsm-8", status="failed", reason="OutOfMemory: 8 GB")
    put(results, "hungry", 0, Scores(said.test, said.correct, said.ood, {}), cells=(failed,))
    page = leaderboard(results)
    assert of(page, OOD, "hungry")[0] != "–"
    assert of(page, "### Not measured", "hungry")[-1] == "OutOfMemory: 8 GB"

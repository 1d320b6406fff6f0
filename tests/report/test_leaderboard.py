"""The pages: made of scores and records alone, byte for byte the same, and honest about what is missing."""

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made import Drawn, Hit, put, scores, skipped_set
from scipy.stats import mannwhitneyu

from oodbench.data.matrix import find_matrix
from oodbench.errors import BadCard, BadRecord
from oodbench.measure.cells import Cell
from oodbench.measure.ranking import ranking
from oodbench.measure.ranks import rank_intervals
from oodbench.records import (
    CellRecord,
    Parameters,
    model_paths,
    model_sha256,
    read_model,
    read_record,
    read_scores,
    write_model,
    write_record,
    write_scores,
)
from oodbench.report import pages, tables
from oodbench.report.entries import collect
from oodbench.report.gaps import Gap, SharedGap
from oodbench.report.leaderboard import compare, leaderboard, rebuild, table, write
from oodbench.report.members import NOTE
from oodbench.report.summary import summary
from oodbench.report.tables import SHOWN, gap_table

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = Path(__file__).parent / "golden-pages.md"

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
    return table_rows(next(part for part in below.strip().split("\n\n") if part.startswith("|")))


def table_rows(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()[2:]]


def of(text: str, heading: str, method: str) -> list[str]:
    """Return the row of a method in the first table below a heading that has it."""
    below = text.split(f"{heading}\n", 1)[1].strip().split("\n\n")
    shown = next(part for part in below if part.startswith("|") and f"`{method}`" in part)
    (row,) = [row for row in table_rows(shown) if any(f"`{method}`" in cell for cell in row)]
    return row


def ranked_rows(text: str) -> list[list[str]]:
    """Return the cells of the table that has ranks."""
    return table_rows(next(part for part in text.split("\n\n") if part.startswith("| FPR95 rank |")))


KINDS = ("ood", "adversarial", "misclassification")
OOD = "# Out-of-distribution inputs on `made-v1` (`ood`)"


BY_SET = "In the order of the FPR95 ranks."
"""What stands above the tables of a metric's page."""


def page(results: Path, name: str, matrix: str = "made-v1") -> str:
    """Return the page of a matrix and kind, or of the matrix (README)."""
    return leaderboard(results)[f"docs/leaderboard/{matrix}/{name}.md"]


def test_the_golden_pages(results: Path) -> None:
    made = "".join(f"===== {name}\n{text}" for name, text in leaderboard(results).items())

    assert made == GOLDEN.read_text(encoding="utf-8")


def test_there_is_a_page_a_matrix_and_kind_and_a_page_a_method(results: Path) -> None:
    folder = "docs/leaderboard"
    methods = {f"{folder}/methods/{method}.md" for method in ("msp", "twin", "odin", "blind")}
    kinds = {f"{folder}/made-v1/{kind}.md" for kind in (*KINDS, "README")}
    kinds |= {f"{folder}/made-v1/{kind}-{metric}.md" for kind in KINDS[:2] for metric in SHOWN}
    kinds.add(f"{folder}/made-v1/ood-scod_aurc.md")
    assert set(leaderboard(results)) == {"leaderboard.md", *methods, *kinds}


def test_selective_prediction_stands_on_the_pages_of_misclassifications_and_of_out_sets(results: Path) -> None:
    found = table(results).query("method == 'odin'").groupby(["set", "metric"])["value"].agg(["mean", "std"]) * 100
    told = {key: f"{mean:.2f} ± {std:.2f}" for key, mean, std in found.itertuples()}
    names = ("aurc", "e_aurc", "augrc", "coverage_at_risk_5")
    row = of(page(results, "misclassification"), "## Selective prediction", "odin")
    assert row[1:] == [told["misclassified", name] for name in names]
    mixed = page(results, "ood-scod_aurc")
    assert "these shares are bad, in percent: glyphs 23.08, hflip 23.08." in mixed  # 60 of 260
    assert of(mixed, BY_SET, "odin")[1:3] == [told[name, "scod_aurc"] for name in ("glyphs", "hflip")]
    assert "[SCOD-AURC ↓ by set](ood-scod_aurc.md)" in page(results, "ood")
    assert "SCOD" not in page(results, "adversarial")


def test_the_page_of_a_matrix_names_methods_that_stand_on_others_alone(results: Path) -> None:
    made = "docs/leaderboard/made-v1/README.md"
    assert "Never run here" not in leaderboard(results)[made]
    put(results, "flow-gan", 0, scores(0, 2.0), matrix="other-v1")
    pages = leaderboard(results)
    assert "Never run here, but on another matrix: [`flow-gan`](../methods/flow-gan.md)." in pages[made]
    other = pages["docs/leaderboard/other-v1/README.md"]
    assert all(f"[`{method}`]" in other.split("Never run here")[1] for method in ("msp", "odin", "twin"))


def test_every_link_of_every_page_leads_to_a_page(results: Path, tmp_path: Path) -> None:
    write(results, tmp_path / "leaderboard.md")
    for name, text in leaderboard(results).items():
        targets = re.findall(r"\]\((?!https?:)([^)#]+)", text)
        assert targets, name
        for target in targets:
            assert (tmp_path / name).parent.joinpath(target).exists(), f"{name} links to {target}"


def test_the_page_of_a_method_holds_every_number_of_it(results: Path) -> None:
    text = leaderboard(results)["docs/leaderboard/methods/odin.md"]
    assert text.splitlines()[2:5] == ["# `odin`: ODIN", "", "One. [T](https://example.org/odin), 2020."]
    assert "Tuned on: ood_val. Its fit does not read labels." in text
    frame = table(results).query("method == 'odin' and metric != 'mann_whitney_log10_p'")
    shown = set(re.findall(r"\d+\.\d\d ± \d+\.\d\d", text))
    for _, own in frame.groupby(["kind", "set", "metric"]):
        assert f"{100 * own['value'].mean():.2f} ± {100 * own['value'].std():.2f}" in shown


def test_pages_of_misclassifications_hold_the_mann_whitney_test(results: Path) -> None:
    """n, m, U/(nm) and log10 p, the last by SciPy from the stored scores; and what Shao 2020 prints."""
    made = leaderboard(results)
    frame = table(results).query("method == 'odin' and set == 'misclassified'").set_index(["metric", "seed"])
    expected = []
    for seed in (0, 1):
        (cell,) = [
            one
            for entry in collect(results)
            if (entry.record.method, entry.record.seed) == ("odin", seed)
            for one in entry.cells
            if one.failure == "misclassification"
        ]
        test = mannwhitneyu(cell.good, cell.bad, use_continuity=False, method="asymptotic")
        expected.append(np.log10(test.pvalue))
        assert frame.loc[("mann_whitney_log10_p", seed), "value"] == pytest.approx(expected[-1])
        assert frame.loc[("auroc", seed), "value"] == pytest.approx(test.statistic / len(cell.good) / len(cell.bad))
    p = f"{np.mean(expected):.1f} ± {np.std(expected, ddof=1):.1f}"
    row = (
        rf"odin`\]\([^)]*\) \| 178 ± 1 \| 22 ± 1 \| 0\.\d{{4}} ± 0\.\d{{4}} \| {re.escape(p)} \| {max(expected):.1f} \|"
    )
    assert re.search(row, made["docs/leaderboard/made-v1/misclassification.md"])
    assert f"log₁₀ p {p}; largest log₁₀ p {max(expected):.1f}." in made["docs/leaderboard/methods/odin.md"]
    assert "Mann-Whitney" not in made["docs/leaderboard/made-v1/ood.md"]


def test_the_page_of_a_method_says_what_tuning_did_not_decide(results: Path) -> None:
    for seed, undecided in ((0, True), (1, False)):
        said = Parameters(default={"eps": 0.0014}, chosen={"eps": 0.002 * seed}, undecided=undecided)
        put(results, "tuned", seed, scores(seed, 2.0), parameters=said)
    text = leaderboard(results)["docs/leaderboard/methods/tuned.md"]
    assert "| eps | 0.0 (seed 0, undecided), 0.002 (seed 1) | tuned |" in text


def test_the_page_of_a_method_says_how_its_fits_went(results: Path) -> None:
    for seed, facts in ((0, {"iterations": 30.0, "gain": 0.0012345}), (1, {"iterations": 9.0, "gain": None})):
        put(results, "fitted", seed, scores(seed, 2.0), facts=facts)
    text = leaderboard(results)["docs/leaderboard/methods/fitted.md"]
    assert "| iterations | 30 (seed 0), 9 (seed 1) | fitted |" in text
    assert "| gain | 0.001234 (seed 0), not finite (seed 1) | fitted |" in text


def test_the_page_of_an_ensemble_says_that_its_seeds_share_members(results: Path) -> None:
    for seed in (0, 1):
        put(results, "shared", seed, scores(seed, 2.0), members=(seed, seed + 1))
    made = leaderboard(results)
    assert NOTE in made["docs/leaderboard/methods/shared.md"]
    assert NOTE not in made["docs/leaderboard/methods/odin.md"]


def test_its_numbers_are_those_of_the_scores(results: Path) -> None:
    text = page(results, "ood")
    fprs = []
    for seed in (0, 1):
        said = read_scores(results / "made-v1" / "odin" / f"{seed}.parquet")
        fprs.append([ranking(said.test, said.ood[name])["fpr95"] for name in ("glyphs", "hflip")])
    by_seed = 100 * np.mean(fprs, axis=1)
    expected = f"{by_seed.mean():.2f} ± {by_seed.std(ddof=1):.2f}"
    assert of(text, OOD, "odin")[2] == expected
    glyphs = 100 * np.array(fprs)[:, 0]
    assert of(page(results, "ood-fpr95"), BY_SET, "odin")[1] == f"{glyphs.mean():.2f} ± {glyphs.std(ddof=1):.2f}"


def test_equal_methods_share_place_and_interval(results: Path) -> None:
    ranks = {row[1].split("`")[1]: row[0] for row in ranked_rows(page(results, "ood"))}
    assert ranks == {"odin": "1 (1-1) ★", "msp": "2 (2-3)", "twin": "2 (2-3)"}


def test_the_sentence_above_each_table_says_what_is_tested(results: Path) -> None:
    said = (
        "to 3 - the number significantly worse, where each method is tested against the 2 others on the same inputs "
        "and 2 seeds, at 5 % after Holm's correction for these 2 tests."
    )
    sentence = next(line for line in page(results, "ood").splitlines() if line.startswith("**FPR95 ranks**"))
    assert said in sentence
    assert "for each method by itself, not for all at once." in sentence
    assert "★: with 95 % confidence the best of the 3 is the one marked." in sentence
    assert "With one seed" not in sentence
    front = leaderboard(results)["leaderboard.md"]
    brief = next(line for line in front.splitlines() if line.startswith("★: with"))
    assert brief.startswith("★: with 95 % confidence the best of the 3 by FPR95 is the one marked, by AUROC ")
    assert "With one seed" not in front
    assert "where each of the K methods of a kind of failure is tested" in page(results, "README")


def test_with_one_seed_it_says_that_ranks_speak_of_those_models(tmp_path: Path) -> None:
    for method, shift in (("msp", 2.0), ("odin", 3.5)):
        put(tmp_path, method, 0, scores(0, shift))
    for name in ("ood", "README"):
        assert "what another training run would change cannot be seen" in page(tmp_path, name)
    front = leaderboard(tmp_path)["leaderboard.md"]
    assert front.count("what another training run would change cannot be seen") == 1
    assert "on the same inputs, at 5 %" in page(tmp_path, "ood")


def test_no_table_is_wider_than_a_page(tmp_path: Path) -> None:
    """Of many sets those of a group stand together; the columns of all tables are counted."""
    attacks = ("fgsm-8", "fgsm-26", "fgsm-13", "bim-8")
    for seed in (0, 1):
        put(tmp_path, "msp", seed, scores(seed, 2.0, attacks=attacks), bits_per_dimension={"test": 3.0})
    made = leaderboard(tmp_path)
    wide = [name for name, text in made.items() for line in text.splitlines() if line.count(" | ") > 9]
    assert wide == []
    text = made["docs/leaderboard/made-v1/adversarial-fpr95.md"]
    assert len(of(text, "## FPR95 ↓, exact", "msp")) == len(of(text, "## FPR95 ↓, rounded", "msp")) == 6
    assert "| `fgsm-8@uint8` | rounded |" in made["docs/leaderboard/made-v1/adversarial.md"]


def test_a_method_without_all_seeds_has_no_rank_and_says_so(results: Path) -> None:
    put(results, "late", 1, scores(1, 9.0))
    text = page(results, "ood")
    assert of(text, OOD, "late")[0] == "1 of 2 seeds"
    assert of(text, OOD, "odin")[0] == "1 (1-1) ★", "it takes no rank from the others"
    assert "A method without every seed and set has no rank, and says how many it has." in text
    assert "no rank, 1 of 2 seeds" in leaderboard(results)["docs/leaderboard/methods/late.md"]


def test_ranks_as_data(results: Path, tmp_path: Path) -> None:
    put(results, "late", 1, scores(1, 9.0))
    write(results, tmp_path / "leaderboard.md")
    frame = pd.read_csv(results / "ranks.csv").query("kind == 'ood' and metric == 'fpr95'").set_index("method")
    assert list(frame.index) == ["odin", "msp", "twin", "late"]
    assert frame.loc["odin", ["place", "low", "high"]].tolist() == [1, 1, 1]
    assert frame["may_be_best"].tolist()[:3] == [True, False, False]
    assert frame.loc["late", ["seeds", "all_seeds", "sets", "all_sets"]].tolist() == [1, 2, 2, 2]
    assert np.isnan(frame.loc["late", "place"])
    whole = (results / "ranks.csv").read_bytes()
    assert whole.count(b"\r") == 0
    (results / "ranks.csv").write_bytes(whole.replace(b"odin,1,1,1,true", b"odin,1,1,2,true"))
    assert "ranks.csv is not what the scores make" in compare(results, tmp_path / "leaderboard.md")[0]
    write(results, tmp_path / "leaderboard.md")
    assert (results / "ranks.csv").read_bytes() == whole


def opposed(seed: int) -> tuple[Drawn, Drawn]:
    """Scores that AUROC and FPR95 order differently: a tenth of the good ones far below, or all a little."""
    said = scores(seed, 4.0, n=400, m=200)
    low = said.test.copy()
    low[::10] -= 9
    return replace(said, test=low), replace(said, test=said.test - np.float32(2.7))


def test_auroc_has_ranks_of_its_own(tmp_path: Path) -> None:
    """They are those of `rank_intervals`, stand beside the others on pages, and as data in their own order."""
    results, cells = tmp_path / "results", {"tail": {}, "shift": {}}
    for seed in (0, 1):
        for method, said in zip(cells, opposed(seed), strict=True):
            put(results, method, seed, said)
            cells[method][seed] = {name: Cell("ood", name, said.test, bad) for name, bad in said.ood.items()}
    write(results, tmp_path / "leaderboard.md")
    frame = pd.read_csv(results / "ranks.csv").query("kind == 'ood'").set_index("metric")
    for metric in ("fpr95", "auroc"):
        own = frame.loc[metric]
        expected = rank_intervals(cells, metric)
        assert [tuple(row) for row in own[["method", "place", "low", "high"]].to_numpy()] == [
            (one.method, one.place, one.low, one.high) for one in expected
        ]
    assert frame.loc["fpr95", "method"].tolist() == ["shift", "tail"]
    assert frame.loc["auroc", "method"].tolist() == ["tail", "shift"]
    text = page(results, "ood")
    assert [(row[0], row[3]) for row in ranked_rows(text)] == [("1 (1-2) ★", "2 (1-2) ★"), ("2 (1-2) ★", "1 (1-2) ★")]
    assert (
        "by it the best is one of the 2 marked in its column, and the rows stay in the order of the first ranks."
        in text
    )
    own = leaderboard(results)["docs/leaderboard/methods/tail.md"]
    assert "rank 2 (1-2) ★ by FPR95, 1 (1-2) ★ by AUROC" in own
    by_auroc = page(results, "README").split("## All kinds of failure by AUROC", 1)[1]
    assert "**AUROC ranks**: a method's place by its mean" in by_auroc
    assert [row[1] for row in rows(page(results, "README"), "## All kinds of failure by AUROC")] == [
        "1 (1-2) ★",
        "2 (1-2) ★",
    ]


def of_accuracy(seed: int, right: int) -> Drawn:
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
        put(tmp_path, "bin", seed, of_accuracy(seed, own[seed]), model="bin", recipe={"name": "bin"})
    said = summary(tmp_path, "made-v1")
    expected = np.array(own) / 2
    for kind in KINDS:
        text = page(tmp_path, kind)
        accuracy = of(text, text.splitlines()[2], "bin")[6]
        assert accuracy == f"{expected.mean():.2f} ± {expected.std(ddof=1):.2f}{' ▼' if flagged else ''}"
        assert "▼" not in of(text, text.splitlines()[2], "msp")[6]
    assert ("▼ more than 2 points" in said) is flagged
    assert said.count("▼") == (4 if flagged else 0)


def test_the_twins_are_compared_at_the_seeds_that_both_have(tmp_path: Path) -> None:
    for seed, right in ((0, 180), (1, 199)):
        put(tmp_path, "msp", seed, of_accuracy(seed, right))
    put(tmp_path, "bin", 0, of_accuracy(0, 179), model="bin", recipe={"name": "bin"})
    put(tmp_path, "binc", 1, of_accuracy(1, 180), model="binc", recipe={"name": "binc"})
    put(tmp_path, "vib", 2, of_accuracy(2, 20), model="vib", recipe={"name": "vib"})
    text = page(tmp_path, "ood")
    assert [of(text, OOD, name)[6].endswith("▼") for name in ("msp", "bin", "binc", "vib")] == [
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
    (tmp_path / "deeper").mkdir()
    assert leaderboard(results.rename(tmp_path / "deeper" / "results")) == first
    assert str(tmp_path) not in "".join(first.values())


def test_check_finds_a_changed_byte(results: Path, tmp_path: Path) -> None:
    index = tmp_path / "leaderboard.md"
    how = f"oodbench table --results {results} --leaderboard {index}"
    assert how in compare(results, index)[-1]
    write(results, index)
    assert compare(results, index) == []
    for name in ("leaderboard.md", "docs/leaderboard/made-v1/ood.md", "docs/leaderboard/methods/msp.md"):
        path = tmp_path / name
        whole = path.read_bytes()
        path.write_bytes(whole.replace(b"48.33", b"38.33", 1))
        fault, last = compare(results, index)
        assert f"{path} is not what the scores make" in fault
        assert (fault.count("\n-|"), fault.count("\n+|")) == (1, 1)
        assert how in last
        path.write_bytes(whole)


def test_check_finds_missing_and_surplus_pages_and_writing_mends_both(results: Path, tmp_path: Path) -> None:
    index, folder = tmp_path / "leaderboard.md", tmp_path / "docs" / "leaderboard"
    write(results, index)
    (folder / "made-v1" / "ood.md").unlink()
    put(results, "gone", 0, scores(0, 1.0))
    write(results, index)
    (folder / "made-v1" / "ood.md").unlink()
    for path in (results / "made-v1" / "gone").iterdir():
        path.unlink()
    faults = "\n".join(compare(results, index))
    assert "ood.md does not exist" in faults
    assert "gone.md: no scores make this page" in faults
    write(results, index)
    assert compare(results, index) == []
    (folder / "mine.md").write_text("written by hand")
    assert "mine.md: no scores make this page" in compare(results, index)[0]
    write(results, index)
    assert (folder / "mine.md").exists(), "only what was generated is removed"


def test_rebuild_says_what_it_did(results: Path, tmp_path: Path) -> None:
    index, csv = tmp_path / "leaderboard.md", tmp_path / "numbers.csv"
    assert rebuild(results, index, check=True)[1] is False
    assert rebuild(results, index, csv=csv) == (f"wrote {index} and 19 pages and {csv}", True)
    assert rebuild(results, index, check=True)[1] is True
    header, *lines = csv.read_text().splitlines()
    assert header == "matrix,kind,set,method,seed,metric,value,low,high,n_good,n_bad"
    assert len(lines) == len(table(results))


def test_the_long_form_holds_every_metric_of_every_cell(results: Path) -> None:
    frame = table(results)
    assert len(frame) == 3 * 2 * ((2 + 2 + 1) * 9 + 2 * 1 + 5)
    assert set(frame["kind"]) == {"ood", "adversarial", "misclassification"}
    said = read_scores(results / "made-v1" / "msp" / "1.parquet")
    chosen = frame.query("kind == 'ood' and set == 'hflip' and method == 'msp' and seed == 1").set_index("metric")
    expected = ranking(said.test, said.ood["hflip"])
    assert chosen.drop("scod_aurc")["value"].to_dict() == {
        k: v for k, v in expected.items() if k not in ("n_good", "n_bad")
    }
    assert set(chosen["n_good"]) == {200}
    assert set(chosen["n_bad"]) == {60}
    assert chosen.loc["auroc", "low"] < chosen.loc["auroc", "value"] < chosen.loc["auroc", "high"]
    assert table(results, "no-v1").empty


def test_one_seed_has_no_plus_minus_but_intervals(tmp_path: Path) -> None:
    put(tmp_path, "msp", 0, scores(0, 2.0))
    text = page(tmp_path, "ood")
    assert "±" not in text
    said = read_scores(tmp_path / "made-v1" / "msp" / "0.parquet")
    auroc = ranking(said.test, said.ood["glyphs"])["auroc"]
    cell = of(page(tmp_path, "ood-auroc"), BY_SET, "msp")[1]
    low, high = (float(part) for part in cell.split("[")[1].rstrip("]").split(", "))
    assert cell.startswith(f"{100 * auroc:.2f} [")
    assert low < 100 * auroc < high
    assert "[" not in of(page(tmp_path, "ood-aupr_in"), BY_SET, "msp")[1]


def test_a_missing_set_leaves_no_average_and_no_rank(results: Path) -> None:
    few = scores(0, 9.0, sets=("glyphs",))
    put(results, "best", 0, few, cells=(skipped_set("hflip"),))
    text = page(results, "ood")
    row = of(text, OOD, "best")
    assert row[0] == "1 of 2 seeds, 1 of 2 sets"
    assert [row[2], row[4]] == ["–"] * 2
    assert of(text, "## Other metrics, and what each method needs", "best")[1:4] == ["–"] * 3
    assert of(page(results, "ood-fpr95"), BY_SET, "best")[1] != "–"
    assert of(page(results, "ood-fpr95"), BY_SET, "best")[2:] == ["–", "–"]
    assert ranked_rows(text)[-1] == row
    hole = of(page(results, "README"), "## Not measured", "best")
    assert hole[1:] == ["0", "ood", "hflip", "skipped", "hflip is not here; oodbench data get hflip"]
    assert "hflip is not here" in leaderboard(results)["docs/leaderboard/methods/best.md"]


def test_a_set_missing_at_one_seed_shows_how_many_seeds_it_stands_on(results: Path) -> None:
    put(results, "msp", 1, scores(1, 2.0, sets=("glyphs",)), cells=(skipped_set("hflip"),))
    text = page(results, "ood")
    assert of(page(results, "ood-fpr95"), BY_SET, "msp")[2].endswith("(n = 1)")
    assert of(text, OOD, "msp")[2] == "–"


SETS = "made-v1/{}/0.json: {}; the sets of made-v1 are .*oodbench run made-v1 --methods {} --seeds 0"


def test_a_set_that_is_missing_without_a_reason_is_an_error(results: Path) -> None:
    put(results, "best", 0, scores(0, 9.0, sets=("glyphs",)))
    with pytest.raises(BadRecord, match=SETS.format("best", r"lacks hflip without a reason \(ood\)", "best")):
        leaderboard(results)
    put(results, "best", 0, scores(0, 9.0, attacks=()), model="robust")
    with pytest.raises(BadRecord, match="lacks fgsm-8, fgsm-8@uint8 without a reason"):
        leaderboard(results)


def test_a_set_of_one_record_alone_cannot_strip_the_others_of_their_ranks(results: Path) -> None:
    put(results, "best", 0, scores(0, 9.0, sets=("glyphs", "hflip", "easy")))
    with pytest.raises(BadRecord, match=r"lacks easy without a reason"):
        leaderboard(results)


def test_a_set_that_the_matrix_does_not_name_is_an_error(tmp_path: Path) -> None:
    put(tmp_path, "msp", 0, scores(0, 2.0, sets=("glyphs", "svhn")), matrix="tiny-v1")
    with pytest.raises(
        BadRecord, match=r"has scores of hflip|has scores of svhn \(ood\); the sets of tiny-v1 are digits"
    ):
        leaderboard(tmp_path)


def test_failed_and_skipped_records_are_listed_with_their_reasons(results: Path) -> None:
    put(results, "broken", 1, None, status="failed", reason="ValueError: singular | matrix\nat line 3")
    text = page(results, "README")
    blind = of(text, "## Not measured", "blind")
    assert blind[1:] == ["0, 1", "all", "all", "skipped", "reads latent, which plain models do not show"]
    assert "| failed | ValueError: singular \\| matrix at line 3" in text
    assert "`broken`" not in text.split("## Not measured")[0]


def test_sets_that_the_same_methods_lack_share_a_row_and_many_names_fold() -> None:
    def lacks(name: str, methods: int, reason: str = "why") -> SharedGap:
        return SharedGap(Gap("ood", name, "skipped", reason), (0, 1), tuple(f"m{at}" for at in range(methods)))

    text = gap_table([lacks("a", 2), lacks("b", 13), lacks("c", 2), lacks("d", 2, "else")], str)
    names = ", ".join(f"m{at}" for at in range(13))
    assert text.splitlines()[2:] == [
        "| m0, m1 | 0, 1 | ood | a, c | skipped | why |",
        f"| <details><summary>13 methods</summary>{names}</details> | 0, 1 | ood | b | skipped | why |",
        "| m0, m1 | 0, 1 | ood | d | skipped | else |",
    ]


def test_an_attack_that_never_works_is_a_gap_and_no_crash(results: Path) -> None:
    said = scores(0, 2.0)
    feeble = Hit(np.zeros(5, dtype=np.float32), np.arange(5, dtype=np.int32), np.zeros(5, dtype=bool))
    attacks = {"fgsm-8": feeble, "fgsm-8@uint8": feeble}
    put(results, "robust", 0, replace(said, adversarial=attacks), model="robust", recipe={"name": "robust"})
    text = page(results, "adversarial")
    assert of(text, text.splitlines()[2], "robust")[2] == "–"
    reasons = {row[3]: row[5] for row in rows(page(results, "README"), "## Not measured") if "`robust`" in row[0]}
    assert list(reasons) == ["fgsm-8", "fgsm-8@uint8"]
    assert "no scores, a one-class set" in reasons["fgsm-8"]


def test_a_shade_is_that_of_the_number_as_it_is_printed() -> None:
    assert (tables._shaded(0.7996), tables._shaded(0.7994)) == ("▓ 80.0", "▒ 79.9")


def test_sizes_of_groups_show_zeros() -> None:
    assert (pages._range([0, 100, 3]), pages._range([7, 7]), pages._range([0, 0])) == ("0 to 100", "7", "none")


def test_a_seed_that_the_matrix_does_not_name_has_no_part(tmp_path: Path) -> None:
    """It was in the mean and not in the rank, so that the higher mean had the lower rank."""
    card = find_matrix("tiny-v1")
    sets, attacks = [one.card for one in card.ood], [one.attack for one in card.attacks]
    for method, shift in ("msp", 2.0), ("knn", 1.9):
        put(tmp_path, method, 0, scores(0, shift, sets=sets, attacks=attacks), matrix="tiny-v1")
    before = page(tmp_path, "ood", "tiny-v1")
    put(tmp_path, "msp", 7, scores(7, 0.0, sets=sets, attacks=attacks), matrix="tiny-v1")
    assert [row[:3] for row in ranked_rows(page(tmp_path, "ood", "tiny-v1"))] == [
        row[:3] for row in ranked_rows(before)
    ]


def test_a_named_matrix_has_its_sets_groups_and_seeds(tmp_path: Path) -> None:
    here = ("glyphs", "digits", "hflip", "vflip")
    card = find_matrix("tiny-v1")
    absent = [skipped_set(one.card) for one in card.ood if one.card not in here]
    names = [one.attack for one in card.attacks]
    put(tmp_path, "msp", 1, scores(1, 2.0, sets=here, attacks=names), matrix="tiny-v1", cells=tuple(absent))
    text = page(tmp_path, "ood", "tiny-v1")
    assert "## MNIST, 5,000 images: `tiny-v1`" in leaderboard(tmp_path)["leaderboard.md"]
    assert "Scale tiny" in leaderboard(tmp_path)["leaderboard.md"]
    by_set = page(tmp_path, "ood-fpr95", "tiny-v1")
    groups = [line for line in by_set.splitlines() if line.startswith("## FPR95 ↓, ")]
    assert groups == ["## FPR95 ↓, near", "## FPR95 ↓, far", "## FPR95 ↓, synthetic"]
    values = {}
    for group in groups:
        headers = next(line for line in by_set.split(f"{group}\n", 1)[1].splitlines() if line.startswith("|"))
        cells = [cell.strip() for cell in headers.strip("|").split("|")]
        values |= dict(zip(cells, of(by_set, group, "msp"), strict=True))
    assert values["mean (near)"] != "–"
    assert values["digits"] != "–"
    assert values["mean (far)"] == values["uniform"] == ranked_rows(text)[0][2] == "–"
    listed = [row[1:] for row in rows(page(tmp_path, "README", "tiny-v1"), "## Not measured")]
    assert ["0", "all", "all", "never run", "run it: oodbench run tiny-v1 --methods msp"] in listed


def test_the_papers_numbers_stand_apart_with_their_doubts(results: Path) -> None:
    text = page(results, "ood")
    listed = rows(text, "## The papers' own numbers")
    cells = {(row[0], row[2]): row for row in listed}
    assert cells["`msp`", "AUROC ↑"][4] == "90.00 ± 1.25"
    assert cells["`odin`", "FPR95 ↓"][4] == "59.8"
    assert cells["`odin`", "AUROC ↑"][4] == "99.5 (doubtful: misprint)"
    ours = of(page(results, "ood-fpr95"), BY_SET, "odin")[1]
    assert cells["`odin`", "FPR95 ↓"][3] == ours
    assert cells["`odin`", "FPR95 ↓"][5:] == [
        "LeNet",
        "ood_val_same",
        "in-set positive",
        "[One et al. 2019, Table 1](https://example.org/paper)",
    ]
    assert "59.8" not in text.split("## The papers' own numbers")[0]


def test_a_slip_in_the_papers_numbers_stops_the_table(results: Path) -> None:
    path = results / "reported" / "one2019.toml"
    path.write_text(path.read_text().replace('"auroc"]', '"aurok"]'))
    with pytest.raises(BadCard, match=r"one2019\.toml: table 1 .*'aurok'; did you mean 'auroc'"):
        leaderboard(results)


def test_scores_that_do_not_match_their_record(results: Path) -> None:
    path = results / "made-v1" / "msp" / "0.parquet"
    leaderboard(results)
    path.write_bytes((results / "made-v1" / "odin" / "0.parquet").read_bytes())
    with pytest.raises(BadRecord, match=r"does not match its record.*oodbench run made-v1 --methods msp --seeds 0"):
        leaderboard(results)
    path.unlink()
    with pytest.raises(BadRecord, match="no such scores file"):
        leaderboard(results)


def test_a_record_in_the_wrong_place(results: Path) -> None:
    (results / "made-v1" / "msp" / "0.json").rename(results / "made-v1" / "msp" / "7.json")
    with pytest.raises(BadRecord, match=r"7\.json: holds the record of made-v1, msp, seed 0"):
        leaderboard(results)


def test_a_record_of_a_newer_program(results: Path) -> None:
    path = results / "made-v1" / "msp" / "0.json"
    path.write_text(path.read_text().replace('"schema_version": 2', '"schema_version": 99'))
    with pytest.raises(BadRecord, match="newer"):
        leaderboard(results)


def test_no_results_folder(tmp_path: Path) -> None:
    with pytest.raises(BadRecord, match=r"no such folder of results; .*oodbench run"):
        leaderboard(tmp_path / "nothing")


def test_what_a_run_prints(results: Path, tmp_path: Path) -> None:
    index = tmp_path / "leaderboard.md"
    said = summary(results, "made-v1", index)
    assert index.read_text(encoding="utf-8") == leaderboard(results)["leaderboard.md"]
    assert str(index) in said
    assert str(results / "made-v1") in said
    lines = [line.split() for line in said.splitlines() if line.strip().startswith(("1 (", "2 ("))]
    assert [line[:4] for line in lines[:3]] == [
        ["1", "(1-1)", "★", "odin"],
        ["2", "(2-3)", "msp", lines[1][3]],
        ["2", "(2-3)", "twin", lines[2][3]],
    ]
    assert "FPR95 ranks: a method's place by its mean" in said
    assert "Not measured: 1 " in said


def test_a_method_that_failed_on_one_attack_keeps_its_other_rows(results: Path) -> None:
    said = scores(0, 2.0)
    failed = [
        CellRecord(failure="adversarial", name=name, status="failed", reason="OutOfMemory: 8 GB")
        for name in ("fgsm-8", "fgsm-8@uint8")
    ]
    put(results, "hungry", 0, said, cells=tuple(failed))
    path = results / "made-v1" / "hungry"
    sha256 = write_scores(path / "0.parquet", replace(said, adversarial={}).scores)
    record = read_record(path / "0.json").model_copy(update={"scores_sha256": sha256})
    write_record(path / "0.json", record)
    assert of(page(results, "ood"), OOD, "hungry")[0] != "–"
    listed = [row for row in rows(page(results, "README"), "## Not measured") if "`hungry`" in row[0]]
    assert {row[3]: row[-1] for row in listed} == {"fgsm-8, fgsm-8@uint8": "OutOfMemory: 8 GB"}


def test_ensembles_of_the_same_members_have_no_rank_and_say_why(results: Path) -> None:
    for seed in (0, 1):
        put(results, "shared", seed, scores(seed, 9.0), members=(seed, seed + 1))
        put(results, "apart", seed, scores(seed, 9.0), members=(2 * seed, 2 * seed + 1))
    made = leaderboard(results)
    text = made["docs/leaderboard/made-v1/ood.md"]
    ranks = {
        name: row[0] for name in ("shared", "apart", "odin") for row in ranked_rows(text) if f"`{name}`" in str(row)
    }
    assert ranks["shared"] == "shared members"
    assert ranks["apart"].startswith("1 (") and "(" in ranks["odin"]
    assert NOTE in made["docs/leaderboard/methods/shared.md"]
    assert NOTE not in made["docs/leaderboard/methods/apart.md"]


def test_images_that_an_attack_left_as_they_were_stand_beside_its_success(results: Path) -> None:
    """Where they were counted: pages of older records are as they were."""
    text = "What the attacks achieved"
    before = page(results, "adversarial")
    assert text in before and "Unmoved" not in before
    path = model_paths(results, "made-v1", "plain", 0).record
    model = read_model(path)
    counted = {name: one.model_copy(update={"unmoved": one.n // 2}) for name, one in model.attacks.items()}
    changed = model.model_copy(update={"attacks": counted})
    assert model_sha256(changed) == model_sha256(model)  # so that the records that name it stand
    write_model(path, changed)
    after = page(results, "adversarial")
    assert (
        "| Attacked | Success rate | Unmoved | Mean ℓ∞ |" in after and "as in a classifier that is saturated" in after
    )
    (row,) = (line for line in after.splitlines() if line.startswith("| fgsm-8 | `plain`"))
    assert row.split(" | ")[4] == "50.00"

"""What is cited: the number of the pages, a proper interval, and BibTeX that a parser reads."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from made import put, scores
from scipy import stats

from oodbench import __version__
from oodbench.cli import main
from oodbench.data.cards import find_card
from oodbench.data.matrix import find_matrix
from oodbench.errors import BadSetting, UnknownName
from oodbench.measure.ranking import ranking
from oodbench.records import Citation, record_paths
from oodbench.report.bibtex import SPECIAL, escaped, joined, of_card, of_paper, of_release
from oodbench.report.cite import cite
from oodbench.report.entries import collect
from oodbench.report.leaderboard import write
from oodbench.report.standings import read_matrices
from oodbench.report.values import COLUMNS, values


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("cite") / "results"
    for seed in (0, 1, 2):
        for method, shift in (("msp", 2.0), ("odin", 3.0)):
            put(folder, method, seed, scores(seed, shift + seed / 10), bits_per_dimension={"test": 2.0 + seed})
    put(folder, "msp", 0, scores(5, 1.0), matrix="single-v1", tuning_access="ood_val")
    write(folder, folder.parent / "leaderboard.md")
    return folder


def by_hand(results: Path, method: str, name: str, metric: str) -> list[float]:
    found = []
    for entry in collect(results, "made-v1"):
        if entry.record.method == method:
            (cell,) = [cell for cell in entry.cells if (cell.failure, cell.name) == ("ood", name)]
            found.append(ranking(cell.good, cell.bad)[metric])
    return found


def test_a_number_is_the_mean_over_seeds_with_its_conditions(results) -> None:
    said = cite("made-v1/odin@1#ood/glyphs/auroc", results).sentence
    values = by_hand(results, "odin", "glyphs", "auroc")

    mean, std = 100 * np.mean(values), 100 * np.std(values, ddof=1)
    number = f"{mean:.2f} ± {std:.2f} % (mean ± standard deviation over 3 seeds; 95 % interval "
    assert f"ODIN (odin, version 1) has an AUROC of {number}" in said
    assert "200 good inputs (in-set test inputs), 60 bad ones a set (inputs of other sets)" in said
    assert "matrix made-v1, in-set mnist-5k, scale tiny, seeds 0, 1, 2, not tuned" in said
    assert "at commit ababababab on cpu" in said
    assert said.endswith("id made-v1/odin@1#ood/glyphs/auroc.")


def interval(said: str) -> tuple[float, float]:
    low, high = re.search(r"95 % interval ([0-9.]+) to ([0-9.]+)", said).groups()
    return float(low) / 100, float(high) / 100


def test_the_interval_of_several_seeds_is_wider_than_over_seeds_or_inputs_alone(results) -> None:
    low, high = interval(cite("made-v1/msp@1#ood/glyphs/fpr95", results).sentence)
    values = by_hand(results, "msp", "glyphs", "fpr95")

    assert (low + high) / 2 == pytest.approx(np.mean(values), abs=1e-4)
    assert high - low > 2 * 1.96 * (np.mean(values) * (1 - np.mean(values)) / 60) ** 0.5 * 0.5
    assert high - low < 2 * stats.t.ppf(0.975, 2) * 0.3


def test_the_interval_of_one_seed_is_that_of_the_pages(results) -> None:
    table = values(read_matrices(results, "single-v1"))
    line = table[table["id"] == "single-v1/msp@1#ood/glyphs/auroc"].iloc[0]
    assert interval(cite(line["id"], results).sentence) == pytest.approx((line["low"], line["high"]), abs=6e-5)
    assert "tuned on ood_val" in cite(line["id"], results).sentence


def test_a_mean_says_its_sets_and_its_rank(results) -> None:
    said = cite("made-v1/odin@1#ood", results).sentence

    assert "as a mean over glyphs, hflip" in said or "as a mean over hflip, glyphs" in said
    assert "rank 1, 95 % interval of its true rank 1 to " in said
    assert said.endswith("id made-v1/odin@1#ood/mean/fpr95.")


def test_a_rank_of_other_results_is_not_told(results, tmp_path) -> None:
    """The file of ranks that lies there may be of before a seed was lost, or made again."""
    there = tmp_path / "results"
    shutil.copytree(results, there)
    record_paths(there, "made-v1", "odin", 2).record.unlink()
    said = cite("made-v1/odin@1#ood", there).sentence
    assert "over 2 seeds" in said
    assert "rank 1" not in said and "its rank is not told, for ranks.csv is of other results (oodbench table)" in said


def test_seeds_that_the_matrix_does_not_name_and_seeds_that_failed_are_none(tmp_path) -> None:
    """They are no part of a mean, of its conditions, or of what is said of the classifier."""
    results, matrix = tmp_path / "results", find_matrix("trec-v1")
    sets = tuple(one.card for one in matrix.ood)
    for seed in (*matrix.seeds, 7):
        put(results, "msp", seed, scores(seed, 1.0 + seed, sets=sets, attacks=()), matrix=matrix.name)
    put(results, "msp", 1, None, matrix=matrix.name, status="failed", reason="Diverged")
    for number in ("ood/mean/auroc", "model/test/accuracy"):
        said = cite(f"trec-v1/msp@1#{number}", results).sentence
        assert "over 4 seeds" in said and ", seeds 0, 2, 3, 4, not tuned" in said
    mean = np.mean(
        [
            ranking(cell.good, cell.bad)["auroc"]
            for entry in collect(results, "trec-v1")
            if entry.record.seed in (0, 2, 3, 4)
            for cell in entry.cells
            if cell.failure == "ood"
        ]
    )
    assert f"an AUROC of {100 * mean:.2f} ± " in cite("trec-v1/msp@1#ood/mean/auroc", results).sentence


def test_every_id_of_the_table_can_be_cited(results) -> None:
    table = values(read_matrices(results, "made-v1"))
    assert [*table.columns] == [*COLUMNS]
    assert table["id"].is_unique
    some = table[(table["method"] == "odin") & table["metric"].isin(["fpr95", "mann_whitney_log10_p", "accuracy"])]
    some = [*some["id"], "made-v1/odin@1#model/test/bits_per_dim"]
    assert len(some) > 8
    for number in some:
        said = cite(number, results).sentence
        assert said.endswith(f"id {number}.")
    assert "3.000 ± 1.000" in cite("made-v1/odin@1#model/test/bits_per_dim", results).sentence


def test_values_are_those_by_hand(results) -> None:
    table = values(read_matrices(results, "made-v1")).set_index("id")
    line = table.loc["made-v1/msp@1#ood/hflip/fpr95"]
    own = by_hand(results, "msp", "hflip", "fpr95")
    assert (line["mean"], line["std"], line["n"]) == pytest.approx((np.mean(own), np.std(own, ddof=1), 3))
    assert (line["n_good"], line["n_bad"]) == (200, 60)
    mean = table.loc["made-v1/msp@1#ood/mean/fpr95"]
    other = by_hand(results, "msp", "glyphs", "fpr95")
    assert mean["mean"] == pytest.approx((np.mean(own) + np.mean(other)) / 2)
    assert (mean["rank"], mean["rank_high"]) == (2, 2)
    assert not table["rank"].notna()[~table.index.str.contains("#[a-z]+/mean/(?:fpr95|auroc)", regex=True)].any()


def test_a_row_and_a_matrix_can_be_cited(results) -> None:
    row = cite("made-v1/odin", results)
    assert "has a mean FPR95 of" in row.sentence
    assert "on out-of-distribution inputs" in row.sentence
    whole = cite("made-v1", results)
    assert whole.sentence.startswith("Matrix made-v1: in-set mnist-5k, scale tiny, 2 rows, seeds 0, 1, 2;")


@pytest.mark.parametrize(
    ("said", "error", "told"),
    [
        ("made-v1/odin@2#ood/glyphs/fpr95", BadSetting, "holds version 1 of odin; what was cited is in another state"),
        ("made-v2", UnknownName, "did you mean 'made-v1'"),
        ("made-v1/odim@1", UnknownName, "did you mean 'odin'"),
        ("made-v1/odin@1#odd", UnknownName, "did you mean 'ood'"),
        ("made-v1/odin@1#ood/glyph/fpr95", UnknownName, "did you mean 'glyphs'"),
        ("made-v1/odin@1#ood/glyphs/fpr96", UnknownName, "did you mean 'fpr95'"),
        ("made-v1/odin@1#model/test/acuracy", UnknownName, "did you mean 'model/test/accuracy'"),
    ],
)
def test_what_is_not_there_offers_the_nearest(results, said, error, told) -> None:
    with pytest.raises(error, match=re.escape(told)):
        cite(said, results)


def test_the_command_prints_both_or_the_entries_alone(results, capsys) -> None:
    number = "made-v1/odin@1#ood/glyphs/fpr95"
    assert main(["cite", number, "--results", str(results)]) == 0
    whole = capsys.readouterr().out
    assert main(["cite", number, "--results", str(results), "--bibtex"]) == 0
    entries = capsys.readouterr().out
    assert whole.endswith(f"\n\n{entries}")
    assert entries.startswith("@misc{one2020,") or entries.startswith("@misc{one2020")
    assert all(f"{{data-{name}," in entries for name in ("mnist-5k", "glyphs"))
    assert "data-hflip" not in entries


PAPER = Citation(
    authors="Corbière, Bar-Hen et al.", title="100 % of {a_b} & c", year=2019, url="https://arxiv.org/abs/1910.04851"
)


def test_a_parser_reads_what_is_written() -> None:
    database = pytest.importorskip("pybtex.database", reason="pybtex is not installed: no second reader of BibTeX")
    text = joined([of_paper(PAPER), of_card(find_card("mnist-5k")), of_card(find_card("glyphs")), of_release(), None])
    read = database.parse_string(text, "bibtex").entries

    assert set(read) >= {"data-mnist-5k", "data-glyphs", f"oodbench-{__version__}"}
    paper = next(entry for entry in read.values() if "eprint" in entry.fields)
    assert paper.fields["eprint"] == "1910.04851"
    assert paper.fields["year"] == "2019"
    assert [person.last_names for person in paper.persons["author"]] == [["{Corbière}"], ["{Bar-Hen}"], ["others"]]
    assert paper.fields["title"] == r"{100 \% of \{a\_b\} \& c}"


def test_braces_balance_and_keys_are_plain() -> None:
    for text in (of_paper(PAPER), of_card(find_card("mnist-5k")), of_release()):
        bare = re.sub(r"\\[{}]", "", text)
        assert bare.count("{") == bare.count("}")
        assert re.match(r"@[a-z]+\{[a-z0-9.-]+,\n", text)


def test_what_tex_reads_otherwise_is_escaped() -> None:
    assert escaped("a\\b") == r"a\textbackslash{}b"
    assert escaped("&%$#_{}~^") == "".join(SPECIAL[one] for one in "&%$#_{}~^")
    assert escaped("ε = 0.0014") == "ε = 0.0014"


def test_a_set_that_is_drawn_here_is_cited_by_the_release() -> None:
    drawn = [name for name in ("toy-blobs", "toy-noise") if of_card(find_card(name)) is None]
    assert drawn


def test_no_torch_is_loaded(results) -> None:
    import subprocess
    import sys

    script = (
        "import sys; from oodbench.cli import main; "
        f"main(['cite', 'made-v1/odin@1#ood', '--results', {str(results)!r}]); "
        f"main(['compare', 'made-v1/odin', 'made-v1/msp', '--results', {str(results)!r}]); "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)

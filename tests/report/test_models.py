"""What was judged: classifiers by their quality, densities by their bits."""

from pathlib import Path

import pytest
from made import put, scores

from oodbench.records import Quality
from oodbench.report.models import bits_table, model_table, reported_bits
from oodbench.report.reported import Citation, Reported
from oodbench.report.standings import read_matrices


def lines(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]


def matrix(results: Path, **bits: float):
    for seed in (0, 1):
        plain = Quality(accuracy=0.9 + seed / 50, parameters=1234, ece_15=0.02, oce=1.5, oce_share=0.25, nll=0.25)
        other = plain.model_copy(update={"accuracy": 0.8, "parameters": 99})
        said = scores(seed, 1.0)
        for method in ("msp", "odin"):
            put(results, method, seed, said, quality=plain)
        put(results, "own", seed, said, model="own", quality=other, recipe={"name": "own"})
        own = {name: value + seed / 10 for name, value in bits.items()}
        put(results, "glow", seed, said, quality=plain, density="glow", recipe={"name": "glow"}, bits_per_dimension=own)
    (made,) = read_matrices(results)
    return made


def code(name: str) -> str:
    return f"`{name}`"


def test_methods_on_one_model_share_a_row_and_a_density_stands_with_its_judge(tmp_path):
    headers, _, *rows = lines(model_table(matrix(tmp_path, test=3.0), code))
    assert headers == ["Classifier", "Parameters", "Accuracy ↑", "ECE ↓", "OCE ↓", "p ≥ 0.997", "NLL ↓", "Judged by"]
    calibrated = ["1.500 ± 0.000", "25.00 ± 0.00", "0.250 ± 0.000"]
    assert rows == [
        ["`plain`", "1,234", "91.00 ± 1.41", "2.00 ± 0.00", *calibrated, "`glow`, `msp`, `odin`"],
        ["`own`", "99", "80.00 ± 0.00", "2.00 ± 0.00", *calibrated, "`own`"],
    ]


@pytest.mark.parametrize(
    "oce, share, printed",
    [(0.0, 0.0004, ["0.000", "0.04"]), (None, 0.0, ["–", "0.00"]), (0.0, None, ["0.000", "–"])],
    ids=["hardly any", "none", "a record from before it was measured"],
)
def test_the_share_of_sure_predictions_stands_beside_their_overconfidence(tmp_path, oce, share, printed):
    quality = Quality(accuracy=0.9, oce=oce, oce_share=share)
    put(tmp_path, "msp", 0, scores(0, 1.0), quality=quality)
    (made,) = read_matrices(tmp_path)
    headers, _, row = lines(model_table(made, code))
    assert [row[headers.index(name)] for name in ("OCE ↓", "p ≥ 0.997")] == printed


def test_bits_stand_by_set(tmp_path):
    headers, _, *rows = lines(bits_table(matrix(tmp_path, train=2.9, test=3.0, constant=0.5), code))
    assert headers == ["Density", "train", "test", "constant", "Judged by"]
    assert rows == [["`glow`", "2.950 ± 0.071", "3.050 ± 0.071", "0.550 ± 0.071", "`glow`"]]


def test_bits_of_many_sets_are_split_by_group_in_the_order_of_the_matrix(tmp_path):
    """A table of all would be wider than a page; a set that no kind of failure names comes last."""
    bits = dict.fromkeys(("aaa", "train", "validation", "test", "constant", "mnist-5k", "hflip"), 3.0)
    said = bits_table(matrix(tmp_path, **bits), code)
    headers = [line for line in said.splitlines() if line.startswith(("####", "| Density"))]
    assert headers[:2] == ["#### in-set", "| Density | train | validation | test | Judged by |"]
    assert headers[-2:] == ["#### others", "| Density | aaa | constant | mnist-5k |"]


def test_no_density_no_table(tmp_path):
    assert bits_table(matrix(tmp_path), code) is None


def test_the_papers_bits_are_those_of_the_in_set_and_of_densities_here(tmp_path):
    def printed(**more):
        known = {"method": "glow", "in_set": "mnist-5k", "out_set": "constant"} | more
        return Reported(
            paper=Citation(authors="A. One", title="T", year=2019, url="https://example.org"),
            file="one2019",
            source="Table 1",
            failure="model",
            label="Glow",
            network="Glow",
            metric="bits_per_dim",
            value=0.339,
            places=3,
            tuning="none",
            convention="bits",
            **known,
        )

    made = matrix(tmp_path, test=3.0)
    _, _, *rows = lines(reported_bits(made, [printed(), printed(in_set="cifar-10"), printed(method="vae")]))
    assert rows == [["`glow`", "constant", "0.339", "Glow", "[One 2019, Table 1](https://example.org)"]]
    assert reported_bits(made, [printed(method="vae")]) is None
    own = [printed(out_set="mnist-5k", split=part) for part in ("train", "test")]
    assert [row[1] for row in lines(reported_bits(made, own))[2:]] == ["mnist-5k, train", "mnist-5k, test"]

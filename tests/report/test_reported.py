"""The papers' numbers: every file is well formed, and agrees with itself where its numbers depend on each other."""

from collections import Counter, defaultdict
from itertools import pairwise
from math import log1p
from pathlib import Path
from statistics import fmean

import pytest

from oodbench.errors import BadCard
from oodbench.report.reported import MEAN, Reported, find, load_reported, read_reported

FOLDER = Path(__file__).parents[2] / "results" / "reported"
NUMBERS = load_reported(FOLDER)


def of(file: str, **said: str) -> list[Reported]:
    return [n for n in NUMBERS if n.file == file and all(getattr(n, key) == value for key, value in said.items())]


def step(number: Reported) -> float:
    """Return half a unit of the last printed digit, in our unit."""
    return 0.5 * 10**-number.places / 100


def test_every_paper_of_the_sheet_is_there() -> None:
    counts = {path.stem: len(read_reported(path)) for path in FOLDER.glob("*.toml")}
    assert counts == {
        "bibas2021": 50,
        "choi2018": 101,
        "corbiere2019": 87,
        "djurisic2023": 10,
        "granese2021": 28,
        "hendrycks2019": 293,
        "hendrycks2019-corruptions": 2,
        "hendrycks2019-mnist-logs": 62,
        "hendrycks2019-texts": 132,
        "huang2017": 4,
        "kingma2018": 1,
        "kumar2018": 2,
        "lee2018": 201,
        "li2024": 88,
        "liang2018": 168,
        "liu2020": 8,
        "mackowiak2021": 192,
        "mondal2026": 35,
        "muller2025": 532,
        "nalisnick2019": 12,
        "openood2023": 830,
        "regmi2025": 176,
        "salimans2017": 1,
        "shao2020": 227,
        "singh2026": 28,
        "sreeramdass": 125,
        "yang2024": 42,
        "zagoruyko2016": 4,
        "zhang2024": 78,
        "zhao2024": 96,
    }


def test_means_add_up_again() -> None:
    groups: dict[tuple[object, ...], list[Reported]] = defaultdict(list)
    for n in NUMBERS:
        groups[n.file, n.source, n.in_set, n.network, n.method, n.setting, n.tuning, n.metric].append(n)
    checked: Counter[str] = Counter()
    for group in groups.values():
        means, parts = [n for n in group if n.out_set == MEAN], [n for n in group if n.out_set != MEAN]
        for mean in means if parts else ():
            off = abs(fmean(part.value for part in parts) - mean.value)
            rounding = step(mean) + fmean(step(part) for part in parts)
            assert (off > rounding + 1e-9) == bool(mean.doubt), (mean, off)
            checked[mean.file] += 1
    assert checked == {
        "djurisic2023": 2,
        "hendrycks2019": 9 + 9 + 6,  # two in-sets, and its PixelCNN++
        "hendrycks2019-mnist-logs": 6,
        "hendrycks2019-texts": 12,
        "li2024": 16,
        "mackowiak2021": 8,  # by beta
        "muller2025": 27,
        "yang2024": 6,
        "zhang2024": 14,
    }


@pytest.mark.parametrize("file", ["liang2018", "sreeramdass"])
def test_detection_errors_obey_their_name(file: str) -> None:
    errors = [n for n in of(file) if n.metric in ("detection_error", "min_detection_error")]
    for error in errors:
        (fpr,) = (
            n for n in find(of(file), method=error.method, in_set=error.in_set, out_set=error.out_set, metric="fpr95")
            if (n.source, n.network) == (error.source, error.network)
        )  # fmt: skip
        at_95 = 0.025 + fpr.value / 2
        slack = step(error) + step(fpr) / 2 + 0.0014  # the TPR reached at the threshold is not 0.95 to the last digit
        if error.metric == "min_detection_error":
            assert error.value < at_95 - step(error)
        else:
            assert (abs(error.value - at_95) > slack) == (error.method == "bin" and error.out_set == "gaussian-odin")
            assert error.doubt or abs(error.value - at_95) <= slack
    assert len(errors) == 24


def test_the_doubtful_are_marked() -> None:
    doubtful = {(n.file, n.method, n.in_set, n.out_set, n.metric) for n in NUMBERS if n.doubt}
    assert ("liang2018", "odin-tuned", "cifar-100", "uniform", "auroc") in doubtful
    assert ("mackowiak2021", "ib-inn-1", "imagenet", MEAN, "auroc") in doubtful
    assert ("sreeramdass", "vib", "cifar-10", "gaussian-odin", "auroc") in doubtful
    assert ("shao2020", "mahalanobis-a", "cifar-10", "fashion-mnist", "aupr_out") in doubtful
    assert len([n for n in NUMBERS if n.doubt]) == 20


def test_aupr_in_stays_above_its_floor() -> None:
    for n in NUMBERS:
        if n.metric == "aupr_in" and n.n_bad and n.n_good and n.value is not None:
            ratio = n.n_bad / n.n_good
            assert n.value >= 1 - ratio * log1p(1 / ratio) - 2 * step(n), n


def test_printed_complements_and_percent_are_exact() -> None:
    (fpr,) = find(
        of("lee2018", network="DenseNet-BC-100-12", tuning="none"),
        method="msp",
        in_set="cifar-10",
        out_set="svhn",
        metric="fpr95",
    )
    assert fpr.value == 0.598
    (bits,) = of("nalisnick2019", in_set="cifar-10", out_set="constant")
    assert (bits.value, bits.places) == (0.589, 3)
    (gmm,) = of("shao2020", in_set="cifar-10", out_set="svhn", method="gmm-1000", metric="auroc")
    assert (gmm.value, gmm.std, gmm.n_runs) == (0.9935, 0.0021, 5)


def test_directions_that_the_papers_claim_are_in_the_data() -> None:
    """A swapped column would break these."""
    lee = {
        (n.in_set, n.network, n.out_set, n.method, n.tuning): n.value
        for n in of("lee2018", source="Table 2", metric="auroc")
    }
    for (in_set, network, out_set, method, _), value in lee.items():
        if method == "mahalanobis-d":
            assert value > lee[in_set, network, out_set, "msp", "none"]
    ablation = {n.method: n.value for n in of("lee2018", source="Table 1", metric="auroc")}
    order = ["msp", "mahalanobis-a", "mahalanobis-b", "mahalanobis-c", "mahalanobis-d"]
    assert all(ablation[a] < ablation[b] for a, b in pairwise(order))
    for n in of("choi2018", out_set="hflip", in_set="cifar-10"):
        assert 0.46 <= n.value <= 0.51
    bits = {n.setting: n.value for n in of("mackowiak2021", metric="bits_per_dim")}
    l_x = {n.setting: n.value for n in of("mackowiak2021", metric="l_x")}
    assert all(bits[beta] == pytest.approx((l_x[beta] + 4.905) / 0.693147, abs=0.011) for beta in bits)


FILE = """
[paper]
authors = "A. One, B. Two"
title = "T"
[methods]
msp = "Baseline"
[tuning]
msp = "none"
[sets]
cifar-10 = "CIFAR-10"
svhn = "SVHN"
[[table]]
source = "Table 1"
failure = "ood"
in_set = "cifar-10"
network = "net"
convention = "c"
columns = ["out_set", "method", "fpr95"]
rows = [["svhn", "msp", 40.20]]
"""


def read(tmp_path: Path, old: str = "", new: str = "") -> tuple[Reported, ...]:
    assert old in FILE
    path = tmp_path / "one2020.toml"
    path.write_text(FILE.replace(old, new) if old else FILE, encoding="utf-8")
    return read_reported(path)


def test_a_file_reads(tmp_path: Path) -> None:
    (n,) = read(tmp_path)
    assert (n.value, n.places, n.short, n.label) == (0.402, 2, "One and Two, Table 1", "Baseline")


def test_a_range_turns_round_with_its_complement(tmp_path: Path) -> None:
    text = FILE.replace('"fpr95"]', '"1 - fpr95"]').replace("40.20", "{ low = 30, high = 50 }")
    (tmp_path / "x.toml").write_text(text, encoding="utf-8")
    (n,) = read_reported(tmp_path / "x.toml")
    assert (n.low, n.high, n.value) == (0.5, 0.7, None)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"fpr95"]', '"fpr59"]', "row 1: unknown metric 'fpr59'; did you mean 'fpr95'"),
        ('["svhn"', '["shvn"', "row 1: unknown out_set 'shvn'; did you mean 'svhn'"),
        ('"msp", 40', '"mps", 40', "row 1: unknown method 'mps'; did you mean 'msp'"),
        ('in_set = "cifar-10"', 'in_set = "cifar-100"', "unknown in_set 'cifar-100'; did you mean 'cifar-10'"),
        ("40.20", "402", "fpr95 is a share, got [4.02]"),
        ("40.20", '"40.2"', "value is '40.2', expected a number as printed"),
        ("40.20", "[40.2, 1.0, 2.0]", "expected [value, std]"),
        ("40.20", "[40.2, -1.0]", "std"),
        ("40.20", "{ std = 1.0 }", "a cell without a number needs a doubt"),
        ("40.20", "{ vlaue = 1.0 }", "vlaue: unknown key; did you mean 'value'"),
        (", 40.20", "", "2 cells under 3 columns (out_set, method, fpr95)"),
        ('msp = "none"', 'msp = "nothing"', "tuning.msp"),
        ('failure = "ood"', 'failure = "odd"', "failure"),
        ('source = "Table 1"', 'sauce = "Table 1"', "sauce: unknown key; did you mean 'source'"),
        ("[paper]", "[paper", "one2020.toml is not a TOML file"),
    ],
)
def test_a_slip_names_its_place(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(BadCard) as error:
        read(tmp_path, old, new)
    assert "one2020.toml" in str(error.value)
    assert message in str(error.value)


def test_openoods_boards_are_without_the_rows_that_are_not_to_be_taken() -> None:
    boards = of("openood2023", failure="ood")
    assert {n.metric for n in boards} == {"auroc"}
    assert {n.out_set for n in boards} == {"near", "far"}
    assert {n.in_set for n in boards if n.method == "combood"} == {"openood-cifar-10", "openood-cifar-100"}
    twice = {(n.method, n.network, n.out_set): n.value for n in boards if "++" in n.method}
    assert len(twice) == 16
    assert twice["mahalanobis++", "ResNet50", "near"] == 0.7202 and twice["rmds++", "Swin-T", "far"] == 0.9327
    assert all((n.std is not None) == (n.n_runs == 3) or n.std is None for n in boards)
    assert not [n for n in boards if n.std == 0]
    (msp,) = find(of("openood2023"), method="msp", in_set="openood-cifar-10", out_set="near", metric="auroc")
    assert (msp.value, msp.std, msp.n_runs, msp.tuning) == (0.8803, 0.0025, 3, "none")
    (nac,) = find(of("openood2023"), method="nac", in_set="openood-cifar-100", out_set="far", metric="auroc")
    assert (nac.value, nac.std) == (0.8698, 0.0037)
    accuracies = [n.value for n in of("openood2023", failure="model") if n.in_set == "openood-cifar-10"]
    assert accuracies == [0.9506]

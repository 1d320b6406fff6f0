"""Which detector should I use: only of methods that ask for no more than there is, and with all that tie."""

from itertools import pairwise
from pathlib import Path

import pytest
from made import put, scores

from oodbench import listed
from oodbench.report.choice import FEWEST, SITUATIONS
from oodbench.report.leaderboard import leaderboard

NAMED = {"msp", "energy", "temperature", "knn", "mahalanobis-a", "odin", "odin-tuned", "baseline-t"}
MINE = sorted({*[line.name for line in listed.rows() if line.judges_mine][::6], *NAMED})
PAGE = "docs/leaderboard/which-detector.md"


def fits(situation: str) -> set[str]:
    return {line.name for line in listed.rows() if SITUATIONS[situation](line)}


def made(results: Path, methods: list[str], shifts: dict[str, float], scale: str = "cpu") -> str | None:
    for method in methods:
        for seed in (0, 1):
            put(results, method, seed, scores(seed, shifts.get(method, 1.0)), scale=scale)
    return leaderboard(results).get(PAGE)


def test_each_situation_has_all_of_the_one_before() -> None:
    names = list(SITUATIONS)
    for less, more in pairwise(names):
        assert fits(less) < fits(more)


def test_what_a_situation_asks_for() -> None:
    logits, stored, network, tuned, training, outliers, attacked = map(fits, SITUATIONS)
    assert {"msp", "energy", "temperature"} <= logits
    assert {"knn", "mahalanobis-a"} <= stored - logits
    assert "odin" in network - stored
    assert {"odin-tuned", "baseline-t"} <= tuned - network
    assert {"mc-dropout", "glow"} <= training - tuned
    assert "oe-scratch" in outliers - training
    assert {"odin-fgsm", "lid"} <= attacked - outliers


def test_the_best_of_what_a_person_has_stands_with_its_ties(tmp_path: Path) -> None:
    shifts = {"energy": 2.0, "knn": 3.0, "odin": 4.0}
    page = made(tmp_path / "results", MINE, shifts)
    assert page is not None
    rows = [line for line in page.splitlines() if line.startswith(("| Logits", "| +", "| `msp`"))]
    for row, (method, situation) in zip(rows, [("energy", 0), ("knn", 1), ("odin", 2)], strict=False):
        among = len(fits(list(SITUATIONS)[situation]) & set(MINE))
        cell = row.split("|")[2]
        assert f"[`{method}`](methods/{method}.md)" in cell
        assert cell.rstrip().endswith(f"alone of {among}")
    assert rows[-1].startswith("| `msp`, for comparison")


def test_equal_methods_are_said_to_tie(tmp_path: Path) -> None:
    page = made(tmp_path / "results", MINE, {})
    assert page is not None
    among = len(fits("Logits") & set(MINE))
    assert f"one of {among} that may be the best of {among}" in page


@pytest.mark.parametrize(("methods", "scale"), [(MINE[: FEWEST - 1], "cpu"), (MINE, "tiny")])
def test_few_methods_and_demonstrations_say_nothing(tmp_path: Path, methods: list[str], scale: str) -> None:
    assert made(tmp_path / "results", methods, {}, scale) is None


def test_counted_is_each_method_where_it_is_and_the_latest_version_alone(tmp_path: Path) -> None:
    shifts = {"one-v1": "msp", "one-v2": "energy", "two-v1": "energy", "three-v1": "max-logit"}
    lacks = {"two-v1": {"max-logit"}, "three-v1": {"knn"}, "one-v2": {"knn"}}
    names = sorted({*MINE, "max-logit"})
    for matrix, best in shifts.items():
        for method in set(names) - lacks.get(matrix, set()):
            for seed in (0, 1):
                drawn = scores(seed, 3.0 if method == best else 1.0)
                put(tmp_path, method, seed, drawn, scale="cpu", matrix=matrix)
    page = leaderboard(tmp_path)[PAGE]
    (row,) = [line for line in page.split("## ")[1].splitlines() if line.startswith("| Logits")]
    assert row.split("|")[2].strip() == "`energy` 2 of 3, `max-logit` 1 of 2"
    assert "`knn`" not in page.split("## ")[1]

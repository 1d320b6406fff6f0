"""What the papers say of two methods, held against scores."""

import json
from pathlib import Path

import numpy as np
import pytest
from made import put, scores
from scipy.stats import ttest_rel

from oodbench.errors import BadCard, UnknownName
from oodbench.report.claims import Claim, Found, judge, page, read_claims, rebuild

ONE = {
    "statement": "A beats B",
    "source": "One 2020, Table 1",
    "paper": "99 against 98",
    "matrix": "made-v1",
    "failure": "ood",
    "metric": "auroc",
    "more": "good",
    "less": "poor",
    "expected": "holds",
}


def written(results: Path, *claims: dict[str, object]) -> Path:
    lines = []
    for one in claims:
        lines += ["[[claim]]", *(f"{key} = {json.dumps(value)}" for key, value in one.items())]
    (results / "claims.toml").write_text("\n".join(lines))
    return results


@pytest.fixture
def results(tmp_path: Path) -> Path:
    for seed in range(4):
        for method, shift in {"good": 2.0, "poor": 0.5, "same": 2.0}.items():
            put(tmp_path / "results", method, seed, scores(seed, shift))
    return tmp_path / "results"


def found(difference: list[float], **more: object) -> Found:
    less = np.arange(len(difference), dtype=float)
    return Found(Claim.model_validate(ONE | more), less + difference, less)


def test_the_interval_is_that_of_a_paired_t_test() -> None:
    a, b = np.array([91.0, 95.5, 93.0, 92.0]), np.array([90.0, 91.5, 92.0, 92.5])
    one = Found(Claim.model_validate(ONE), a, b)
    low, high = ttest_rel(a, b).confidence_interval(0.95)
    assert one.difference - one.margin == pytest.approx(low)
    assert one.difference + one.margin == pytest.approx(high)


@pytest.mark.parametrize(
    ("difference", "verdict"), [([1, 1.1, 0.9], "holds"), ([1, -1, 0.2], "open"), ([-1, -1.1, -0.9], "reversed")]
)
def test_verdicts(difference: list[float], verdict: str) -> None:
    assert found(difference).verdict == verdict


def test_a_claim_is_judged_from_the_scores(results: Path) -> None:
    written(
        results, ONE, ONE | {"less": 50.0}, ONE | {"less": "good", "more": "poor", "expected": "reversed", "why": "x"}
    )
    one, constant, reversed_ = judge(results)
    assert (one.verdict, constant.verdict, reversed_.verdict) == ("holds", "holds", "reversed")
    assert (constant.less == 50).all()
    np.testing.assert_allclose(one.more, constant.more)
    assert one.more.mean() > 85 > one.less.mean() > 50


def test_sets_narrow_it(results: Path) -> None:
    written(results, ONE, ONE | {"sets": ["glyphs"]}, ONE | {"sets": ["hflip"]})
    every, glyphs, hflip = (one.more for one in judge(results))
    np.testing.assert_allclose(every, (glyphs + hflip) / 2)


def test_the_page_says_verdict_numbers_and_reason(results: Path, tmp_path: Path) -> None:
    written(
        results, ONE, ONE | {"statement": "The same", "less": "same", "expected": "open", "why": "they are | equal"}
    )
    text = page(judge(results))
    assert "| **holds** " in text
    assert "99 against 98" in text
    assert "they are \\| equal" in text
    path = tmp_path / "docs" / "claims.md"
    assert not rebuild(results, path, check=True)[1]
    assert rebuild(results, path)[1]
    assert path.read_text() == text
    assert rebuild(results, path, check=True)[1]


def test_an_expectation_that_fails_is_told(results: Path, tmp_path: Path) -> None:
    written(results, ONE | {"expected": "reversed", "why": "x"})
    text, well = rebuild(results, tmp_path / "page.md")
    assert not well
    assert "'A beats B' is expected to be 'reversed', and is 'holds'" in text


@pytest.mark.parametrize(
    ("change", "error", "told"),
    [
        ({"more": "goood"}, UnknownName, "did you mean 'good'"),
        ({"sets": ["glyph"]}, UnknownName, "did you mean 'glyphs'"),
        ({"metric": "accuracy"}, BadCard, "has none"),
        ({"expected": "open"}, BadCard, "`why` stands with what does not hold"),
        ({"why": "because"}, BadCard, "`why` stands with what does not hold"),
        ({"mroe": "good"}, BadCard, "did you mean 'more'"),
    ],
)
def test_faults_are_told(results: Path, change: dict[str, object], error: type[Exception], told: str) -> None:
    written(results, ONE | change)
    with pytest.raises(error, match=told):
        judge(results)


def test_no_file_no_claims(tmp_path: Path) -> None:
    with pytest.raises(BadCard, match="does not exist"):
        read_claims(tmp_path)

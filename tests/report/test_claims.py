"""What the papers say of two methods, held against scores."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made import put, scores
from scipy.stats import ttest_1samp, ttest_rel

from oodbench.data.matrix import find_matrix
from oodbench.errors import BadCard, UnknownName
from oodbench.measure.intervals import holm
from oodbench.records import Corrupted
from oodbench.report.claim_file import Claim, read_claims
from oodbench.report.claims import Found, corrected, judge
from oodbench.report.claims_page import page, rebuild

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

PART = {"failure": "ood", "metric": "auroc", "more": "good", "less": "poor"}


def written(results: Path, *claims: dict[str, object]) -> Path:
    lines = []
    for one in claims:
        given = {key: value for key, value in one.items() if key != "by" and value is not None}
        lines += ["[[claim]]", *(f"{key} = {json.dumps(value)}" for key, value in given.items())]
        for shown in one.get("by", []):  # type: ignore[attr-defined]
            lines += ["[[claim.by]]", *(f"{key} = {json.dumps(value)}" for key, value in shown.items())]
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
    claim = Claim.model_validate(ONE | more)
    return Found(claim, claim, less + difference, less)


def corrupted_by(*errors: float) -> dict[str, Corrupted]:
    """One type at severities 1, 2, ... that costs a classifier, which is wrong on a tenth of clean images, so much."""
    return {
        f"fog-{severity}": Corrupted(n=10, error=error, clean_error=0.1, delta_entropy=error - 0.1)
        for severity, error in enumerate(errors, 1)
    }


def test_what_corruptions_and_attacks_do_to_classifiers_can_be_claimed(tmp_path: Path) -> None:
    """mCE (0.3 + 0.5) / (0.2 + 0.2) = 2 and (0.2 + 0.4) / (0.1 + 0.1) = 3 times that of the plain one, with seeds."""
    own, results = {"failure": None, "less": "msp", "more": "inn"}, tmp_path / "results"
    for seed in range(3):
        put(results, "msp", seed, scores(seed, 1.0), model="plain", corruptions=corrupted_by(0.2, 0.2))
        jitter = 0.01 * seed
        put(results, "inn", seed, scores(seed, 1.0), model="inn", corruptions=corrupted_by(0.3 + jitter, 0.5 - jitter))
    written(
        results,
        ONE | own | {"metric": "mce"},
        ONE | own | {"metric": "relative_mce"},
        ONE | own | {"metric": "delta_entropy"},
        ONE | own | {"metric": "attack_l2", "sets": ["fgsm-8"], "expected": "open"},
    )
    mce, relative, entropy, length = judge(results)
    assert (mce.more, mce.less) == (pytest.approx([200.0] * 3), pytest.approx([100.0] * 3))
    assert (relative.more, relative.less) == (pytest.approx([300.0] * 3), pytest.approx([100.0] * 3))
    assert entropy.more == pytest.approx([0.3] * 3)
    assert length.more == pytest.approx([0.9] * 3)


def test_the_interval_is_that_of_a_paired_t_test() -> None:
    a, b = np.array([91.0, 95.5, 93.0, 92.0]), np.array([90.0, 91.5, 92.0, 92.5])
    claim = Claim.model_validate(ONE)
    one = Found(claim, claim, a, b)
    low, high = ttest_rel(a, b).confidence_interval(0.95)
    assert one.difference - one.margin == pytest.approx(low)
    assert one.difference + one.margin == pytest.approx(high)


def test_what_no_resample_shows_widens_the_interval() -> None:
    """Of an AUROC of 1 at all seeds but one, whose resamples hardly vary, 60 inputs leave 6 points open."""
    claim = Claim.model_validate(ONE)
    more = np.array([100.0, 100.0, 100.0, 100.0, 99.9942])
    drawn = np.full((5, 400), 40.0)
    drawn[4] = 39.9942 + np.random.default_rng(0).normal(0, 0.005, 400)
    sure = Found(claim, claim, more, np.full(5, 60.0), drawn=drawn)
    careful = replace(sure, pairs=60)
    assert sure.margin < 0.01
    assert careful.margin == pytest.approx(100 * (1 - 0.025 ** (1 / 60)), rel=1e-6)
    varied = replace(careful, drawn=drawn + np.random.default_rng(1).normal(0, 3, 400))
    assert varied.margin == pytest.approx(replace(varied, pairs=None).margin)


def test_a_claim_is_over_the_same_sets_everywhere_and_the_matrixs_own_seeds(tmp_path: Path) -> None:
    results = tmp_path / "results"
    for seed in range(4):
        for method, shift in {"good": 2.0, "poor": 0.5}.items():
            sets = ("glyphs",) if (method, seed) == ("poor", 2) else ("glyphs", "hflip")
            put(results, method, seed, scores(seed, shift, sets=sets))
    with pytest.raises(BadCard, match="poor has no number on hflip at seed 2, and a mean is over the same sets"):
        judge(written(results, ONE))
    (one,) = judge(written(results, ONE | {"sets": ["glyphs"]}))
    assert len(one.more) == 4
    foreign, matrix = tmp_path / "foreign", find_matrix("trec-v1")
    sets = tuple(one.card for one in matrix.ood)
    for seed in (*matrix.seeds, 7):
        for method, shift in {"good": 2.0, "poor": 0.5}.items():
            put(foreign, method, seed, scores(seed, shift, sets=sets, attacks=()), matrix="trec-v1")
    (one,) = judge(written(foreign, ONE | {"matrix": "trec-v1"}))
    assert len(one.more) == 5, "seed 7 is none of the matrix"


def test_the_variance_over_inputs_widens_the_interval() -> None:
    """Three runs that agree to a hundredth, on inputs that let the difference vary by one."""
    drawn = np.random.default_rng(0).normal(1, 1, 500)
    alone = found([1, 1.01, 0.99])
    both = Found(alone.claim, alone.claim, alone.more, alone.less, drawn=np.stack([drawn] * 3))
    assert (alone.verdict, both.verdict) == ("holds", "open")
    assert both.margin == pytest.approx(4.303 * drawn.std(ddof=1), rel=0.01)


def test_intervals_are_corrected_by_holm() -> None:
    """By hand: p-values of about 0.001, 0.02, 0.03 and 0.2 against 5 % / 4, / 3 and no further."""
    each = [[1, 1.05, 0.95], [1, 1.25, 0.75], [1, 1.3, 0.7], [1, 1.9, 0.1]]
    before = [found(one) for one in (each[3], each[1], each[0], each[2])]
    after = corrected(before)
    p = [one.p for one in before]
    assert p[2] < 0.05 / 4 < 0.05 / 3 < p[1] < p[3] < 0.05 < p[0]
    assert [one.k for one in after] == [3, 3, 4, 3]
    assert [one.verdict for one in before] == ["open", "holds", "holds", "holds"]
    assert [one.verdict for one in after] == ["open", "open", "holds", "open"]
    for one, alone in zip(after, before, strict=True):
        assert (one.verdict == "holds") == (alone.p <= 0.05 / one.k)
        assert one.margin > alone.margin


def test_verdicts_are_those_of_holms_procedure_whatever_the_claims() -> None:
    rng = np.random.default_rng(0)
    for _ in range(30):
        many = [found((rng.normal(rng.choice([0, 3]), 1, 5)).tolist()) for _ in range(12)]
        adjusted = holm([one.p for one in many])
        assert [one.verdict != "open" for one in corrected(many)] == [p <= 0.05 for p in adjusted]


def test_false_verdicts_are_rare_among_many_true_nulls() -> None:
    """Of 20 claims that are all of chance, any verdict in at most 5 % of pages; uncorrected it is 64 %."""
    rng = np.random.default_rng(1)
    pages = [[found(rng.normal(0, 1, 5).tolist()) for _ in range(20)] for _ in range(200)]
    wrong = np.mean([any(one.verdict != "open" for one in corrected(page)) for page in pages])
    alone = np.mean([any(one.verdict != "open" for one in page) for page in pages])
    assert wrong <= 0.09 < 0.5 < alone


@pytest.mark.parametrize(("typical", "spread"), [(0.3, 0.0), (2.0, 0.0), (5.0, 0.0), (5.0, 1.0)])
def test_false_verdicts_are_rare_where_inputs_vary_too(typical: float, spread: float) -> None:
    """Pages of 94 null claims, seeds' sd in units of inputs': at most 5 % have a verdict. It was 20 to 26 %."""
    rng, wrong = np.random.default_rng(2), 0
    for _ in range(50):
        page_of = [null(rng, typical * np.exp(spread * rng.normal())) for _ in range(94)]
        wrong += any(one.verdict != "open" for one in corrected(page_of))
    assert wrong <= 2.5 + 3 * (50 * 0.05 * 0.95) ** 0.5


def null(rng: np.random.Generator, of_seeds: float, lead: float = 0.0) -> Found:
    """Return a claim of a true lead, whose difference varies by 1 over inputs and by `of_seeds` over means of seeds."""
    one = found((lead + rng.normal() + of_seeds * 5**0.5 * rng.normal(size=5)).tolist())
    return replace(one, drawn=(one.more - one.less)[:, None] + rng.normal(size=(1, 100)))


def test_a_page_of_claims_sees_more_than_each_does_alone() -> None:
    """Five seeds have four degrees of freedom; what all claims have in common is worth more."""
    rng = np.random.default_rng(4)
    every = [replace(one, k=60) for one in corrected([null(rng, 2.0, 16.0) for _ in range(60)])]
    seen = sum(one.verdict == "holds" for one in every)
    alone = sum(replace(one, common=None).verdict == "holds" for one in every)
    assert seen > 55
    assert alone < 45


def test_five_seeds_that_agree_to_the_last_digit_prove_nothing() -> None:
    """By signs p = 0.0625: no verdict, and no interval of no width."""
    one = found([50.0] * 5)
    assert (one.p, one.verdict) == (0.0625, "open")
    text = page([one])
    assert "| +50.00 | **open** | the same at each of 5 seeds, which by signs alone happens with p = 0.062 |" in text
    assert "| +0.00 | **open** | both are the same |" in page([found([0.0] * 5)])


def test_ensembles_that_share_members_are_untested_and_not_counted() -> None:
    claim = Claim.model_validate(ONE)
    shared = Found(claim, claim, np.array([9.0, 9.1]), np.array([1.0, 1.1]), shared=True)
    one, other = corrected([shared, found([1, 1.1, 0.9])])
    assert (one.verdict, other.verdict, other.k) == ("untested", "holds", 1)
    text = page([one, other])
    assert "The 1 comparisons that are tested" in " ".join(text.split())
    assert "| +8.00 | **untested** | the members of its seeds overlap" in text


def test_a_row_that_shares_members_is_untested(results: Path) -> None:
    for seed in range(3):
        put(results, "ensemble", seed, scores(seed, 3.0), members=(seed, seed + 1))
        put(results, "apart", seed, scores(seed, 3.0), members=(2 * seed, 2 * seed + 1))
    written(results, ONE | {"more": "ensemble"}, ONE | {"more": "apart"})
    assert [one.verdict for one in judge(results)] == ["untested", "holds"]


def test_inputs_enter_from_the_stored_scores(results: Path) -> None:
    written(results, ONE, ONE | {"sets": ["glyphs"]}, ONE | {"metric": "fpr95", "more": "poor", "less": "good"})
    for one in judge(results):
        assert one.drawn is not None
        assert one.drawn.shape == (4, 200)
        assert one.drawn.mean() == pytest.approx(one.difference, abs=2.5)
    assert judge(results)[0].drawn.std() < judge(results)[1].drawn.std()  # type: ignore[union-attr]


def test_accuracy_varies_over_inputs(results: Path) -> None:
    alone = {key: value for key, value in ONE.items() if key != "failure"} | {"metric": "accuracy", "less": 50.0}
    written(results, alone)
    (one,) = judge(results)
    assert one.drawn is not None
    assert one.drawn[0].std() == pytest.approx(100 * (0.9 * 0.1 / 200) ** 0.5, rel=0.3)


@pytest.mark.parametrize(("within", "verdict"), [(3.0, "holds"), (1.0, "open"), (0.2, "reversed")])
@pytest.mark.parametrize("sign", [1, -1])
def test_alike_is_an_interval_within_a_distance(within: float, verdict: str, sign: int) -> None:
    """The two one-sided tests of equivalence, from the interval of the difference alone."""
    one = found([sign * value for value in (1, 1.1, 0.9)], within=within)
    low, high = abs(one.difference) - one.margin, abs(one.difference) + one.margin
    assert one.verdict == verdict
    assert (one.verdict == "holds") == (high < within)
    assert (one.verdict == "reversed") == (low > within)
    assert (one.p < 0.05) == (one.verdict != "open")


def test_a_reason_is_tested_with_the_claims(results: Path, tmp_path: Path) -> None:
    """It counts among the comparisons, stands with its numbers, and where it does not hold that is a fault."""
    open_ = ONE | {"less": "same", "expected": "open"}
    written(results, open_ | {"tested": "B is poor", "by": [PART, PART | {"sets": ["glyphs"]}]})
    (one,) = judge(results)
    assert [shown.verdict for shown in one.by] == ["holds", "holds"]
    assert sorted(part.k for part in (one, *one.by)) == [1, 2, 3]
    text = page([one])
    assert "**tested**: B is poor [`good` " in text
    assert text.split("## made-v1")[1].count("**holds**") == 2
    assert rebuild(results, tmp_path / "page.md")[1]
    written(results, open_ | {"tested": "B is better", "by": [PART | {"more": "poor", "less": "good"}]})
    text, well = rebuild(results, tmp_path / "page.md")
    assert not well
    assert "the reason of 'A beats B' is not what the scores show" in text
    assert "**reversed**]" in (tmp_path / "page.md").read_text()


def test_what_is_open_says_whose_sign_it_has(results: Path) -> None:
    for difference, negation in ([2, -1, 0.5], ""), ([-2, 1, -0.5], "not "):
        assert f"the sign is {negation}the paper's, and the interval contains 0" in page([found(difference)])
    written(results, ONE | {"less": "same", "expected": "open"}, ONE | {"more": "same", "less": "good"})
    assert all("**open** | both are the same" in page([one]) for one in judge(results))


@pytest.mark.parametrize(
    ("difference", "verdict"), [([1, 1.1, 0.9], "holds"), ([1, -1, 0.2], "open"), ([-1, -1.1, -0.9], "reversed")]
)
def test_verdicts(difference: list[float], verdict: str) -> None:
    assert found(difference).verdict == verdict


def test_a_claim_is_judged_from_the_scores(results: Path) -> None:
    written(
        results, ONE, ONE | {"less": 50.0}, ONE | {"less": "good", "more": "poor", "expected": "reversed", "guess": "x"}
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
        results, ONE, ONE | {"statement": "The same", "less": "same", "expected": "open", "guess": "they are | equal"}
    )
    text = page(judge(results))
    assert "| **holds** " in text
    assert "99 against 98" in text
    assert "; **a guess**: they are \\| equal |" in text
    path = tmp_path / "docs" / "claims.md"
    assert not rebuild(results, path, check=True)[1]
    assert rebuild(results, path)[1]
    assert path.read_text() == text
    assert rebuild(results, path, check=True)[1]


def test_an_expectation_that_fails_is_told(results: Path, tmp_path: Path) -> None:
    written(results, ONE | {"expected": "reversed", "guess": "x"})
    text, well = rebuild(results, tmp_path / "page.md")
    assert not well
    assert "'A beats B' is expected to be 'reversed', and is 'holds'" in text


@pytest.mark.parametrize(
    ("change", "error", "told"),
    [
        ({"more": "goood"}, UnknownName, "did you mean 'good'"),
        ({"sets": ["glyph"]}, UnknownName, "did you mean 'glyphs'"),
        ({"metric": "accuracy"}, BadCard, "has none"),
        ({"guess": "because"}, BadCard, "a reason stands with what does not hold"),
        ({"expected": "open", "tested": "because"}, BadCard, "`tested` says what `by` shows"),
        ({"expected": "open", "by": [PART]}, BadCard, "`tested` says what `by` shows"),
        ({"expected": "open", "tested": "x", "by": [PART | {"more": "goood"}]}, UnknownName, "did you mean 'good'"),
        ({"within": -1.0}, BadCard, "within"),
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


def test_what_a_diagnostic_found_of_data_is_tested_over_seeds_alone(tmp_path: Path) -> None:
    """Nothing of it is a method's row, and there are no inputs to draw again."""
    results = written(
        tmp_path, {**ONE, "failure": None, "metric": "centres_gain", "sets": ["test"], "more": "data", "less": 0.0}
    )
    gains = (5.0, 7.0, 9.0)
    for seed, gain in enumerate(gains):
        put(results, "msp", seed, scores(seed, 2.0))
        folder = results / "diagnostics" / "made-v1" / "data" / str(seed)
        folder.mkdir(parents=True)
        (folder / "density-evaluation.json").write_text(json.dumps(evaluation(seed, gain)))
    (found,) = judge(results)
    assert found.difference == pytest.approx(7.0)
    assert found.p == pytest.approx(ttest_1samp(gains, 0.0).pvalue)


def evaluation(seed: int, gain: float) -> dict[str, object]:
    """A file of density-evaluation as it stands in results, with another gain."""
    path = Path(__file__).parents[2] / "results/diagnostics/mnist5k-v1/data/0/density-evaluation.json"
    content = json.loads(path.read_text(encoding="utf-8")) | {"matrix": "made-v1", "seed": seed}
    content["parzen"] |= {"samples": 0.0, "centres": gain}
    return content

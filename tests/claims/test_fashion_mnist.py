"""What the papers say of methods, and what else is plain to see, in the committed scores of fashion-mnist-v2.

The papers' claims of two methods are data: `results/claims.toml`, and `docs/claims.md` says what came of each.
"""

from functools import cache
from pathlib import Path

import pytest

from oodbench.report.claim_file import Claim, read_claims
from oodbench.report.claims import Found, judge
from oodbench.report.leaderboard import table

pytestmark = pytest.mark.claims

ROOT = Path(__file__).resolve().parents[2] / "results"


@cache
def judged() -> dict[Claim, Found]:
    return {found.claim: found for found in judge(ROOT)}


@pytest.mark.parametrize("claim", read_claims(ROOT), ids=lambda one: f"{one.metric}: {one.more} > {one.less}")
def test_the_papers_claims_are_as_docs_claims_says(claim):
    assert judged()[claim].verdict == claim.expected


@pytest.mark.parametrize("claim", [one for one in read_claims(ROOT) if one.by], ids=lambda one: one.statement)
def test_a_reason_that_is_called_tested_is_what_the_scores_show(claim):
    assert [shown.verdict for shown in judged()[claim].by] == ["holds"] * len(claim.by)


@cache
def numbers():
    return table(ROOT, "fashion-mnist-v2").set_index(["method", "set", "metric"]).sort_index()


def auroc(method: str, name: str) -> list[float]:
    return (100 * numbers().loc[(method, name, "auroc"), "value"]).tolist()


@pytest.mark.parametrize(
    "method", ["msp", "odin", "mahalanobis-a", "gmm-1000", "knn", "oe-scratch", "binc", "deep-ensemble"]
)
def test_mirrored_images_are_the_hardest_out_set(method):
    """Shirts mirrored left to right are still shirts: nothing that is sound tells them well."""
    assert max(auroc(method, "hflip")) < 80

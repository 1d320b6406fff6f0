"""Numbers in papers' conventions: another recall, and the sizes of groups that the paper had."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oodbench.errors import BadData
from oodbench.measure.drawn import DRAWS, at_sizes, fpr90_ood_positive
from oodbench.measure.ranking import count, ranking

SCORES = st.lists(st.integers(0, 12), min_size=1, max_size=40)


@given(SCORES, SCORES)
def test_fpr90_is_the_least_share_of_good_inputs_that_flags_nine_tenths_of_the_bad(good: list, bad: list) -> None:
    enough = [t for t in set(good + bad) if 10 * sum(b <= t for b in bad) >= 9 * len(bad)]
    expected = sum(g <= min(enough) for g in good) / len(good)
    assert fpr90_ood_positive(count(good, bad)) == pytest.approx(expected)


def test_of_the_same_ratio_nothing_is_drawn() -> None:
    rng = np.random.default_rng(0)
    good, bad = rng.normal(1, 1, 500), rng.normal(0, 1, 100)
    assert at_sizes("aupr_out", good, bad, 10000, 2000) == (ranking(good, bad)["aupr_out"], None, 1)


@pytest.mark.parametrize(("n_good", "n_bad"), [(5, 1), (1, 5), (1, 1)])
def test_drawn_inputs_stand_in_the_ratio_asked_for(n_good: int, n_bad: int) -> None:
    """Scores that tell nothing apart have the bad inputs' share as AUPR-Out, whatever was drawn."""
    found = at_sizes("aupr_out", np.zeros(300), np.zeros(700), n_good, n_bad)
    assert found.mean == pytest.approx(n_bad / (n_good + n_bad), abs=0.002)
    assert found.n == DRAWS


def test_the_mean_over_draws_is_that_of_a_set_of_the_size() -> None:
    rng = np.random.default_rng(1)
    good, bad = rng.normal(1.5, 1, 500), rng.normal(0, 1, 20000)
    found = at_sizes("aupr_out", good, bad, 500, 100)
    sets = [ranking(good, part)["aupr_out"] for part in bad.reshape(200, 100)]
    assert abs(found.mean - np.mean(sets)) < 4 * np.std(sets) / np.sqrt(DRAWS)
    assert found == at_sizes("aupr_out", good, bad, 500, 100)
    assert ranking(good, bad)["aupr_out"] > found.mean + 0.2, "of all 20,000 it is another number"


def test_a_group_without_scores_is_refused() -> None:
    with pytest.raises(BadData, match="bad: no scores"):
        at_sizes("aupr_in", [1.0], [], 1, 1)

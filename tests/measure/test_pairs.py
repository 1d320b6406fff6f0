"""Variances of all pairs of methods: each part once, moderated as drawn ones ask for, and never below their own."""

import numpy as np
import pytest
from scipy import special
from simulated import NOISES, simulated

from oodbench.measure.pairs import differences, prior, trigamma_inverse
from oodbench.measure.resamples import _weights


@pytest.mark.parametrize(("of_input", "of_seed", "of_both"), [(1, 0.2, 0), (1, 0.2, 2), (0, 0.2, 3)])
def test_the_variance_of_crossed_inputs_and_seeds_counts_each_part_once(of_input, of_seed, of_both):
    """Differences that are means of input effects, seed effects and their interaction, of known variances."""
    rng, n, seeds, resamples = np.random.default_rng(0), 50, 5, 60
    estimates = []
    for _ in range(300):
        effects = rng.normal(0, of_input, n) + rng.normal(0, of_seed, (seeds, 1)) + rng.normal(0, of_both, (seeds, n))
        means, drawn = effects.mean(axis=1), effects @ _weights(rng, n, resamples) / n
        pair = np.stack([means, np.zeros(seeds)]), np.stack([drawn, np.zeros_like(drawn)])
        estimates.append(differences(*pair).own[0, 1])
    true = of_input**2 / n + of_seed**2 / seeds + of_both**2 / (n * seeds)
    assert np.mean(estimates) == pytest.approx(true, rel=0.25)


def test_all_pairs_at_once_are_the_pairs_one_by_one():
    table = simulated(np.random.default_rng(0), "ladder", 6, 1, NOISES["alike"])
    found = differences(table.means, table.drawn)
    assert found.df == 199
    for a in range(6):
        for b in range(6):
            apart = (table.drawn[a, 0] - table.drawn[b, 0]).var(ddof=1)
            assert found.own[a, b] == pytest.approx(apart, rel=1e-9, abs=1e-18)


@pytest.mark.parametrize("prior_df", [2.0, 3.0, 8.0])
@pytest.mark.parametrize("df", [1, 4, 9])
def test_the_prior_is_found_from_variances_drawn_from_it(prior_df, df):
    rng = np.random.default_rng(0)
    true = 2.5 * prior_df / rng.chisquare(prior_df, 100_000)
    found = prior(true * rng.chisquare(df, len(true)) / df, df)
    assert found.df == pytest.approx(prior_df, rel=0.35)
    assert found.scale == pytest.approx(2.5, rel=0.05)


def test_variances_that_differ_by_chance_alone_are_all_the_same():
    rng = np.random.default_rng(1)
    found = prior(3.0 * rng.chisquare(4, 2000) / 4, 4)
    assert found.df > 100
    assert found.scale == pytest.approx(3, rel=0.05)


@pytest.mark.parametrize("value", [1e-4, 0.1, 0.5, 1.0, 5.0, 100.0])
def test_the_inverse_of_trigamma(value):
    assert special.polygamma(1, trigamma_inverse(value)) == pytest.approx(value, rel=1e-8)


def test_degrees_of_freedom_lie_between_the_pair_alone_and_the_whole_table():
    for seed in range(20):
        table = simulated(np.random.default_rng(seed), "equal", 8, 5, NOISES["unequal"])
        assert 4 <= differences(table.means, table.drawn).df <= 7 * 4
    two = differences(table.means[:2], table.drawn[:2])
    assert (two.df, two.own_df) == (4, 4), "two rows have no others to learn from"
    np.testing.assert_array_equal(two.moderated, two.own)


def test_a_noisy_row_keeps_its_variance():
    table = simulated(np.random.default_rng(0), "equal", 20, 5, NOISES["alike"])
    means = table.means.copy()
    means[3] += 0.3 * np.array([-1, 1, 0, 1, -1])
    own = (means[3] - means[5]).var(ddof=1) / 5
    assert differences(means, table.drawn).moderated[3, 5] >= 0.99 * own


def test_identical_rows_have_no_variance():
    table = simulated(np.random.default_rng(0), "equal", 4, 5, NOISES["alike"])
    means, drawn = table.means.copy(), table.drawn.copy()
    means[1], drawn[1] = means[0], drawn[0]
    found = differences(means, drawn)
    assert found.moderated[0, 1] == 0
    assert np.isfinite(found.moderated).all()
    assert (found.moderated.diagonal() == 0).all()


def test_rows_without_any_noise_are_no_error():
    found = differences(np.full((3, 5), 0.2), np.full((3, 5, 50), 0.2))
    assert (found.moderated == 0).all()
    assert found.df == 4

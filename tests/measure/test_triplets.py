"""Lee's protocol: which images count, and which of their versions are good."""

from itertools import product

import numpy as np
import pytest

from oodbench.errors import BadData
from oodbench.measure.triplets import Triplets, triplets


def test_an_image_counts_if_it_is_right_clean_and_noisy_and_wrong_attacked() -> None:
    """A loop over every combination."""
    versions = np.array(list(product([True, False], repeat=3)) * 5)
    found = triplets(*versions.T)
    kept = [row for row, (clean, noisy, attacked) in enumerate(versions) if clean and noisy and not attacked]
    assert [*found.tuning, *found.test] == kept and len(kept) == 5
    assert found.tuning.tolist() == []  # a tenth of five


def test_the_first_tenth_is_for_tuning() -> None:
    yes, no = np.ones(30, dtype=bool), np.zeros(30, dtype=bool)
    found = triplets(yes, yes, no)
    assert found.tuning.tolist() == [0, 1, 2] and found.test.tolist() == list(range(3, 30))
    assert triplets(yes, yes, no, share=0.5).test.tolist() == list(range(15, 30))


def test_clean_and_noisy_are_good_and_attacked_bad() -> None:
    found = Triplets(np.array([0]), np.array([1, 3]))
    good, bad = found.groups(np.arange(4.0), 10 + np.arange(4.0), 20 + np.arange(4.0))
    assert good.tolist() == [1, 3, 11, 13] and bad.tolist() == [21, 23]


def test_none_counts() -> None:
    found = triplets(*np.zeros((3, 4), dtype=bool))
    assert len(found.tuning) == len(found.test) == 0
    good, bad = found.groups(*np.zeros((3, 4)))
    assert len(good) == len(bad) == 0
    assert len(triplets(*np.zeros((3, 0), dtype=bool)).test) == 0


def test_the_versions_are_of_the_same_images() -> None:
    with pytest.raises(BadData, match="got 3 clean, 3 noisy and 2 attacked images"):
        triplets(np.ones(3, dtype=bool), np.ones(3, dtype=bool), np.ones(2, dtype=bool))
    with pytest.raises(BadData, match="got scores of 3 clean, 2 noisy and 3 attacked images"):
        Triplets(np.array([0]), np.array([1])).groups(np.ones(3), np.ones(2), np.ones(3))

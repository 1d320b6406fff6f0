"""Means and deviations: NumPy's, to the last bit."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from oodbench.measure.summary import average, spread

VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=20)


@given(VALUES)
def test_mean_and_deviation_are_numpys_to_the_last_bit(values):
    """A printed number must not depend on how few were added up."""
    found = spread(values)
    assert (found.mean, found.n) == (float(np.mean(values)), len(values))
    assert found.std == (float(np.std(values, ddof=1)) if len(values) > 1 else None)
    names = [str(at) for at in range(len(values))]
    assert average(dict(zip(names, values, strict=True)), names) == float(np.mean(values))


def test_no_number_no_mean():
    assert spread([]) is None
    assert average({}, []) is None
    assert average({"a": 1.0}, ["a", "b"]) is None

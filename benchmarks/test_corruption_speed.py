"""Corruption of a test set: the fifteen types at five severities, a call for each of the 75 sets.

    make bench

Each line corrupts 40 pictures 75 times. Times 250, it is what 75 sets of 10,000 pictures take.
"""

from typing import Any

import numpy as np
import pytest

from oodbench.corruptions.registry import FIFTEEN, SEVERITIES, corrupt

PICTURES = 40


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32)], ids=lambda shape: "x".join(map(str, shape)))
def test_seventy_five_sets(benchmark: Any, shape: tuple[int, int, int]) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (PICTURES, *shape), dtype=np.uint8)
    index = np.arange(PICTURES)

    def corrupted() -> int:
        sets = [corrupt(pictures, name, severity, seed=0, index=index) for name in FIFTEEN for severity in SEVERITIES]
        return len(sets)

    assert benchmark.pedantic(corrupted, rounds=3, warmup_rounds=1) == 75

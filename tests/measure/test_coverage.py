"""AUROC's interval covers 93 to 97 %, whatever AUROC and sizes; the whole table is a benchmark.

The standard error of a coverage of 95 % over 2,000 tables is 0.5 %: the bounds are four of them away.
"""

import pytest
from coverage_of import APART, AUROCS, HIGHEST, LOWEST, SIZES, covered, plain

from oodbench.measure.intervals import delong

TABLES = {(500, 500): 2000, (10_000, 500): 1500, (40, 20): 2000}


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("truth", AUROCS)
def test_the_interval_of_auroc_covers(truth: float, sizes: tuple[int, int]) -> None:
    found = covered(delong, truth, *sizes, TABLES[sizes])
    assert found.share >= LOWEST, found
    assert found.share <= HIGHEST or found.apart > APART, found


@pytest.mark.parametrize(("truth", "sizes"), [(0.999, (500, 500)), (0.999, (10_000, 500)), (0.95, (40, 20))])
def test_the_law_refuses_the_plain_interval(truth: float, sizes: tuple[int, int]) -> None:
    assert covered(plain, truth, *sizes, 500).share < 0.9

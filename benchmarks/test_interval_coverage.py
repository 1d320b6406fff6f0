"""How often AUROC's 95 % interval holds the truth, beside the plain AUROC +- 1.96 sd, in simulated tables.

    python -m pytest benchmarks/test_interval_coverage.py -s

prints coverage and median width; the law in `tests/measure/test_coverage.py` is a part of it. Where bad inputs spread
twice as wide as good ones, AUROC .999 stands on a handful of the 500 bad inputs, and no interval that sees only scores
is sure of them: coverage is below 93 % there and printed as it is.
"""

import pytest
from coverage_of import AUROCS, SIZES, covered, plain

from oodbench.measure.intervals import delong

TABLES = 4000
MORE = (*AUROCS[:-1], 0.98, 0.99, 0.995, AUROCS[-1])


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("spread", [1.0, 2.0, 0.5])
def test_coverage_of_auroc(spread: float, sizes: tuple[int, int]) -> None:
    print(f"\n{sizes[0]} good N(d, 1), {sizes[1]} bad N(0, {spread:g}^2)")
    print(" AUROC   apart   plain        interval")
    for truth in MORE:
        before, now = (covered(interval, truth, *sizes, TABLES, spread) for interval in (plain, delong))
        print(
            f" {truth:.3f}   {now.apart:5.1%}   {before.share:.1%} {before.width:.4f}  {now.share:.1%} {now.width:.4f}"
        )
        if spread == 1:
            assert now.as_promised, (truth, now)

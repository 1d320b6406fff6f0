"""Purification: whether features that move up their own density mend a classifier's misclassifications."""

from collections.abc import Iterator, Sequence

from oodbench.data.fixed import Fixed
from oodbench.measure.summary import spread
from oodbench.report.diagnostics import Diagnostic, Finding
from oodbench.report.markdown import mean_and_std, plainly, table


class Purified(Fixed):
    """What one setting did to one part of the in-set."""

    part: str
    eps: float
    nu: float
    n: int
    accuracy_before: float
    accuracy_after: float
    mended: int
    broken: int
    changed: int

    @property
    def gain(self) -> float:
        """Of accuracy, a share."""
        return self.accuracy_after - self.accuracy_before


class Purification(Fixed):
    """purification.json."""

    method: str
    matrix: str
    seed: int
    steps: int
    components: int
    rows: tuple[Purified, ...]

    @property
    def chosen(self) -> Purified:
        """The test images at the setting that gains most on validation images."""
        best = max((row for row in self.rows if row.part == "validation"), key=lambda row: row.gain)
        return next(row for row in self.rows if (row.part, row.eps, row.nu) == ("test", best.eps, best.nu))


def section(own: Sequence[Purification]) -> list[str]:
    """Return the tables, over seeds, and what stands around them."""
    headers = ["Part", "eps", "nu", "Images", "Accuracy before", "Accuracy after", "Gain", "Mended", "Broken"]
    rows = []
    for at, row in enumerate(own[0].rows):
        of = [one.rows[at] for one in own]
        shares = ([r.accuracy_before for r in of], [r.accuracy_after for r in of], [r.gain for r in of])
        flips = ([r.mended for r in of], [r.broken for r in of])
        told = [*(mean_and_std(spread(share)) for share in shares), *(plainly(spread(flip), 1) for flip in flips)]
        rows.append([row.part, f"{row.eps:g}", f"{row.nu:g}", str(row.n), *told])
    gain = mean_and_std(spread([one.chosen.gain for one in own]))
    return [
        f"{own[0].steps} steps down the features' bits per dimension under a mixture of {own[0].components} Gaussians, "
        f"nu holding them to where they began (Shao 2020, appendix B). At the setting that gains most on validation "
        f"images, the test images gain {gain} points.",
        table(headers, rows, ("Part",)),
    ]


def findings(one: Purification) -> Iterator[Finding]:
    """Yield points of accuracy."""
    yield Finding(one.method, "purification_gain", "test", 100 * one.chosen.gain)


DIAGNOSTIC = Diagnostic(
    schema=Purification,
    summary="whether purified features mend misclassifications, by a feature mixture",
    title="Purification",
    section=section,
    pictures=(),
    metrics=("purification_gain",),
    findings=findings,
    method="gmm-1000",
    images=1000,
)

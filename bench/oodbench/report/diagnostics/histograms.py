"""Log densities of a model, set by set, as histograms."""

from collections.abc import Iterator, Sequence

from oodbench.data.fixed import Fixed
from oodbench.measure.summary import spread
from oodbench.report.diagnostics import Diagnostic, Finding
from oodbench.report.markdown import NONE, mean_and_std, plainly, table


class OfSet(Fixed):
    """Bits per dimension of one set, and AUROC of the in-set against it."""

    mean: float
    std: float
    auroc: float | None = None


class Histograms(Fixed):
    """histograms.json."""

    method: str
    matrix: str
    seed: int
    n: int
    sets: dict[str, OfSet]


def section(own: Sequence[Histograms]) -> list[str]:
    """Return the table, over seeds, and what stands around it."""
    rows = []
    for name in own[0].sets:
        of = [one.sets[name] for one in own if name in one.sets]
        aurocs = [row.auroc for row in of if row.auroc is not None]
        bits, within = (plainly(spread([getattr(row, part) for row in of]), 3) for part in ("mean", "std"))
        label = "in-set" if name == "test" else name
        rows.append([label, bits, within, mean_and_std(spread(aurocs)) if aurocs else NONE])
    return [
        f"Bits per dimension of at most {own[0].n} images a set, and AUROC of the in-set by log p. The picture's axis "
        "is linear below about 1 bit and logarithmic above.",
        table(["Set", "Bits per dimension", "Deviation within the set", "AUROC, log p"], rows, ("Set",)),
    ]


def findings(one: Histograms) -> Iterator[Finding]:
    """Yield none: records and models hold these numbers, of all images."""
    yield from ()


DIAGNOSTIC = Diagnostic(
    schema=Histograms,
    summary="how the log density of each set is distributed",
    title="Histograms of the log density",
    section=section,
    pictures=("histograms",),
    metrics=(),
    findings=findings,
    method="glow",
    images=1000,
)

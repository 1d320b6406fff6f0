"""What WAIC stands on: AUROC without each of its members, and the images at both ends of the score."""

from collections.abc import Iterator, Sequence

from oodbench.data.fixed import Fixed
from oodbench.measure.summary import spread
from oodbench.report.diagnostics import Diagnostic, Finding
from oodbench.report.markdown import mean_and_std, table


class Jackknife(Fixed):
    """AUROC of all members, without each in turn, and the standard error over members."""

    all: float
    without: tuple[float, ...]
    standard_error: float


class Waic(Fixed):
    """waic.json; `members` are seeds, in the order of `without`."""

    method: str
    matrix: str
    seed: int
    n: int
    members: tuple[int, ...]
    auroc: dict[str, Jackknife]


def section(own: Sequence[Waic]) -> list[str]:
    """Return the table, over seeds, and what stands around it."""
    rows = []
    for name in own[0].auroc:
        of = [one.auroc[name] for one in own if name in one.auroc]
        parts = (
            [one.all for one in of],
            [min(one.without) for one in of],
            [max(one.without) for one in of],
            [one.standard_error for one in of],
        )
        rows.append([name, *(mean_and_std(spread(part)) for part in parts)])
    headers = ["Set", "AUROC, all members", "Least without one", "Most without one", "Standard error over members"]
    return [
        f"AUROC of the in-set by WAIC of {len(own[0].members)} members, at most {own[0].n} images a set, and when each "
        "member in turn is left out (jackknife). Ensembles of several seeds share members, and their deviation is none "
        "over seeds.",
        table(headers, rows, ("Set",)),
    ]


def findings(one: Waic) -> Iterator[Finding]:
    """Yield the standard errors, in percent."""
    for name, found in one.auroc.items():
        yield Finding(one.method, "jackknife_error", name, 100 * found.standard_error)


DIAGNOSTIC = Diagnostic(
    schema=Waic,
    summary="what each member of an ensemble makes of WAIC",
    title="WAIC and its members",
    section=section,
    pictures=("waic-jackknife", "waic-images"),
    metrics=("jackknife_error",),
    findings=findings,
    method="waic-vae",
    images=1000,
)

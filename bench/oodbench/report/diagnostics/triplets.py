"""Lee's triplets: how a detector ranks attacked images below clean ones and noisy ones of the same size of change."""

from collections.abc import Iterator, Sequence

from oodbench.data.fixed import Fixed
from oodbench.measure.summary import spread
from oodbench.report.diagnostics import Diagnostic, Finding
from oodbench.report.markdown import mean_and_std, plainly, table


class Ranked(Fixed):
    """The triplets of one attack; no numbers where none was to test."""

    attack: str
    l2: float
    sigma: float
    n: int
    fooled: int
    n_test: int
    auroc: float | None
    low: float | None
    high: float | None
    fpr95: float | None
    auroc_clean: float | None


class Triplets(Fixed):
    """triplets.json."""

    method: str
    matrix: str
    seed: int
    attacks: tuple[Ranked, ...]


def section(own: Sequence[Triplets]) -> list[str]:
    """Return the table, over seeds, and what stands above it."""
    headers = ["Attack", "Change, l2", "Noise, sigma", "Tested", "AUROC", "FPR95", "AUROC, clean alone"]
    rows = []
    for of in zip(*(one.attacks for one in own), strict=True):
        ranks = (_told([getattr(one, name) for one in of]) for name in ("auroc", "fpr95", "auroc_clean"))
        tested = plainly(spread([one.n_test for one in of]), 1)
        sizes = plainly(spread([one.l2 for one in of]), 3), plainly(spread([one.sigma for one in of]), 4)
        rows.append([of[0].attack, *sizes, tested, *ranks])
    return [
        "Lee's protocol ([attacks](attacks.md#lees-triplets)): good are clean images and noisy versions of them, bad "
        "the attacked versions, of images that the classifier gets right clean and noisy, and wrong attacked. Noise "
        "and attack change images by the same mean length. The last column has the same attacked images against the "
        "clean ones alone: where it is larger, the detector flags change, and not the attack.",
        table(headers, rows, ("Attack",)),
    ]


def _told(shares: Sequence[float | None]) -> str:
    found = [share for share in shares if share is not None]
    return mean_and_std(spread(found)) if found else "–"


def findings(one: Triplets) -> Iterator[Finding]:
    """Yield AUROC in percent, an attack at a time."""
    for ranked in one.attacks:
        if ranked.auroc is not None:
            yield Finding(one.method, "triplets_auroc", ranked.attack, 100 * ranked.auroc)


DIAGNOSTIC = Diagnostic(
    schema=Triplets,
    summary="whether attacked images are told from clean and from noisy ones (Lee's protocol)",
    title="Lee's triplets",
    section=section,
    pictures=(),
    metrics=("triplets_auroc",),
    findings=findings,
    method="mahalanobis-a",
    images=500,
)

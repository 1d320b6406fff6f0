"""Noise that climbs a density: which scores of it, and of an ensemble, are taken in."""

from collections.abc import Iterator, Sequence

from oodbench.data.fixed import Fixed
from oodbench.measure.summary import spread
from oodbench.report.diagnostics import Diagnostic, Finding
from oodbench.report.markdown import NONE, mean_and_std, plainly, table


class AdversarialNoise(Fixed):
    """adversarial-noise.json; AUROC by method and step, with its interval."""

    method: str
    matrix: str
    seed: int
    n: int
    eps: float
    kept: tuple[int, ...]
    bits_per_dimension: dict[str, float]
    auroc: dict[str, dict[str, tuple[float, float, float]]]


def section(own: Sequence[AdversarialNoise]) -> list[str]:
    """Return the tables, over seeds, and what stands around them."""
    steps = [str(step) for step in own[0].kept]
    bits = [plainly(spread([one.bits_per_dimension[key] for one in own]), 3) for key in ("test", *steps)]
    rows = [["bits per dimension", *bits]]
    for judge in own[0].auroc:
        aurocs = [[one.auroc[judge][step][0] for one in own if step in one.auroc.get(judge, {})] for step in steps]
        rows.append([f"`{judge}`", NONE, *(mean_and_std(spread(values)) for values in aurocs)])
    headers = ["AUROC of", "in-set", *(f"step {step}" for step in steps)]
    return [
        f"{own[0].n} images of noise that climb the log density of `{own[0].method}`, the first step {own[0].eps:g} "
        "along the gradient's sign (ADV of Choi 2018), later ones shrinking. AUROC of the in-set's test images against "
        "them.",
        table(headers, rows, ("AUROC of",)),
    ]


def findings(one: AdversarialNoise) -> Iterator[Finding]:
    """Yield AUROC in percent."""
    for judge, by_step in one.auroc.items():
        for step, (auroc, _, _) in by_step.items():
            yield Finding(judge, "climbed_auroc", f"step {step} up {one.method}", 100 * auroc)


DIAGNOSTIC = Diagnostic(
    schema=AdversarialNoise,
    summary="which scores take in noise that climbs a log density",
    title="Noise that climbs a density",
    section=section,
    pictures=("adversarial-noise", "adversarial-noise-images"),
    metrics=("climbed_auroc",),
    findings=findings,
    method="vae",
    images=100,
)

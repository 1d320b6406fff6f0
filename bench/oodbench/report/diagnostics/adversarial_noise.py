"""Images that climb a density: which scores of them, and of an ensemble, are taken in."""

from collections.abc import Iterator, Sequence

from oodbench.data.fixed import Fixed
from oodbench.measure.summary import spread
from oodbench.report.diagnostics import Diagnostic, Finding
from oodbench.report.markdown import NONE, mean_and_std, plainly, table

CLIMBS = ("step", "logit")
"""How the names of sets begin that depend on the model that is climbed."""


class AdversarialNoise(Fixed):
    """adversarial-noise.json; AUROC by method and set, with its interval."""

    method: str
    matrix: str
    seed: int
    n: int
    eps: float
    rate: float
    bits_per_dimension: dict[str, float]
    auroc: dict[str, dict[str, tuple[float, float, float]]]


def section(own: Sequence[AdversarialNoise]) -> list[str]:
    """Return the tables, over seeds, and what stands around them."""
    first, rows = own[0], []
    for name in first.bits_per_dimension:
        bits = plainly(spread([one.bits_per_dimension[name] for one in own]), 3)
        found = [[one.auroc[judge][name][0] for one in own if name in one.auroc[judge]] for judge in first.auroc]
        told = (mean_and_std(spread(values)) if values else NONE for values in found)
        rows.append(["in-set" if name == "test" else name, bits, *told])
    return [
        f"{first.n} images on each of three ways up the log density of `{first.method}`, and AUROC of the in-set's "
        f"test images against where they stand, on 8 bits. *Step*: noise, the first step {first.eps:g} along the "
        "gradient's sign (ADV of Choi 2018), later ones shrinking. *Logit*: uniform noise, whose logits climb by Adam. "
        "*Fade*: test images that keep a share of their brightness. *Black* is one image, and its AUROC the share of "
        "test images that score above it. An ensemble has the same members whichever model is climbed.",
        table(["Set", "Bits per dimension", *(f"`{judge}`" for judge in first.auroc)], rows, ("Set",)),
    ]


def findings(one: AdversarialNoise) -> Iterator[Finding]:
    """Yield AUROC in percent by score, and the climbed model's bits per dimension."""
    for judge, by_set in one.auroc.items():
        for name, (auroc, _, _) in by_set.items():
            climbs = f" up {one.method}" if name.startswith(CLIMBS) else ""
            yield Finding(judge, "climbed_auroc", f"{name}{climbs}", 100 * auroc)
    for name, bits in one.bits_per_dimension.items():
        yield Finding(one.method, "climbed_bits", name, bits)


DIAGNOSTIC = Diagnostic(
    schema=AdversarialNoise,
    summary="which scores take in images that climb a log density",
    title="Images that climb a density",
    section=section,
    pictures=("adversarial-noise", "adversarial-noise-images"),
    metrics=("climbed_auroc", "climbed_bits"),
    findings=findings,
    method="vae",
    images=100,
)

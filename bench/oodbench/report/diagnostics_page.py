"""docs/diagnostics.md: every study over its seeds, from the files that `oodbench diagnose` wrote."""

from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from oodbench.measure.summary import spread
from oodbench.report.diagnostics import FOLDER, AdversarialNoise, Likelihood, Purification, Study, read_diagnostics
from oodbench.report.generated import difference
from oodbench.report.markdown import NONE, mean_and_std, plainly, table
from oodbench.store import atomically

COMMAND = "oodbench diagnostics"

HEADER = """# Studies

What `oodbench diagnose` found of trained models: numbers that are no detector's score. Mean ± standard deviation over
the seeds that stand with each heading; AUROC and accuracy in percent. Pictures are of the first seed. Generated from
`results/diagnostics` by `{command}`."""


class Told(NamedTuple):
    """How a kind of study is told: its heading, what stands below it, and which of its pictures."""

    title: str
    section: Callable[[Any], list[str]]
    pictures: tuple[str, ...]


def page(results: Path) -> str:
    """Return the text of docs/diagnostics.md.

    Raises:
        BadRecord: as `oodbench.report.diagnostics.read_diagnostics`.
    """
    parts = [HEADER.format(command=COMMAND)]
    for _, group in groupby(read_diagnostics(results), key=lambda one: (one.matrix, type(one), one.method)):
        parts += _told(list(group), results)
    return "\n\n".join(parts) + "\n"


def _told(own: Sequence[Study], results: Path) -> list[str]:
    first, told = own[0], TOLD[type(own[0])]
    seeds = f"{len(own)} seeds" if len(own) > 1 else f"seed {first.seed}"
    folder = Path(FOLDER) / first.matrix / first.method / str(first.seed)
    pictures = [folder / f"{name}.png" for name in told.pictures if (results / folder / f"{name}.png").is_file()]
    shown = [f"![{path.stem}, seed {first.seed}](../{results.name}/{path.as_posix()})" for path in pictures]
    return [f"## {told.title}: `{first.method}` on {first.matrix} ({seeds})", *told.section(own), *shown]


def _likelihood(own: Sequence[Likelihood]) -> list[str]:
    words = ("Set", "Less variance is likelier")
    headers = ["Set", "Bits per dimension", "log p(z)", "log det", "AUROC, log p", "AUROC, log p(z)", words[1]]
    rows = []
    for name in own[0].sets:
        of = [one.sets[name] for one in own]
        signs = [row.sign_agrees for row in of if row.sign_agrees is not None]
        rows.append(
            [
                name,
                plainly(spread([row.bits_per_dimension for row in of]), 3),
                plainly(spread([row.log_prior for row in of]), 0),
                plainly(spread([row.log_det for row in of]), 0),
                mean_and_std(spread([row.auroc_log_density for row in of if row.auroc_log_density is not None])),
                mean_and_std(spread([row.auroc_log_prior for row in of if row.auroc_log_prior is not None])),
                f"{sum(signs)} of {len(signs)}" if signs else NONE,
            ]
        )
    greys = list(own[0].graying)
    grays = [
        [k, *(plainly(spread([one.graying[grey][k] - one.graying[grey]["1.0"] for one in own]), 0) for grey in greys)]
        for k in own[0].graying[greys[0]]
    ]
    alarms = [mean_and_std(spread([one.false_alarms[part] for one in own])) for part in ("test", "validation")]
    return [
        "log p(y) = log p(z) + log|det dz/dy|, means in nats. The last column counts the seeds in which a set of less "
        "variance than the in-set is the likelier, or one of more variance the less likely (Nalisnick 2019, eq. 6).",
        table(headers, rows, words),
        "Contrast taken from the in-set's test images, and what their mean log density gains, in nats:",
        table(["Contrast", *(f"Gain, about {grey}" for grey in greys)], grays),
        f"A two-sided test of typicality at 5 % calls {alarms[0]} % of the in-set's test images foreign, and "
        f"{alarms[1]} % of its validation images.",
    ]


def _purification(own: Sequence[Purification]) -> list[str]:
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


def _noise(own: Sequence[AdversarialNoise]) -> list[str]:
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


TOLD: dict[type[Study], Told] = {
    Likelihood: Told("Where the likelihood comes from", _likelihood, ("decomposition", "second-order", "graying")),
    Purification: Told("Purification", _purification, ()),
    AdversarialNoise: Told("Noise that climbs a density", _noise, ("adversarial-noise", "adversarial-noise-images")),
}


def rebuild(results: Path, path: Path, *, check: bool = False) -> tuple[str, bool]:
    """Write the page, or only compare it; return what to say, and whether all is well.

    Raises:
        BadRecord: as `read_diagnostics`.
    """
    text = page(results)
    if check:
        differs = difference(results, path, text, f"{COMMAND} --results {results} --page {path}")
        return differs or f"{path} is what the studies in {results} make.", differs is None
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomically(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return f"wrote {path}", True

"""Where a flow's likelihood comes from: its prior and its volume, set by set."""

from collections.abc import Iterator, Sequence

from oodbench.data.fixed import Fixed
from oodbench.measure.summary import spread
from oodbench.report.diagnostics import Diagnostic, Finding
from oodbench.report.markdown import NONE, mean_and_std, plainly, table


class OfSet(Fixed):
    """What a flow says of one set, means in nats; against the in-set where it is an out-set."""

    log_prior: float
    log_det: float
    log_density: float
    bits_per_dimension: float
    variance: float
    auroc_log_density: float | None = None
    auroc_log_prior: float | None = None
    likelier_by: float | None = None
    less_variance: float | None = None
    sign_agrees: bool | None = None


IN_SET = ("train", "test")
"""The parts of the in-set among the sets."""


class Agreement(Fixed):
    """In how many sets the second-order rule has the sign."""

    sets: int
    sign_agrees: int


class Likelihood(Fixed):
    """likelihood.json."""

    method: str
    matrix: str
    seed: int
    volume: str
    sets: dict[str, OfSet]
    second_order: Agreement
    graying: dict[str, dict[str, float]]
    false_alarms: dict[str, float]


def section(own: Sequence[Likelihood]) -> list[str]:
    """Return the tables, over seeds, and what stands around them."""
    words = ("Set", "Less variance is likelier")
    headers = ["Set", "Bits per dimension", "log p(z)", "log |det|", "AUROC, log p(y)", "AUROC, log p(z)", words[1]]
    rows = []
    for name in own[0].sets:
        of = [one.sets[name] for one in own]
        signs = [row.sign_agrees for row in of if row.sign_agrees is not None]
        rows.append(
            [
                name if name not in IN_SET else f"in-set, {name}",
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
        "log p(y) = log p(z) + log |det dz/dy|, means in nats. AUROC is the chance, in percent, that an image of the "
        "in-set's test part has a higher value than one of the set: below 50, the set is the likelier. The last column "
        "counts the seeds in which a set of less variance than the in-set is the likelier, or one of more variance the "
        "less likely (Nalisnick 2019, eq. 6).",
        table(headers, rows, words),
        "Contrast taken from the in-set's test images, and what their mean log density gains, in nats:",
        table(["Contrast", *(f"Gain, about {grey}" for grey in greys)], grays),
        f"A two-sided test of typicality at 5 % calls {alarms[0]} % of the in-set's test images foreign, and "
        f"{alarms[1]} % of its validation images.",
    ]


def findings(one: Likelihood) -> Iterator[Finding]:
    """Yield percent of in-set images, percent of sets, and nats."""
    yield Finding(one.method, "false_alarms", "test", 100 * one.false_alarms["test"])
    yield Finding(one.method, "second_order", "ood", 100 * (one.second_order.sign_agrees / one.second_order.sets))
    for grey, curve in one.graying.items():
        for contrast, level in curve.items():
            yield Finding(one.method, "graying_gain", f"{contrast} about {grey}", level - curve["1.0"])


DIAGNOSTIC = Diagnostic(
    schema=Likelihood,
    summary="where the likelihood of a Glow comes from",
    title="Where the likelihood comes from",
    section=section,
    pictures=("decomposition", "second-order", "graying"),
    metrics=("false_alarms", "second_order", "graying_gain"),
    findings=findings,
    method="glow",
    images=1000,
)

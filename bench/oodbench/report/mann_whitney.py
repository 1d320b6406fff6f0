"""The Mann-Whitney test of each method: do inputs that a classifier gets right and wrong score alike?"""

from collections.abc import Iterable

from oodbench.measure.summary import spread
from oodbench.report.markdown import link, plainly, table
from oodbench.report.reported import Reported
from oodbench.report.standings import Standings
from oodbench.report.tables import Linked

METRIC = "mann_whitney_log10_p"

COLUMNS = ("n", "m", "U / (nm)", "log₁₀ p", "largest log₁₀ p")

SAID = (
    "Whether right (n) and wrong (m) inputs score alike, by the two-sided Mann-Whitney test, corrected for ties, as "
    "Shao 2020 asks of likelihoods. U counts the pairs in which the right input scores higher, ties half, and "
    "U / (nm) is AUROC as a share; below ½ the wrong ones score higher. p = 0.05 is log₁₀ p = -1.3; p itself "
    "underflows. Mean ± standard deviation over seeds, and the largest log₁₀ p of any seed."
)


def mann_whitney_table(standings: Standings, linked: Linked) -> str | None:
    """Return n, m, U/(nm) and log10 p of every method, in the order of their ranks; None where nothing was tested."""
    tests = {method: _tests(standings, method) for method in standings.ranks}
    rows = [[linked(method), *test] for method, found in tests.items() for test in found.values()]
    return table(["Method", *COLUMNS], rows, ("Method",)) if rows else None


def mann_whitney_said(standings: Standings, method: str) -> list[str]:
    """Return a sentence a set that a method was tested on."""
    return [
        f"Mann-Whitney test, {name}: "
        + "; ".join(f"{what} {value}" for what, value in zip(COLUMNS, test, strict=True))
        + "."
        for name, test in _tests(standings, method).items()
    ]


def _tests(standings: Standings, method: str) -> dict[str, list[str]]:
    """Return the columns of a method by set, of the seeds that have a test."""
    tests = {}
    for name in (column.name for column in standings.columns):
        by_seed = {seed: standings.values.get((METRIC, method, seed), {}) for seed in standings.entries[method]}
        log_p = {seed: values[name] for seed, values in by_seed.items() if name in values}
        if log_p:
            n, m = (
                plainly(spread([standings.sizes[method, seed][name][side] for seed in log_p]), 0) for side in (0, 1)
            )
            share = plainly(standings.over_seeds("auroc", method, name), 4)
            tests[name] = [n, m, share, plainly(spread([*log_p.values()]), 1), f"{max(log_p.values()):z.1f}"]
    return tests


def reported_mann_whitney(standings: Standings, reported: Iterable[Reported]) -> str | None:
    """Return the p-values that papers print for the same methods, whatever their in-set; None if nothing."""
    rows = [
        [
            f"`{one.method}`",
            f"{one.value:.3g}",
            one.in_set,
            one.network,
            one.doubt or "",
            link(one.short, one.paper.url),
        ]
        for one in reported
        if one.metric == "mann_whitney_p" and one.method in standings.entries and one.value is not None
    ]
    words = ("Method", "p", "In-set", "Network", "Doubt", "Source")
    return table(words, rows, words) if rows else None

"""`oodbench compare A B`: everything that is said of two sides, as Markdown and as JSON."""

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from oodbench.compare.costs import ALL, of_costs
from oodbench.compare.findings import LEVEL, Finding, corrected, of_accuracy, of_scores, paired_rows
from oodbench.compare.operands import opened
from oodbench.errors import BadSetting, UnknownName
from oodbench.measure.metrics import METRICS
from oodbench.measure.ranking import RANKING
from oodbench.report.markdown import NONE, percent, table
from oodbench.report.numbers import RANKINGS
from oodbench.store import atomically

FORMAT = 1
"""Of the JSON: one more wherever a reader must change."""

SHOWN = 40
"""Rows of a table of the page, those of least p first; the JSON has all."""

FAILURES = ("regression", "unversioned")
"""What `--fail-on` may name."""

CHANCE = "Differs, and may be chance"
"""The section of what no test tells from chance; whether single seeds are astray, the JSON has."""

COMPARED = ("regression", "improvement", "unclear", "noise", "same")
"""Verdicts on a number of both sides."""

WORST_FIRST = ("regression", "lost", "unlike", "improvement", "new", "unclear", "noise", "same")


@dataclass(frozen=True)
class Comparison:
    """What was found between two sides.

    Attributes:
        before: The first, as it was named.
        after: The second.
        findings: All, the worst first.
    """

    before: str
    after: str
    findings: tuple[Finding, ...]

    def of(self, *verdicts: str) -> list[Finding]:
        """Return the findings of some verdicts."""
        return [one for one in self.findings if one.verdict in verdicts]

    def fails(self, on: Sequence[str]) -> bool:
        """Whether it holds anything of what is named: one of `FAILURES`.

        What is lost is a regression, too; and where no number could be compared, nothing says that there is none.
        """
        worse, moved = self.of("regression", "lost"), [one for one in self.findings if one.unversioned]
        asked = {"regression": bool(worse) or not self.compared, "unversioned": bool(moved) or not self.compared}
        return any(asked[name] for name in on)

    @property
    def compared(self) -> bool:
        """Whether any number of scores could be compared."""
        return any(one.verdict in COMPARED and one.kind != "cost" for one in self.findings)


def compare(
    before: str,
    after: str,
    results: Path = Path("results"),
    matrix: str | None = None,
    metrics: Sequence[str] = RANKINGS,
    folder: Path | None = None,
) -> Comparison:
    """Compare two rows of a matrix, two folders of results, or the results at two commits.

    Args:
        before: `MATRIX/METHOD`, a folder, or a commit; with `matrix` a method.
        after: Another of the same.
        results: Folder of the rows, and of results at commits.
        matrix: What rows are of.
        metrics: Ranking metrics to test.
        folder: Inside the repository that commits are of; the present one by default.

    Raises:
        BadSetting: The two cannot be compared.
        BadRecord: A record or scores file is broken.
        UnknownName: There is no such row or metric.

    Example:
        >>> compare("tiny-v1/msp", "tiny-v1/energy").fails(["regression"])
        True
    """
    for metric in metrics:
        if metric not in RANKING:
            raise UnknownName("ranking metric", metric, RANKING)
    with ExitStack() as open_sides:
        a, b = (open_sides.enter_context(opened(said, results, matrix, folder)) for said in (before, after))
        kinds = {a.what, b.what}
        if "row" in kinds and len(kinds) > 1:
            raise BadSetting(f"{before} is a {a.what} and {after} a {b.what}: compare two of a kind")
        pairs = paired_rows(a, b)
        scores, accuracy = of_scores(pairs, metrics), of_accuracy(pairs)
        tested, costs = of_costs(pairs)
    findings = corrected([*scores.tested, *accuracy.tested, *tested])
    findings += [*scores.untested, *accuracy.untested, *costs]
    findings.sort(key=lambda one: (WORST_FIRST.index(one.verdict), one.p if one.p is not None else 1.0))
    return Comparison(before, after, tuple(findings))


def content(found: Comparison) -> dict[str, Any]:
    """Return everything that was found."""
    return {
        "format": FORMAT,
        "before": found.before,
        "after": found.after,
        "level": LEVEL,
        "tests": sum(one.holm is not None for one in found.findings),
        "counts": _counts(found),
        "findings": [asdict(one) for one in found.findings],
    }


def as_json(found: Comparison) -> str:
    """Return everything that was found, as a file holds it."""
    return json.dumps(content(found), indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def as_markdown(found: Comparison) -> str:
    """Return the page of a comparison."""
    tests = sum(one.holm is not None for one in found.findings)
    parts = [f"# `{found.before}` → `{found.after}`", _verdict(found), READ.format(tests=tests)]
    parts += list(_sections(found))
    return "\n\n".join(parts) + "\n"


READ = (
    "Numbers in percent, before → after; the interval is of the difference, at 95 %, uncorrected. Improvements and "
    "regressions are significant at 5 % after Holm's correction for all {tests} tests of this comparison together. "
    "Costs are ratios, after / before."
)


def _verdict(found: Comparison) -> str:
    counts = ", ".join(f"{count} {verdict}" for verdict, count in _counts(found).items()) or "no row has scores on both"
    moved = sum(one.unversioned for one in found.findings)
    more = f" **{moved} moved though no version did.**" if moved else ""
    head = "**Worse**" if found.of("regression", "lost") else "**No regression**"
    head = head if found.compared else "**Nothing could be compared**"
    return f"{head}: {counts}.{more}"


def _counts(found: Comparison) -> dict[str, int]:
    """Return how many findings have each verdict; ratios that nothing is said of have none."""
    said = [one.verdict for one in found.findings if one.kind != "cost" or one.holm is not None]
    return {verdict: said.count(verdict) for verdict in WORST_FIRST if verdict in said}


def _sections(found: Comparison) -> Iterator[str]:
    numbers = [one for one in found.findings if one.kind != "cost"]
    titles = {
        "Worse": ("regression",),
        "Gone": ("lost",),
        "Not comparable": ("unlike",),
        "Better": ("improvement",),
        "New": ("new",),
        CHANCE: ("unclear",),
    }
    for title, verdicts in titles.items():
        own = [one for one in numbers if one.verdict in verdicts]
        if title == CHANCE:
            own = [one for one in own if one.test != "seed astray"]
        if own:
            yield f"## {title}"
            yield _shown(own)
    noise = [one for one in numbers if one.verdict == "noise"]
    if noise:
        yield "## Within what floats do"
        yield _largest(noise)
    if accuracy := [one for one in numbers if one.metric == "accuracy" and one.verdict == "same"]:
        names = ", ".join(f"`{one.row}` {_value(one.metric, one.before)}" for one in accuracy)
        yield f"Classifiers that do the same on every test input: {names}."
    if costs := [one for one in found.findings if one.kind == "cost"]:
        yield "## Speed and memory"
        yield _costs(costs)


def _shown(own: Sequence[Finding]) -> str:
    rows = [
        [
            one.matrix,
            f"`{one.row}`",
            f"{one.kind}/{one.set}" if one.kind else "all",
            METRICS[one.metric].title if one.metric else NONE,
            ", ".join(map(str, one.seeds)),
            f"{_value(one.metric, one.before)} → {_value(one.metric, one.after)}" if one.metric else NONE,
            NONE if one.low is None or one.high is None else f"[{_points(one.low)}, {_points(one.high)}]",
            NONE if one.holm is None else f"{one.holm:.2g}",
            "; ".join(filter(None, ["moved without a version" if one.unversioned else "", one.why])) or NONE,
        ]
        for one in own[:SHOWN]
    ]
    words = ("Matrix", "Row", "Set", "Metric", "Seeds", "Note")
    headers = ("Matrix", "Row", "Set", "Metric", "Seeds", "Before → after", "Difference", "p (Holm)", "Note")
    text = table(headers, rows, words)
    rest = len(own) - len(rows)
    return f"{text}\n\nAnd {rest} more, in the JSON." if rest else text


def _largest(noise: Sequence[Finding]) -> str:
    """Return the largest difference of each metric among what is noise."""
    rows = []
    for metric in dict.fromkeys(one.metric for one in noise):
        own = [one for one in noise if one.metric == metric]
        most = max(own, key=lambda one: abs((one.after or 0.0) - (one.before or 0.0)))
        by = (most.after or 0.0) - (most.before or 0.0)
        place = f"`{most.row}`, {most.kind}/{most.set}"
        rows.append([METRICS[metric].title, str(len(own)), f"{100 * by:+.4f}", place])
    return table(("Metric", "Numbers", "Largest difference", "Of"), rows, ("Metric", "Of"))


def _costs(costs: Sequence[Finding]) -> str:
    notable = [one for one in costs if one.row == ALL or one.verdict in ("regression", "improvement")]
    words = {"regression": "more", "improvement": "less", "noise": "alike"}
    rows = [
        [
            one.matrix,
            one.set,
            f"`{one.row}`" if one.row != ALL else one.row,
            f"{one.after:.3f}",
            NONE if one.low is None or one.high is None else f"[{1 + one.low:.3f}, {1 + one.high:.3f}]",
            words.get(one.verdict, one.verdict),
            one.why,
        ]
        for one in notable[:SHOWN]
    ]
    headers = ("Matrix", "Stage", "Row", "Ratio", "95 %", "Verdict", "Note")
    return table(headers, rows, ("Matrix", "Stage", "Row", "Verdict", "Note"))


def _value(metric: str, value: float | None) -> str:
    if value is None:
        return NONE
    return percent(value) if METRICS[metric].highest <= 1 else f"{value:.4g}"


def _points(difference: float) -> str:
    return f"{100 * difference:+.2f}"


def told(found: Comparison, fail_on: Sequence[str], markdown: Path | None, as_data: Path | None) -> tuple[str, bool]:
    """Write what is asked for; return the page, and whether nothing of `fail_on` was found."""
    page = as_markdown(found)
    for path, text in ((markdown, page), (as_data, as_json(found) if as_data else "")):
        if path is not None:
            with atomically(path) as temporary:
                temporary.write_text(text, encoding="utf-8")
    return page, not found.fails(fail_on)

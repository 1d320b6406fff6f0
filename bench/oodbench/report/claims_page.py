"""docs/claims.md: each claim beside the paper's numbers, its verdict here, and why where it does not hold."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from oodbench.corruptions.registry import SEVERITIES
from oodbench.report.claims import Found, Values, judge
from oodbench.report.markdown import NONE, table
from oodbench.report.site import differs
from oodbench.report.superseded import MARK, Superseded, superseded
from oodbench.store import atomically

COMMAND = "oodbench claims"

HEADER = """# What the papers say, and what holds here

Each claim of a paper that our matrices can test, beside the paper's numbers. A claim **holds** where the interval of
the difference lies above 0, is **reversed** where it lies below, and is **open** where it contains 0. A claim that two
methods are alike names a distance, and holds where the interval lies within it on both sides. The difference is
paired by seed and by test input. Its interval is Student's, with the variance over test inputs and over training runs
together, the latter moderated over all claims (of five seeds some are small by chance) and never below its own; over
training runs alone for overconfidence (oce, oce_share), bits per dimension, mCE, relative mCE, rise of entropy,
lengths of attacks and what diagnostics find. Where no seed differs from another, the test is that of signs. The
{tested} comparisons that are tested, those of the reasons among them, are corrected for their number by Holm's
procedure: with 95 % confidence none that **holds** or is **reversed** is so by chance. The confidence of an interval
is 1 − 0.05 / k: k is {tested} for the most significant comparison, one less for each that follows, and {last} for the
first that is open and all that are less significant. A claim is **untested** where the seeds of a method are
ensembles that share members: their spread is none over training runs.

The papers trained larger networks, for longer, on other data: what is compared is the direction, not the size. Numbers
are percent, but for nats, bits per dimension and the ratio oce; mean ± standard deviation over seeds. A reason that is
**tested** stands with the comparisons of the same stored scores that show it, and their verdicts; what is **a guess**
nothing here tests.

Generated from the stored scores by `{command}`; the claims are in `results/claims.toml`."""


def page(found: Sequence[Found], earlier: Superseded = MappingProxyType({})) -> str:
    """Return the text of docs/claims.md; `earlier` are the rows that earlier versions of their methods made."""
    tested = [one.k for claim in found for one in (claim, *claim.by) if not one.shared]
    parts = [HEADER.format(command=COMMAND, tested=len(tested), last=min(tested, default=0))]
    headers = ["Claim", "Paper", "There", "Here", "Difference", "Verdict", "Why"]
    for matrix in dict.fromkeys(one.claim.matrix for one in found):
        rows = [_row(one, earlier.get(matrix, {})) for one in found if one.claim.matrix == matrix]
        parts += [f"## {matrix}", table(headers, rows, set(headers) - {"Difference"})]
    return "\n\n".join(parts) + "\n"


def _row(found: Found, earlier: Mapping[str, str]) -> list[str]:
    one = found.claim
    made = sorted({str(side) for side in (found.comparison.more, found.comparison.less)} & earlier.keys())
    marked = [f"{MARK} an earlier version made {', '.join(f'`{method}`' for method in made)}"] if made else []
    why = "; ".join([*_reasons(found), *marked]) or NONE
    return [one.statement, one.source, one.paper, _sides(found), _difference(found), f"**{found.verdict}**", why]


def _sides(found: Found) -> str:
    one = found.comparison
    where = f"{one.metric}, {_named(one.sets) or one.failure or found.where}"
    against = "against" if one.within is None else f"within {one.within:g} of"
    return f"{_said(one.more, found.more)} {against} {_said(one.less, found.less)} ({where})"


def _named(sets: Sequence[str]) -> str:
    """Return names of sets; all five severities of a corruption are named by its type.

    Example:
        >>> _named([*(f"snow-{severity}" for severity in (1, 2, 3, 4, 5)), "fog-3"])
        'snow, fog-3'
    """
    names: list[str] = []
    for name in sets:
        of, _, severity = name.rpartition("-")
        whole = severity.isdigit() and all(f"{of}-{one}" in sets for one in SEVERITIES)
        names.append(of if whole else name)
    return ", ".join(dict.fromkeys(names))


def _difference(found: Found) -> str:
    low, high = found.difference - found.margin, found.difference + found.margin
    return f"{found.difference:+.2f}" + ("" if found.shared or not found.margin else f" [{low:.2f}, {high:.2f}]")


def _reasons(found: Found) -> Iterator[str]:
    """Yield what is known, shown or supposed of a claim that does not hold."""
    if found.verdict == "untested":
        yield "the members of its seeds overlap: a test needs ensembles of their own"
    if found.verdict == "open":
        yield _why_open(found)
    if found.claim.tested:
        shown = (f"{_sides(one)}: {_difference(one)}, **{one.verdict}**" for one in found.by)
        yield f"**tested**: {found.claim.tested} [{'; '.join(shown)}]"
    if found.claim.guess:
        yield f"**a guess**: {found.claim.guess}"


def _why_open(found: Found) -> str:
    """Return what a claim lacks to hold or to be reversed."""
    if not found.difference:
        return "both are the same"
    if not found.margin:
        return f"the same at each of {len(found.more)} seeds, which by signs alone happens with p = {found.p:.2g}"
    if found.comparison.within is not None:
        return "the interval goes beyond the distance"
    return f"the sign is {'' if found.difference > 0 else 'not '}the paper's, and the interval contains 0"


def _said(said: str | float, values: Values) -> str:
    return f"`{said}` {values.mean():.2f} ± {values.std(ddof=1):.2f}" if isinstance(said, str) else f"{said:g}"


def rebuild(results: Path, path: Path, *, check: bool = False) -> tuple[str, bool]:
    """Write the page, or only compare it; return what to say, and whether it and every expectation are as they are.

    Raises:
        BadCard: as `judge`.
        BadRecord: likewise.
    """
    found = judge(results)
    wrong = [fault for one in found for fault in _faults(one)]
    text = page(found, superseded(results))
    if check:
        fault = differs(path, text)
        wrong += [fault, f"rebuild it: {COMMAND} --results {results} --page {path}"] if fault else []
        return "\n".join(wrong) or f"{path} is what the scores in {results} make.", not wrong
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomically(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return "\n".join([f"wrote {path}", *wrong]), not wrong


def _faults(found: Found) -> Iterator[str]:
    """Yield where a claim is not what its file expects, and which of its reasons the scores do not show."""
    one = found.claim
    if found.verdict != one.expected:
        yield (
            f"{one.statement!r} is expected to be {one.expected!r}, and is {found.verdict!r}: "
            f"{found.difference:+.2f} ± {found.margin:.2f}"
        )
    for shown in found.by:
        if shown.verdict != "holds":
            yield (
                f"the reason of {one.statement!r} is not what the scores show; make it a `guess`, or test another: "
                f"{_sides(shown)} is {shown.verdict!r}, {_difference(shown)}"
            )

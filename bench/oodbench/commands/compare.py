"""`oodbench compare`."""

from pathlib import Path
from typing import Annotated

from oodbench.commands import names
from oodbench.commands.options import LEFT_OUT, RESULTS, ResultsAnywhere, argument, one_of, option
from oodbench.commands.told import tell
from oodbench.shown import Markdown, Page

EXAMPLES = (
    "  oodbench compare tiny-v1/msp tiny-v1/energy\n"
    "  oodbench compare msp odin --matrix fashion-mnist-v2\n"
    "  oodbench compare results build/nightly/results --fail-on regression --json report.json\n"
    "  oodbench compare main HEAD --matrix tiny-v1 --json\n"
    "  oodbench compare main HEAD --fail-on regression unversioned\n"
    "  docs/compare.md says what each verdict means."
)


def failures() -> tuple[str, ...]:
    """Return what `--fail-on` takes."""
    return ("regression", "unversioned")


def command(
    before: Annotated[
        str, argument("A", "MATRIX/METHOD, a folder of results, or a commit, branch or tag; tried in this order")
    ],
    after: Annotated[str, argument("B", "likewise; B is told beside A")],
    matrix: Annotated[
        str | None,
        option(
            "--matrix",
            metavar="MATRIX",
            help="of both: A and B may then be names of methods; of folders and commits, this matrix alone",
            known=names.matrices,
        ),
    ] = None,
    metrics: Annotated[
        list[str] | None,
        option("--metrics", metavar="METRIC...", help="ranking metrics to test (default: those that have ranks)"),
    ] = None,
    fail_on: Annotated[
        list[str] | None,
        option(
            "--fail-on",
            metavar="WHAT...",
            read=one_of("failure", failures),
            known=failures,
            help="exit with 1 where something is significantly worse, slower, larger or gone (regression), or moved on "
            "one class of machine though no version did (unversioned)",
        ),
    ] = None,
    markdown: Annotated[Path | None, option("--markdown", metavar="FILE", help="also write the page there")] = None,
    as_json: Annotated[
        str | None,
        option(
            "--json",
            metavar="[FILE]",
            help="also write every number and test there; without a name print them instead",
        ),
    ] = None,
    results: ResultsAnywhere = RESULTS,
) -> int:
    """Compare two methods of a matrix, two folders of results, or the results at two commits, on the same inputs.

    What is noise, what is better, what is worse.
    """
    from oodbench.compare.comparison import compare, content, told
    from oodbench.report.numbers import RANKINGS

    found = compare(before, after, results, matrix, tuple(metrics or RANKINGS))
    printed = as_json == LEFT_OUT
    file = Path(as_json) if as_json and not printed else None
    text, well = told(found, fail_on or [], markdown, file)
    return tell(Page(Markdown(text), data=lambda: content(found)), printed, well=well)

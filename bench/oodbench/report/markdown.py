"""Words and tables in Markdown."""

from collections.abc import Collection, Sequence

from tabulate import tabulate

from oodbench.measure.metrics import METRICS
from oodbench.measure.summary import Spread

NONE = "–"


def metric_title(metric: str, failure: str) -> str:
    """Return a metric's heading, with an arrow to better; AUPR has names of its own for misclassification."""
    own = {"aupr_in": "AUPR-Success", "aupr_out": "AUPR-Error"} if failure == "misclassification" else {}
    return f"{own.get(metric, METRICS[metric].title)} {'↑' if METRICS[metric].higher_is_better else '↓'}"


def percent(share: float) -> str:
    """Return a share in percent."""
    return f"{100 * share:.2f}"


def mean_and_std(number: Spread | None, seeds: int | None = None) -> str:
    """Return mean ± std in percent, with n where it is not the number of `seeds`; a dash for None."""
    if number is None:
        return NONE
    text = percent(number.mean) + ("" if number.std is None else f" ± {percent(number.std)}")
    return text if seeds in (None, number.n) else f"{text} (n = {number.n})"


def plainly(number: Spread | None, places: int) -> str:
    """Return mean ± std in the number's own unit; a dash for None."""
    if number is None:
        return NONE
    return f"{number.mean:.{places}f}" + ("" if number.std is None else f" ± {number.std:.{places}f}")


def link(text: str, url: str | None) -> str:
    """Return a link, or the text alone."""
    return f"[{text}]({url})" if url else text


def table(headers: Sequence[str], rows: Sequence[Sequence[str]], words: Collection[str] = ()) -> str:
    """Return a table, flushed right but for the columns of `words`."""
    align = ["left" if header in words else "right" for header in headers]
    cells = [[_one_line(text) for text in row] for row in rows]
    return tabulate(cells, headers=list(headers), tablefmt="pipe", colalign=align, disable_numparse=True)


def _one_line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")

"""Words and tables in Markdown."""

from collections.abc import Collection, Sequence

from oodbench.measure.summary import Spread

NONE = "–"


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
    """Return a table without padding, flushed right but for the columns of `words`."""
    rule = "|".join([":--" if header in words else "--:" for header in headers])
    return "\n".join([_row(headers), f"|{rule}|", *map(_row, rows)])


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(' '.join(text.split()).replace('|', chr(92) + '|') for text in cells)} |"

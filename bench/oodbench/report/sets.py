"""The failure sets of a page: what each is, how many inputs it has, and how a table with many of them is split."""

from collections.abc import Iterable, Mapping, Sequence

from oodbench.corruptions.registry import CORRUPTIONS
from oodbench.data.attack_cards import load_adaptive, load_attacks
from oodbench.data.cards import load_cards
from oodbench.measure.kinds import KNOWN, ROUNDED, Column
from oodbench.report.markdown import table

WIDEST = 6
"""Most sets that stand beside each other: more, and a table is wider than a page."""

MOST_SETS = 30
"""Most sets of a kind that have a row or column of their own everywhere: of more, tables show the means of groups."""


def described(name: str) -> str:
    """Return the title of a set's card, attack or corruption; nothing for a set that has none."""
    corruption, _, severity = name.rpartition("-")
    if corruption in CORRUPTIONS:
        return f"{CORRUPTIONS[corruption].title}, severity {severity}"
    plain = name.removesuffix(ROUNDED).removesuffix(KNOWN)
    cards = (load_cards(), load_attacks(), load_adaptive())
    title = next((known[plain].title for known in cards if plain in known), "")
    beside = {ROUNDED: "rounded to 256 grey levels", KNOWN: "by an attacker who does not know the detector"}
    more = [said for ending, said in beside.items() if name.endswith(ending)]
    return ", ".join([title, *more]) if title else ""


def set_table(columns: Sequence[Column], sizes: Mapping[str, str]) -> str | None:
    """Return what each set is and how many bad inputs it has; None where no set is described."""
    titles = {column.name: described(column.name) for column in columns}
    if not any(titles.values()):
        return None
    groups = any(column.group for column in columns)
    words = ("Set", *(("Group",) if groups else ()), "What it is")
    rows = [
        [f"`{name}`", *((group,) if groups else ()), titles[name], sizes.get(name, "none")] for name, group in columns
    ]
    return table([*words, "Bad inputs"], rows, words)


def split(columns: Sequence[Column]) -> dict[str, list[Column]]:
    """Return the sets that stand in one table, by the table's heading: all, or those of a group where they are many."""
    if len(columns) <= WIDEST or len({column.group for column in columns}) < 2:
        return {"": list(columns)}
    groups: dict[str, list[Column]] = {}
    for column in columns:
        groups.setdefault(column.group, []).append(column)
    return groups


def joined(parts: Iterable[tuple[str, str]], level: str) -> str:
    """Return tables below their headings of one level."""
    return "\n\n".join(f"{level} {heading}\n\n{text}" if heading else text for heading, text in parts)

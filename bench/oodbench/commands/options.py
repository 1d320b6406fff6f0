"""Options that several verbs have, and readers of values."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, final

import typer

from oodbench.commands import names
from oodbench.errors import BadSetting, UnknownName

Names = Callable[[], Sequence[str]]
"""Returns the names that may be completed; called when somebody presses the key, and quick."""


OPEN = "oodbench.open"
"""Under this name a context holds the name of `open_option`."""

LEFT_OUT = "-"
"""What an option that may stand without its value is then given."""


def option(
    *decls: str,
    help: str,
    metavar: str | None = None,
    group: str | None = None,
    read: Callable[[str], Any] | None = None,
    known: Names | None = None,
) -> Any:
    """Return an option.

    Args:
        decls: Its names, as `--methods`.
        help: In a few words.
        metavar: Stands for its value; in brackets where it may stand without.
        group: Heading that it stands below.
        read: Reads its value, or raises `typer.BadParameter`.
        known: Names to complete.
    """
    return typer.Option(
        *decls,
        help=help,
        metavar=metavar,
        rich_help_panel=group,
        parser=_reader(read),
        autocompletion=(lambda incomplete: _beginning(known, incomplete)) if known else None,
        show_default=False,
    )


def argument(metavar: str, help: str, read: Callable[[str], Any] | None = None, known: Names | None = None) -> Any:
    """Return a value that stands without an option's name; as `option`."""

    def complete(ctx: typer.Context, incomplete: str) -> list[str]:
        if (option := open_option(ctx)) is not None:
            return [item.value for item in option.shell_complete(ctx, incomplete)]
        return _beginning(known, incomplete)

    return typer.Argument(metavar=metavar, help=help, parser=_reader(read), autocompletion=complete, show_default=False)


def open_option(ctx: Any) -> Any:
    """Return the option whose values the end of an unfinished line belongs to, or None."""
    return next((one for one in ctx.command.params if ctx.meta.get(OPEN) in one.opts), None)


def _reader(read: Callable[[str], Any] | None) -> Callable[[Any], Any] | None:
    """Return a reader that lets defaults be: typer shows it these, too."""
    if read is None:
        return None
    return lambda given: read(given) if isinstance(given, str) else given


def _beginning(known: Names | None, incomplete: str) -> list[str]:
    return [name for name in known() if name.startswith(incomplete)] if known else []


# Values.


@final
@dataclass(frozen=True)
class Shard:
    """The part-th of so many parts of a plan, from 0."""

    part: int
    parts: int


def shard(text: str) -> Shard:
    """Read which part of a plan to run, and of how many: "3/16"."""
    part, _, parts = text.partition("/")
    if not (part.isdigit() and parts.isdigit() and int(part) < int(parts)):
        raise typer.BadParameter(f"got {text!r}, expected I/N with I from 0 to N - 1, as 3/16")
    return Shard(int(part), int(parts))


def number(text: str) -> float:
    """Read a number."""
    try:
        return float(text)
    except ValueError:
        raise typer.BadParameter(f"got {text!r}, expected a number") from None


def positive(text: str) -> float:
    """Read a number above 0."""
    value = _number_or_0(text)
    if not 0 < value < float("inf"):
        raise typer.BadParameter(f"got {text!r}, expected a number above 0")
    return value


def share(text: str) -> float:
    """Read a share in (0, 1]."""
    value = _number_or_0(text)
    if not 0 < value <= 1:
        raise typer.BadParameter(f"got {text!r}, expected a share in (0, 1], as 0.02")
    return value


def _number_or_0(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def at_least(least: int) -> Callable[[str], int]:
    """Return a reader of whole numbers that are not below `least`."""

    def read(text: str) -> int:
        if not text.lstrip("-").isdigit() or int(text) < least:
            raise typer.BadParameter(f"got {text!r}, expected a whole number from {least}")
        return int(text)

    return read


def one_of(kind: str, known: Names) -> Callable[[str], str]:
    """Return a reader of one of some names; `kind` is what people call them."""

    def read(text: str) -> str:
        if text not in known():
            raise UnknownName(kind, text, known())
        return text

    return read


def not_both(**given: object) -> None:
    """Refuse two options that exclude each other; `given` has the value of each, false where it was left out.

    Raises:
        BadSetting: Both were given.
    """
    first, second = given
    if given[first] and given[second]:
        raise BadSetting(f"--{second}: not allowed with --{first}; leave one out")


# Options.

Matrix = Annotated[str, argument("MATRIX", "name of a matrix (oodbench list)", known=names.matrices)]
Methods = Annotated[
    list[str] | None,
    option("--methods", metavar="METHOD...", help="names; default: the matrix's own, or all", known=names.methods),
]
All = Annotated[bool, option("--all", help="every method")]
Seeds = Annotated[
    list[int] | None, option("--seeds", metavar="SEED...", read=at_least(0), help="default: the matrix's own")
]
Seed = Annotated[int, option("--seed", metavar="SEED", read=at_least(0), help="of the model (default: 0)")]
Results = Annotated[Path, option("--results", metavar="FOLDER", help="folder of records (default: results)")]
ResultsAnywhere = Annotated[
    Path, option("--results", metavar="FOLDER", help="folder of results, also at commits (default: results)")
]
RESULTS = Path("results")
Data = Annotated[Path | None, option("--data", metavar="FOLDER", help="your own root of data sets, searched first")]
Cache = Annotated[
    Path | None,
    option("--cache", metavar="FOLDER", help="folder of weights and outputs (default: $OODBENCH_CACHE or ~/.cache)"),
]
Device = Annotated[str, option("--device", metavar="DEVICE", help='"cpu", "cuda", "cuda:1" ... (default: cpu)')]
Devices = Annotated[
    str,
    option(
        "--device",
        metavar="DEVICE",
        help='"cpu", "cuda", "cuda:1" ..., several as "cuda:0,cuda:1" (default: cpu)',
    ),
]
Workers = Annotated[
    int | None,
    option(
        "--workers",
        metavar="N",
        read=at_least(1),
        help="processes (default: one a device on GPUs, else 2; on Ray as room is), the devices in turn",
    ),
]
Engine = Annotated[
    str,
    option(
        "--engine",
        metavar="ENGINE",
        help='"local" (a pool of processes), "process" (this one), "ray" (a Ray cluster of this machine), '
        '"ray:HOST:PORT" or "ray:auto" (one that runs), or an installed one\'s name',
    ),
]
Check = Annotated[bool, option("--check", help="write nothing; fail if the file is not what would be written")]

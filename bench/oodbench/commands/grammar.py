"""How command lines are read: verbs, options that take several values, help with examples, the nearest name.

typer reads an option's value from the one word after it. Here an option of several values takes all words up to the
next option (`--methods msp odin knn`), and no option takes the next option for its value (`--cache --workers 2`).
"""

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from itertools import takewhile
from textwrap import shorten
from typing import Annotated, Any, final

import typer
from typer.core import TyperCommand, TyperGroup

from oodbench import __version__
from oodbench.commands.options import LEFT_OUT, OPEN, open_option
from oodbench.errors import BadSetting, UnknownName
from oodbench.terminal import is_colourful

VERBS = (
    *("list", "plan", "run", "evaluate", "verify", "data", "metrics", "table"),
    *("show", "claims", "diagnostics", "check", "explain", "diagnose"),
    *("compare", "changes", "cite", "export", "new", "site", "submit"),
)
"""Names of verbs, each of a module here, in the order of the help."""

BRIEF = 60
"""Letters of help beside a name that is completed."""

NEGATIVE = re.compile(r"-\d+$|-\d*\.\d+$")

WIDEST = 100
"""Columns of help on a terminal that has more."""


@final
@dataclass(frozen=True)
class Takes:
    """What an option takes: no value, one, or several; `bare`: it may stand without."""

    none: bool
    several: bool
    bare: bool


def spread(words: Sequence[str], options: Mapping[str, Takes]) -> tuple[list[str], str | None]:
    """Return words as typer reads them, each value beside the name of its option; and the option that is open.

    Args:
        words: After the verb.
        options: By name, as `--methods`.

    Returns:
        The words, and the option whose values the last of them is one of, where a next one would be one, too.

    Raises:
        UnknownName: There is no such option; the nearest is offered.
        BadSetting: An option lacks its value.

    Example:
        >>> spread(["tiny-v1", "--seeds", "0", "1", "--all"], {"--seeds": Takes(False, True, False),
        ...     "--all": Takes(True, False, False)})
        (['tiny-v1', '--seeds=0', '--seeds=1', '--all'], None)
    """
    made: list[str] = []
    left = list(words)
    last: str | None = None
    while left:
        word, last = left.pop(0), None
        name, equals, _ = word.partition("=")
        if word == "--":
            return [*made, word, *left], None
        if word.startswith("--") and name not in options:
            raise UnknownName("option", name, (one for one in options if one.startswith("--")))
        takes = options.get(name)
        if takes is None or takes.none or equals:
            made.append(word)
            continue
        values: list[str] = []
        while left and not is_option(left[0]) and (takes.several or not values):
            values.append(left.pop(0))
        if not values and not takes.bare:
            raise BadSetting(f"{name}: got no value, expected {'one or more' if takes.several else 'one'}")
        made += [f"{name}={value}" for value in values or ["" if takes.several else LEFT_OUT]]
        last = name if takes.several else None
    return made, last


def is_option(word: str) -> bool:
    """Return whether a word begins an option: a dash alone and numbers below 0 are values.

    Example:
        >>> [is_option(word) for word in ("--seeds", "-v", "--", "-", "-1", "-.5", "msp")]
        [True, True, True, False, False, False, False]
    """
    return word.startswith("-") and word != "-" and not NEGATIVE.match(word)


class Verb(TyperCommand):
    """One verb."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the words after the verb."""
        unfinished = ctx.resilient_parsing
        try:
            words, ctx.meta[OPEN] = spread(args, self.takes(ctx))
        except (UnknownName, BadSetting):
            if not unfinished:
                raise
            words = args
        return super().parse_args(ctx, words)

    def get_params(self, ctx: Any) -> list[Any]:
        """Return arguments and options, that of the help last."""
        return _not_given(super().get_params(ctx))

    def takes(self, ctx: Any) -> dict[str, Takes]:
        """Return what each option takes, by its names."""
        found: dict[str, Takes] = {}
        for param in self.get_params(ctx):
            if param.param_type_name == "option":
                bare = (param.metavar or "").startswith("[") and (param.metavar or "").endswith("]")
                takes = Takes(getattr(param, "is_flag", False), param.multiple, bare)
                found |= dict.fromkeys((*param.opts, *param.secondary_opts), takes)
        return found

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        """Return what may follow: a further value of the option before, or the name of an option."""
        option = None if is_option(incomplete) else open_option(ctx)
        if option is not None:
            return list(option.shell_complete(ctx, incomplete))
        items = super().shell_complete(ctx, incomplete)
        for item in items:
            item.help = _brief(item.help or "")
        return items

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return what stands after the verb in the line of its usage."""
        arguments = [one.metavar for one in self.get_params(ctx) if one.param_type_name == "argument"]
        return [*map(str, arguments), "[OPTIONS]"]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments, groups of options, and the other options, each below its heading."""
        _write_options(self, ctx, formatter)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the examples as they are."""
        formatter.write(f"\n{_strong('examples:')}\n{self.epilog}\n")


def _not_given(params: list[Any]) -> list[Any]:
    """Return parameters whose flags are False where they are not given.

    typer makes them None, and reads None through pydantic, which takes a tenth of a second to load.
    """
    for param in params:
        if getattr(param, "is_flag", False) and param.default is None:
            param.default = False
    return params


def _brief(help: str) -> str:
    """Return help in one short line: shells take a line for a name, and typer takes brackets for markup."""
    return shorten(help.replace("[", "(").replace("]", ")"), BRIEF, placeholder=" ...")


def _write_options(command: Any, ctx: Any, formatter: Any) -> None:
    rows: dict[str, list[tuple[str, str]]] = {"arguments": []}
    params: list[Any] = sorted(command.get_params(ctx), key=lambda one: _panel(one) == "options")
    for param in params:
        name, said = param.get_help_record(ctx) or ("", "")
        if param.param_type_name == "argument":
            name, said = param.metavar, param.help
        rows.setdefault(_panel(param), []).append((_strong(name), said))
    for panel, lines in rows.items():
        if lines:
            with formatter.section(_strong(panel)):
                formatter.write_dl(lines)


def _panel(param: Any) -> str:
    return "arguments" if param.param_type_name == "argument" else param.rich_help_panel or "options"


def _strong(text: str) -> str:
    return typer.style(text, bold=True) if is_colourful(sys.stdout) else text


class Verbs(TyperGroup):
    """All verbs; a module is imported when its verb is asked for."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the words before a verb.

        Raises:
            UnknownName: There is no such option; the nearest is offered.
        """
        known = [name for param in self.get_params(ctx) for name in param.opts]
        for word in takewhile(is_option, args):
            if word not in known and not ctx.resilient_parsing:
                raise UnknownName("option", word, known)
        return super().parse_args(ctx, args)

    def get_params(self, ctx: Any) -> list[Any]:
        """Return arguments and options, that of the help last."""
        return _not_given(super().get_params(ctx))

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of verbs, in the order of the help."""
        return list(VERBS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a verb, or None."""
        return verb(cmd_name) if cmd_name in VERBS else None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the verb that the words begin with, and the words after it.

        Raises:
            UnknownName: There is none of that name; the nearest is offered.
        """
        if args[0] not in VERBS and not ctx.resilient_parsing:
            raise UnknownName("verb", args[0], VERBS)
        return super().resolve_command(ctx, args)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write options, then verbs."""
        _write_options(self, ctx, formatter)
        self.format_commands(ctx, formatter)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write what each verb does, in a sentence."""
        with formatter.section(_strong("verbs")):
            formatter.write_dl([(_strong(name), verb(name).get_short_help_str(200)) for name in VERBS])


@cache
def verb(name: str) -> Verb:
    """Return a verb: `command` of the module of its name."""
    module = import_module(f"oodbench.commands.{name}")
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    settings = {"max_content_width": WIDEST, "help_option_names": ["-h", "--help"]}
    app.command(name, cls=Verb, epilog=module.EXAMPLES, context_settings=settings)(module.command)
    made = typer.main.get_command(app)
    assert isinstance(made, Verb)
    return made


def verbs() -> TyperGroup:
    """Return the command line."""
    app = typer.Typer(
        cls=Verbs,
        rich_markup_mode=None,
        subcommand_metavar="VERB ...",
        options_metavar="",
        context_settings={"max_content_width": WIDEST, "help_option_names": ["-h", "--help"]},
    )
    app.callback()(top)
    made = typer.main.get_command(app)
    assert isinstance(made, TyperGroup)
    return made


def _version(asked: bool) -> None:
    if asked:
        print(f"oodbench {__version__}")
        raise typer.Exit


def top(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_version)
    ] = False,
) -> None:
    """oodbench: a benchmark of detectors of classifier failures.

    oodbench VERB --help tells more of a verb, with examples.
    """

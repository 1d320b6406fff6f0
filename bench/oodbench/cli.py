"""The entry of the command line: one verb a call, signals, errors in a sentence, exit codes.

The verbs are in `oodbench.commands`; whatever one needs is imported inside, so that help does not wait for torch.
"""

import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import TextIOWrapper

import typer

from oodbench.commands.grammar import verbs
from oodbench.commands.stop import AGAIN, Terminated
from oodbench.errors import OodbenchError
from oodbench.terminal import is_colourful

NAME = "oodbench"

COMPLETE = "_OODBENCH_COMPLETE"
"""The variable by which a shell asks for completions."""

WAY_OUT = "nothing that was there is lost: mend it and run the command again"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; return 0 when all went well, 1 when a check or a cell failed, 2 when the input was bad.

    Ended by Ctrl-C it returns 130, by SIGTERM 143.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # spinning threads cost 3-5x on a busy machine
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal may lack a letter: ε under LC_ALL=C
    words = list(sys.argv[1:] if argv is None else argv)
    if COMPLETE in os.environ:
        verbs().main(words, NAME)
    try:
        with told_on_stderr(), ended_by_sigterm():
            return call(words)
    except OodbenchError as error:
        return refused(str(error))
    except typer.TyperException as error:
        return refused(f"{error.format_message()}\n{hint(words)}")
    except BrokenPipeError:
        return 1
    except Terminated as stop:
        tell(f"ended by SIGTERM; {str(stop) or AGAIN}")
        return 128 + signal.SIGTERM
    except KeyboardInterrupt as stop:
        tell(f"interrupted; {str(stop) or AGAIN}")
        return 128 + signal.SIGINT
    except RecursionError:
        return refused("a file is nested too deeply to be read")
    except OSError as error:
        return refused(f"{error.filename or 'the system'}: {error.strerror or error}; {WAY_OUT}")


def call(words: list[str]) -> int:
    """Read a command line and do what it says.

    Raises:
        typer.TyperException: It cannot be read.
        OodbenchError: It names what does not exist, or what it asks for cannot be done.
    """
    top = verbs()
    try:
        with top.make_context(NAME, words) as context:
            return int(top.invoke(context))
    except typer.Exit as end:  # of --help and --version
        return end.exit_code


def refused(why: str) -> int:
    """Say why nothing was done, and return the exit code of that."""
    tell(why)
    return 2


def tell(text: str) -> None:
    """Print a line for people on stderr."""
    name = typer.style(f"{NAME}:", fg="red", bold=True) if is_colourful(sys.stderr) else f"{NAME}:"
    print(f"{name} {text}", file=sys.stderr)


def hint(words: Sequence[str]) -> str:
    """Return which help tells more."""
    verb = next((word for word in words if not word.startswith("-")), "")
    return f"{' '.join(filter(None, (NAME, verb)))} --help tells more"


@contextmanager
def ended_by_sigterm() -> Iterator[None]:
    """Let SIGTERM end a block as Ctrl-C does, so that workers end and files are left whole."""

    def end(*_: object) -> None:
        raise Terminated

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def told_on_stderr() -> Iterator[None]:
    """Print what the package tells while a block runs, a line each, above any bar."""

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            from tqdm import tqdm

            tqdm.write(f"oodbench: {record.getMessage()}", file=sys.stderr)

    log, lines = logging.getLogger("oodbench"), Lines()
    before = log.level
    log.addHandler(lines)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.setLevel(before)
        log.removeHandler(lines)


if __name__ == "__main__":
    sys.exit(main())

"""What a person sees of a run: how much is done and how long the rest takes, and what each worker is at."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from oodbench.models.train import Report, silent
from oodbench.terminal import is_colourful, is_live

if TYPE_CHECKING:
    from rich.console import RenderableType

EVERY = 0.25
"""Seconds between two looks at the clock."""

BAR = 30
"""Columns of a bar, at most."""

ROOMY = 60
"""Columns of a terminal that has room for a bar beside a task, too."""


@dataclass
class At:
    """What a task is at, and since when it runs."""

    since: float
    text: str = ""
    done: int = 0
    total: int = 0

    @property
    def share(self) -> float:
        """Of the stage at hand that is done; how many stages there are nobody knows."""
        return min(self.done / self.total, 1.0) if self.total > 0 else 0.0


class Progress:
    """Shows tasks on stderr: live on a terminal that can, else a line for each that ended.

    Nothing that goes wrong with showing takes a run down: from then on there are lines, or nothing.
    """

    def __init__(self, total: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = clock()
        self._total = total
        self._ended = 0
        self._tasks: dict[str, At] = {}
        self._lock = threading.RLock()
        self._screen: Screen | None = None

    def __enter__(self) -> Self:
        if is_live(sys.stderr):
            with suppress(Exception):
                self._screen = Screen(self._drawn)
                self._screen.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._screen is not None:
            with suppress(Exception):
                self._screen.close()

    def started(self, label: str) -> None:
        """Show that a worker has a task."""
        with self._lock:
            self._tasks[label] = At(self._clock())

    def watch(self, label: str, text: str, done: int, total: int) -> None:
        """Show how far a task is."""
        with self._lock:
            at = self._tasks.setdefault(label, At(self._clock()))
            at.text, at.done, at.total = text, done, total

    def ended(self, label: str, how: str) -> None:
        """Note that a task ended, and how: "done", or what went wrong."""
        with self._lock:
            self._tasks.pop(label, None)
            self._ended += 1
        self._say(f"{how:>7}  {label}", "" if how == "done" else "red")

    def left(self) -> float | None:
        """Return how many seconds the rest takes if tasks go on ending as they have, or None where none has."""
        if not self._ended:
            return None
        return (self._clock() - self._began) / self._ended * (self._total - self._ended)

    def _say(self, line: str, style: str) -> None:
        if self._screen is not None:
            try:
                self._screen.say(line, style)
                return
            except Exception:  # the terminal went away, or rich has a fault: a run does not end for that
                self._screen = None
        with suppress(OSError, ValueError):
            print(line, file=sys.stderr)  # noqa: T201

    def _drawn(self, width: int, height: int) -> "RenderableType":
        """Return what is shown now, in at most so many columns and lines."""
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        with self._lock:
            ended, tasks, left = self._ended, list(self._tasks.items()), self.left()
        now = self._clock()
        rest = "" if left is None else f", about {clock(left)} left"
        rest = rest if tasks or ended else ", workers start"
        said = f"{ended}/{self._total} tasks, {clock(now - self._began)}{rest}"
        head = Table.grid(padding=(0, 1))
        bar = ProgressBar(max(self._total, 1), ended, width=max(min(BAR, width - len(said) - 1), 1))
        head.add_row(bar, Text(said, no_wrap=True))
        lines = Table.grid(padding=(0, 2))
        for kept in (True, False, True, True):  # the label gives way
            lines.add_column(no_wrap=kept)
        shown = tasks[: max(height - 2, 1)]
        for label, at in shown:
            stage = f"{at.text} {at.done}/{at.total}" if at.total else at.text
            lines.add_row(
                Text(f"  {clock(now - at.since):>5}", "dim"),
                Text(label, no_wrap=True, overflow="ellipsis"),
                Text(stage, "cyan", no_wrap=True),
                ProgressBar(1.0, at.share, width=BAR // 3) if at.total and width >= ROOMY else "",
            )
        more = len(tasks) - len(shown)
        return Group(head, lines, *([Text(f"  and {more} more", "dim")] if more else []))


class Screen:
    """The part of a terminal that is drawn anew; what is said stands above it."""

    def __init__(self, drawn: "Callable[[int, int], RenderableType]") -> None:
        from rich.console import Console
        from rich.live import Live

        self._console: Console = Console(
            file=sys.stderr, force_terminal=True, no_color=not is_colourful(sys.stderr), highlight=False
        )
        self._live: Live = Live(
            console=self._console,
            get_renderable=lambda: drawn(self._console.width, self._console.height),
            auto_refresh=False,  # the thread of rich would end with a traceback where the terminal goes away
            transient=True,
            redirect_stdout=False,  # it may be a file
            redirect_stderr=True,
        )
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._renew, daemon=True)

    def open(self) -> None:
        """Begin to draw."""
        self._live.start()
        self._thread.start()

    def say(self, line: str, style: str) -> None:
        """Print a line above."""
        from rich.text import Text

        self._console.print(Text(line, style), soft_wrap=True)

    def close(self) -> None:
        """Take away what is drawn; what was said stays."""
        self._over.set()
        try:
            self._thread.join(1.0)
        finally:
            self._live.stop()

    def _renew(self) -> None:
        while not self._over.wait(EVERY):
            with suppress(Exception):
                self._live.refresh()


def clock(seconds: float) -> str:
    """Return seconds as a clock shows them.

    Example:
        >>> [clock(one) for one in (7.4, 65, 3600 + 61)]
        ['0:07', '1:05', '1:01:01']
    """
    minutes, rest = divmod(max(int(seconds), 0), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


@contextmanager
def bar(shown: bool | None) -> Iterator[Report]:
    """Yield what shows the stage at hand with its rate and the time left, on stderr.

    Args:
        shown: Whether to; None where stderr is a terminal.
    """
    if shown is False or (shown is None and not sys.stderr.isatty()):
        yield silent
        return
    from tqdm import tqdm

    stages: list[tqdm[Any]] = []
    at = ""

    def report(text: str, done: int, total: int) -> None:
        nonlocal at
        if text != at or (stages and stages[-1].total != total):
            for stage in stages:
                stage.close()
            stages[:] = [tqdm(total=total, desc=text, dynamic_ncols=True, leave=False, file=sys.stderr)]
            at = text
        stages[-1].update(done - stages[-1].n)

    try:
        yield report
    finally:
        for stage in stages:
            stage.close()

"""What a person sees of a run: a bar over the tasks, what is going on inside them, and a line for each that ended."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

from tqdm import tqdm

from oodbench.models.train import Report, silent


class Progress:
    """A bar with an estimate of the time left, on stderr; on a stream that is no terminal, only a line per task."""

    def __init__(self, total: int) -> None:
        self._bar = tqdm(total=total, unit="task", dynamic_ncols=True, disable=None, file=sys.stderr)
        self._live: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()

    def watch(self, label: str, text: str, done: int, total: int) -> None:
        """Show how far a task is."""
        self._live[label] = f"{label}: {text} {done}/{total}"
        self._bar.set_postfix_str(" | ".join(self._live.values()))

    def ended(self, label: str, how: str) -> None:
        """Note that a task ended."""
        self._live.pop(label, None)
        tqdm.write(f"{how:>7}  {label}", file=sys.stderr)
        self._bar.set_postfix_str(" | ".join(self._live.values()))
        self._bar.update()


@contextmanager
def bar(shown: bool | None) -> Iterator[Report]:
    """Yield what shows the stage at hand with its rate and the time left, on stderr.

    Args:
        shown: Whether to; None where stderr is a terminal.
    """
    if shown is False or (shown is None and not sys.stderr.isatty()):
        yield silent
        return
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

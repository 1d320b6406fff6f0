"""What a person sees of a run: a bar over the tasks, what is going on inside them, and a line for each that ended."""

import sys
from types import TracebackType
from typing import Self

from tqdm import tqdm


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

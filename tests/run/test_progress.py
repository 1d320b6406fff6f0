"""What is shown of a run: the bar, the time left, a line a worker; and that showing never ends a run."""

import logging
import re
import sys
import time
from collections.abc import Callable
from io import StringIO

import pytest

from oodbench.cli import told_on_stderr
from oodbench.run.graph import Done, Needs, schedule
from oodbench.run.progress import Progress, clock


class Terminal(StringIO):
    """A terminal that takes what is written."""

    def isatty(self) -> bool:
        return True


class Gone(Terminal):
    """One that went away: every byte is refused after the first so many writes."""

    def __init__(self, writes: int) -> None:
        super().__init__()
        self.left = writes

    def write(self, text: str) -> int:
        self.left -= 1
        if self.left < 0:
            raise OSError(5, "Input/output error")
        return super().write(text)

    def flush(self) -> None:
        if self.left < 0:
            raise OSError(5, "Input/output error")


@pytest.fixture(autouse=True)
def variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LINES", "24")
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)


def drawn(progress: Progress, height: int = 24, width: int = 80) -> list[str]:
    """Return the lines that a terminal shows."""
    from rich.console import Console

    console = Console(file=StringIO(), width=width, height=height, color_system=None)
    console.print(progress._drawn(width, height))
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def at(seconds: list[float]) -> Callable[[], float]:
    return lambda: seconds[0]


def test_lines_where_no_terminal_is(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    with Progress(2) as progress:
        progress.started("train a")
        progress.watch("train a", "epoch", 1, 8)
        progress.ended("train a", "done")
        progress.ended("evaluate b", "FAILED (BadData: x)")
    assert stream.getvalue() == "   done  train a\nFAILED (BadData: x)  evaluate b\n"


def test_a_terminal_that_only_prints_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "dumb")
    with Progress(1) as progress:
        progress.ended("a", "done")
    assert stream.getvalue() == "   done  a\n"


def test_the_time_left_is_that_of_the_rest_at_the_pace_so_far() -> None:
    now = [100.0]
    progress = Progress(10, at(now))
    assert progress.left() is None
    for label in "abcd":
        progress.ended(label, "done")
    now[0] = 220.0  # 120 s for 4: 30 s each, 6 are left
    assert progress.left() == pytest.approx(180.0)
    for label in "efghij":
        progress.ended(label, "done")
    assert progress.left() == 0


def test_a_line_for_each_task_with_what_it_is_at_and_since_when() -> None:
    now = [0.0]
    progress = Progress(6, at(now))
    progress.started("train resnet, seed 0")
    now[0] = 30.0
    progress.started("evaluate msp")
    progress.watch("train resnet, seed 0", "epoch", 3, 8)
    progress.ended("x", "done")
    now[0] = 65.0
    head, first, second = drawn(progress)
    assert re.search(r"1/6 tasks, 1:05, about 5:25 left$", head)
    assert re.search(r"^ +1:05 +train resnet, seed 0 +epoch 3/8", first)
    assert re.search(r"^ +0:35 +evaluate msp$", second)
    progress.ended("train resnet, seed 0", "done")
    assert len(drawn(progress)) == 2


@pytest.mark.parametrize("width", [40, 60, 80])
def test_the_label_gives_way_and_numbers_do_not(width: int) -> None:
    now = [0.0]
    progress = Progress(190, at(now))
    progress.started("train plain (a-network-of-a-long-name-28-10), seed 0")
    progress.watch("train plain (a-network-of-a-long-name-28-10), seed 0", "epoch", 11, 200)
    now[0] = 40.0
    progress.ended("x", "done")
    head, line = drawn(progress, width=width)
    assert head.endswith("1/190 tasks, 0:40, about 2:06:00 left"[: width - 2])
    assert re.match(r"^ +0:40  train.*epoch 11/200", line)
    assert max(len(head), len(line)) <= width


def test_no_line_is_wider_or_higher_than_the_terminal() -> None:
    progress = Progress(99)
    for one in range(40):
        progress.watch(f"train a model whose name is rather long for a terminal like this, seed {one}", "epoch", 1, 2)
    lines = drawn(progress, height=10, width=60)
    assert len(lines) <= 10
    assert max(map(len, lines)) <= 60
    assert "and 32 more" in lines[-1]


def test_a_terminal_sees_the_bar_and_lines_above_it(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    with told_on_stderr(), Progress(3) as progress:
        progress.started("train a")
        progress.watch("train a", "epoch", 1, 8)
        time.sleep(0.6)
        logging.getLogger("oodbench.run").warning("a record of another kind stands")
        progress.ended("train a", "done")
    shown = stream.getvalue()
    assert "0/3 tasks" in shown
    assert "epoch 1/8" in shown
    assert re.search(r"oodbench: a record of another kind stands\n", shown)
    assert re.search(r"   done  train a\n", shown)
    assert sys.stderr is stream
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h") == 1, "the cursor is there again"


def test_no_colour_where_none_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("NO_COLOR", "1")
    with Progress(2) as progress:
        progress.started("a")
        time.sleep(0.4)
        progress.ended("a", "FAILED (x)")
    assert "FAILED (x)  a" in stream.getvalue()
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]", stream.getvalue())


@pytest.mark.parametrize("writes", [0, 1, 3, 8])
def test_a_terminal_that_goes_away_ends_no_run(writes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Gone(writes))
    with Progress(3) as progress:
        for label in "abc":
            progress.started(label)
            progress.watch(label, "epoch", 1, 2)
            time.sleep(0.3)
            progress.ended(label, "done")


def test_a_fault_of_the_display_ends_no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(Progress, "_drawn", lambda self, width, height: 1 / 0)
    with Progress(1) as progress:
        progress.started("a")
        time.sleep(0.3)
        progress.ended("a", "done")
    assert "   done  a\n" in stream.getvalue()
    assert "Traceback" not in stream.getvalue()


def test_an_interrupt_gets_through_and_the_terminal_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    with pytest.raises(KeyboardInterrupt), Progress(1) as progress:
        progress.started("a")
        raise KeyboardInterrupt
    assert "\x1b[?25h" in stream.getvalue()
    assert sys.stderr is stream


def test_odd_news_is_no_fault() -> None:
    progress = Progress(0)
    progress.watch("a", "epoch", 5, 0)
    progress.watch("b", "epoch", 9, 3)
    progress.watch("c [red]", "\x1b[31mx", -1, 3)
    assert len(drawn(progress)) == 4
    progress.ended("never seen", "done")


def test_a_task_is_shown_as_soon_as_a_worker_has_it() -> None:
    class Step:
        key = label = "a"
        after = ()
        needs = Needs()

        def run(self, place: object, report: object) -> None:
            """Do nothing."""

    class One:
        slots = 1

        def __init__(self) -> None:
            self.task: Step | None = None

        def submit(self, task: Step) -> None:
            self.task = task

        def wait(self, watch: object) -> list[Done[Step]]:
            assert started == ["a"]
            return [Done(self.task)]

        def cancel(self) -> None:
            """Do nothing."""

    started: list[str] = []
    assert len(list(schedule([Step()], One(), lambda *news: None, started.append))) == 1
    assert started == ["a"]


def test_a_clock() -> None:
    assert [clock(one) for one in (-1, 0, 59.9, 60, 3599, 3600, 90061)] == [
        "0:00",
        "0:00",
        "0:59",
        "1:00",
        "59:59",
        "1:00:00",
        "25:01:01",
    ]

"""Engines: what one task does, to itself or to its worker, the others do not feel."""

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch

from oodbench.errors import BadData, UnknownName, reason
from oodbench.models.train import Report
from oodbench.run.engines import InProcess, Pool, engine
from oodbench.run.graph import Backend, Needs, schedule
from oodbench.run.workspace import Workspace


@dataclass(frozen=True)
class Alone:
    """What all tasks here share: nothing comes before them, and they need nothing."""

    after: ClassVar[tuple[str, ...]] = ()
    needs: ClassVar[Needs] = Needs()

    @property
    def key(self) -> str:
        return self.label  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Square(Alone):
    n: int
    sleeps: float = 0.0

    @property
    def label(self) -> str:
        return f"square {self.n}"

    def run(self, place: Workspace, report: Report) -> int:
        report("squaring", 1, 2)
        time.sleep(self.sleeps)
        return self.n**2


@dataclass(frozen=True)
class Raise(Alone):
    error: Exception
    label: str = "raise"

    def run(self, place: Workspace, report: Report) -> None:
        raise self.error


@dataclass(frozen=True)
class Die(Alone):
    """Takes its worker along, as a lack of memory would."""

    how: str
    sleeps: float = 0.0

    @property
    def label(self) -> str:
        return self.how

    def run(self, place: Workspace, report: Report) -> None:
        time.sleep(self.sleeps)
        if self.how == "exit":
            os._exit(3)
        os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True)
class DieOnce(Alone):
    """Dies the first time only: someone else used up the memory."""

    mark: Path
    label: str = "die once"

    def run(self, place: Workspace, report: Report) -> str:
        if not self.mark.exists():
            self.mark.touch()
            os._exit(3)
        return "alive"


@dataclass(frozen=True)
class Unsendable(Alone):
    label: str = "unsendable"

    def run(self, place: Workspace, report: Report) -> object:
        return lambda: None


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    made = Pool([Workspace(), Workspace()])
    yield made
    made.close()


def nobody(label: str, text: str, done: int, total: int) -> None:
    """Watch nothing."""


class Watch:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, int, int]] = []

    def __call__(self, *news: Any) -> None:
        self.seen.append(news)


def outcomes(of: Backend, *tasks: Any) -> dict[str, object]:
    return {done.task.label: done.error or done.result for done in schedule(tasks, of, nobody)}


def here() -> InProcess:
    return InProcess([Workspace()])


# Workers take seconds to start, and each death below costs some: hence few tests with several tasks each.


@pytest.mark.processes
def test_a_pool_gives_what_one_process_gives(pool: Pool) -> None:
    tasks = [*(Square(n) for n in range(6)), Raise(BadData("no image")), Raise(ValueError("a bug"), "bug")]
    got = outcomes(pool, *tasks)
    assert got == outcomes(here(), *tasks)
    assert got["raise"] == "BadData: no image"
    assert str(got["bug"]).startswith("ValueError: a bug (test_engines.py:")
    assert got["square 3"] == 9


@pytest.mark.processes
def test_a_result_that_cannot_travel_fails_alone(pool: Pool) -> None:
    got = outcomes(pool, Square(1), Unsendable(), Square(2))
    assert "local object" in str(got.pop("unsendable"))  # pickle's complaint, in the words of any Python
    assert got == {"square 1": 1, "square 2": 4}


@pytest.mark.processes
def test_progress_comes_through(pool: Pool) -> None:
    for one in (here(), pool):
        watch = Watch()
        (done,) = schedule([Square(5, sleeps=0.5)], one, watch)
        assert done.result == 25
        assert watch.seen == [("square 5", "squaring", 1, 2)]


@pytest.mark.processes
def test_late_progress_of_an_ended_task_is_not_the_next_ones(pool: Pool) -> None:
    watch = Watch()
    outcomes(pool, Square(1))
    pool._news.put(("square 1", "squaring", 1, 2))
    list(schedule([Square(5, sleeps=0.5)], pool, watch))
    assert watch.seen == [("square 5", "squaring", 1, 2)]


@pytest.mark.processes
def test_an_idle_worker_that_dies_is_replaced(pool: Pool) -> None:
    assert outcomes(pool, Square(1)) == {"square 1": 1}
    assert pool._pool is not None
    for process in list(pool._pool._processes.values()):
        process.kill()
        process.join()
    time.sleep(0.3)
    assert outcomes(pool, Square(2)) == {"square 2": 4}


@pytest.mark.processes
def test_a_task_that_kills_its_worker_is_the_only_one_that_fails(pool: Pool, tmp_path: Path) -> None:
    got = outcomes(pool, DieOnce(tmp_path / "mark"), Die("kill"), Square(1), Square(2))
    assert "the worker died while running it: out of memory? (2 tries)" in str(got.pop("kill"))
    assert got == {"die once": "alive", "square 1": 1, "square 2": 4}


@pytest.mark.processes
def test_a_worker_that_dies_while_nobody_looks_loses_nothing(pool: Pool) -> None:
    got = {}
    for done in schedule([Square(1), Die("exit", sleeps=0.2), Square(2)], pool, nobody):
        got[done.task.label] = done.error or done.result
        time.sleep(0.8)  # the caller is writing a record; the pool breaks meanwhile
    assert "died" in str(got.pop("exit"))
    assert got == {"square 1": 1, "square 2": 4}


def test_one_worker_is_this_very_process() -> None:
    assert isinstance(engine("local", Workspace(), ["cpu"], 1), InProcess)
    two = engine("local", Workspace(), ["cpu"], 2)
    assert isinstance(two, Pool)
    two.close()  # nothing was started


def test_an_engine_that_nobody_knows_offers_the_nearest() -> None:
    with pytest.raises(UnknownName, match="unknown engine 'pol'; did you mean 'pool'"):
        engine("pol", Workspace(), ["cpu"], 1)


@dataclass(frozen=True)
class WhereAmI(Alone):
    n: int

    @property
    def label(self) -> str:
        return f"task {self.n}"

    def run(self, place: Workspace, report: Report) -> str:
        time.sleep(0.3)
        return str(place.results)


def test_each_worker_has_its_place() -> None:
    """As devices are handed out, a device a worker: here told apart by their folders of results."""
    pool = Pool([Workspace(results=Path("one")), Workspace(results=Path("two"))])
    try:
        assert set(outcomes(pool, *(WhereAmI(n) for n in range(8))).values()) == {"one", "two"}
    finally:
        pool.close()


def test_the_devices_are_taken_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Workspace, "__post_init__", lambda self: None)  # there are no GPUs here
    pool = engine("pool", Workspace(results=Path("r")), ["cuda:0", "cuda:1"], 4)
    assert isinstance(pool, Pool)
    assert [place.device for place in pool._places] == ["cuda:0", "cuda:1", "cuda:0", "cuda:1"]
    assert all(place.results.is_absolute() for place in pool._places)  # a worker may be elsewhere


def test_a_reason_is_one_line_and_says_where_only_for_bugs() -> None:
    assert reason(BadData("three words here")) == "BadData: three words here"
    try:
        {}["key"]
    except KeyError as error:
        assert reason(error).startswith("KeyError: 'key' (test_engines.py:")


@dataclass(frozen=True)
class Threads(Alone):
    label: str = "threads"

    def run(self, place: Workspace, report: Report) -> int:
        return torch.get_num_threads()


def test_every_engine_runs_in_one_thread_and_leaves_the_number_as_it_was() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    pool = Pool([Workspace(), Workspace()])
    try:
        for one in (here(), pool):
            assert outcomes(one, Threads()) == {"threads": 1}
        assert torch.get_num_threads() == 2
    finally:
        pool.close()
        torch.set_num_threads(before)

"""Scheduling, with a fake backend: order, failures, workers that die, no barriers."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from oodbench.errors import BadSetting
from oodbench.models.train import Report
from oodbench.run.graph import Done, Lost, Needs, schedule
from oodbench.run.workspace import Workspace


@dataclass(frozen=True)
class Step:
    key: str
    after: tuple[str, ...] = ()
    needs: Needs = Needs()

    @property
    def label(self) -> str:
        return f"step {self.key}"

    def run(self, place: Workspace, report: Report) -> str:
        raise AssertionError("a fake backend runs nothing")


@dataclass
class Fake:
    """Ends tasks in the order that it is told, and notes what it was given.

    Attributes:
        slots: How many at once.
        fails: Keys of tasks that fail.
        dies: How often a task's worker dies, by key.
        last: Keys that end only when nothing else runs.
        lost: What becomes of those whose worker dies.
    """

    slots: int = 1
    fails: Sequence[str] = ()
    dies: dict[str, int] = field(default_factory=dict)
    last: Sequence[str] = ()
    lost: Lost = Lost("it died")
    running: list[Step] = field(default_factory=list)
    started: list[str] = field(default_factory=list)
    beside: list[set[str]] = field(default_factory=list)
    cancelled: bool = False

    def submit(self, task: Any) -> None:
        assert len(self.running) < self.slots
        self.started.append(task.key)
        self.running.append(task)

    def wait(self, watch: Any) -> list[Any]:
        self.beside.append({task.key for task in self.running})
        task = min(self.running, key=lambda one: one.key in self.last)
        if self.dies.get(task.key, 0):
            self.dies[task.key] -= 1
            if not self.lost.alone:
                self.running.remove(task)
                return [(task, self.lost)]
            lost, self.running = self.running, []
            return [(one, self.lost) for one in lost]  # a pool dies as a whole
        self.running.remove(task)
        return [Done(task, error="it failed")] if task.key in self.fails else [Done(task, result=task.key)]

    def cancel(self) -> None:
        self.cancelled = True
        self.running.clear()

    def close(self) -> None:
        pass


def ends(tasks: Sequence[Step], backend: Fake) -> dict[str, str]:
    return {done.task.key: done.error or done.result for done in schedule(tasks, backend, lambda *news: None)}


def test_each_task_starts_after_those_that_it_comes_after() -> None:
    tasks = [Step("d", ("b", "c")), Step("b", ("a",)), Step("c", ("a",)), Step("a")]
    fake = Fake(slots=2)
    assert ends(tasks, fake) == {key: key for key in "abcd"}
    assert fake.started == ["a", "b", "c", "d"]


def test_there_is_no_barrier() -> None:
    """The evaluation of a quick model starts while a slow one still trains."""
    tasks = [Step("slow"), Step("evaluate slow", ("slow",)), Step("quick"), Step("evaluate quick", ("quick",))]
    fake = Fake(slots=2, last=["slow"])
    assert set(ends(tasks, fake)) == {task.key for task in tasks}
    assert {"slow", "evaluate quick"} in fake.beside


def test_the_first_given_of_those_ready_comes_first() -> None:
    fake = Fake()
    ends([Step("train 1"), Step("evaluate 1", ("train 1",)), Step("train 2"), Step("evaluate 2", ("train 2",))], fake)
    assert fake.started == ["train 1", "evaluate 1", "train 2", "evaluate 2"]


def test_a_failure_costs_those_after_it_and_names_itself() -> None:
    tasks = [Step("a"), Step("b", ("a",)), Step("c", ("b",)), Step("d")]
    got = ends(tasks, fake := Fake(fails=["a"]))
    assert got == {"a": "it failed", "b": "step a failed: it failed", "c": "step a failed: it failed", "d": "d"}
    assert fake.started == ["a", "d"]


def test_what_the_graph_has_not_is_done_already() -> None:
    assert ends([Step("b", ("a",))], Fake()) == {"b": "b"}


def test_a_lost_worker_costs_one_try_and_suspects_run_alone() -> None:
    tasks = [Step("killer"), Step("innocent"), Step("after", ("innocent",)), Step("other")]
    fake = Fake(slots=2, dies={"killer": 2})
    got = ends(tasks, fake)
    assert got.pop("killer") == "it died (2 tries)"
    assert got == {"innocent": "innocent", "after": "after", "other": "other"}
    assert fake.started.count("innocent") == 2
    alone = [beside for beside in fake.beside if "killer" in beside][1:]
    assert alone == [{"killer"}]


def test_a_task_whose_node_died_is_tried_again_beside_others_and_before_later_ones() -> None:
    """It is known whose worker died: nothing is suspected, and nothing waits."""
    fake = Fake(slots=2, dies={"a": 3}, lost=Lost("its node died", alone=False, tries=5))
    assert ends([Step("a"), Step("b"), Step("c")], fake) == {"a": "a", "b": "b", "c": "c"}
    assert fake.started == ["a", "b", "a", "c", "a", "a"]
    assert [len(beside) for beside in fake.beside] == [2, 2, 2, 2, 1, 1]


def test_a_task_has_as_many_tries_as_its_last_loss_grants() -> None:
    fake = Fake(dies={"a": 5}, lost=Lost("its node died", alone=False, tries=5))
    assert ends([Step("a")], fake) == {"a": "its node died (5 tries)"}
    assert fake.started == ["a"] * 5


def test_each_new_try_is_told(caplog: pytest.LogCaptureFixture) -> None:
    ends([Step("a")], Fake(dies={"a": 1}))
    assert [record.getMessage() for record in caplog.records] == ["step a: it died; it is started again (try 2 of 2)"]


def test_a_worker_that_died_by_chance_does_no_harm() -> None:
    assert ends([Step("a"), Step("b", ("a",))], Fake(dies={"a": 1})) == {"a": "a", "b": "b"}


def test_who_stops_listening_cancels_what_runs() -> None:
    fake = Fake(slots=2)
    going = schedule([Step("a"), Step("b"), Step("c")], fake, lambda *news: None)
    next(going)
    going.close()  # type: ignore[attr-defined]
    assert fake.cancelled


@pytest.mark.parametrize(
    ("tasks", "why"),
    [
        ([Step("a"), Step("a")], "two tasks of a graph have one key"),
        ([Step("a", ("b",)), Step("b", ("c",)), Step("c", ("a",)), Step("d")], "tasks wait for each other: a, b, c"),
    ],
)
def test_graphs_that_cannot_end_are_refused(tasks: list[Step], why: str) -> None:
    with pytest.raises(BadSetting, match=why):
        ends(tasks, Fake())

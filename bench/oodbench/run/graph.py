"""A run as a graph of tasks with needs, and the one loop that schedules it on any backend.

There are no barriers: a task starts as soon as those that it comes after have ended well. A worker that dies costs its
task one try; a task that fails costs those after it, and nothing else.
"""

import heapq
import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from oodbench.errors import BadSetting
from oodbench.models.train import Report
from oodbench.run.workspace import Workspace

R = TypeVar("R", covariant=True)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Needs:
    """What a task takes while it runs.

    Attributes:
        gpus: GPUs; 0 on a CPU. An engine that shares GPUs among tasks takes fractions.
        memory_gb: Memory of the host.
        minutes: How long it may take, as last recorded; None where nobody knows.
    """

    gpus: float = 0
    memory_gb: float = 2.0
    minutes: float | None = None


class Task(Protocol[R]):
    """A unit of work: picklable, and repeatable, since whatever it made before is reused."""

    @property
    def key(self) -> str:
        """What other tasks name it by; unique in a graph."""

    @property
    def label(self) -> str:
        """What people call it."""

    @property
    def after(self) -> tuple[str, ...]:
        """Keys of the tasks that must have ended well; keys that the graph has not are done already."""

    @property
    def needs(self) -> Needs:
        """What it takes while it runs."""

    def run(self, place: Workspace, report: Report) -> R:
        """Do it at a place: the worker's folders and device."""


T = TypeVar("T", bound=Task[Any])


@dataclass(frozen=True)
class Done(Generic[T]):
    """A task that ended: with its result, or with what went wrong, in a line and in full."""

    task: T
    result: Any = None
    error: str | None = None
    traceback: str | None = None


TRIES = 2
"""How often a task is started whose worker dies."""


@dataclass(frozen=True)
class Lost:
    """The end of a try whose worker died: the task may well be sound.

    Attributes:
        why: For people.
        alone: Whether another task may have killed the worker: then it is tried again alone, to find out which.
        tries: How often the task may be started in all.
    """

    why: str = "the worker died while running it: out of memory?"
    alone: bool = True
    tries: int = TRIES


class Watch(Protocol):
    """What is told of the progress inside tasks."""

    def __call__(self, label: str, text: str, done: int, total: int) -> None: ...  # noqa: D102


class Backend(Protocol):
    """Carries tasks to workers and their ends back; everything else is `schedule`'s."""

    @property
    def slots(self) -> int:
        """How many tasks it takes at once."""

    def submit(self, task: Task[Any]) -> None:
        """Start a task; never called for more than `slots` at once."""

    def wait(self, watch: Watch) -> Collection[Done[Any] | tuple[Task[Any], Lost]]:
        """Wait until a task ends and return those that have; tell `watch` of progress meanwhile."""

    def cancel(self) -> None:
        """End what is running, whatever becomes of it."""

    def close(self) -> None:
        """Let go of the workers."""


def schedule(
    tasks: Sequence[T], backend: Backend, watch: Watch, started: Callable[[str], None] = lambda label: None
) -> Iterator[Done[T]]:
    """Yield every task as it ends, in an order that keeps what each comes after; of those ready, the first given first.

    A task whose worker died is tried once more; alone, where it may be one of several that killed the worker. A task
    after one that failed is not run, and fails with its name.

    Args:
        tasks: In the order of their turn.
        backend: Where they run.
        watch: Is told how far tasks are.
        started: Is told the label of each task that is given to a worker.

    Raises:
        BadSetting: two tasks have one key, or tasks wait for each other.
    """
    graph = _Graph(tasks)
    try:
        while graph.left:
            while (task := graph.next(backend.slots)) is not None:
                backend.submit(task)
                started(task.label)
            if not graph.running:
                break
            for end in backend.wait(watch):
                yield from graph.ended(end)
    finally:
        if graph.running:
            backend.cancel()


class _Graph(Generic[T]):
    """Which tasks wait, are ready, run, or are suspected of killing their workers."""

    def __init__(self, tasks: Sequence[T]) -> None:
        self._tasks = {task.key: task for task in tasks}
        if len(self._tasks) < len(tasks):
            raise BadSetting("two tasks of a graph have one key")
        self._place = {task.key: place for place, task in enumerate(tasks)}
        self._waits = {task.key: {key for key in task.after if key in self._tasks} for task in tasks}
        self._ready = [place for task, place in zip(tasks, range(len(tasks)), strict=True) if not self._waits[task.key]]
        self._keys = list(self._tasks)
        self._tries: dict[str, int] = {}
        self._suspects: list[str] = []
        self._alone: str | None = None
        self.running: set[str] = set()
        self.left = set(self._tasks)
        _refuse_circles(self._waits)

    def next(self, slots: int) -> T | None:
        """Return the next task to start, if there is room: suspects run alone, when nothing else can."""
        if self._ready and len(self.running) < slots and self._alone not in self.running:
            key = self._keys[heapq.heappop(self._ready)]
        elif self._suspects and not self.running:
            key = self._suspects.pop(0)
            self._alone = key
        else:
            return None
        self.running.add(key)
        self._tries[key] = self._tries.get(key, 0) + 1
        return self._tasks[key]

    def ended(self, end: "Done[Any] | tuple[Task[Any], Lost]") -> Iterator[Done[T]]:
        """Note that a task ended, and yield it and those that cannot run for its failure."""
        if isinstance(end, Done):
            self.running.discard(end.task.key)
            yield from self._settle(end)
            return
        task, lost = end
        self.running.discard(task.key)
        tries = self._tries[task.key]
        if tries >= lost.tries:
            yield from self._settle(Done(self._tasks[task.key], error=f"{lost.why} ({tries} tries)"))
            return
        log.warning("%s: %s; it is started again (try %d of %d)", task.label, lost.why, tries + 1, lost.tries)
        if lost.alone:
            self._suspects.append(task.key)
        else:
            heapq.heappush(self._ready, self._place[task.key])

    def _settle(self, done: Done[T]) -> Iterator[Done[T]]:
        key = done.task.key
        self.left.discard(key)
        yield done
        for other in sorted(self.left, key=self._place.__getitem__):
            if key not in self._waits[other]:
                continue
            if done.error:
                if other in self.left:
                    yield from self._settle(Done(self._tasks[other], error=_for(done)))
            else:
                self._waits[other].discard(key)
                if not self._waits[other]:
                    heapq.heappush(self._ready, self._place[other])


def _for(failed: Done[Any]) -> str:
    return (
        failed.error if failed.error and " failed: " in failed.error else f"{failed.task.label} failed: {failed.error}"
    )


def _refuse_circles(waits: dict[str, set[str]]) -> None:
    left = {key: set(after) for key, after in waits.items()}
    while free := [key for key, after in left.items() if not after & left.keys()]:
        for key in free:
            del left[key]
    if left:
        raise BadSetting(f"tasks wait for each other: {', '.join(sorted(left))}")

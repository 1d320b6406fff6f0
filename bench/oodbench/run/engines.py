"""Where tasks run. An engine has two methods, and nothing else in the harness knows where it is."""

import multiprocessing
import os
import queue
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from oodbench.errors import OodbenchError
from oodbench.models.train import Report

R = TypeVar("R", covariant=True)


class Task(Protocol[R]):
    """A unit of work: picklable, named, repeatable (whatever it made before is reused)."""

    @property
    def label(self) -> str: ...  # noqa: D102

    def run(self, report: Report) -> R: ...  # noqa: D102


T = TypeVar("T", bound=Task[Any])


@dataclass(frozen=True)
class Done(Generic[T]):
    """A task that ended: with its result, or with what went wrong, in a line."""

    task: T
    result: Any = None
    error: str | None = None


class Watch(Protocol):
    """What is told of the progress inside tasks."""

    def __call__(self, label: str, text: str, done: int, total: int) -> None: ...  # noqa: D102


class Engine(Protocol):
    """Runs independent tasks."""

    def run(self, tasks: Sequence[T], watch: Watch) -> Iterator[Done[T]]:
        """Yield each task as it ends; one that fails does not stop the others."""

    def close(self) -> None:
        """Let go of workers."""


class Inline:
    """Runs tasks one after another in this process, in one thread: the last bits of float sums depend on that."""

    def run(self, tasks: Sequence[T], watch: Watch) -> Iterator[Done[T]]:
        """Yield each task as it ends."""
        import torch

        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            for task in tasks:
                yield _attempt(task, lambda text, done, total, label=task.label: watch(label, text, done, total))  # type: ignore[misc]
        finally:
            torch.set_num_threads(threads)

    def close(self) -> None:
        """Do nothing."""


class Pool:
    """Runs tasks in worker processes, one thread each.

    A worker that dies (out of memory, kill -9) takes the pool with it; the tasks that were running are tried once more,
    each alone, so that only the guilty one fails.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._context = multiprocessing.get_context("spawn")
        self._news: Any = self._context.Queue()
        self._pool: ProcessPoolExecutor | None = None

    def run(self, tasks: Sequence[T], watch: Watch) -> Iterator[Done[T]]:
        """Yield each task as it ends."""
        with _listening(self._news, watch):
            suspects: list[T] = []
            yield from self._run(deque(tasks), self.workers, suspects)
            for task in suspects:
                yield from self._run(deque([task]), 1, None)

    def close(self) -> None:
        """Stop the workers."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None

    def _run(self, waiting: deque[T], at_once: int, suspects: list[T] | None) -> Iterator[Done[T]]:
        running: dict[Future[Done[T]], T] = {}
        while waiting or running:
            self._submit(waiting, running, at_once)
            ended, _ = wait(running, return_when=FIRST_COMPLETED)
            lost: list[T] = []
            for future in ended:
                task = running.pop(future)
                try:
                    yield future.result()
                except BrokenProcessPool:
                    lost.append(task)
                except Exception as error:  # the task ran, but its result cannot travel
                    yield Done(task, error=reason(error))
            if lost:
                lost += running.values()  # they were in the same pool
                running.clear()
                self.close()
            if suspects is not None:
                suspects += lost
            else:
                yield from (
                    Done(task, error="the worker died while running it, twice: out of memory?") for task in lost
                )

    def _submit(self, waiting: deque[T], running: dict[Future[Done[T]], T], at_once: int) -> None:
        """Start tasks while there is room; a pool that broke with tasks in it is left for `wait` to find."""
        while waiting and len(running) < at_once:
            try:
                future = self._workers().submit(_work, waiting[0])
            except BrokenProcessPool:
                if running:
                    return
                self.close()  # a worker died idle
            else:
                running[future] = waiting.popleft()

    def _workers(self) -> ProcessPoolExecutor:
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                self.workers, mp_context=self._context, initializer=_start_worker, initargs=(self._news,)
            )
        return self._pool


def engine(workers: int) -> Engine:
    """Return the local engine: a pool, or this very process for one worker."""
    return Pool(workers) if workers > 1 else Inline()


_send: Callable[[tuple[str, str, int, int]], None] = lambda news: None  # noqa: E731


def _start_worker(news: Any) -> None:
    global _send
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    import torch

    torch.set_num_threads(1)
    _send = news.put
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this worker when the run is killed: an orphan would go on writing beside the run that resumes."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work(task: T) -> Done[T]:
    return _attempt(task, lambda text, done, total: _send((task.label, text, done, total)))


def _attempt(task: T, report: Report) -> Done[T]:
    try:
        return Done(task, task.run(report))
    except Exception as error:  # a task's failure is a result: the rest goes on
        return Done(task, error=reason(error))


def reason(error: Exception) -> str:
    """Return what went wrong in one line; for a fault that oodbench did not foresee, also where."""
    if isinstance(error, OodbenchError):
        return f"{type(error).__name__}: {error}"
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}{where}"


class _listening:  # noqa: N801
    """Passes the workers' news on while a block runs."""

    def __init__(self, news: Any, watch: Watch) -> None:
        self._news, self._watch, self._stop = news, watch, threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _listen(self) -> None:
        while not self._stop.is_set():
            try:
                self._watch(*self._news.get(timeout=0.2))
            except queue.Empty:
                continue

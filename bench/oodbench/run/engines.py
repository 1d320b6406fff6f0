"""Backends by name: this very process, or a pool of processes on this machine, a device a worker."""

import contextlib
import logging
import logging.handlers
import multiprocessing
import os
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from functools import partial
from importlib.metadata import entry_points
from multiprocessing import forkserver, resource_tracker
from typing import Any

from oodbench.errors import BadMethod, BadSetting, UnknownName, reason
from oodbench.models.train import Report
from oodbench.run.graph import Backend, Done, Lost, Task, Watch
from oodbench.run.machine import exact, one_thread
from oodbench.run.workspace import Workspace

GROUP = "oodbench.engines"
"""Entry-point group of engines outside this repository: each names a function like those of ENGINES."""

POLL = 0.2
"""Seconds between two looks at the workers' news."""


def starting() -> Any:
    """Return the way in which workers start, a `multiprocessing` context: never as copies of this process.

    On Linux they are copies of one that has imported what tasks need and done nothing, so that torch is imported once,
    not once a worker; elsewhere each imports for itself.
    """
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["oodbench.run.preloaded"])
    resource_tracker.ensure_running()  # first: its start unblocks SIGINT
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # Ctrl-C while it imports would be a traceback
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return context


class InProcess:
    """Runs tasks one after another in this process, in one thread: the last bits of float sums depend on that."""

    slots = 1

    def __init__(self, places: Sequence[Workspace]) -> None:
        self._place = places[0]
        self._waiting: list[Task[Any]] = []

    def submit(self, task: Task[Any]) -> None:
        """Put a task in line."""
        self._waiting.append(task)

    def wait(self, watch: Watch) -> Collection[Done[Any]]:
        """Run the task that is in line."""
        task = self._waiting.pop(0)
        with one_thread():
            return [attempt(task, self._place, lambda text, done, total: watch(task.label, text, done, total))]

    def cancel(self) -> None:
        """Forget what is in line."""
        self._waiting.clear()

    def close(self) -> None:
        """Do nothing."""


class Pool:
    """Runs tasks in processes, one thread each; the workers take the places in turn.

    A worker that dies (out of memory, kill -9) takes the pool with it: its tasks are lost, and the next ones get a new
    pool.
    """

    def __init__(self, places: Sequence[Workspace]) -> None:
        self._places = tuple(places)
        self._context = starting()
        self._news: Any = self._context.Queue()
        self._pool: ProcessPoolExecutor | None = None
        self._running: dict[Future[Done[Any]], Task[Any]] = {}
        self._lost: list[tuple[Task[Any], Lost]] = []

    @property
    def slots(self) -> int:
        """A task a worker."""
        return len(self._places)

    def submit(self, task: Task[Any]) -> None:
        """Send a task to a worker."""
        try:
            future = self._workers().submit(_work, task)
        except BrokenProcessPool:  # a worker died meanwhile
            self._lose()
            future = self._workers().submit(_work, task)
        self._running[future] = task

    def wait(self, watch: Watch) -> Collection[Done[Any] | tuple[Task[Any], Lost]]:
        """Wait until a task ends; pass the workers' news on."""
        while not self._lost:
            ended, _ = wait(self._running, timeout=POLL, return_when=FIRST_COMPLETED)
            self._tell(watch)
            if ended:
                return self._ends(ended)
        lost, self._lost = self._lost, []
        return lost

    def cancel(self) -> None:
        """End the workers."""
        self._running.clear()
        for child in multiprocessing.active_children():
            child.terminate()

    def close(self) -> None:
        """Stop the workers."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None

    def _ends(self, ended: Collection[Future[Done[Any]]]) -> list[Done[Any] | tuple[Task[Any], Lost]]:
        ends: list[Done[Any] | tuple[Task[Any], Lost]] = []
        for future in ended:
            task = self._running[future]
            try:
                ends.append(future.result())
            except BrokenProcessPool:
                continue
            except Exception as error:  # the task ran, but its result cannot travel
                ends.append(failed(task, error))
            del self._running[future]
        if any(future in self._running for future in ended):
            self._lose()
            ends += self._lost
            self._lost = []
        return ends

    def _lose(self) -> None:
        """Take every task of a broken pool as lost: they were in it."""
        self._lost += [(task, Lost()) for task in self._running.values()]
        self._running.clear()
        self.close()

    def _tell(self, watch: Watch) -> None:
        """Pass news on; of a task that has ended, which may come late, nothing."""
        live = {task.label for task in self._running.values()}
        with contextlib.suppress(queue.Empty):
            while True:
                news = self._news.get_nowait()
                if isinstance(news, logging.LogRecord):
                    logging.getLogger(news.name).handle(news)
                elif news[0] in live:
                    watch(*news)

    def _workers(self) -> ProcessPoolExecutor:
        if self._pool is None:
            places: Any = self._context.Queue()
            for place in self._places:
                places.put(place)
            self._pool = ProcessPoolExecutor(
                len(self._places), mp_context=self._context, initializer=_start, initargs=(self._news, places)
            )
        return self._pool


ENGINES: dict[str, Callable[[Sequence[Workspace]], Backend]] = {
    "local": lambda places: Pool(places) if len(places) > 1 else InProcess(places),
    "process": InProcess,
    "pool": Pool,
}
"""Functions that make a backend of places, one a worker."""


def _ray(workspace: Workspace, address: str | None, workers: int | None) -> Backend:
    from oodbench.run.ray_engine import OnRay

    return OnRay(workspace, address, workers)


CLUSTERS: dict[str, Callable[[Workspace, str | None, int | None], Backend]] = {"ray": _ray}
"""Functions that make a backend of a place, a cluster's address and the number of workers, where they were named."""


def engine(name: str, workspace: Workspace, devices: Sequence[str], workers: int | None) -> Backend:
    """Return a backend by name.

    Args:
        name: Of ENGINES or of an installed package; of a cluster also NAME:ADDRESS.
        workspace: The folders.
        devices: What the workers take in turn; of a cluster the one kind of device.
        workers: How many; None for one a device on GPUs, else two, and on a cluster for all that it has room for.

    Raises:
        UnknownName: no such engine; the nearest is offered.
        BadMethod: an installed package's engine does not load.
        BadSetting: a device is not here, or the cluster cannot be used.
    """
    workspace = workspace.resolved()
    backend = _carrier(name, workspace, devices, workers)
    if workspace.store is None:
        return backend
    from oodbench.run.shared import Landing

    return Landing(backend, workspace)


def _carrier(name: str, workspace: Workspace, devices: Sequence[str], workers: int | None) -> Backend:
    cluster, _, address = name.partition(":")
    if cluster in CLUSTERS:
        if len(devices) > 1 or ":" in devices[0]:
            raise BadSetting(
                f"--device {','.join(devices)}: {cluster} itself hands out devices; name their kind, as cuda"
            )
        return CLUSTERS[cluster](workspace, address or None, workers)
    found = ENGINES | {entry.name: entry for entry in entry_points(group=GROUP)}
    if name not in found:
        raise UnknownName("engine", name, [*found, *CLUSTERS])
    make = found[name]
    if not callable(make):
        try:
            make = make.load()
        except Exception as error:  # importing a package runs whatever is in it
            raise BadMethod(f"engine {name!r} does not load: {type(error).__name__}: {error}") from error
    workers = workers or (min(2, os.cpu_count() or 1) if list(devices) == ["cpu"] else len(devices))
    places = [replace(workspace, device=devices[one % len(devices)], workers=workers) for one in range(workers)]
    backend: Backend = make(places)
    return backend


_send: Callable[[Any], None] = lambda news: None  # noqa: E731
_place: Workspace | None = None


def _start(news: Any, places: Any) -> None:
    """Make a process a worker: its place, one thread, news and warnings to the driver, an end when the driver ends."""
    global _send, _place
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's: it ends the workers
    import torch

    torch.set_num_threads(1)
    _send, _place = news.put, places.get()
    logging.getLogger("oodbench").handlers = [logging.handlers.QueueHandler(news)]
    logging.getLogger("oodbench").propagate = False
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this worker when the run is killed: an orphan would go on writing beside the run that resumes."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work(task: Task[Any]) -> Done[Any]:
    assert _place is not None
    return attempt(task, _place, lambda text, done, total: _send((task.label, text, done, total)))


def attempt(task: Task[Any], place: Workspace, report: Report) -> Done[Any]:
    """Return what became of a task that was run here."""
    try:
        with exact(place.torch_device):
            return Done(task, (task.run if place.store is None else _apart(task))(place, report))
    except Exception as error:  # a task's failure is a result: the rest goes on
        return failed(task, error)


def _apart(task: Task[Any]) -> Callable[[Workspace, Report], Any]:
    from oodbench.run.shared import run_apart

    return partial(run_apart, task)


def failed(task: Task[Any], error: Exception) -> Done[Any]:
    """Return the end of a task that raised."""
    return Done(task, error=reason(error), traceback="".join(traceback.format_exception(error)))

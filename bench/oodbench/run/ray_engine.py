"""The engine `ray`: tasks on a Ray cluster, one that runs already or one that is started on this machine for the run.

Ray places tasks by what they need, shows each its GPUs, and tells of workers and nodes that died. What is tried again,
and how often, is `schedule`'s: Ray itself retries nothing.
"""

import contextlib
import hashlib
import logging
import os
import pickle
import platform
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from oodbench.errors import BadSetting
from oodbench.run.graph import Done, Lost, Needs, Task, Watch
from oodbench.run.workspace import Workspace

log = logging.getLogger(__name__)

POLL = 0.5
"""Seconds between two looks at the workers' news."""

NEWS_EVERY = 1.0
"""Seconds between two reports of one task: many workers tell one process."""

LOGS_KEPT = 1000
"""Warnings of workers that wait to be told; older ones go."""

NODE_TRIES = 5
"""How often a task is started whose nodes die: nodes that come cheap are taken away often."""

PACKAGES = ("ray", "torch", "torchvision", "numpy", "scipy", "scikit-learn")
"""Packages whose releases have to be the same in the driver and the workers, beside oodbench's own source."""

QUEUED = 16
"""Tasks that wait in the cluster beside those that run: no node idles, and an autoscaler sees that more are wanted."""

GB = 1 << 30

ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",  # the last bits of float sums depend on the number of threads
    "OMP_WAIT_POLICY": "PASSIVE",
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
}


def ray() -> Any:
    """Return the package ray, set up as a run wants it.

    Raises:
        BadSetting: It is not installed.
    """
    if find_spec("ray") is None:
        raise BadSetting("engine ray: the package ray is not installed; pip install 'oodbench[ray]'")
    os.environ.setdefault("RAY_AUTH_MODE", "token")  # else whoever reaches a port of the cluster can run code
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to anybody
    import ray

    if os.environ["RAY_AUTH_MODE"] != "token":
        log.warning(
            "RAY_AUTH_MODE=%s: whoever reaches the cluster's ports can run code there", os.environ["RAY_AUTH_MODE"]
        )
    return ray


def facts(device: str) -> dict[str, str]:
    """Return what has to be the same in the driver and the workers, by name: code, releases, class of machine."""
    import oodbench
    from oodbench.run.machine import machine_class

    found = {"python": ".".join(platform.python_version_tuple()[:2])}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "absent"
    found["oodbench"] = f"{oodbench.__version__} {tree_digest(Path(oodbench.__file__).parent)}"
    found["class of machine"] = machine_class(device)
    return found


def tree_digest(package: Path) -> str:
    """Return the start of a sha256 of all Python files of a package and of the methods."""
    from oodbench import methods

    roots = [package, *map(Path, methods.__path__)]
    whole = hashlib.sha256()
    for root in roots:
        for path in sorted(root.rglob("*.py")):
            whole.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return whole.hexdigest()[:12]


def differences(driver: dict[str, str], worker: dict[str, str], where: str) -> str | None:
    """Return what to say where a worker is not as the driver; None where it is.

    Example:
        >>> differences({"torch": "2.9"}, {"torch": "2.9"}, "node a") is None
        True
    """
    unlike = [
        f"{name}: {worker.get(name, 'absent')} there, {own} here"
        for name, own in driver.items()
        if worker.get(name) != own
    ]
    if not unlike:
        return None
    return (
        f"engine ray: {where} is not as this driver ({'; '.join(unlike)}); numbers would differ. Install the same on "
        f"all nodes, restart the cluster there, and start the driver on a node with the same device"
    )


@dataclass(frozen=True)
class Unlike:
    """A worker's answer where it is not as the driver: nothing was run."""

    why: str


class News:
    """Keeps what workers tell until the driver asks: the last of each task. It runs as an actor beside the driver."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[str, str, int, int]] = {}
        self._logs: list[logging.LogRecord] = []

    def tell(self, news: tuple[str, str, int, int]) -> None:
        """Keep how far a task is."""
        self._last[news[0]] = news

    def log(self, record: logging.LogRecord) -> None:
        """Keep a warning."""
        self._logs = [*self._logs, record][-LOGS_KEPT:]

    def take(self) -> tuple[list[tuple[str, str, int, int]], list[logging.LogRecord]]:
        """Return what was told since it was last asked."""
        taken = list(self._last.values()), self._logs
        self._last, self._logs = {}, []
        return taken


class OnRay:
    """Runs tasks on a Ray cluster; a worker that dies costs its own task one try, and no other.

    Args:
        workspace: Folders, which all nodes see by these paths, and the kind of device.
        address: HOST:PORT of the cluster, or "auto" for the one of this machine; None starts one here for the run.
        workers: Most tasks at once; None for as many as the cluster has room for.

    Raises:
        BadSetting: ray is not installed, the cluster does not answer, or a node is not as this driver.
    """

    def __init__(self, workspace: Workspace, address: str | None, workers: int | None) -> None:
        self._ray = ray()
        self._workers = (workers or os.cpu_count() or 1) if address is None else workers
        self._local = address is None
        self._device = workspace.device
        self._running: dict[Any, Task[Any]] = {}
        self._warned: set[Needs] = set()
        self._asked: Any = None
        self._needs = Needs(gpus=int(workspace.torch_device.type == "cuda"))
        self._facts = facts(workspace.device)
        self._join(address)
        try:
            self._news = self._beside_the_driver()
            self._refuse_unlike_nodes(workspace)
        except BaseException:
            self.close()
            raise
        self._place = self._ray.put(replace(workspace, workers=self._workers or self._room()))

    @property
    def slots(self) -> int:
        """As many tasks as were asked for; else what there is room for, and some that wait. Nodes come and go."""
        return self._workers or self._room() + QUEUED

    def _room(self) -> int:
        """How many tasks like the last can run at once."""
        here = self._ray.cluster_resources()
        rooms = [here.get("CPU", 0.0), here.get("memory", 0.0) / (self._needs.memory_gb * GB)]
        if self._needs.gpus:
            rooms.append(here.get("GPU", 0.0) / self._needs.gpus)
        return max(1, int(min(rooms)))

    def submit(self, task: Task[Any]) -> None:
        """Send a task; it starts where its needs are met."""
        self._needs = task.needs
        self._warn_without_room(task.needs)
        reference = self._remote(task).remote(self._pickled(task), self._place, self._facts, task.label, self._news)
        self._running[reference] = task

    def wait(self, watch: Watch) -> Collection[Done[Any] | tuple[Task[Any], Lost]]:
        """Wait until a task ends; pass the workers' news on.

        Raises:
            BadSetting: A worker is not as this driver.
        """
        while True:
            ended, _ = self._ray.wait(list(self._running), num_returns=1, timeout=POLL)
            self._tell(watch)
            if ended:
                ended, _ = self._ray.wait(list(self._running), num_returns=len(self._running), timeout=0)
                return [self._end(reference, self._running.pop(reference)) for reference in ended]

    def cancel(self) -> None:
        """End what is running."""
        for reference in self._running:
            with contextlib.suppress(Exception):  # it has ended, or its node
                self._ray.cancel(reference, force=True)
        self._running.clear()

    def close(self) -> None:
        """Leave the cluster; one that was started here ends."""
        self._ray.shutdown()

    def _join(self, address: str | None) -> None:
        if address is not None and "://" in address:
            raise BadSetting(
                f"engine ray:{address}: expected HOST:PORT or auto; start the run on a node of the cluster"
            )
        quiet = {"logging_level": "ERROR", "log_to_driver": False, "configure_logging": False}
        try:
            with _signals_kept():
                if address is None:
                    self._ray.init(address="local", num_cpus=self._workers, include_dashboard=False, **quiet)
                else:
                    self._ray.init(address=address, **quiet)
        except Exception as error:  # ray raises of many kinds: no such address, another token, another release
            where = f"the cluster at {address}" if address else "a cluster on this machine"
            raise BadSetting(
                f"engine ray: {where} cannot be joined: {type(error).__name__}: {_first_line(error)} Is it running "
                f"(ray status), with the same releases of python and ray, and RAY_AUTH_MODE=token with the same token "
                f"everywhere?"
            ) from error

    def _beside_the_driver(self) -> Any:
        """Start what keeps the news on the driver's own node: on another it would die with that."""
        here = self._ray.get_runtime_context().get_node_id()
        options = {"num_cpus": 0, "max_restarts": -1, "runtime_env": {"env_vars": ENVIRONMENT}}
        return self._ray.remote(News).options(**options, scheduling_strategy=self._on(here)).remote()

    def _on(self, node: str) -> Any:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        return NodeAffinitySchedulingStrategy(node, soft=False)

    def _pickled(self, task: Task[Any]) -> bytes:
        return bytes(self._ray.cloudpickle.dumps(task))

    def _remote(self, task: Task[Any]) -> Any:
        needs = task.needs
        return self._ray.remote(_work).options(
            name=task.label,  # what the worker's process and the dashboard say
            num_cpus=1,
            num_gpus=needs.gpus,
            memory=int(needs.memory_gb * GB),
            max_retries=0,
            runtime_env={"env_vars": ENVIRONMENT},
        )

    def _refuse_unlike_nodes(self, workspace: Workspace) -> None:
        """Ask every node that can run tasks what it has installed and sees, before any work is sent to it."""

        def look(device: str, files: Sequence[str]) -> Any:  # one inside another travels whole: oodbench may be absent
            import os

            try:
                from oodbench.run.ray_engine import facts
            except ImportError as error:
                return {"oodbench": f"absent ({error})"}, []
            return facts(device), [file for file in files if not os.path.exists(file)]  # noqa: PTH110

        gpu = self._needs.gpus > 0
        remote = self._ray.remote(look)
        options = {"num_cpus": 0, "num_gpus": 0.01 if gpu else 0, "max_retries": 0}
        with _marks(workspace) as marks:
            asked = {}
            for node in self._ray.nodes():
                room = node["Resources"]
                if not node["Alive"] or room.get("CPU", 0) < 1 or (gpu and not room.get("GPU", 0)):
                    continue
                there = remote.options(
                    **options,
                    scheduling_strategy=self._on(node["NodeID"]),
                    runtime_env={"env_vars": ENVIRONMENT},
                )
                name = f"node {node['NodeManagerHostname']} ({node['NodeManagerAddress']})"
                asked[there.remote(workspace.device, marks)] = name
            for reference, name in asked.items():
                self._refuse_unlike(reference, name)

    def _refuse_unlike(self, reference: Any, name: str) -> None:
        try:
            found, unseen = self._ray.get(reference)
        except self._ray.exceptions.RayTaskError as error:
            raise BadSetting(f"engine ray: {name} cannot run tasks: {_first_line(error)}") from error
        except self._ray.exceptions.RayError:
            return  # it died meanwhile: nothing will run there
        if unlike := differences(self._facts, found, name):
            raise BadSetting(unlike)
        if unseen:
            raise BadSetting(
                f"engine ray: {name} does not see {Path(unseen[0]).parent}; name folders on storage that all nodes "
                f"share by one path (--results, --cache, --data), or a store that they reach: --store"
            )

    def _warn_without_room(self, needs: Needs) -> None:
        """Say, or on this machine refuse, where no node is large enough: the task would wait for ever."""
        if needs in self._warned:
            return
        wanted = {"CPU": 1.0, "GPU": float(needs.gpus), "memory": needs.memory_gb * GB}
        nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        if any(all(node.get(name, 0) >= amount for name, amount in wanted.items()) for node in nodes):
            return
        self._warned.add(needs)
        says = f"no node has 1 CPU, {needs.gpus:g} GPUs and {needs.memory_gb:g} GB of memory, which a task needs"
        if self._local:
            raise BadSetting(f"engine ray: {says}; on this machine none will join: see --memory, --gpus and --workers")
        log.warning("engine ray: %s; it waits until one joins", says)

    def _end(self, reference: Any, task: Task[Any]) -> Done[Any] | tuple[Task[Any], Lost]:
        errors = self._ray.exceptions
        try:
            end = self._ray.get(reference)
        except (errors.NodeDiedError, errors.LocalRayletDiedError, errors.ObjectLostError):
            return task, Lost("its node died", alone=False, tries=NODE_TRIES)
        except errors.OutOfMemoryError:
            return task, Lost("its node ran out of memory: --memory asks for more", alone=False)
        except errors.WorkerCrashedError:
            return task, Lost(alone=False)
        except errors.RayTaskError as error:  # it ran, but what it is or made cannot travel
            return _failed(task, error)
        except errors.RayError as error:
            return task, Lost(f"{type(error).__name__}: {_first_line(error)}", alone=False)
        if isinstance(end, Unlike):
            raise BadSetting(end.why)
        return Done(task, *end)

    def _tell(self, watch: Watch) -> None:
        """Pass news on, of tasks that run; whatever befalls the one that keeps them, the run goes on."""
        with contextlib.suppress(Exception):
            if self._asked is None:
                self._asked = self._news.take.remote()
            ready, _ = self._ray.wait([self._asked], timeout=0)
            if not ready:
                return
            asked, self._asked = self._asked, None
            news, logs = self._ray.get(asked)
            live = {task.label for task in self._running.values()}
            for record in logs:
                logging.getLogger(record.name).handle(record)
            for one in news:
                if one[0] in live:
                    watch(*one)


def _first_line(error: BaseException) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1].strip() if lines else type(error).__name__


def _failed(task: Task[Any], error: Exception) -> Done[Any]:
    return Done(task, error=_first_line(error), traceback=str(error))


@contextmanager
def _marks(workspace: Workspace) -> Iterator[list[str]]:
    """Yield what every node has to see: new files in the folders that a run writes to, and the root of the data."""
    with contextlib.ExitStack() as made:
        folders = [] if workspace.store else [workspace.results, workspace.cache]
        marks = []
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
            file = made.enter_context(tempfile.NamedTemporaryFile(prefix=".seen.", suffix=".tmp", dir=folder))
            marks.append(file.name)
        yield [*marks, *([str(workspace.data)] if workspace.data else [])]


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Give the signals that end a run back to who handled them: ray takes SIGTERM when it starts."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@cache
def _facts(device: str) -> dict[str, str]:
    return facts(device)


def _work(payload: bytes, place: Workspace, driver: dict[str, str], label: str, keeper: Any) -> Any:
    """Run a task in a worker: its result, error and traceback, or `Unlike`."""
    import torch

    from oodbench.run.engines import attempt

    unlike = differences(driver, _facts(place.device), f"worker {os.getpid()} on {platform.node()}")
    if unlike is not None:
        return Unlike(unlike)
    torch.set_num_threads(1)
    report = Throttled(label, keeper.tell.remote)
    with _warnings_to(keeper.log.remote):
        done = attempt(pickle.loads(payload), place, report)  # noqa: S301
    return done.result, done.error, done.traceback


class Throttled:
    """Tells how far a task is, not too often; where nobody can be told, nothing is lost but the news."""

    def __init__(self, label: str, tell: Callable[[Any], Any]) -> None:
        self._label, self._tell = label, tell
        self._text, self._next = "", 0.0

    def __call__(self, text: str, done: int, total: int) -> None:
        """Tell, if a new stage began or the last news are old enough."""
        now = time.monotonic()
        if text == self._text and now < self._next:
            return
        self._text, self._next = text, now + NEWS_EVERY
        with contextlib.suppress(Exception):
            self._tell((self._label, text, done, total))


@contextmanager
def _warnings_to(tell: Callable[[Any], Any]) -> Iterator[None]:
    """Send what the package logs in a block to the driver."""

    class Sender(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said = logging.makeLogRecord(
                {**record.__dict__, "msg": record.getMessage(), "args": None, "exc_info": None}
            )
            with contextlib.suppress(Exception):
                tell(said)

    ours, sender = logging.getLogger("oodbench"), Sender()
    ours.addHandler(sender)
    try:
        yield
    finally:
        ours.removeHandler(sender)

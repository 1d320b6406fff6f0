"""How long runs would take on how many workers, from the costs on record: `oodbench plan --workers`.

A task's seconds are those that its stage last cost, times how much more there is to do: images, and operations a
forward pass where the network goes over them. The graph is the run's own, and so is the order; docs/many-gpus.md has
the assumptions.
"""

import heapq
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from statistics import mean

import torch
from torch.utils.flop_counter import FlopCounterMode

from oodbench.contract import FEATURE_MAP, INPUTS, NETWORK
from oodbench.data.cards import find_card
from oodbench.data.matrix import Matrix, find_matrix, load_matrices
from oodbench.errors import BadSetting, OodbenchError
from oodbench.networks import classifier
from oodbench.records import Cost, read_cost, record_paths
from oodbench.run.context import Context
from oodbench.run.execute import graph
from oodbench.run.graph import Task
from oodbench.run.plan import Job, plan, sized
from oodbench.run.registry import Registered
from oodbench.run.rows import rows
from oodbench.run.tasks import Evaluate, StoreOutputs, TrainModel
from oodbench.run.workspace import Workspace
from oodbench.shown import Page, Table
from oodbench.spaces import Images
from oodbench.training import InSet, Recipe, Training

PASSES = frozenset({NETWORK, INPUTS, FEATURE_MAP})
"""A detector that reads one of these sends images through the network itself."""

HELD_BACK = 0.7
"""The share of an in-set of one split that is trained on."""


@dataclass(frozen=True)
class Timed:
    """A task of the model: what it comes after, and for how long it holds a worker."""

    key: str
    after: tuple[str, ...]
    seconds: float
    label: str = ""


def makespan(tasks: Sequence[Timed], workers: int) -> float:
    """Return the seconds from the first start to the last end, of those ready the first given first.

    Example:
        >>> makespan([Timed("a", (), 2.0), Timed("b", (), 1.0), Timed("c", ("a",), 1.0)], 2)
        3.0
    """
    place = {task.key: number for number, task in enumerate(tasks)}
    waits = [{place[key] for key in task.after if key in place} for task in tasks]
    opens: list[list[int]] = [[] for _ in tasks]
    for number, before in enumerate(waits):
        for one in before:
            opens[one].append(number)
    ready = [number for number, before in enumerate(waits) if not before]
    running: list[tuple[float, int]] = []
    now = 0.0
    while ready or running:
        while ready and len(running) < workers:
            number = heapq.heappop(ready)
            heapq.heappush(running, (now + tasks[number].seconds, number))
        now, ended = heapq.heappop(running)
        for number in opens[ended]:
            waits[number].discard(ended)
            if not waits[number]:
                heapq.heappush(ready, number)
    return now


def critical_path(tasks: Sequence[Timed]) -> list[Timed]:
    """Return the chain of tasks that takes longest: no number of workers ends sooner.

    Tasks are given after those that they come after.
    """
    known = {task.key: task for task in tasks}
    until: dict[str, float] = {}
    before: dict[str, str | None] = {}
    for task in _in_order(tasks):
        last = max((key for key in task.after if key in known), key=until.__getitem__, default=None)
        until[task.key] = task.seconds + (until[last] if last is not None else 0.0)
        before[task.key] = last
    chain: list[Timed] = []
    at = max(until, key=until.__getitem__, default=None)
    while at is not None:
        chain.append(known[at])
        at = before[at]
    return chain[::-1]


def _in_order(tasks: Sequence[Timed]) -> list[Timed]:
    """Return tasks in an order in which each comes after those that it waits for."""
    known = {task.key: task for task in tasks}
    done: dict[str, Timed] = {}
    stack = [task.key for task in reversed(tasks)]
    while stack:
        key = stack[-1]
        waiting = [one for one in known[key].after if one in known and one not in done]
        if key in done or not waiting:
            done.setdefault(stack.pop(), known[key])
        else:
            stack += waiting
    return list(done.values())


@dataclass
class Model:
    """Seconds of tasks on one worker.

    Attributes:
        results: Where costs are on record.
        speed: How many times faster a worker is than a core of the machine that made them.
        unknown: Labels of tasks whose stage has no cost on record for the method; the mean of the others stands in.
    """

    results: Path
    speed: float = 1.0
    unknown: set[str] = field(default_factory=set)

    def tasks(self, matrix: Matrix, entries: Sequence[Registered]) -> list[Timed]:
        """Return what a run of these methods on a matrix comes to; equal trainings on one in-set have equal keys."""
        jobs = [item for item in plan(matrix, entries, matrix.seeds) if isinstance(item, Job)]
        return self.timed(graph(Context(matrix, Workspace(results=self.results)), jobs), matrix, entries)

    def timed(self, tasks: Iterable[Task[object]], matrix: Matrix, entries: Iterable[Registered]) -> list[Timed]:
        """Return how long each task of these methods on a matrix takes."""
        recipes = self._recipes(matrix, entries)
        found = []
        for task in tasks:
            if isinstance(task, TrainModel):
                seconds = self._train(matrix, task, recipes)
            elif isinstance(task, StoreOutputs):
                seconds = self._outputs(matrix, task, recipes)
            else:
                assert isinstance(task, Evaluate)
                seconds = self._evaluate(matrix, task)
            after = tuple(_named(matrix, key) for key in task.after)
            found.append(Timed(_named(matrix, task.key), after, seconds / self.speed, f"{matrix.name}: {task.label}"))
        return found

    def _recipes(self, matrix: Matrix, entries: Iterable[Registered]) -> dict[Recipe, str]:
        """Return a method that stands on each recipe, as the matrix trains it."""
        found: dict[Recipe, str] = {}
        for entry in entries:
            recipe = entry.method.recipe
            if matrix.training is not None or recipe.given() is not None:
                found.setdefault(sized(recipe, matrix), entry.method.name)
        return found

    def _train(self, matrix: Matrix, task: TrainModel, recipes: dict[Recipe, str]) -> float:
        recipe = task.recipe
        if recipe.given() is not None or recipe.pool() is not None:
            return 0.0
        known = self._known(recipes.get(recipe))
        if known is None or not known.cost.passes.get("train", {}).get("forward"):
            self.unknown.add(task.label)
            known = self._known("msp")
            if known is None:
                return 0.0
        per_image = _spent(known.cost, "train") / known.cost.passes["train"]["forward"]
        images = recipe.training.epochs * n_train(matrix)
        return per_image * images * _heavier(recipe.training.network, matrix, known)

    def _outputs(self, matrix: Matrix, task: StoreOutputs, recipes: dict[Recipe, str]) -> float:
        if task.recipe.pool() is not None:
            return 0.0
        known = self._known(recipes.get(task.recipe)) or self._known("msp")
        if known is None:
            return 0.0
        more = n_images(matrix) / n_images(known.matrix)
        return _spent(known.cost, "outputs") * more * _heavier(task.recipe.training.network, matrix, known)

    def _evaluate(self, matrix: Matrix, task: Evaluate) -> float:
        known = self._known(task.job.method.name)
        if known is None:
            self.unknown.add(task.job.method.name)
            return self._usual * n_images(matrix)
        more = n_images(matrix) / n_images(known.matrix)
        heavier = _heavier(task.job.recipe.training.network, matrix, known)
        passes = PASSES & task.job.method.detector.reads
        return _spent(known.cost, "evaluate") * more * (heavier if passes else 1.0)

    @property
    def _usual(self) -> float:
        """Seconds an image of an evaluation, as a mean over all methods on record."""
        known = self._on_record().values()
        return mean([_spent(one.cost, "evaluate") / n_images(one.matrix) for one in known] or [0.0])

    def _known(self, method: str | None) -> "Known | None":
        """Return what a method cost, of a row `method@model` what it cost on any."""
        return self._on_record().get(method.split("@")[0]) if method is not None else None

    def _on_record(self) -> "dict[str, Known]":
        return _on_record(self.results)


@dataclass(frozen=True)
class Known:
    """What a method cost on a matrix, the mean over seeds."""

    matrix: Matrix
    cost: Cost


@cache
def _on_record(results: Path) -> dict[str, Known]:
    """Return the costs of each method on the largest matrix of those that train a network on images."""
    trained = [one for one in load_matrices().values() if one.training is not None and one.shape is not None]
    found: dict[str, Known] = {}
    for matrix in sorted(trained, key=lambda one: (n_train(one) * _training(one).epochs, one.name), reverse=True):
        for folder in sorted((results / matrix.name).glob("*/")):
            if folder.name in found:
                continue
            files = sorted(folder.glob("*.cost.json"))
            costs = [read_cost(record_paths(results, matrix.name, folder.name, _seed(one)).cost) for one in files]
            if on_cpu := [one for one in costs if not any(one.gpu_seconds.values())]:  # a core's seconds, and no card's
                found[folder.name] = Known(matrix, _mean(on_cpu))
    return found


def _seed(path: Path) -> int:
    return int(path.name.split(".")[0])


def _mean(costs: Sequence[Cost]) -> Cost:
    """Return the mean of costs by stage; a run that found its model trained says nothing of training."""

    def over(stages: Sequence[dict[str, float]]) -> dict[str, float]:
        names = dict.fromkeys(name for one in stages for name in one)
        return {name: mean([one[name] for one in stages if name in one]) for name in names}

    return costs[0].model_copy(
        update={
            "seconds": over([dict(one.seconds) for one in costs]),
            "cpu_seconds": over([dict(one.cpu_seconds) for one in costs]),
        }
    )


def _spent(cost: Cost, stage: str) -> float:
    """Return a stage's seconds of the processor: those of the clock depend on what else the machine did."""
    return cost.cpu_seconds.get(stage) or cost.seconds.get(stage, 0.0)


def _training(matrix: Matrix) -> Training:
    assert matrix.training is not None
    return matrix.training


def n_train(matrix: Matrix) -> int:
    """Return how many inputs a matrix trains on, nearly: what its card says."""
    splits = find_card(matrix.in_set).splits
    return splits["train"] if "train" in splits else int(HELD_BACK * sum(splits.values()))


def n_images(matrix: Matrix) -> int:
    """Return how many inputs a model is asked about: all sets, and each attack's images before and after."""
    sets = n_train(matrix) + matrix.n_validation + matrix.n_test
    sets += sum(one.n for one in matrix.ood) + sum(one.n for one in matrix.tuning_ood)
    sets += sum(one.n for one in matrix.corrupted)
    return sets + 2 * sum(one.n for one in matrix.attacks)


def _heavier(network: str, matrix: Matrix, known: Known) -> float:
    """Return how many times the operations of a forward pass are those where the cost was recorded.

    Models that have a network of their own grow with the number of pixels.
    """
    own = _training(known.matrix).network
    if matrix.shape is None or known.matrix.shape is None:
        return 1.0
    there, here = operations(own, *_of(known.matrix)), operations(network, *_of(matrix))
    if there and here:
        return here / there
    pixels = [shape[0] * shape[1] * shape[2] for shape in (matrix.shape, known.matrix.shape)]
    return pixels[0] / pixels[1]


def _of(matrix: Matrix) -> tuple[tuple[int, int, int], int]:
    assert matrix.shape is not None
    return matrix.shape, find_card(matrix.in_set).classes or 10


@cache
def operations(network: str, shape: tuple[int, int, int], classes: int) -> int | None:
    """Return the floating-point operations of one forward pass of a classifier; None where it cannot be built here."""
    space = Images(shape, mean=(0.5,) * shape[0], std=(0.25,) * shape[0])
    try:
        net = classifier(network, InSet(space, classes)).eval()
        with FlopCounterMode(display=False) as counted, torch.no_grad():
            net(torch.zeros(1, *shape))
        return int(counted.get_total_flops())
    except (OodbenchError, ImportError, RuntimeError, ValueError):
        return None


def _named(matrix: Matrix, key: str) -> str:
    """Return a task's key among those of several matrices: what is trained on one in-set is trained once."""
    return f"{matrix.in_set} {matrix.shape} {key}" if key.startswith("train ") else f"{matrix.name} {key}"


def chosen(name: str) -> list[Matrix]:
    """Return a matrix, or all of a scale: "paper".

    Raises:
        UnknownName: There is neither.
    """
    of_scale = [one for one in load_matrices().values() if one.scale == name]
    return of_scale or [find_matrix(name)]


def forecast_on(name: str, methods: Sequence[str], results: Path, workers: Sequence[int], speed: float) -> Page:
    """Return how long a matrix, or all of a scale, takes on so many workers, and what the critical path is.

    Raises:
        BadSetting: There is no cost on record.
    """
    model = Model(results, speed)
    if not _on_record(results):
        raise BadSetting(f"{results}: no cost on record to tell from; run a matrix first, or name --results")
    tasks: dict[str, Timed] = {}
    matrices = chosen(name)
    for matrix in matrices:
        for task in model.tasks(matrix, rows(matrix, methods)):
            tasks.setdefault(task.key, task)
    return told(
        list(tasks.values()),
        workers,
        f"{name}: {len(matrices)} {'matrix' if len(matrices) == 1 else 'matrices'}",
        model,
    )


def expected(context: Context, jobs: Sequence[Job], trained: Callable[[Recipe, int], bool]) -> float | None:
    """Return the seconds of one core that jobs take, from what their methods cost on other matrices.

    None where no cost is on record, or inputs are no images: those on record are.

    Args:
        context: Where they run.
        jobs: Some of them.
        trained: Whether the cache has a model already.
    """
    results, matrix = context.workspace.results, context.matrix
    if matrix.shape is None or not _on_record(results):
        return None
    left = [
        task for task in graph(context, jobs) if not (isinstance(task, TrainModel) and trained(task.recipe, task.seed))
    ]
    return sum(one.seconds for one in Model(results).timed(left, matrix, [job.entry for job in jobs]))


def told(tasks: Sequence[Timed], workers: Sequence[int], title: str, model: Model) -> Page:
    """Return the table of makespans, the share of the time that workers are busy, and the critical path."""
    total = sum(task.seconds for task in tasks)
    lines = []
    spans = {count: makespan(tasks, count) for count in workers}
    for count, seconds in spans.items():
        lines.append(
            (
                f"{count:,}",
                _long(seconds),
                f"{total / max(seconds, 1e-9):.1f}",
                f"{100 * total / max(count * seconds, 1e-9):.0f} %",
            )
        )
    kinds = {"train": "training", "outputs": "outputs", "evaluate": "evaluations"}
    path = critical_path(tasks)
    shares = ", ".join(
        f"{100 * sum(one.seconds for one in tasks if f' {kind} ' in one.key) / max(total, 1e-9):.0f} % {word}"
        for kind, word in kinds.items()
    )
    ends = [f"  {_long(one.seconds):>8}  {one.label}" for one in path if one.seconds]
    guessed = f"; {len(model.unknown)} without a cost on record were guessed" if model.unknown else ""
    return Page(
        f"{title}, {len(tasks):,} tasks{guessed}; a worker is {model.speed:g} cores of the machine on record",
        Table(("workers", "time", "times one", "busy"), lines, ("right",) * 4),
        f"work: {_long(total)} of one worker: {shares}",
        f"critical path, {_long(sum(one.seconds for one in path))}: no number of workers ends sooner",
        *ends,
        data={
            "of": title,
            "tasks": len(tasks),
            "guessed": len(model.unknown),
            "speed": model.speed,
            "work_seconds": total,
            "seconds": spans,
            "critical_path": [{"task": one.label, "seconds": one.seconds} for one in path if one.seconds],
        },
    )


def _long(seconds: float) -> str:
    for unit, size in (("d", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"

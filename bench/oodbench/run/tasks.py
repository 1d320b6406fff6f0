"""The kinds of task: train a model, store its outputs and the attacks on it, evaluate a method, try code on the toy.

All reuse what the cache holds, so that running one twice is running it once.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from oodbench.contract import Output
from oodbench.data.inputs import Inputs
from oodbench.data.matrix import Matrix
from oodbench.identity import address
from oodbench.models.train import Report
from oodbench.records import Cost, Record, record_paths, write_cost, write_record, write_scores
from oodbench.run import provenance
from oodbench.run.adaptive import STAGE as ADAPTIVE
from oodbench.run.behaviour import ToyGuard
from oodbench.run.context import ANSWER, Context
from oodbench.run.cost import Spent, note, noted, spending
from oodbench.run.evaluation import Evaluation, evaluation
from oodbench.run.graph import Needs
from oodbench.run.guard import Made
from oodbench.run.keys import record_key
from oodbench.run.model_records import write_models
from oodbench.run.models import describe, is_trained
from oodbench.run.plan import Job
from oodbench.run.records import make_record
from oodbench.run.registry import Registered
from oodbench.run.workspace import Workspace
from oodbench.training import Recipe

STAGES = ("train", "outputs")
"""What a model costs, whoever stands on it."""


def guarded(matrix: Matrix, place: Workspace) -> Context:
    """Return a matrix at a place, what other code left there checked."""
    return Context(matrix, place, ToyGuard(matrix, place))


@dataclass(frozen=True)
class TrainModel:
    """Train one model, or load a given one."""

    matrix: Matrix
    recipe: Recipe
    seed: int
    after: tuple[str, ...]
    needs: Needs

    @property
    def key(self) -> str:
        """Of its kind, recipe and seed."""
        return train_key(self.recipe, self.seed)

    @property
    def label(self) -> str:
        """For people."""
        given, network = self.recipe.given(), self.recipe.training.network
        what = f"load {given.name}" if given else f"train {describe(self.recipe)['name']}"
        return f"{what} ({network}), seed {self.seed}"

    def run(self, place: Workspace, report: Report) -> None:
        """Train or load, unless the weights are in the cache."""
        context = guarded(self.matrix, place)
        key, device = context.key(self.recipe, self.seed), place.torch_device
        fresh = not is_trained(key, place.cache, device)
        with spending(device) as spent:
            context.model(self.recipe, self.seed, report)
        if fresh:
            spent.forward = spent.gradient = self.recipe.training.epochs * len(context.sets.train)
            note(key.folder(place.cache, device), "train", spent)


@dataclass(frozen=True)
class StoreOutputs:
    """Store a model's outputs of every set, and of the attacked images: one forward pass each, for all methods.

    The attacks are those of `reference`, the classifier of the same seed; None for a model that is only a part of
    others, which ask it for their own attacked images.
    """

    matrix: Matrix
    recipe: Recipe
    seed: int
    reference: Recipe | None
    wanted: frozenset[Output]
    after: tuple[str, ...]
    needs: Needs

    @property
    def key(self) -> str:
        """Of its kind, recipe and seed."""
        return outputs_key(self.recipe, self.seed)

    @property
    def label(self) -> str:
        """For people."""
        return f"outputs of {describe(self.recipe)['name']}, seed {self.seed}"

    def run(self, place: Workspace, report: Report) -> None:
        """Write the outputs that are not in the cache yet."""
        context = guarded(self.matrix, place)
        folder = context.kept(self.recipe, self.seed)
        with spending(place.torch_device) as spent:
            for _, _, images in context.sets:
                context.outputs(self.recipe, self.seed, self.wanted, images, report)
            for images in self._attacked(context, report):
                context.outputs(self.recipe, self.seed, self.wanted, images, report)
        note(folder, "outputs", noted(folder, "outputs") + spent)

    def _attacked(self, context: Context, report: Report) -> list[Inputs]:
        if self.reference is None:
            return []
        beside = self.wanted if self.recipe == self.reference else ANSWER
        attacks = context.attacked(self.reference, self.seed, report, beside)
        fooling = context.attacked_validation(self.reference, self.seed, report, beside).fooling
        return [*(attempt.images for attempt in attacks.made.values()), *([fooling] if fooling else [])]


@dataclass(frozen=True)
class Evaluate:
    """Make one record."""

    matrix: Matrix
    job: Job
    after: tuple[str, ...]
    needs: Needs

    @property
    def key(self) -> str:
        """Of its kind, method and seed."""
        return f"evaluate {self.job.method.name} {self.job.seed}"

    @property
    def label(self) -> str:
        """For people."""
        return f"{self.job.method.name}, seed {self.job.seed}"

    def run(self, place: Workspace, report: Report) -> Record:
        """Return the record, written with its scores and its cost."""
        context, job = guarded(self.matrix, place), self.job
        assert context.guard is not None
        paths = record_paths(place.results, self.matrix.name, job.method.name, job.seed)
        began = datetime.now(UTC)
        with spending(place.torch_device) as spent:
            found = evaluation(context, job, report)
        made = context.guard.made_method(job.entry)
        models = write_models(context, job, found)
        sha256 = write_scores(paths.scores, found.scores)
        record = make_record(context, job, record_key(context, job), made, found, models, sha256)
        write_cost(paths.cost, cost(context, job, spent, found, began))
        write_record(paths.record, record)  # last: a record stands only beside its scores
        paths.failure.unlink(missing_ok=True)
        return record


@dataclass(frozen=True)
class TryOnToy:
    """Try a method's code on the toy, where another code made its records."""

    matrix: Matrix
    entry: Registered
    after: tuple[str, ...] = ()
    needs: Needs = Needs()

    @property
    def key(self) -> str:
        """Of its kind and method."""
        return f"toy {self.entry.method.name}"

    @property
    def label(self) -> str:
        """For people."""
        return f"try {self.entry.method.name} on the toy"

    def run(self, place: Workspace, report: Report) -> Made:
        """Return how the code behaves; it is remembered in the cache."""
        report("toy", 0, 1)
        return ToyGuard(self.matrix, place).made_method(self.entry)


def train_key(recipe: Recipe, seed: int) -> str:
    """Return the key of a model's training."""
    return f"train {address(recipe)} {seed}"


def outputs_key(recipe: Recipe, seed: int) -> str:
    """Return the key of storing a model's outputs."""
    return f"outputs {address(recipe)} {seed}"


def cost(context: Context, job: Job, own: Spent, found: Evaluation, began: datetime) -> Cost:
    """Return what a record cost: its own stages, and those of its model and of all models that this is made from.

    "adaptive" is what the attacks on the detector took, in this run or an earlier one that was stopped.
    """
    shared = {stage: _of_model(context, job.recipe, job.seed, stage) for stage in STAGES}
    if found.adaptation.scores:
        shared[ADAPTIVE] = found.adaptation.spent
    stages = shared | {"evaluate": own}
    return Cost(
        seconds={stage: spent.seconds for stage, spent in stages.items()} | found.outcome.seconds,
        cpu_seconds={stage: spent.cpu_seconds for stage, spent in stages.items()},
        gpu_seconds={stage: spent.gpu_seconds for stage, spent in stages.items()},
        passes={stage: {"forward": one.forward, "gradient": one.gradient} for stage, one in shared.items()},
        peak_memory_mb=provenance.peak_memory_mb(),
        started_at=began,
        workers=context.workspace.workers,
    )


def _of_model(context: Context, recipe: Recipe, seed: int, stage: str) -> Spent:
    folder = context.folder(recipe, seed) if stage == "train" else context.kept(recipe, seed)
    spent = noted(folder, stage)
    for part in dict.fromkeys(recipe.parts(seed, context.matrix.seeds)):
        spent = spent + _of_model(context, *part, stage)
    return spent

"""What a run would do, before it does it: `oodbench plan`."""

from collections.abc import Sequence
from pathlib import Path
from statistics import mean

from tabulate import tabulate

from oodbench.errors import BadRecord, MissingData
from oodbench.records import read_cost, record_paths
from oodbench.run.context import Context, record_key
from oodbench.run.models import is_trained
from oodbench.run.plan import Job, Skip
from oodbench.run.tasks import current

SCORE_BYTES = 4
SHARED = ("train", "views")


def forecast(context: Context, planned: Sequence[Job | Skip]) -> str:
    """Return a table of what is done, what would run and what is skipped, and an estimate of time and disk."""
    try:
        here = context.sets
    except MissingData as error:
        return f"nothing can run: {error}"
    rows = [(item.method.name, item.seed, *_state(context, item)) for item in planned]
    waiting = [item for item in planned if isinstance(item, Job) and _state(context, item)[0] != "done"]
    absent = [f"  {name}: {reason}" for name, reason in here.absent.items()]
    return "\n".join(
        [
            f"{context.matrix.name}: {context.matrix.title}, scale {context.matrix.scale}",
            tabulate(rows, ("method", "seed", "state", "why"), tablefmt="simple"),
            *(["out-sets that are not here; their cells are skipped:", *absent] if absent else []),
            _estimate(context, waiting),
        ]
    )


def _state(context: Context, item: Job | Skip) -> tuple[str, str]:
    if isinstance(item, Skip):
        return "skip", item.reason
    where = context.workspace.results, context.matrix.name, item.method.name, item.seed
    try:
        if current(*where, record_key(context, item)):
            return "done", "its record is current"
    except BadRecord as error:
        return "run", f"its record cannot be read: {error}"
    if record_paths(*where).record.exists():
        return "run", "its record is of other code, data or versions, or failed"
    if is_trained(context.key(item.recipe, item.seed), context.workspace.cache):
        return "run", "its model is in the cache"
    return "run", "its model must be trained"


def _estimate(context: Context, jobs: Sequence[Job]) -> str:
    """Sum what the same jobs cost when they were last recorded; shared stages count once a model."""
    if not jobs:
        return "nothing to do: every record is current"
    own: list[float] = []
    shared: dict[tuple[str, int], float] = {}
    for job in jobs:
        seconds = _cost(context, job)
        if seconds:
            own.append(seconds.get("fit", 0) + seconds.get("score", 0))
            if not is_trained(context.key(job.recipe, job.seed), context.workspace.cache):
                shared[repr(job.recipe), job.seed] = sum(seconds.get(stage, 0) for stage in SHARED)
    images = sum(len(images) for _, role, images in context.sets if role in ("test", "ood"))
    images += sum(2 * attack.n for attack in context.matrix.attacks)
    disk = f"about {len(jobs) * images * SCORE_BYTES / 1e6:.1f} MB of scores"
    if not own:
        return f"{len(jobs)} to run; no cost on record to estimate time from; {disk}"
    known = f" (from the {len(own)} of them that have a cost on record)" if len(own) < len(jobs) else ""
    total = mean(own) * len(jobs) + sum(shared.values())
    return f"{len(jobs)} to run; about {_time(total)} of one core, as last recorded{known}; {disk}"


def _cost(context: Context, job: Job) -> dict[str, float]:
    """Return a job's seconds by stage, from its own seed's cost or any other seed's; empty if there is none."""
    path = record_paths(context.workspace.results, context.matrix.name, job.method.name, job.seed).cost
    others: list[Path] = sorted(path.parent.glob("*.cost.json")) if path.parent.exists() else []
    for candidate in (path, *others):
        if candidate.exists():
            return dict(read_cost(candidate).seconds)
    return {}


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"

"""What a run would do, before it does it: `oodbench plan`."""

from collections.abc import Collection, Sequence
from pathlib import Path
from statistics import mean

from tabulate import tabulate

from oodbench.errors import BadData
from oodbench.records import read_cost, record_paths
from oodbench.run.context import Context
from oodbench.run.models import is_trained
from oodbench.run.plan import Job, Skip
from oodbench.run.standing import standing, suspects

SCORE_BYTES = 4
SHARED = ("train", "outputs")


def forecast(context: Context, planned: Sequence[Job | Skip]) -> str:
    """Return a table of what is done, what would run and what is skipped, and an estimate of time and disk."""
    try:
        here = context.sets
    except BadData as error:
        return f"nothing can run: {error}"
    jobs = [item for item in planned if isinstance(item, Job)]
    doubtful = {entry.method.name for entry in suspects(context, jobs)}
    states = [_state(context, item, doubtful) for item in planned]
    rows = [(item.method.name, item.seed, *state) for item, state in zip(planned, states, strict=True)]
    waiting = [item for item, state in zip(planned, states, strict=True) if isinstance(item, Job) and state[0] == "run"]
    absent = [f"  {name}: {reason}" for name, reason in here.absent.items()]
    damaged = [f"  {name}: {reason}" for name, reason in here.damaged.items()]
    return "\n".join(
        [
            f"{context.matrix.name}: {context.matrix.title}, scale {context.matrix.scale}",
            tabulate(rows, ("method", "seed", "state", "why"), tablefmt="simple"),
            *(["out-sets that are not here; their cells are skipped:", *absent] if absent else []),
            *(["out-sets that are damaged; their cells will fail:", *damaged] if damaged else []),
            _estimate(context, waiting),
        ]
    )


def _state(context: Context, item: Job | Skip, doubtful: Collection[str]) -> tuple[str, str]:
    if isinstance(item, Skip):
        return "skip", item.reason
    stands = standing(context, item)
    if stands.record is not None and stands.record.status == "ok":
        if item.method.name in doubtful:
            return "check", "its record is current, but other code made it: a run compares their behaviour on the toy"
        return "done", stands.why
    model = "in the cache" if _is_trained(context, item) else "to be trained"
    return "run", f"{stands.why}; its model is {model}"


def _is_trained(context: Context, job: Job) -> bool:
    key, workspace = context.key(job.recipe, job.seed), context.workspace
    return is_trained(key, workspace.cache, workspace.torch_device)


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
            if not _is_trained(context, job):
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

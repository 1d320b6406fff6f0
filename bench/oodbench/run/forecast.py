"""What a run would do, before it does it: `oodbench plan`."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import mean

from oodbench.errors import BadData, MissingData
from oodbench.records import read_cost, record_paths
from oodbench.run.absent import Wanted, wanted
from oodbench.run.context import Context
from oodbench.run.cost_model import expected
from oodbench.run.models import is_trained
from oodbench.run.plan import Job, Skip
from oodbench.run.standing import standing, suspects
from oodbench.shown import Page, Table
from oodbench.training import Recipe

SCORE_BYTES = 4
SHARED = ("train", "outputs")


COLOURS = {"done": "green", "run": "cyan", "check": "yellow", "skip": "bright_black", "here": "green", "absent": "red"}
"""Of what is said of a job or a set."""


def forecast(context: Context, planned: Sequence[Job | Skip]) -> Page:
    """Return a table of what is done, what would run and what is skipped, and an estimate of time and disk.

    Where a set is absent without which nothing runs, the plan is shown all the same, with what to get.
    """
    try:
        here = context.require([item for item in planned if isinstance(item, Job)])
    except MissingData:
        return _without_data(context, planned)
    except BadData as error:
        return Page(f"nothing can run: {error}", data={"matrix": context.matrix.name, "error": str(error)})
    jobs = [item for item in planned if isinstance(item, Job)]
    doubtful = {entry.method.name for entry in suspects(context, jobs)}
    states = [_state(context, item, doubtful) for item in planned]
    rows = [(item.method.name, item.seed, *state) for item, state in zip(planned, states, strict=True)]
    waiting = [item for item, state in zip(planned, states, strict=True) if isinstance(item, Job) and state[0] == "run"]
    absent = [f"  {name}: {reason}" for name, reason in here.absent.items()]
    damaged = [f"  {name}: {reason}" for name, reason in here.damaged.items()]
    headers = ("method", "seed", "state", "why")
    estimate = _estimate(context, waiting) if waiting else _nothing(Counter(state for state, _ in states))
    return Page(
        f"{context.matrix.name}: {context.matrix.title}, scale {context.matrix.scale}",
        Table(headers, rows, colours=COLOURS),
        *(["out-sets that are not here; their cells are skipped:", *absent] if absent else []),
        *(["out-sets that are damaged; their cells will fail:", *damaged] if damaged else []),
        estimate,
        data={
            **_of(context),
            "records": [dict(zip(headers, row, strict=True)) for row in rows],
            "absent": here.absent,
            "damaged": here.damaged,
            "estimate": estimate,
        },
    )


def _of(context: Context) -> dict[str, object]:
    matrix = context.matrix
    return {"matrix": matrix.name, "title": matrix.title, "scale": matrix.scale}


def _without_data(context: Context, planned: Sequence[Job | Skip]) -> Page:
    """Return the plan of a matrix whose records cannot be compared as yet: their keys hold hashes of the data."""
    matrix = context.matrix
    seeds = {item.method.name: [one.seed for one in planned if one.method is item.method] for item in planned}
    reasons = {item.method.name: item.reason for item in planned if isinstance(item, Skip)}
    rows = [
        (name, _listed(its), "skip" if name in reasons else "run", reasons.get(name, "")) for name, its in seeds.items()
    ]
    needs = wanted(matrix, context.workspace.data)
    sets = [
        (
            one.card,
            one.split,
            one.role,
            one.n or "all",
            "here" if one.here else "absent",
            "" if one.here else one.how_to_get,
        )
        for one in needs
    ]
    stops = list(dict.fromkeys(one.card for one in needs if one.stops_a_run))
    size = _size(context, planned, needs)
    return Page(
        f"{matrix.name}: {matrix.title}, scale {matrix.scale}",
        Table(("method", "seeds", "state", "why"), rows, colours=COLOURS),
        "",
        Table(("data set", "part", "role", "n", "state", "how to get it"), sets, colours=COLOURS),
        "",
        size,
        f"nothing can run before {', '.join(stops)} {'is' if len(stops) == 1 else 'are'} here; an absent out-set "
        f"costs its own cells alone",
        data={
            **_of(context),
            "records": [
                {"method": one.method.name, "seed": one.seed, "state": state, "why": why}
                for (_, _, state, why), own in zip(rows, _by_method(planned), strict=True)
                for one in own
            ],
            "sets": [
                {"set": card, "split": split, "role": role, "n": n, "state": state, "how_to_get": how}
                for card, split, role, n, state, how in sets
            ],
            "stops": stops,
            "estimate": size,
        },
    )


def _by_method(planned: Sequence[Job | Skip]) -> list[list[Job | Skip]]:
    """Return what is planned, a list a method."""
    names = dict.fromkeys(one.method.name for one in planned)
    return [[one for one in planned if one.method.name == name] for name in names]


def _size(context: Context, planned: Sequence[Job | Skip], needs: Sequence[Wanted]) -> str:
    """Say how large a run would be, from what the matrix declares and from costs on record."""
    jobs = [item for item in planned if isinstance(item, Job)]
    recipes = dict.fromkeys((repr(job.recipe), job.seed) for job in jobs)
    matrix = context.matrix
    images = matrix.n_test + sum(one.n for one in matrix.ood) + sum(one.n for one in matrix.corrupted)
    images += 2 * sum(one.n for one in matrix.attacks)
    time = _time_of(context, jobs, lambda recipe, seed: False)
    absent = {one.card: one.bytes_to_get for one in needs if not one.here}
    unsaid = [card for card, size in absent.items() if size is None]
    get = f"{sum(size or 0 for size in absent.values()) / 1e6:.0f} MB to download"
    get += f", without {', '.join(unsaid)}, whose cards state no size" if unsaid else ""
    return (
        f"{len(jobs)} records to make on {len(recipes)} models; {time}; "
        f"about {len(jobs) * images * SCORE_BYTES / 1e6:.1f} MB of scores; {get}"
    )


def _listed(seeds: Sequence[int]) -> str:
    return ", ".join(map(str, seeds))


def _state(context: Context, item: Job | Skip, doubtful: Collection[str]) -> tuple[str, str]:
    if isinstance(item, Skip):
        return "skip", item.reason
    stands = standing(context, item)
    if stands.record is not None and stands.record.status == "ok":
        if item.method.name in doubtful:
            return "check", "its record is current, but other code made it: a run compares their behaviour on the toy"
        return "done", stands.why
    fresh = "to be loaded" if item.recipe.given() else "to be trained"
    model = "in the cache" if _is_trained(context, item.recipe, item.seed) else fresh
    return "run", f"{stands.why}; its model is {model}"


def _is_trained(context: Context, recipe: Recipe, seed: int) -> bool:
    key, workspace = context.key(recipe, seed), context.workspace
    return is_trained(key, workspace.cache, workspace.torch_device)


def _nothing(states: Mapping[str, int]) -> str:
    """Say why nothing is to run."""
    if set(states) <= {"done"}:
        return "nothing to do: every record is current"
    said = {"done": "current", "check": "to be checked", "skip": "skipped"}
    return "nothing to run: " + ", ".join(f"{states[state]} {does}" for state, does in said.items() if state in states)


def _estimate(context: Context, jobs: Sequence[Job]) -> str:
    """Sum what the same jobs cost when they were last recorded; shared stages count once a model."""
    images = sum(len(images) for _, role, images in context.sets if role in ("test", "ood", "corruption"))
    images += sum(2 * attack.n for attack in context.matrix.attacks)
    time = _time_of(context, jobs, partial(_is_trained, context))
    return f"{len(jobs)} to run; {time}; about {len(jobs) * images * SCORE_BYTES / 1e6:.1f} MB of scores"


def _time_of(context: Context, jobs: Sequence[Job], trained: Callable[[Recipe, int], bool]) -> str:
    """Say how long jobs take: what they last cost here, else what their methods cost on other matrices."""
    own: list[float] = []
    shared: dict[tuple[str, int], float] = {}
    new: list[Job] = []
    for job in jobs:
        seconds = _cost(context, job)
        if not seconds:
            new.append(job)
            continue
        own.append(seconds.get("fit", 0) + seconds.get("score", 0))
        if not trained(job.recipe, job.seed):
            shared[repr(job.recipe), job.seed] = sum(seconds.get(stage, 0) for stage in SHARED)
    elsewhere, known = expected(context, new, trained) if new else 0.0, ""
    if elsewhere is None and not own:
        return "no cost on record to estimate time from"
    if elsewhere is None:
        elsewhere, known = mean(own) * len(new), f" (from the {len(own)} of them that have a cost on record)"
    elif new:
        known = f", {len(new)} of them on other matrices"
    return f"about {_time(sum(own) + sum(shared.values()) + elsewhere)} of one core, as last recorded{known}"


def _cost(context: Context, job: Job) -> dict[str, float]:
    """Return a job's seconds by stage, from its own seed's cost or any other seed's; empty if there is none."""
    path = record_paths(context.workspace.results, context.matrix.name, job.method.name, job.seed).cost
    others: list[Path] = sorted(path.parent.glob("*.cost.json")) if path.parent.exists() else []
    for candidate in (path, *others):
        if candidate.exists():
            return dict(read_cost(candidate).seconds)
    return {}


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"

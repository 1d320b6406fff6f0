"""Golden scores: what every method of this repository makes of the toy, with the versions that it declares.

    make golden

writes `tests/golden/scores/<method>.json`, and `<method>.tokens.json` where a method takes texts, too. It refuses where
scores moved and no version did, and where a version moved and no score did: numbers move exactly when somebody says so.
A change that the toy is too easy to show has its methods named:

    python tests/golden/make_scores.py mahalanobis-c mahalanobis-d
"""

import json
import sys
from collections.abc import Collection, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import get_args

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from brief import brief

from oodbench.run.behaviour import method_behaviour, toy_matrix
from oodbench.run.guard import Made, moved
from oodbench.run.machine import machine_class
from oodbench.run.plan import Job, plan
from oodbench.run.records import declared_versions
from oodbench.run.registry import Registered, registry
from oodbench.run.workspace import Workspace
from oodbench.spaces import SpaceName

FOLDER = Path(__file__).parent / "scores"
UNSEEN = ", and no number did"

AMPLIFIED = frozenset(
    f"oodbench.methods.{name}"
    for name in (
        "flow_gan",
        "g_odin",
        "glow",
        "odds",
        "pixelcnn",
        "pixelcnn_oe",
        "typicality",
        "waic",
    )
)
"""Files whose fit or training amplifies how a processor rounds: between two with AVX-512, and between AVX-512 and AVX2,
their toy numbers deviate by 2e-4 to 0.1 of their spread (0.02 at most in the median), those of all others by 4e-5."""


def entries() -> list[Registered]:
    return [entry for entry in registry().values() if entry.module.startswith("oodbench.methods.")]


def tried() -> list[tuple[Registered, SpaceName]]:
    """Every method with every toy that can feed it."""
    found: list[tuple[Registered, SpaceName]] = []
    for space in get_args(SpaceName):
        toy = toy_matrix(space)
        found += [(job.entry, space) for job in plan(toy, entries(), toy.seeds) if isinstance(job, Job)]
    return found


def path_of(entry: Registered, space: SpaceName) -> Path:
    return FOLDER / (f"{entry.method.name}.json" if space == "images" else f"{entry.method.name}.{space}.json")


def now(entry: Registered, workspace: Workspace, space: SpaceName) -> Made:
    """Return what a method makes of the toy; a long fit is cut short: an edit moves its first steps, too."""
    short = replace(entry, method=brief(entry.method, most=60))
    return Made(machine=machine_class("cpu"), behaviour=method_behaviour(short, workspace, space))


def stored(entry: Registered, space: SpaceName) -> tuple[dict[str, int], Made]:
    content = json.loads(path_of(entry, space).read_text())
    return content["versions"], Made(machine=content["machine"], behaviour=content["numbers"])


def fault(entry: Registered, made: Made, space: SpaceName) -> str | None:
    """What is wrong between a method and its golden scores, or None."""
    name = f"{entry.method.name} ({space})"
    if not path_of(entry, space).exists():
        return f"{name} has no golden scores: make golden"
    versions, then = stored(entry, space)
    if entry.module not in AMPLIFIED:
        then = replace(then, machine=made.machine)
    groups = ", ".join(sorted(moved(made, then)))
    same = versions == declared_versions(entry.method)
    if groups and same:
        return f"{name}: its numbers moved ({groups}) and no version did: raise the version of what changed, or mend it"
    if not groups and not same:
        return f"{name}: a version moved, {versions} to {declared_versions(entry.method)}{UNSEEN}"
    return f"{name}: its numbers moved with their version: make golden" if groups else None


def write(workspace: Workspace, named: Collection[str]) -> Iterator[str]:
    """Write what moved; yield what is refused. Of those named a version may move that the toy does not show."""
    FOLDER.mkdir(exist_ok=True)
    for entry, space in tried():
        made = now(entry, workspace, space)
        wrong = fault(entry, made, space)
        if wrong and not wrong.endswith("make golden") and not (wrong.endswith(UNSEEN) and entry.method.name in named):
            yield wrong
        elif wrong:
            content = {"versions": declared_versions(entry.method), "machine": made.machine}
            content |= {"numbers": asdict(made)["behaviour"]}
            path_of(entry, space).write_text(json.dumps(content, indent=1) + "\n")
            print(f"wrote {path_of(entry, space).name}")


if __name__ == "__main__":
    torch.set_num_threads(1)
    with TemporaryDirectory() as folder:
        refused = list(write(Workspace(results=Path(folder), cache=Path(folder)), sys.argv[1:]))
    print("\n".join(refused), file=sys.stderr)
    sys.exit(bool(refused))

"""Runs whose workers share no folders: a task gets what it needs from a store, and puts there what it made.

    <store>/blobs/<sha256>                         files, by what they hold
    <store>/cache/models/<machine>/<address>/...   the seals of a model's files (`oodbench.run.sealed`), which name them

A seal is put after the files that it names, and once: of two workers that made the same, the first wins, and the other
takes what the first made. Records travel by what they hold, too: a task's end says which files it made, and the driver
lays them into its folder of results.
"""

import json
import logging
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from oodbench.errors import BadSetting, OodbenchError
from oodbench.models.train import Report
from oodbench.records import MODELS, model_paths, read_model, read_outcomes
from oodbench.run.context import Context
from oodbench.run.depot import Depot, open_depot
from oodbench.run.engines import failed
from oodbench.run.graph import Backend, Done, Lost, Task, Watch
from oodbench.run.model_records import put_model
from oodbench.run.plan import reference_of
from oodbench.run.tasks import Evaluate, StoreOutputs, TrainModel, guarded
from oodbench.run.workspace import Workspace
from oodbench.store import atomically, file_sha256
from oodbench.training import Recipe

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Shipped:
    """A task's result, and the files that it wrote to its folder of results: sha256 by path."""

    result: Any
    files: dict[str, str]


def run_apart(task: Task[Any], place: Workspace, report: Report) -> Shipped:
    """Run a task at a place that shares nothing with others but its store."""
    assert place.store is not None
    depot = open_depot(place.store)
    folders = list(model_folders(task, place))
    for folder in folders:
        get_folder(depot, folder, place.cache)
    with TemporaryDirectory(prefix="oodbench-results-") as name:
        results = Path(name)
        result = task.run(replace(place, results=results), report)
        for folder in folders:
            put_folder(depot, folder, place.cache)
        made = [path for path in sorted(results.rglob("*")) if path.is_file() and not path.name.startswith(".")]
        return Shipped(result, {path.relative_to(results).as_posix(): _put_blob(depot, path) for path in made})


def model_folders(task: Task[Any], place: Workspace) -> Iterator[Path]:
    """Yield the folders of the models that a task reads or makes, of those that they are made from first."""
    if not isinstance(task, TrainModel | StoreOutputs | Evaluate):
        return
    context = guarded(task.matrix, place)
    models: dict[tuple[Recipe, int], None] = {}
    for model in _models(context, task):
        _add_with_parts(context, model, models)
    yield from (context.folder(*model) for model in models)


def _models(context: Context, task: TrainModel | StoreOutputs | Evaluate) -> Iterator[tuple[Recipe, int]]:
    matrix = context.matrix
    recipe, seed = (task.job.recipe, task.job.seed) if isinstance(task, Evaluate) else (task.recipe, task.seed)
    yield recipe, seed
    if isinstance(task, TrainModel):
        return
    reference = reference_of(recipe, matrix) if isinstance(task, Evaluate) else task.reference
    if reference is not None:
        yield reference, seed
        if matrix.transfers:
            yield reference, matrix.seed_after(seed)


def _add_with_parts(context: Context, model: tuple[Recipe, int], found: dict[tuple[Recipe, int], None]) -> None:
    recipe, seed = model
    for part in recipe.parts(seed, context.matrix.seeds):
        _add_with_parts(context, part, found)
    found.setdefault(model)


def get_folder(depot: Depot, folder: Path, cache: Path) -> None:
    """Get what is sealed in a model's folder and is not here, or is otherwise here."""
    for name in depot.names(_name(folder, cache)):
        _get_sealed(depot, name, cache / Path(name).relative_to("cache"))


def put_folder(depot: Depot, folder: Path, cache: Path) -> None:
    """Put what is sealed in a model's folder; take what another worker sealed there first.

    Raises:
        BadSetting: Other code made what lies there.
    """
    for marker in sorted(folder.rglob("*.json"), key=lambda path: (len(path.parts), path)):  # the model's own first
        name = _name(marker, cache)
        text = marker.read_bytes()
        for beside in json.loads(text)["sha256"]:
            _put_blob(depot, marker.parent / beside)
        if depot.put(name, marker) or marker.name.endswith(".cost.json"):
            continue
        with TemporaryDirectory() as other:
            first = Path(other) / "first"
            depot.get(name, first)
            if first.read_bytes() == text:
                continue
            theirs, own = json.loads(first.read_bytes()), json.loads(text)
            if theirs["sha256"] != own["sha256"] and theirs.get("made") != own.get("made"):
                raise BadSetting(
                    f"store: {name} was made by other code, which trains or asks another model; name an empty store, "
                    f"as another prefix: --store"
                )
        log.warning("%s: another worker made this first; its is taken", marker)
        _get_sealed(depot, name, marker)


def _get_sealed(depot: Depot, name: str, marker: Path) -> None:
    """Get a seal after the files that it names, where it is not the same here already."""
    with TemporaryDirectory() as folder:
        copy = Path(folder) / "seal"
        if not depot.get(name, copy) or (marker.exists() and marker.read_bytes() == copy.read_bytes()):
            return
        for beside, sha256 in json.loads(copy.read_bytes())["sha256"].items():
            if not _get_blob(depot, sha256, marker.parent / beside):
                log.warning("%s: the store lost %s; it is made again", name, beside)
                return
        with atomically(marker) as temporary:
            temporary.write_bytes(copy.read_bytes())


def _put_blob(depot: Depot, path: Path) -> str:
    sha256 = file_sha256(path)
    depot.put(f"blobs/{sha256}", path)
    return sha256


def _get_blob(depot: Depot, sha256: str, path: Path) -> bool:
    """Get a file by what it holds; False where the store has it not, or not as it was put."""
    if path.exists() and file_sha256(path) == sha256:
        return True
    with TemporaryDirectory(dir=_made(path.parent), prefix=".got-") as folder:
        copy = Path(folder) / "blob"
        if not depot.get(f"blobs/{sha256}", copy) or file_sha256(copy) != sha256:
            return False
        copy.replace(path)
    return True


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _name(path: Path, cache: Path) -> str:
    return f"cache/{path.relative_to(cache).as_posix()}"


class Landing:
    """A backend whose tasks run apart: their files are laid into the driver's folder of results as they end."""

    def __init__(self, backend: Backend, workspace: Workspace) -> None:
        assert workspace.store is not None
        self._backend, self._results = backend, workspace.results
        self._depot = open_depot(workspace.store)

    @property
    def slots(self) -> int:
        """As many as the backend has."""
        return self._backend.slots

    def submit(self, task: Task[Any]) -> None:
        """Send a task on."""
        self._backend.submit(task)

    def wait(self, watch: Watch) -> Collection[Done[Any] | tuple[Task[Any], Lost]]:
        """Wait until a task ends, and lay its files where they belong."""
        return [self._landed(end) if isinstance(end, Done) else end for end in self._backend.wait(watch)]

    def cancel(self) -> None:
        """End what is running."""
        self._backend.cancel()

    def close(self) -> None:
        """Let go of the workers."""
        self._backend.close()

    def _landed(self, done: Done[Any]) -> Done[Any]:
        if not isinstance(done.result, Shipped):
            return done
        try:
            land(self._depot, done.result.files, self._results)
        except (OodbenchError, OSError) as error:
            return failed(done.task, error)
        return replace(done, result=done.result.result)


def land(depot: Depot, files: dict[str, str], results: Path) -> None:
    """Lay the files of a task into a folder of results: models as they are put there, a record last.

    Raises:
        BadSetting: The store lost one of them.
        BadRecord: A model came out otherwise than it stands there.
    """
    with TemporaryDirectory(prefix="oodbench-landing-") as name:
        folder = Path(name)
        for path, sha256 in files.items():
            if not _get_blob(depot, sha256, folder / path):
                raise BadSetting(f"store: {path} was put there and is gone, or is not what was put; run again")
        own, models = (_named_models(files, are=are) for are in (False, True))
        for path in models:
            if not path.endswith(".json"):
                continue
            model = read_model(folder / path)
            kept = model_paths(folder, model.matrix, model.name, model.seed).outcomes
            put_model(results, model, read_outcomes(kept, model.outcomes_sha256) if model.outcomes_sha256 else None)
        for path in sorted(own, key=lambda one: (one.endswith(".json") and not one.endswith(".cost.json"), one)):
            with atomically(results / path) as temporary:
                temporary.write_bytes((folder / path).read_bytes())


def _named_models(files: Collection[str], *, are: bool) -> list[str]:
    """Return the files that are of models, or the others."""
    return [one for one in files if (Path(one).parts[1] == MODELS) is are]

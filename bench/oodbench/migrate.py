"""Move results of oodbench 0.1 (schema 1) to today's layout without a re-run: `python -m oodbench.migrate results`.

Scores become Parquet, what belongs to the model moves from every method's record into the model's own, and numbers
leave the records. Nothing is taken on trust: methods that share a classifier must agree on what it does, and every
number of an old record must come out of the new files. A folder that does not pass stays as it was. Then records get
today's addresses, where they are of what is declared today (`oodbench.run.adopt`).
"""

import argparse
import hashlib
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

from oodbench.errors import BadRecord, OodbenchError
from oodbench.measure.cells import cells, measure
from oodbench.npz import read_npz
from oodbench.outcomes import Outcomes, outcomes_sha256, write_outcomes
from oodbench.records import (
    MODELS,
    ModelRecord,
    ModelUsed,
    Scores,
    model_paths,
    model_sha256,
    read_content,
    read_outcomes,
    read_record,
    record_paths,
    verify,
    write_model,
    write_record,
    write_scores,
)
from oodbench.store import digest
from oodbench.upgrade import Content, OldCell, cells_of_1, covers

TOLERANCE = 1e-12
"""By how much a number may differ: NumPy has not always rounded the last bit of a sum alike."""


class Compared(NamedTuple):
    """How many numbers were compared, and how many of them are equal to the last bit."""

    numbers: int
    exact: int


Names = Callable[[Content], tuple[str, str | None]]
"""Returns the name of the model of an old record, and of the classifier that it judges; None for its own model."""

Models = dict[tuple[str, str, int], tuple[ModelRecord, Outcomes | None]]
"""Models by matrix, name and seed."""


@dataclass(frozen=True, eq=False)
class Old:
    """A record of schema 1 with its scores.

    Attributes:
        path: Of its JSON.
        content: What that holds.
        scores: From the file beside it.
        outcomes: What the classifier does that it judges.
    """

    path: Path
    content: Content
    scores: Scores
    outcomes: Outcomes | None

    @property
    def quality(self) -> Content:
        """What the record says of that classifier."""
        return dict(self.content["subject"])


def migrate(results: Path, names: Names | None = None) -> str:
    """Move every record of schema 1 below `results`; return what was done, for people.

    Raises:
        BadRecord: A file is broken, methods disagree on a model that they share, or a number would change.
    """
    name_of = names or registered_names()
    paths = sorted(results.glob("*/*/*.json"))
    old = [one for path in paths if _of_a_method(results, path) and (one := _read(path)) is not None]
    if not old:
        return f"{results}: nothing to migrate"
    models = _models(old, name_of)
    before = sum(one.path.with_suffix(".npz").stat().st_size + one.path.stat().st_size for one in old)
    with tempfile.TemporaryDirectory(prefix=".migrating.", dir=results) as name:
        staged = Path(name)
        for model, outcomes in models.values():
            _write_model(staged, model, outcomes)
        compared = [_write(staged, one, models, name_of) for one in old]
        made = [path for path in staged.rglob("*") if path.is_file()]
        after = sum(path.stat().st_size for path in made)
        for path in made:
            place = results / path.relative_to(staged)
            place.parent.mkdir(parents=True, exist_ok=True)
            path.replace(place)
    for one in old:
        one.path.with_suffix(".npz").unlink()
    numbers, exact = (sum(column) for column in zip(*compared, strict=True))
    return (
        f"{results}: {len(old)} records and {len(models)} models; {numbers} numbers compared, {exact} of them "
        f"equal to the last bit and the others to {TOLERANCE}; "
        f"{before / 1e6:.1f} MB became {after / 1e6:.1f} MB"
    )


def _of_a_method(results: Path, path: Path) -> bool:
    matrix, method, _ = path.relative_to(results).parts
    return not path.name.endswith(".cost.json") and matrix not in ("diagnostics", "reported") and method != MODELS


def _read(path: Path) -> Old | None:
    """Return a record of schema 1 that has scores, with these; None for any other (a skip is upgraded on reading)."""
    content = read_content(path.read_text(encoding="utf-8"), path)
    if content["schema_version"] != 1 or content.get("scores_sha256") is None:
        return None
    scores = path.with_suffix(".npz")
    if not scores.exists() or hashlib.sha256(scores.read_bytes()).hexdigest() != content["scores_sha256"]:
        raise BadRecord(f"{scores}: is not the scores file that {path.name} names; migrate from an unchanged copy")
    return Old(path, content, *read_npz(scores))


def _models(old: Sequence[Old], name_of: Names) -> Models:
    """Return the record of each model by matrix, name and seed, and what it does; refuse what does not agree."""
    found: Models = {}
    for one in old:
        for model, outcomes in _models_of(one, name_of):
            key = model.matrix, model.name, model.seed
            known = found.setdefault(key, (model, outcomes))[0]
            if model_sha256(known) != model_sha256(model):
                left, right = known.model_dump(), model.model_dump()
                differing = ", ".join(name for name in left if left[name] != right[name])
                raise BadRecord(
                    f"{one.path}: says otherwise of the model {model.name}, seed {model.seed}, than the other methods "
                    f"on it ({differing}); run again what is older: oodbench run {model.matrix} --methods ..."
                )
            if known.recipe and model.recipe and known.recipe != model.recipe:
                raise BadRecord(f"{one.path}: two recipes would share the folder {model.name} of {model.matrix}")
            if model.recipe and not known.recipe:
                found[key] = (model, outcomes)
    return found


def _models_of(one: Old, name_of: Names) -> Iterator[tuple[ModelRecord, Outcomes | None]]:
    """Yield the record of the model that a method stands on and, apart, of the classifier that it judges."""
    content = one.content
    own, reference = name_of(content)
    said = {
        "quality": one.quality,
        "attacks": content.get("attacks", {}),
        "outcomes_sha256": outcomes_sha256(one.outcomes) if one.outcomes is not None else None,
    }
    where = {"matrix": content["matrix"], "seed": content["seed"]}
    bits = {"bits_per_dimension": content.get("bits_per_dimension", {})}
    if reference is None:
        yield ModelRecord(**where, name=own, recipe=content["recipe"], **bits, **said), one.outcomes
        return
    yield ModelRecord(**where, name=own, recipe=content["recipe"], **bits), None
    yield ModelRecord(**where, name=reference, recipe={}, **said), one.outcomes  # its own methods say its recipe


def _write_model(results: Path, model: ModelRecord, outcomes: Outcomes | None) -> None:
    paths = model_paths(results, model.matrix, model.name, model.seed)
    if outcomes is not None:
        write_outcomes(paths.outcomes, outcomes)
    write_model(paths.record, model)


def _write(results: Path, one: Old, models: Models, name_of: Names) -> Compared:
    """Write the scores and the record of today; return how many numbers were compared with the old ones."""
    content = one.content
    matrix, seed = content["matrix"], content["seed"]
    paths = record_paths(results, matrix, content["method"], seed)
    own, reference = name_of(content)
    used = [
        ModelUsed(name=name, sha256=model_sha256(models[matrix, name, seed][0])) for name in (own, reference or own)
    ]
    sha256 = write_scores(paths.scores, one.scores)
    record = read_record(one.path).model_copy(update={"scores_sha256": sha256, "model": used[0], "reference": used[1]})
    _, known = models[matrix, used[1].name, seed]
    outcomes = read_outcomes(model_paths(results, matrix, used[1].name, seed).outcomes) if known is not None else None
    compared = _compare(cells_of_1(content), verify(record, paths.scores), outcomes, one.path)
    write_record(paths.record, record)
    return compared


def _compare(old: list[OldCell], scores: Scores, outcomes: Outcomes | None, path: Path) -> Compared:
    """Return how many numbers an old record holds, each of which the new files must make again.

    Its intervals are none of them: they are computed otherwise by now.
    """
    made = {(cell.failure, cell.name): cell for cell in cells(scores, outcomes)}
    compared = Compared(0, 0)
    for was in old:
        cell = made.get((was.failure, was.name))
        if cell is None:
            raise BadRecord(f"{path}: {was.failure}/{was.name} has numbers and no scores")
        metrics, _ = measure(cell, bootstrap=0)
        pairs: list[tuple[float, float]] = [(was.n_good, len(cell.good)), (was.n_bad, len(cell.bad))]
        pairs += [(value, metrics[name]) for name, value in was.metrics.items()]
        if changed := [f"{then} would be {now}" for then, now in pairs if abs(then - now) > TOLERANCE]:
            raise BadRecord(f"{path}: {was.failure}/{was.name} would change: {', '.join(changed)}")
        exact = sum(then == now for then, now in pairs)
        compared = Compared(compared.numbers + len(pairs), compared.exact + exact)
    return compared


def registered_names() -> Names:
    """Return a function that names the models of records as a run of today would, from the registered methods.

    A method that is not here, or whose recipe is another one by now, is named by its record: "glow-1f0a2b3c".
    """
    from oodbench.data.matrix import load_matrices
    from oodbench.run.models import describe, model_name
    from oodbench.run.plan import reference_of, sized
    from oodbench.run.registry import registry

    known: dict[tuple[str, str], tuple[Content, str, str | None]] = {}
    for matrix in load_matrices().values():
        if matrix.training is None:
            continue  # there were none of old
        of_matrix = partial(sized, matrix=matrix)
        for name, entry in registry().items():
            recipe = of_matrix(entry.method.recipe)
            judge = reference_of(recipe, matrix)
            reference = None if judge == recipe else model_name(judge, of_matrix)
            known[matrix.name, name] = describe(recipe), model_name(recipe, of_matrix), reference

    def names(content: Content) -> tuple[str, str | None]:
        recipe, own, reference = known.get((content["matrix"], content["method"]), ({}, "", None))
        if own and covers(recipe, content["recipe"]):
            return own, reference
        return f"{content['recipe']['name']}-{digest(content['recipe'])[:8]}", reference

    return names


def main(argv: Sequence[str] | None = None) -> int:
    """Migrate the folder that is named; return 0, or 2 where that cannot be."""
    from oodbench.run.adopt import adopted

    parser = argparse.ArgumentParser(prog="python -m oodbench.migrate", description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path, help="folder of records, changed in place; keep a copy")
    try:
        results = parser.parse_args(argv).results
        print(migrate(results))
        print(adopted(results))
    except OodbenchError as error:
        print(f"oodbench.migrate: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

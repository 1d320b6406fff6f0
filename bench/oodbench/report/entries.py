"""From a results folder to entries: every record, and the records of the models that it stands on.

What systems leave in folders is passed over: names that begin with a dot (`.DS_Store`, `._0.json`), and whatever is no
`<seed>.json` (`Thumbs.db`). Everything else that is not whole is named, with the command that makes it again.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from oodbench import listed
from oodbench.data.matrix import known_matrix
from oodbench.errors import BadData, BadRecord, OodbenchError, UnknownName
from oodbench.given import method_of
from oodbench.measure.cells import Cell, cells
from oodbench.measure.kinds import shifted_sets
from oodbench.records import (
    MODELS,
    ModelRecord,
    ModelUsed,
    Outcomes,
    Record,
    Scores,
    command,
    model_paths,
    model_sha256,
    read_model,
    read_outcomes,
    read_record,
    record_paths,
    verify,
)

REPORTED = "reported"
"""The folder beside the matrices that holds the papers' own numbers."""

DIAGNOSTICS = "diagnostics"
"""The folder beside the matrices that holds what diagnostics found."""

OTHERS = frozenset({REPORTED, DIAGNOSTICS})


@dataclass(frozen=True, eq=False)
class StoredOutcomes:
    """The file of what a classifier does, read once for all methods that are judged on it.

    Attributes:
        path: Where it is.
        sha256: Of its content, as the model's record says.
    """

    path: Path
    sha256: str

    @cached_property
    def read(self) -> Outcomes:
        """What is in it.

        Raises:
            BadRecord: It is broken, or not the one that the record names.
        """
        return read_outcomes(self.path, self.sha256)


@dataclass(frozen=True, eq=False)
class Entry:
    """One (matrix, method, seed).

    Attributes:
        record: Its record.
        scores: Where its scores are.
        model: The model whose outputs it scores; None where it has no scores.
        reference: The classifier whose errors it is judged on.
        outcomes: These errors; None where the reference does not classify.
    """

    record: Record
    scores: Path
    model: ModelRecord | None = None
    reference: ModelRecord | None = None
    outcomes: StoredOutcomes | None = None

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """The cells that its scores make, read and verified now; none where it has no scores.

        Raises:
            BadRecord: The scores, or the model's outcomes, are broken or not those that the records name.
            BadData: A score is NaN or infinite.
        """
        if self.record.scores_sha256 is None:
            return ()
        scores, outcomes = self.read()
        try:
            return tuple(cells(scores, outcomes, self.shifted))
        except BadData as error:
            raise BadData(f"{self.scores}: {error}; remake both: {command(self.record)}") from error

    def read(self) -> tuple[Scores, Outcomes | None]:
        """Return its scores, and what the reference classifier does, if it classifies; there must be scores.

        Raises:
            BadRecord: As `cells`.
            BadData: As `cells`.
        """
        try:
            return verify(self.record, self.scores), self._outcomes()
        except BadData as error:
            raise BadData(f"{self.scores}: {error}; remake both: {command(self.record)}") from error

    @cached_property
    def shifted(self) -> frozenset[str]:
        """Its sets of shifted in-set images, which the full spectrum counts as good."""
        return shifted_sets(known_matrix(self.record.matrix))

    def _outcomes(self) -> Outcomes | None:
        try:
            return self.outcomes.read if self.outcomes else None
        except BadRecord as error:
            raise BadRecord(f"{error}; remake it: {command(self.record)}") from error


Models = dict[Path, tuple[ModelRecord, StoredOutcomes | None]]
"""Records of models and their outcomes, by the path of the record: each is read once."""


def no_record(results: Path, matrix: str, row: str, entries: Iterable[Entry]) -> OodbenchError:
    """Return the error for a row without a record on a matrix: with the method's rows there, or the command for one.

    Args:
        results: Where it was looked for.
        matrix: Name.
        row: What was asked for.
        entries: All of the matrix.
    """
    known = {entry.record.method for entry in entries}
    if own := sorted(one for one in known if method_of(one) == row):
        return BadData(f"{row} has a row a given model on {matrix}: {', '.join(own)}")
    if row in {line.name for line in listed.rows()}:
        made = f"oodbench run {matrix} --methods {row} --results {results}"
        return BadData(f"{row} has no record on {matrix} in {results}; make it: {made}")
    return UnknownName(f"row of {matrix}", row, known)


def collect(results: Path, matrix: str | None = None) -> list[Entry]:
    """Return the entries below `results`, of one matrix or of all, sorted by matrix, method and seed.

    Raises:
        BadRecord: A record is broken, newer than this program, not the one that its path names, or names a model whose
            record is not there or says otherwise.
    """
    models: Models = {}
    return [_entry(results, record, models) for record in _records(results, matrix)]


def matrices_in(results: Path) -> list[str]:
    """Return the names of the matrices that have results in a folder, sorted."""
    return sorted({path.relative_to(results).parts[0] for path in visible(results, "*/*/*.json")} - OTHERS)


def visible(results: Path, pattern: str) -> list[Path]:
    """Return the files below `results` that match a pattern and have no hidden part, sorted."""
    found = (path for path in results.glob(pattern) if path.is_file())
    return sorted(path for path in found if not any(part[0] == "." for part in path.relative_to(results).parts))


def _records(results: Path, matrix: str | None) -> list[Record]:
    if not results.is_dir():
        raise BadRecord(f"{results}: no such folder of results; make one: oodbench run tiny-v1")
    records = [
        _own(results, path) for path in visible(results, f"{matrix or '*'}/*/*.json") if _is_record(results, path)
    ]
    return sorted(records, key=lambda record: (record.matrix, record.method, record.seed))


def _is_record(results: Path, path: Path) -> bool:
    folder, method, _ = path.relative_to(results).parts
    return folder not in OTHERS and method != MODELS and not path.name.endswith(".cost.json")


def _own(results: Path, path: Path) -> Record:
    """Return the record at `path`, which must be where its content says it belongs."""
    try:
        record = read_record(path)
    except BadRecord as error:
        folder, method, name = path.relative_to(results).parts
        again = f"oodbench run {folder} --methods {method} --seeds {name.removesuffix('.json')}"
        raise BadRecord(f"{error}; make it again: {again}, or delete it") from error
    home = record_paths(results, record.matrix, record.method, record.seed).record
    if home != path:
        raise BadRecord(f"{path}: holds the record of {record.matrix}, {record.method}, seed {record.seed}: {home}")
    return record


def _entry(results: Path, record: Record, models: Models) -> Entry:
    scores = record_paths(results, record.matrix, record.method, record.seed).scores
    if record.scores_sha256 is None:
        return Entry(record, scores)
    if record.model is None or record.reference is None:
        raise BadRecord(
            f"{scores.with_suffix('.json')}: written by oodbench 0.1, whose scores lie elsewhere; move all of "
            f"{results} to the layout of today, which takes a minute: python -m oodbench.migrate {results}"
        )
    model, _ = _model(results, record, record.model, models)
    return Entry(record, scores, model, *_model(results, record, record.reference, models))


def _model(results: Path, record: Record, used: ModelUsed, models: Models) -> tuple[ModelRecord, StoredOutcomes | None]:
    """Return the record of a model that a method's record names, and what the model does."""
    paths = model_paths(results, record.matrix, used.name, record.seed)
    path = paths.record
    try:
        if path not in models:
            model = read_model(path)
            stored = StoredOutcomes(paths.outcomes, model.outcomes_sha256) if model.outcomes_sha256 else None
            models[path] = model, stored
        model, found = models[path][0], model_sha256(models[path][0])
        if (model.matrix, model.name, model.seed) != (record.matrix, used.name, record.seed):
            raise BadRecord(f"{path}: holds the record of {model.matrix}, {model.name}, seed {model.seed}")
        if found != used.sha256:
            raise BadRecord(
                f"{path}: is not the model that {record.method}, seed {record.seed} was scored on: "
                f"its content has sha256 {found}, that record says {used.sha256}"
            )
    except BadRecord as error:
        raise BadRecord(f"{error}; make it again: {command(record)}") from error
    return models[path]

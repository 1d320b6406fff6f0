"""What `oodbench diagnose` found of trained models: the files that it wrote, and the numbers that claims may be of.

`results/diagnostics/MATRIX/METHOD/SEED/` holds a JSON file a study, and pictures.
"""

from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from oodbench.data.fixed import Fixed
from oodbench.errors import BadRecord

FOLDER = "diagnostics"
"""Beside the matrices."""


class OfSet(Fixed):
    """What a flow says of one set, means in nats; against the in-set where it is an out-set."""

    log_prior: float
    log_det: float
    log_density: float
    bits_per_dimension: float
    variance: float
    auroc_log_density: float | None = None
    auroc_log_prior: float | None = None
    likelier_by: float | None = None
    less_variance: float | None = None
    sign_agrees: bool | None = None


class Agreement(Fixed):
    """In how many sets the second-order rule has the sign."""

    sets: int
    sign_agrees: int


class Likelihood(Fixed):
    """likelihood.json."""

    method: str
    matrix: str
    seed: int
    volume: str
    sets: dict[str, OfSet]
    second_order: Agreement
    graying: dict[str, dict[str, float]]
    false_alarms: dict[str, float]


class Purified(Fixed):
    """What one setting did to one part of the in-set."""

    part: str
    eps: float
    nu: float
    n: int
    accuracy_before: float
    accuracy_after: float
    mended: int
    broken: int
    changed: int

    @property
    def gain(self) -> float:
        """Of accuracy, a share."""
        return self.accuracy_after - self.accuracy_before


class Purification(Fixed):
    """purification.json."""

    method: str
    matrix: str
    seed: int
    steps: int
    components: int
    rows: tuple[Purified, ...]

    @property
    def chosen(self) -> Purified:
        """The test images at the setting that gains most on validation images."""
        best = max((row for row in self.rows if row.part == "validation"), key=lambda row: row.gain)
        return next(row for row in self.rows if (row.part, row.eps, row.nu) == ("test", best.eps, best.nu))


class AdversarialNoise(Fixed):
    """adversarial-noise.json; AUROC by method and step, with its interval."""

    method: str
    matrix: str
    seed: int
    n: int
    eps: float
    kept: tuple[int, ...]
    bits_per_dimension: dict[str, float]
    auroc: dict[str, dict[str, tuple[float, float, float]]]


Study = Likelihood | Purification | AdversarialNoise

FILES: dict[str, type[Study]] = {
    "likelihood.json": Likelihood,
    "purification.json": Purification,
    "adversarial-noise.json": AdversarialNoise,
}


def read_diagnostics(results: Path, matrix: str | None = None) -> list[Study]:
    """Return the studies of a results folder, by matrix, kind, method and seed.

    Raises:
        BadRecord: a file breaks its schema, or is not where its content says it belongs.
    """
    found = [_read(path) for path in sorted((results / FOLDER).glob(f"{matrix or '*'}/*/*/*.json"))]
    order = list(FILES.values())
    return sorted(found, key=lambda one: (one.matrix, order.index(type(one)), one.method, one.seed))


def _read(path: Path) -> Study:
    if path.name not in FILES:
        raise BadRecord(f"{path} is no study; expected one of {', '.join(FILES)}")
    try:
        study = FILES[path.name].model_validate_json(path.read_bytes())
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(map(str, fault["loc"])) or "the whole file"
        raise BadRecord(
            f"{path}: {where}: {fault['msg']}; make it again: oodbench diagnose {path.stem} "
            f"{path.parts[-4]} --method {path.parts[-3]} --seed {path.parts[-2]} --out {path.parent}"
        ) from error
    if (study.matrix, study.method, str(study.seed)) != path.parts[-4:-1]:
        raise BadRecord(f"{path} holds the study of {study.matrix}, {study.method}, seed {study.seed}")
    return study


def found_by(results: Path, matrix: str) -> Iterator[tuple[str, int, str, str, float]]:
    """Yield what claims may be of: method, seed, metric, set, value; see `oodbench.report.claims.STUDIED`."""
    for one in read_diagnostics(results, matrix):
        match one:
            case Purification():
                yield one.method, one.seed, "purification_gain", "test", 100 * one.chosen.gain
            case Likelihood():
                yield one.method, one.seed, "false_alarms", "test", 100 * one.false_alarms["test"]
                share = one.second_order.sign_agrees / one.second_order.sets
                yield one.method, one.seed, "second_order", "ood", 100 * share
                for grey, curve in one.graying.items():
                    for contrast, level in curve.items():
                        name = f"{contrast} about {grey}"
                        yield one.method, one.seed, "graying_gain", name, level - curve["1.0"]
            case AdversarialNoise():
                for judge, by_step in one.auroc.items():
                    for step, (auroc, _, _) in by_step.items():
                        yield judge, one.seed, "climbed_auroc", f"step {step} up {one.method}", 100 * auroc

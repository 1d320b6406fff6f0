"""What a reference classifier does with its inputs: which test images it gets right, which attacked ones fooled it.

Stored once a model, as `models/<name>/<seed>.parquet` (see `oodbench.setfile`): columns kind ("test" or "adversarial"),
set, index (place among the in-set's test images) and `wrong`: whether the classifier misjudges that input.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from oodbench.errors import BadRecord
from oodbench.scorefile import TEST, check_array, check_index
from oodbench.setfile import SetKey, Values, content_sha256, read_sets, write_sets

Booleans = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Fooled:
    """What an attack on k test images came to.

    Attributes:
        index: Place of each clean image among the test images [k], int32, no place twice.
        fooled: Whether the classifier misjudges the attacked version [k].
    """

    index: NDArray[np.int32]
    fooled: Booleans


@dataclass(frozen=True, eq=False)
class Outcomes:
    """What a classifier does.

    Attributes:
        correct: Whether it is right, for each of the n test images [n].
        attacks: By the name of the attack.
    """

    correct: Booleans
    attacks: dict[str, Fooled] = field(default_factory=dict)


def write_outcomes(path: Path, outcomes: Outcomes) -> str:
    """Write outcomes to `path`, whole or not at all; return the sha256 of their content.

    Raises:
        BadRecord: An array has the wrong dtype or shape, or an index names no test image.
    """
    _check(outcomes, path)
    return write_sets(path, "wrong", _sets(outcomes))


def read_outcomes(path: Path, sha256: str | None = None) -> Outcomes:
    """Read what `write_outcomes` wrote.

    Raises:
        BadRecord: The file is absent, truncated, damaged, foreign, or another one than `sha256` names.
    """
    sets, found = read_sets(path, "wrong", "file of a model's outcomes")
    if sha256 not in (None, found):
        raise BadRecord(f"{path}: does not match the model's record: sha256 is {found}, not {sha256}")
    if TEST not in sets or any(kind != "adversarial" for kind, _ in sets.keys() - {TEST}):
        raise BadRecord(f"{path}: no file of a model's outcomes: its sets are {[*sets]}")
    wrong = sets.pop(TEST)
    check_array(wrong.values, "test.wrong", np.dtype(bool), len(wrong.index), path)
    outcomes = Outcomes(~wrong.values, {name: Fooled(part.index, part.values) for (_, name), part in sets.items()})
    _check(outcomes, path)
    return outcomes


def outcomes_sha256(outcomes: Outcomes) -> str:
    """Return the sha256 that `write_outcomes` would."""
    return content_sha256(_sets(outcomes))


def _sets(outcomes: Outcomes) -> dict[SetKey, Values]:
    sets = {TEST: Values(np.arange(len(outcomes.correct), dtype=np.int32), ~outcomes.correct)}
    for name, attack in outcomes.attacks.items():
        order = np.argsort(attack.index, kind="stable")
        sets["adversarial", name] = Values(attack.index[order], attack.fooled[order])
    return sets


def _check(outcomes: Outcomes, path: Path) -> None:
    n = len(outcomes.correct)
    check_array(outcomes.correct, "test.correct", np.dtype(bool), n, path)
    for name, attack in outcomes.attacks.items():
        what = f"adversarial/{name}"
        check_index(attack.index, what, len(attack.index), n, path)
        check_array(attack.fooled, f"{what}.fooled", np.dtype(bool), len(attack.index), path)

"""A user's sets, read and held against one another before anything is computed from them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from oodbench.contract import Material
from oodbench.data.inputs import Indices, Inputs
from oodbench.errors import BadData
from oodbench.sources.reader import Data, Reader
from oodbench.sources.stored import StoredOutputs


@dataclass(frozen=True)
class Given:
    """A user's sets, checked.

    Attributes:
        train: Training images, or `NoTraining`.
        test: Held-out images.
        validation: Held-out images to fit and tune on.
        ood: Failures by name.
        tuning: Held-out out-of-distribution images by name.
        classes: Names by class, as far as they are known.
        guessed: Whether these are the names of folders, in the order of the alphabet.
    """

    train: Inputs
    test: Inputs
    validation: Inputs | None
    ood: Mapping[str, Inputs]
    tuning: dict[str, Inputs]
    classes: Sequence[str] = ()
    guessed: bool = False

    @property
    def offered(self) -> frozenset[Material]:
        """What methods may fit and tune on."""
        offered: set[Material] = set() if isinstance(self.train, NoTraining) else {"labels"}
        offered |= {"validation"} if self.validation else set()
        offered |= {"ood_validation"} if self.tuning else set()
        return frozenset(offered)

    @property
    def first(self) -> Inputs:
        """The images that a model is looked at with."""
        return self.test if isinstance(self.train, NoTraining) else self.train

    @property
    def named(self) -> Iterator[tuple[str, Inputs]]:
        """All sets with what errors call them."""
        one = {} if isinstance(self.train, NoTraining) else {"train": self.train}
        one |= {"test": self.test} | ({"validation": self.validation} if self.validation else {})
        yield from (one | dict(self.ood) | self.tuning).items()

    def too_small_to_halve(self) -> str | None:
        """Return which held-out set cannot be halved, for a method that fits on one half and tunes on the other."""
        held_out = self.tuning | ({"validation": self.validation} if self.validation else {})
        for name, one in held_out.items():
            if len(one) < 2:
                return f"fits on one half of the held-out images and tunes on the other; {name} holds one: give more"
        return None


@dataclass(frozen=True, eq=False)
class NoTraining:
    """Stands for training images that were not given: what reads them gets a reason.

    Attributes:
        shape: Of the images that were given.
    """

    shape: tuple[int, ...]
    labels: npt.NDArray[np.int64] | None = field(default_factory=lambda: np.empty(0, np.int64))
    card: str | None = "train"

    def __len__(self) -> int:
        return 0

    def batch(self, indices: Indices) -> npt.NDArray[Any]:
        """Refuse.

        Raises:
            BadData: Always.
        """
        raise BadData(NO_TRAINING)

    def take(self, indices: Indices) -> "NoTraining":
        """Return itself."""
        return self

    def sha256(self) -> str:
        """Refuse.

        Raises:
            BadData: Always.
        """
        raise BadData(NO_TRAINING)


NO_TRAINING = (
    "fits on training images, and none were given: give train=(images, labels), or a folder of pictures a class "
    "(--train)"
)


def given_sets(
    reader: Reader,
    train: Data | None,
    test: Data,
    failures: Mapping[str, Data],
    validation: Data | None,
    ood_validation: Mapping[str, Data] | None,
) -> Given:
    """Return a user's data as sets of images of one shape.

    Raises:
        BadData: one is not what it must be.
        MissingData: one is not there.
    """
    by_name: dict[str, Any] = {"failures": failures, "ood_validation": {} if ood_validation is None else ood_validation}
    for name, sets in by_name.items():
        if not isinstance(sets, Mapping):
            got = f"a value of type {type(sets).__name__}"
            raise BadData(f"{name}: got {got}; expected images by name, as in {{'noise': images}}")
    train_set = None if train is None else reader.read("train", train, True)
    test_set = reader.read("test", test, True, train_set.shape if train_set else None)
    like = test_set.shape
    return Given(
        train=train_set or NoTraining(like),
        test=test_set,
        validation=reader.read("validation", validation, True, like) if validation is not None else None,
        ood={name: reader.read(name, x, False, like) for name, x in failures.items()},
        tuning={name: reader.read(name, x, False, like) for name, x in by_name["ood_validation"].items()},
        classes=reader.classes,
        guessed=reader.guessed,
    )


def check_classes(sets: Given, classes: int) -> None:
    """Check that labels are classes of a model.

    Raises:
        BadData: one is negative, or not among the model's outputs; or folders were numbered in the order of the
            alphabet, and are not as many.
    """
    if sets.guessed and len(sets.classes) != classes:
        raise BadData(
            f"{sets.first.card}: got folders of {len(sets.classes)} classes ({', '.join(sets.classes[:3])} ...), and "
            f"the model has {classes} outputs; say which is which: name the folders by numbers of outputs, or give "
            f"classes=[...], the names of all outputs in order"
        )
    for one in (sets.train, sets.test, sets.validation):
        if one is None or one.labels is None or not len(one):
            continue
        for label in (one.labels.min(), one.labels.max()):
            if not 0 <= label < classes:
                known = f"0 to {classes - 1}, the model's {classes} outputs"
                raise BadData(f"{one.card}: got label {label}; expected classes from {known}")


def refuse_stored(sets: Given) -> None:
    """Check that sets are inputs, which a network can read.

    Raises:
        BadData: One is of stored outputs.
    """
    if stored := [name for name, one in sets.named if isinstance(one, StoredOutputs)]:
        raise BadData(
            f"{stored[0]}: got stored outputs, which no network reads; give images, or for sets of stored outputs "
            f"alone the model oodbench.StoredModel(head=(W, b)), on the command line --model stored:HEAD.npz"
        )


def all_stored(sets: Given) -> dict[str, StoredOutputs]:
    """Return the sets of stored outputs by name.

    Raises:
        BadData: Some are images.
    """
    named = dict(sets.named)
    stored = {name: one for name, one in named.items() if isinstance(one, StoredOutputs)}
    if others := sorted(named.keys() - stored.keys()):
        raise BadData(
            f"{others[0]}: got images, and the model is one of stored outputs; expected an .npz file with 'logits', or "
            f"oodbench.StoredOutputs(logits=..., features=..., labels=...)"
        )
    return stored

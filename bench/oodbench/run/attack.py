"""Attacks on one trained classifier: crafted once, kept as float32, and scored again after rounding to 8 bits."""

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from oodbench.attacks import Victim
from oodbench.contract import LOGITS
from oodbench.data.attack_cards import Attack, find_attack
from oodbench.data.attacks import craft
from oodbench.data.changed import ChangedImages, rounded_to_8_bits
from oodbench.data.images import ArrayImages
from oodbench.data.inputs import Inputs
from oodbench.errors import BadSetting, reason
from oodbench.identity import PROTOCOL, address
from oodbench.measure.kinds import ROUNDED
from oodbench.models.outputs import Trained
from oodbench.models.train import Report, silent
from oodbench.run.outputs import LOCK
from oodbench.run.sealed import seal, unsealed
from oodbench.store import atomically, one_at_a_time

AT_ONCE = 256
"""Images at most that are compared with clean ones together."""

DONE = "done.json"
"""Seals attacked images."""

PASSING = (OSError, MemoryError, torch.cuda.OutOfMemoryError)
"""Errors that another run may not meet: of a disk or a memory that is full."""

Classes = Callable[[Inputs], npt.NDArray[np.int64]]
"""Returns the class that a classifier gives each image [n]."""


@dataclass(frozen=True)
class Attempt:
    """Attacked images.

    Attributes:
        images: They, in [0, 1].
        index: Their places among the clean ones [k].
        fooled: Whether each fooled the classifier [k].
        linf: Mean over the fooled of the largest change of a pixel; None if there is none.
        l2: Mean over the fooled of the Euclidean change, likewise.
        unmoved: How many are as they were: no derivative led anywhere, or no small change was found that fools.
    """

    images: Inputs
    index: npt.NDArray[np.int32]
    fooled: npt.NDArray[np.bool_]
    linf: float | None
    l2: float | None
    unmoved: int


@dataclass(frozen=True)
class Attacks:
    """Attacks on one classifier.

    Attributes:
        made: By name, their twins too.
        failed: Why there is none of a name, by name, likewise.
    """

    made: dict[str, Attempt] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Crafter:
    """A classifier whose answers and derivatives an attack uses.

    Attributes:
        model: Returns it.
        name: What tells it from the classifier under attack; nothing for that one itself.
    """

    model: Callable[[], Trained]
    name: str | None = None


@dataclass(frozen=True)
class Target:
    """The classifier under attack.

    Attributes:
        crafters: The classifiers that attacks may be crafted on, by the words of `Attack.crafted_on`.
        logits: Returns its stored logits [n C] of a set.
        folder: Its folder in the cache.
        known: What tells a set from others.
    """

    crafters: Mapping[str, Crafter]
    logits: Callable[[Inputs], Tensor]
    folder: Path
    known: Callable[[Inputs], str] = Inputs.sha256

    def classes(self, images: Inputs) -> npt.NDArray[np.int64]:
        """Return the class that it gives each image [n]."""
        return self.logits(images).argmax(1).numpy()

    def crafter(self, attack: Attack) -> Crafter:
        """Return the classifier that an attack is crafted on.

        Raises:
            BadSetting: There is none such here.
        """
        if attack.crafted_on not in self.crafters:
            raise BadSetting(
                f"attack {attack.name} is crafted on {attack.crafted_on}, and there is one classifier here; "
                "it belongs in a matrix of two seeds or more"
            )
        return self.crafters[attack.crafted_on]


def attack_all(
    wanted: Mapping[str, int],
    target: Target,
    clean: Inputs,
    report: Report,
    passing: tuple[type[Exception], ...] = PASSING,
) -> Attacks:
    """Return attacks on a classifier; one that fails costs itself alone, and the others are made.

    Args:
        wanted: How many images each attacks at most, by its name.
        target: Whom to fool.
        clean: Inputs with labels.
        report: Told of the progress.
        passing: Errors that are raised: they say nothing of the attack.

    Raises:
        UnknownName: There is no such attack.
    """
    attacks = Attacks()
    for name, n in wanted.items():
        card = find_attack(name)
        try:
            attacks.made.update(attempts(name, card, n, target, clean, report))
        except passing:
            raise
        except Exception as error:
            attacks.failed.update(dict.fromkeys(with_twin(name), reason(error)))
    return attacks


def attempts(name: str, attack: Attack, n: int, target: Target, clean: Inputs, report: Report) -> dict[str, Attempt]:
    """Return an attack on the first n images that the classifier gets right, and its twin rounded to 8 bits.

    It is crafted once, and kept below the classifier's folder; a run that was stopped goes on after the last part.

    Args:
        name: The attack's.
        attack: What to do.
        n: How many images at most.
        target: Whom to fool.
        clean: Inputs with labels.
        report: Told of the progress.

    Raises:
        BadSetting: The attack is crafted on a classifier that is not here.
    """
    crafter = target.crafter(attack)
    other = (crafter.name,) if crafter.name else ()
    key = address(PROTOCOL, attack.crafting(), n, target.known(clean), *other)
    place = target.folder / "attacks" / key[:20]

    def make() -> None:
        report(f"attack {attack.name}", 0, 1)
        parts = craft_first(attack, n, crafter.model(), target.classes(clean), clean, place / "parts", report)
        save_attacked(parts, n, clean.shape, place)

    made_once(place, attack.name, make)
    pixels, index = np.load(place / "pixels.npy", mmap_mode="r"), np.load(place / "index.npy")
    return tried(name, pixels, index, target.classes, clean)


def made_once(place: Path, name: str, make: Callable[[], None]) -> None:
    """Make attacked images and seal them, unless they are kept or another process makes them meanwhile.

    Args:
        place: Folder.
        name: The attack's.
        make: Writes pixels.npy and index.npy there, and what a stopped run goes on from to parts/.
    """
    if unsealed(place / DONE) is not None:
        return
    with one_at_a_time(place / LOCK):
        if unsealed(place / DONE) is None:  # whoever held the lock may have made them
            make()
            seal(place / DONE, ["pixels.npy", "index.npy"], attack=name)
            shutil.rmtree(place / "parts", ignore_errors=True)


def save_attacked(
    parts: Iterable[tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]]], n: int, shape: tuple[int, ...], place: Path
) -> None:
    """Write attacked images and their places as they come, pixels.npy [k c h w] and index.npy [k].

    Args:
        parts: The images and their places, in order.
        n: How many there are at most.
        shape: Of one image.
        place: Folder.
    """
    places = [np.empty(0, np.int32)]
    with atomically(place / "pixels.npy") as file:
        pixels = np.lib.format.open_memmap(file, "w+", np.float32, (n, *shape))
        start = 0
        for some, index in parts:
            pixels[start : start + len(some)] = some
            start += len(some)
            places.append(index)
        pixels.flush()
        if start < n:  # the classifier has not as many right
            few = pixels[:start].copy()
            with file.open("wb") as out:
                np.save(out, few, allow_pickle=False)
    with atomically(place / "index.npy") as file, file.open("wb") as out:
        np.save(out, np.concatenate(places), allow_pickle=False)


def craft_first(
    attack: Attack,
    n: int,
    model: Trained,
    classes: npt.NDArray[np.int64],
    clean: Inputs,
    place: Path,
    report: Report = silent,
    victim: Victim | None = None,
) -> Iterator[tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]]]:
    """Attack the first n images that a classifier gets right; yield some [k c h w] at a time, and their places [k].

    Args:
        attack: What to do.
        n: How many images at most.
        model: The classifier that it is crafted on.
        classes: Which class the classifier under attack gives each image [n].
        clean: Inputs with labels.
        place: Folder that keeps each part as soon as it is made.
        report: Told of the progress.
        victim: What is attacked, where that is more than this classifier.
    """
    assert clean.labels is not None
    right = np.flatnonzero(classes == clean.labels)[:n].astype(np.int32)
    size = min(attack.at_once, model.gradient_batch)
    for start in range(0, len(right), size):
        part = right[start : start + size]
        yield _part(attack, model, victim or victim_of(model), clean, part, place / f"{start}.npy"), part
        report(f"attack {attack.name}", start + len(part), len(right))


def _part(
    attack: Attack, model: Trained, victim: Victim, clean: Inputs, rows: npt.NDArray[np.int32], path: Path
) -> npt.NDArray[np.float32]:
    """Return the attacked versions of some images, read where a run that was stopped left them, else made and kept."""
    assert clean.labels is not None
    places, marker = rows.tolist(), path.with_suffix(".json")
    if (facts := unsealed(marker)) is None or facts["rows"] != places:
        x, y = torch.from_numpy(clean.batch(rows)), torch.from_numpy(clean.labels[rows])
        made = craft(attack, x.to(model.device), y.to(model.device), victim, tuple(places))
        with atomically(path) as file, file.open("wb") as out:
            np.save(out, made.float().cpu().numpy(), allow_pickle=False)
        seal(marker, [path.name], rows=places)
    pixels: npt.NDArray[np.float32] = np.load(path)
    return pixels


def tried(
    name: str, pixels: npt.NDArray[np.float32], index: npt.NDArray[np.int32], classes: Classes, clean: Inputs
) -> dict[str, Attempt]:
    """Return what attacked images do to a classifier, and what their twins rounded to 8 bits do, by name.

    Args:
        name: The attack's.
        pixels: The attacked images [k c h w].
        index: Their places among the clean ones [k].
        classes: Returns the class that the classifier gives each image.
        clean: Inputs with labels.
    """
    exact = ArrayImages(pixels)
    both: tuple[Inputs, Inputs] = exact, ChangedImages(exact, rounded_to_8_bits, exact=True)
    return {one: attempted(images, index, classes, clean) for one, images in zip(with_twin(name), both, strict=True)}


def with_twin(name: str) -> tuple[str, str]:
    """Return the name of an attack, and that of its twin rounded to 8 bits."""
    return name, name + ROUNDED


def attempted(images: Inputs, index: npt.NDArray[np.int32], classes: Classes, clean: Inputs) -> Attempt:
    """Return what attacked images do to a classifier; the arguments are those of `tried`."""
    assert clean.labels is not None
    fooled = classes(images) != clean.labels[index]
    if not len(index):
        return Attempt(images, index, fooled, None, None, 0)
    linf, l2 = (np.concatenate(norms) for norms in zip(*_norms(images, clean, index), strict=True))
    unmoved = int((linf == 0).sum())
    if not fooled.any():
        return Attempt(images, index, fooled, None, None, unmoved)
    return Attempt(images, index, fooled, float(linf[fooled].mean()), float(l2[fooled].mean()), unmoved)


def _norms(
    images: Inputs, clean: Inputs, index: npt.NDArray[np.int32]
) -> Iterator[tuple[npt.NDArray[np.float32], npt.NDArray[np.float64]]]:
    """Yield the l-infinity and l2 norms of the changes, in parts."""
    for start in range(0, len(index), AT_ONCE):
        part = np.arange(start, min(start + AT_ONCE, len(index)))
        change = images.batch(part) - clean.batch(index[part])
        flat: npt.NDArray[Any] = change.reshape(len(change), -1).astype(np.float64)
        yield np.abs(flat).max(axis=1), np.sqrt((flat**2).sum(axis=1))


def victim_of(model: Trained) -> Victim:
    """Return a trained classifier as attacks have it: pixels in, logits out, standardisation inside."""
    return Victim(lambda x: model.outputs(x, frozenset({LOGITS}))[LOGITS])


def predict(model: Trained, x: Tensor) -> Tensor:
    """Return the class of each image [n], on the CPU."""
    with torch.no_grad():
        logits: Tensor = model.outputs(x.to(model.device), frozenset({LOGITS}))[LOGITS]
    return logits.argmax(1).cpu()

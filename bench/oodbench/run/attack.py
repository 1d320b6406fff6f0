"""Attacks on one trained classifier: crafted once, kept as float32, and scored again after rounding to 8 bits."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from oodbench.contract import LOGITS
from oodbench.data.attack_cards import Attack
from oodbench.data.attacks import craft
from oodbench.data.changed import ChangedImages, rounded_to_8_bits
from oodbench.data.images import ArrayImages
from oodbench.data.inputs import Inputs
from oodbench.identity import PROTOCOL, address
from oodbench.models.outputs import Trained
from oodbench.models.train import Report, silent
from oodbench.run.sealed import seal, unsealed
from oodbench.store import atomically

AT_ONCE = 256
"""Images at most that are attacked together."""

Classes = Callable[[Inputs], npt.NDArray[np.int64]]
"""Returns the class that a classifier gives each image [n]."""


@dataclass(frozen=True)
class Attempt:
    """Attacked images: `index` [k] are their places among the clean ones, `fooled` [k] whether it fooled."""

    images: Inputs
    index: npt.NDArray[np.int32]
    fooled: npt.NDArray[np.bool_]
    linf: float | None
    l2: float | None


@dataclass(frozen=True)
class Target:
    """The classifier under attack.

    Attributes:
        model: Returns it, for its gradients.
        logits: Returns its stored logits [n C] of a set.
        folder: Its folder in the cache.
        known: What tells a set from others.
    """

    model: Callable[[], Trained]
    logits: Callable[[Inputs], Tensor]
    folder: Path
    known: Callable[[Inputs], str] = Inputs.sha256

    def classes(self, images: Inputs) -> npt.NDArray[np.int64]:
        """Return the class that it gives each image [n]."""
        return self.logits(images).argmax(1).numpy()


def attempts(name: str, attack: Attack, n: int, target: Target, clean: Inputs, report: Report) -> dict[str, Attempt]:
    """Return an attack on the first n images that the classifier gets right, and its twin rounded to 8 bits.

    It is crafted once, and kept below the classifier's folder.

    Args:
        name: The attack's name; the twin's is `<name>@uint8`.
        attack: What to do.
        n: How many images at most.
        target: Whom to fool.
        clean: Inputs with labels.
        report: Told of the progress.
    """
    key = address(PROTOCOL, attack.model_dump(mode="json", exclude={"title", "source"}), n, target.known(clean))
    place = target.folder / "attacks" / key[:20]
    if unsealed(place / "done.json") is None:
        report(f"attack {attack.name}", 0, 1)
        parts = craft_first(attack, n, target.model(), target.classes(clean), clean, report)
        save_attacked(parts, n, clean.shape, place)
        seal(place / "done.json", ["pixels.npy", "index.npy"], attack=attack.name)
    pixels, index = np.load(place / "pixels.npy", mmap_mode="r"), np.load(place / "index.npy")
    return tried(name, pixels, index, target.classes, clean)


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
    attack: Attack, n: int, model: Trained, classes: npt.NDArray[np.int64], clean: Inputs, report: Report = silent
) -> Iterator[tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]]]:
    """Attack the first n images that a classifier gets right; yield some [k c h w] at a time, and their places [k].

    Args:
        attack: What to do.
        n: How many images at most.
        model: The classifier.
        classes: Which class it gives each image [n].
        clean: Inputs with labels.
        report: Told of the progress.
    """
    assert clean.labels is not None
    right = np.flatnonzero(classes == clean.labels)[:n]
    size = min(AT_ONCE, model.gradient_batch)
    for start in range(0, len(right), size):
        part = right[start : start + size]
        x, y = torch.from_numpy(clean.batch(part)), torch.from_numpy(clean.labels[part])
        crafted = craft(attack, x, y, lambda x: predict(model, x), lambda x, y: gradient(model, x, y), size)
        yield crafted.x.numpy(), part[crafted.index.numpy()].astype(np.int32)
        report(f"attack {attack.name}", start + len(part), len(right))


def tried(
    name: str, pixels: npt.NDArray[np.float32], index: npt.NDArray[np.int32], classes: Classes, clean: Inputs
) -> dict[str, Attempt]:
    """Return what attacked images do to a classifier, and what their twins rounded to 8 bits do, by name.

    Args:
        name: The attack's name; the twin's is `<name>@uint8`.
        pixels: The attacked images [k c h w].
        index: Their places among the clean ones [k].
        classes: Returns the class that the classifier gives each image.
        clean: Inputs with labels.
    """
    exact = ArrayImages(pixels)
    return {
        name: _attempt(exact, index, classes, clean),
        f"{name}@uint8": _attempt(ChangedImages(exact, rounded_to_8_bits, exact=True), index, classes, clean),
    }


def _attempt(images: Inputs, index: npt.NDArray[np.int32], classes: Classes, clean: Inputs) -> Attempt:
    assert clean.labels is not None
    fooled = classes(images) != clean.labels[index]
    if not fooled.any():
        return Attempt(images, index, fooled, None, None)
    linf, l2 = (np.concatenate(norms) for norms in zip(*_norms(images, clean, index, fooled), strict=True))
    return Attempt(images, index, fooled, float(linf.mean()), float(l2.mean()))


def _norms(
    images: Inputs, clean: Inputs, index: npt.NDArray[np.int32], fooled: npt.NDArray[np.bool_]
) -> Iterator[tuple[npt.NDArray[np.float32], npt.NDArray[np.float64]]]:
    """Yield the l-infinity and l2 norms of the changes that fooled, in parts."""
    rows = np.flatnonzero(fooled)
    for start in range(0, len(rows), AT_ONCE):
        part = rows[start : start + AT_ONCE]
        change = images.batch(part) - clean.batch(index[part])
        flat: npt.NDArray[Any] = change.reshape(len(change), -1).astype(np.float64)
        yield np.abs(flat).max(axis=1), np.sqrt((flat**2).sum(axis=1))


def predict(model: Trained, x: Tensor) -> Tensor:
    """Return the class of each image [n], on the CPU."""
    with torch.no_grad():
        logits: Tensor = model.outputs(x.to(model.device), frozenset({LOGITS}))[LOGITS]
    return logits.argmax(1).cpu()


def gradient(model: Trained, x: Tensor, y: Tensor) -> Tensor:
    """Return the derivative of the cross-entropy by the pixels [n c h w]: the attack passes through standardisation."""
    with torch.enable_grad():
        pixels = x.to(model.device).detach().requires_grad_()
        logits = model.outputs(pixels, frozenset({LOGITS}))[LOGITS]
        loss = cross_entropy(logits, y.to(model.device), reduction="sum")
        return torch.autograd.grad(loss, pixels)[0].cpu()

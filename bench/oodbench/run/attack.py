"""Attacks on one trained classifier: crafted once, kept as float32, and scored again after rounding to 8 bits."""

from collections.abc import Callable
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
from oodbench.data.attacks import craft, rounded
from oodbench.data.images import ArrayImages
from oodbench.data.inputs import Inputs
from oodbench.identity import PROTOCOL, address
from oodbench.models.outputs import Trained
from oodbench.models.train import Report
from oodbench.run.sealed import seal, unsealed
from oodbench.store import atomically

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
    """

    model: Callable[[], Trained]
    logits: Callable[[Inputs], Tensor]
    folder: Path

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
    key = address(PROTOCOL, attack.model_dump(mode="json", exclude={"title", "source"}), n, clean.sha256())
    place = target.folder / "attacks" / key[:20]
    if unsealed(place / "done.json") is None:
        report(f"attack {attack.name}", 0, 1)
        made = craft_first(attack, n, target.model(), target.classes(clean), clean)
        for part, array in zip(("pixels", "index"), made, strict=True):
            with atomically(place / f"{part}.npy") as file, file.open("wb") as out:
                np.save(out, array, allow_pickle=False)
        seal(place / "done.json", ["pixels.npy", "index.npy"], attack=attack.name)
    pixels, index = (np.load(place / f"{part}.npy", allow_pickle=False) for part in ("pixels", "index"))
    return tried(name, pixels, index, target.classes, clean)


def craft_first(
    attack: Attack, n: int, model: Trained, classes: npt.NDArray[np.int64], clean: Inputs
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]]:
    """Attack the first n images that a classifier gets right; return the attacked [k c h w] and their places [k].

    Args:
        attack: What to do.
        n: How many images at most.
        model: The classifier.
        classes: Which class it gives each image [n].
        clean: Inputs with labels.
    """
    assert clean.labels is not None
    right = np.flatnonzero(classes == clean.labels)[:n]
    x, y = torch.from_numpy(clean.batch(right)), torch.from_numpy(clean.labels[right])
    crafted = craft(attack, x, y, lambda x: predict(model, x), lambda x, y: gradient(model, x, y))
    return crafted.x.numpy(), right[crafted.index.numpy()].astype(np.int32)


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
    return {
        name: _attempt(ArrayImages(pixels), index, classes, clean),
        f"{name}@uint8": _attempt(ArrayImages(rounded(torch.from_numpy(pixels)).numpy()), index, classes, clean),
    }


def _attempt(images: Inputs, index: npt.NDArray[np.int32], classes: Classes, clean: Inputs) -> Attempt:
    assert clean.labels is not None
    fooled = classes(images) != clean.labels[index]
    if not fooled.any():
        return Attempt(images, index, fooled, None, None)
    change = images.batch(np.flatnonzero(fooled)) - clean.batch(index[fooled])
    flat: npt.NDArray[Any] = change.reshape(len(change), -1).astype(np.float64)
    linf, l2 = np.abs(flat).max(axis=1).mean(), np.sqrt((flat**2).sum(axis=1)).mean()
    return Attempt(images, index, fooled, float(linf), float(l2))


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

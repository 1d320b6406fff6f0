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
        _craft(attack, n, target, clean, place, report)
    pixels, index = (np.load(place / f"{part}.npy", allow_pickle=False) for part in ("pixels", "index"))
    return {
        name: _attempt(ArrayImages(pixels), index, target, clean),
        f"{name}@uint8": _attempt(ArrayImages(rounded(torch.from_numpy(pixels)).numpy()), index, target, clean),
    }


def _craft(attack: Attack, n: int, target: Target, clean: Inputs, place: Path, report: Report) -> None:
    assert clean.labels is not None
    report(f"attack {attack.name}", 0, 1)
    right = np.flatnonzero(target.classes(clean) == clean.labels)[:n]
    x, y = torch.from_numpy(clean.batch(right)), torch.from_numpy(clean.labels[right])
    model = target.model()
    crafted = craft(attack, x, y, lambda x: predict(model, x), lambda x, y: gradient(model, x, y))
    index = right[crafted.index.numpy()].astype(np.int32)
    for part, array in (("pixels", crafted.x.numpy()), ("index", index)):
        with atomically(place / f"{part}.npy") as file, file.open("wb") as out:
            np.save(out, array, allow_pickle=False)
    seal(place / "done.json", ["pixels.npy", "index.npy"], attack=attack.name)


def _attempt(images: Inputs, index: npt.NDArray[np.int32], target: Target, clean: Inputs) -> Attempt:
    assert clean.labels is not None
    fooled = target.classes(images) != clean.labels[index]
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

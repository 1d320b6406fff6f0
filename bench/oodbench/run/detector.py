"""A detector fitted on a user's classifier: it scores new images, is kept without pickle, and knows its model."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from oodbench.contract import Detector, Method
from oodbench.data.images import ArrayImages
from oodbench.data.inputs import Inputs
from oodbench.errors import BadCheckpoint, BadData, BadMethod, BadSetting, OodbenchError, UnknownName
from oodbench.identity import address
from oodbench.models.outputs import Access, ModelOutputs, Trained, to_store
from oodbench.models.state import load_state, save_state
from oodbench.run.examine import Exam, fitted, not_finite
from oodbench.run.judged import ANSWER, evaluating, first_look
from oodbench.run.machine import exact
from oodbench.run.own import OwnOutputs, why_not_judged
from oodbench.run.registry import find, registry
from oodbench.run.tune import scores_of
from oodbench.run.user_model import UserModel, as_user_model, with_batches
from oodbench.run.user_sets import Given, check_classes, given_sets
from oodbench.run.workspace import temporary, usable
from oodbench.sources.named import NamedModel
from oodbench.sources.reader import Data

VERSION = 1
"""Of the layout of a detector's file."""

PROBES = 8
"""Images of noise whose outputs tell a model from another."""

NEAR = 1e-3
"""Largest difference of an output, as a share of the largest, that rounding on another machine makes."""

HELD = 10
"""Where no validation images are given, each HELD-th training image is held out for the threshold."""

Floats = npt.NDArray[np.float64]
Names = tuple[str | None, Sequence[str] | Mapping[str, int], str | None]
"""The model's head, layers and pool, as `fit` was told them."""


@dataclass(frozen=True, eq=False)
class FittedDetector:
    """A detector and the classifier that it was fitted on; `oodbench.fit` makes it.

    Example:
        >>> detector = oodbench.fit(model, "mahalanobis-a", train=(x, y), validation=(x_held_out, y_held_out))
        >>> trusted = detector.score(x_held_out) >= detector.threshold(tpr=0.95)
        >>> bool(trusted.mean() >= 0.95)
        True

    Attributes:
        method: Its name.
        shape: Of the images, channels, height and width.
    """

    method: str
    shape: tuple[int, ...]
    _detector: Detector[Any]
    _state: Any
    _model: Trained
    _user: UserModel
    _names: Names
    _good: Floats
    _chosen: Mapping[str, float]
    _standardised: bool | None = None

    def score(self, images: Data) -> Floats:
        """Return how far the model is to be trusted on each image [n], float64; higher = more.

        Args:
            images: [n c h w], float or uint8, of the size of the training images; or a data set, a folder ..., as for
                `oodbench.evaluate`. Floats are standardised where those given to `fit` were, else pixels in [0, 1].

        Raises:
            BadData: They are not, or look as if they were in the other range.

        Example:
            >>> detector = oodbench.fit(model, "msp", train=(x, y))
            >>> detector.score(x_test[:1]).shape
            (1,)
        """
        with temporary() as work:
            reader = self._user.reader(work)
            reader.settle(self._standardised)
            given = reader.read("images", images, False, self.shape)
            return _scores(self._detector, self._state, self._model, given)

    def threshold(self, tpr: float = 0.95) -> float:
        """Return the highest score that accepts at least a share of in-distribution images: `score >= threshold`.

        It is measured on the validation images that `fit` was given. Without any it is measured on a tenth of the
        training images, scored by a detector fitted on the others; the model was trained on them, so that of new images
        fewer than `tpr` may be accepted: give validation images.

        Args:
            tpr: The share, above 0 and at most 1.

        Raises:
            BadSetting: It is another number, or no image was left to measure it on.

        Example:
            >>> detector = oodbench.fit(model, "msp", train=(x, y), validation=(x_held_out, y_held_out))
            >>> detector.threshold(tpr=0.99) <= detector.threshold(tpr=0.5)
            True
        """
        if not 0 < tpr <= 1:
            raise BadSetting(f"tpr: got {tpr}; expected a share above 0 and at most 1")
        if not len(self._good):
            raise BadSetting(
                "threshold: no image was left to measure it on, as a fit on nine tenths of the training images failed; "
                "give fit(..., validation=(images, labels))"
            )
        accepted = int(np.ceil(tpr * len(self._good) - 1e-9))
        return float(np.sort(self._good)[len(self._good) - accepted])

    def save(self, path: str | Path) -> Path:
        """Write the detector to one safetensors file, whole or not at all, without the model; return its path.

        Args:
            path: The file.

        Raises:
            BadMethod: Its fitted state holds something else than tensors, numbers and texts.

        Example:
            >>> oodbench.fit(model, "msp", train=(x, y)).save("msp.safetensors").name
            'msp.safetensors'
            >>> oodbench.load_detector("msp.safetensors", model).method
            'msp'
        """
        head, layers, pool = self._names
        facts = {
            "version": VERSION,
            "method": self.method,
            "detector": address(self._detector),
            "shape": list(self.shape),
            "chosen": dict(self._chosen),
            "standardised": self._standardised,
            "names": [head, dict(layers) if isinstance(layers, Mapping) else list(layers), pool],
        }
        probed = tuple(_probed(self._model, self._detector, self.shape).items())
        save_state(Path(path), (json.dumps(facts), torch.from_numpy(self._good), probed, self._state))
        return Path(path)


def fit(
    model: nn.Module | NamedModel,
    method: str | Method,
    *,
    train: Data,
    validation: Data | None = None,
    ood_validation: Mapping[str, Data] | None = None,
    transform: Any = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    classes: Sequence[str] = (),
    head: str | None = None,
    layers: Sequence[str] | Mapping[str, int] = (),
    pool: str | None = None,
    device: str | torch.device = "cpu",
    seed: int = 0,
) -> FittedDetector:
    """Fit a detector on a classifier, to score new images by.

    Args:
        model: As for `oodbench.evaluate`. The detector refers to it: a model that is trained further is another.
        method: A name (`oodbench list --judges-mine`), or a method of your own.
        train: Inputs that the model was trained on, with classes: arrays, a data set, a folder, as for
            `oodbench.evaluate`. Whether float arrays here are standardised holds for all that is scored later.
        validation: Held-out images and labels: the threshold is measured on them, and some methods fit on them.
        ood_validation: Held-out out-of-distribution images by name, for methods that tune on them.
        transform: As for `oodbench.evaluate`, as are mean, std, classes, head, layers and pool.
        mean: Likewise.
        std: Likewise.
        classes: Likewise.
        head: Likewise.
        layers: Likewise.
        pool: Likewise.
        device: Where to run.
        seed: For methods whose fit is random.

    Raises:
        UnknownName: no such method, or no module of that name.
        BadData: an array is not what it must be, or too little to fit on.
        BadMethod: the model is not what it must be, or the method cannot judge it.
        BadSetting: the device is not here.

    Example:
        >>> detector = oodbench.fit(model, "knn", train=(x, y), validation=(x_held_out, y_held_out))
        >>> bool(detector.score(x_test).mean() > detector.score(strange).mean())
        True
    """
    chosen = find([method])[0].method if isinstance(method, str) else method
    place = usable(device)
    user = as_user_model(model, transform, mean, std, classes)
    with temporary() as work:
        reader = user.reader(work)
        once = reader.read("train", train, True)  # an iterator has its images once, and they are the test set, too
        sets = given_sets(reader, once, once, {}, validation, ood_validation)
        made = _fitted(chosen, user.net(head, layers, pool, sets), user, sets, place, (head, layers, pool), seed)
        return replace(made, _standardised=bool(reader.standardised))


def _fitted(
    chosen: Method, net: nn.Module, user: UserModel, sets: Given, place: torch.device, names: Names, seed: int
) -> FittedDetector:
    with exact(place), evaluating(net, place):
        trained = Trained(net.to(place), place)
        classes = first_look(trained, sets.train)
        check_classes(sets, classes)
        trained = with_batches(trained, sets.train, None, None)
        if why := why_not_judged(chosen, sets, net):
            raise BadMethod(f"{chosen.name}: {why}")
        outputs = OwnOutputs(trained, to_store(ANSWER | chosen.detector.reads))
        exam = Exam(
            model=trained,
            outputs=outputs,
            seed=seed,
            classes=classes,
            train=sets.train,
            validation=sets.validation,
            test=sets.train,
            correct=None,
            tuning=sets.tuning,
        )
        tuned = fitted(chosen, exam)
        good = sets.validation
        judge = tuned.detector, tuned.state
        if good is None:
            judge, good = _on_nine_tenths(chosen, exam, sets.train)
    measured = np.empty(0) if good is None else _scores(*judge, trained, good)
    return FittedDetector(
        chosen.name, sets.train.shape, tuned.detector, tuned.state, trained, user, names, measured, tuned.chosen
    )


def load_detector(
    path: str | Path,
    model: nn.Module | NamedModel,
    *,
    method: Method | None = None,
    transform: Any = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    device: str | torch.device = "cpu",
) -> FittedDetector:
    """Return the detector that `FittedDetector.save` wrote, on the model that it was fitted on.

    The model is known by its outputs for a few images of noise, which were saved: logits, and what the detector reads.
    Whether arrays are standardised is as `fit` settled it; in a file of an earlier oodbench, which does not say, each
    call of `score` tells by the range of its own numbers.

    Args:
        path: The file.
        model: The same model, with the same weights; wrapped or on another device it is still the same.
        method: The method, if it is one of your own.
        transform: As for `oodbench.fit`, as are mean and std.
        mean: Likewise.
        std: Likewise.
        device: Where to run.

    Raises:
        BadCheckpoint: The file is broken or no detector's, the model is another one than the detector was fitted on, or
            the method has changed since.
        UnknownName: No method of that name is installed.
        BadMethod: The model is not what it must be.

    Example:
        >>> detector = oodbench.fit(model, "msp", train=(x, y))
        >>> path = detector.save("msp.safetensors")
        >>> bool((oodbench.load_detector("msp.safetensors", model).score(x_test) == detector.score(x_test)).all())
        True
    """
    path = Path(path)
    registered = registry()  # imports the methods, and so the types of their states
    try:
        text, good, saved, state = load_state(path)
        facts = json.loads(text)
        name, version = facts["method"], int(facts["version"])
        shape, (head, layers, pool), values = tuple(facts["shape"]), facts["names"], facts["chosen"]
        settled = facts.get("standardised")
    except (TypeError, ValueError, KeyError) as error:
        raise BadCheckpoint(f"{path}: no detector that oodbench.fit(...).save(...) wrote ({error})") from error
    if version > VERSION:
        raise BadCheckpoint(
            f"{path}: of layout {version}, and this oodbench reads up to {VERSION}; install a newer one"
        )
    if method is None and name not in registered:
        raise UnknownName("method (one of your own: load_detector(path, model, method=...))", name, registered)
    known = (method or registered[name].method).detector
    detector = replace(known, **values) if values else known  # type: ignore[type-var]
    if address(detector) != facts["detector"]:
        raise BadCheckpoint(f"{path}: was fitted by another version or other parameters of {name}; fit it again")
    place = usable(device)
    user = as_user_model(model, transform, mean, std, ())
    net = user.net(head, layers, pool, None)
    trained = Trained(net.to(place), place)
    _check_same(path, dict(saved), _probed(trained, detector, shape))
    on_device = moved(state, place)
    names = head, layers, pool
    return FittedDetector(name, shape, detector, on_device, trained, user, names, good.numpy(), values, settled)


def moved(state: Any, place: torch.device) -> Any:
    """Return a fitted state with its tensors on a device."""
    if isinstance(state, Tensor):
        return state.to(place)
    if not isinstance(state, tuple):
        return state
    parts = [moved(part, place) for part in state]
    return type(state)._make(parts) if hasattr(state, "_make") else tuple(parts)


def _on_nine_tenths(method: Method, exam: Exam, train: Inputs) -> tuple[tuple[Any, Any], Inputs | None]:
    """Return a detector fitted on all training images but each tenth, with its state, and those; None if that fails."""
    held = np.arange(len(train)) % HELD == HELD - 1
    if not held.any():
        return (None, None), None
    try:
        tuned = fitted(method, replace(exam, train=train.take(np.flatnonzero(~held))))
    except (OodbenchError, RuntimeError, ValueError):
        return (None, None), None
    return (tuned.detector, tuned.state), train.take(np.flatnonzero(held))


def _scores(detector: Detector[Any], state: Any, model: Trained, images: Inputs) -> Floats:
    with exact(model.device), evaluating(model.net, model.device):
        found = scores_of(detector, state, ModelOutputs(model, images, Access(detector.reads)))
    if why := not_finite(found):
        raise BadData(f"{images.card}: {why}; look for an overflow in the model")
    return found.astype(np.float64)


def _probed(model: Trained, detector: Detector[Any], shape: tuple[int, ...]) -> dict[str, Tensor]:
    """Return by name what the model gives for a few images of noise: logits, and what the detector reads."""
    x = np.random.default_rng(0).uniform(size=(PROBES, *shape)).astype(np.float32)
    with exact(model.device), evaluating(model.net, model.device):
        found = OwnOutputs(model, to_store(ANSWER | detector.reads))(ArrayImages(x))
    return {
        f"{output}" if isinstance(value, Tensor) else f"{output} {place}": part.detach().cpu()
        for output, value in sorted(found.items())
        for place, part in enumerate(value if isinstance(value, tuple) else (value,))
    }


def _check_same(path: Path, saved: Mapping[str, Tensor], now: Mapping[str, Tensor]) -> None:
    """Check that a model gives what it gave, but for rounding."""
    way = "hand over the model it was fitted on, with the same weights and preprocessing, or fit again"
    if saved.keys() != now.keys():
        raise BadCheckpoint(f"{path}: the model gives {', '.join(now)}, and gave {', '.join(saved)}; {way}")
    for name, before in saved.items():
        after = now[name]
        if before.shape != after.shape:
            raise BadCheckpoint(
                f"{path}: the model's {name} of {PROBES} images of noise have shape {list(after.shape)}, and had "
                f"{list(before.shape)} when the detector was fitted: it is another model; {way}"
            )
        size, off = float(before.abs().max()), float((after - before).abs().max())
        if not off <= NEAR * size:
            raise BadCheckpoint(
                f"{path}: the model's {name} of {PROBES} images of noise, up to {size:.3g}, differ by up to {off:.2g} "
                f"from those it gave when the detector was fitted: it is another model; {way}"
            )

"""What makes the numbers of a row doubtful, in a sentence with the way out, which stands on the row beside them."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from oodbench.contract import LOGITS, NETWORK, Method
from oodbench.data.inputs import Inputs
from oodbench.estimators import Gaussians
from oodbench.models.outputs import Trained
from oodbench.networks.classifier import Standardise
from oodbench.run.attack import Attempt
from oodbench.run.examine import Outcome
from oodbench.run.judged import ANSWER, spread
from oodbench.run.overlap import Overlaps
from oodbench.run.user_sets import Given
from oodbench.sources.preprocess import Moments

TRIED = 256
"""Training images with which other ranges of the pixels are tried."""

LOW = 0.9
"""Accuracy on training images below which other ranges are tried."""

UNMOVED = 0.05
"""Share of images above which it is told that an attack left them as they were."""

CONSTANTS: Mapping[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "ImageNet's constants": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "pixels in [-1, 1]": ((0.5,), (0.5,)),
    "pixels in [0, 255]": ((0.0,), (1 / 255,)),
}
"""Ranges in which models are often trained, as mean and standard deviation of pixels in [0, 1]."""


def of_model(model: Trained, train: Inputs, accuracy: Mapping[str, float]) -> Iterator[str]:
    """Yield what makes all rows of a model doubtful: it gets few images right, and in another range more."""
    which, right = next((f"{name} images", share) for name, share in accuracy.items())
    which = which.replace("train ", "training ")
    if right < LOW and len(train.shape) == 3:
        yield from _another_range(model, train, which)
    assert train.labels is not None
    commonest = float(np.bincount(train.labels).max() / len(train))
    if right <= commonest + 0.05 * (1 - commonest):
        yield (
            f"the model gets {right:.1%} of the {which} right, where always answering the "
            f"commonest class gets {commonest:.1%}: are pixels in the range and labels in the order of its training?"
        )


def of_method(method: Method, model: Trained, train: Inputs, classes: int) -> Iterator[str]:
    """Yield what makes the rows of one method doubtful."""
    found = getattr(model.net, "found", None)
    if found is not None and found.doubt and LOGITS in method.detector.reads:
        yield found.doubt
    dtypes = {weight.dtype for weight in model.net.parameters() if weight.is_floating_point()}
    if torch.float16 in dtypes and NETWORK in method.detector.reads:
        yield "derivatives of a model in float16 underflow to 0; model.float() has them whole"
    if "labels" in method.detector.fits_on and train.labels is not None:
        absent = np.setdiff1d(np.arange(classes), train.labels)
        if len(absent):
            yield (
                f"{len(absent)} of {classes} classes have no training image (the first: {absent[0]}): a fit on "
                f"training labels does not know them, and finds their test images strange; give training images of each"
            )


def of_fit(outcome: Outcome, train: Inputs) -> Iterator[str]:
    """Yield what makes a fit doubtful: a covariance of less rank than dimensions, for want of training images."""
    n = len(train)
    for fitted in _gaussians(outcome.tuned.state):
        width, rank = fitted.root.shape
        if rank < width and rank >= n - len(fitted.mu):
            yield (
                f"{n} training images of {len(fitted.mu)} classes give {width} features a covariance of rank {rank}: "
                f"what differs in other directions is not seen; give at least {width + len(fitted.mu)} training images"
            )
            return


def of_set(name: str, sets: Given, overlaps: Overlaps) -> Iterator[str]:
    """Yield what makes the rows of a failure set doubtful: it holds images of the test set."""
    shared = overlaps(sets.ood[name], sets.test)
    if shared.n:
        yield (
            f"{shared} of the {len(sets.ood[name])} images of {name} are also in test; take them out of one of the two"
        )


def of_attack(attempt: Attempt) -> Iterator[str]:
    """Yield what makes the rows of an attack doubtful: it left many images as they were."""
    if attempt.unmoved > UNMOVED * len(attempt.index):
        yield (
            f"the attack left {attempt.unmoved} of {len(attempt.index)} images as they were: it found no derivative to "
            "follow, or no small change that fools; an attack that needs no derivatives (square-8) tells which"
        )


def of_test(sets: Given, overlaps: Overlaps) -> Iterator[str]:
    """Yield what makes all rows doubtful: test images that the model was trained on, of those that have been read."""
    shared = overlaps(sets.test, sets.train)
    if shared.n:
        yield (
            f"{shared} of the {len(sets.test)} test images are training images; test on images that the model has not "
            f"seen"
        )


def of_held_out(method: Method, sets: Given, overlaps: Overlaps) -> Iterator[str]:
    """Yield what makes rows doubtful that are fitted or tuned on held-out sets: these hold images of other sets.

    It is asked when every method has read what it reads. What no method has read taints no row; where nothing of a set
    has been seen on its way, that is told.
    """
    if sets.validation and "validation" in method.materials:
        yield from _held_out("validation images", sets.validation, {}, sets, overlaps)
    if "ood_validation" in method.materials:
        for held, images in sets.tuning.items():
            yield from _held_out(f"images of ood_validation {held}", images, sets.ood, sets, overlaps)


def _held_out(
    which: str, held: Inputs, failures: Mapping[str, Inputs], sets: Given, overlaps: Overlaps
) -> Iterator[str]:
    """Yield which images of a held-out set are in others; of training images those that have been read count."""
    tested = {**failures, "test": sets.test}
    for name, images in tested.items():
        shared = overlaps(held, images)
        if shared.n and name in failures:
            yield (
                f"{shared} of the {len(held)} {which} are also in {name}: the row is tuned on what it is tested on; "
                f"hold out others"
            )
        elif shared.n:
            yield f"{shared} of the {len(held)} {which} are also in test; hold out others"
        elif shared.n is None:
            yield f"whether {which} are also in {name} is not known: no method read stored outputs of them"
    shared = overlaps(held, sets.train)
    if shared.n:
        yield f"{shared} of the {len(held)} {which} are training images, which the model has seen; hold out others"


def _gaussians(state: Any) -> Iterator[Gaussians]:
    if isinstance(state, Gaussians):
        yield state
    elif isinstance(state, tuple | list):
        for part in state:
            yield from _gaussians(part)


def _another_range(model: Trained, train: Inputs, which: str) -> Iterator[str]:
    """Yield the range of pixels in which a model gets clearly more images right than in [0, 1]."""
    rows = spread(len(train), TRIED)
    x = torch.from_numpy(train.batch(rows)).to(model.device)
    assert train.labels is not None
    labels = train.labels[rows]
    plain = _right(model, x, labels)
    if (undone := _undone(model)) is not None:
        raw = _right(model, x, labels, undone)
        if _clearly_more(raw, plain):
            yield (
                f"the model gets {plain.mean():.0%} of the {which} right, standardised as it says of itself or was "
                f"told, and {raw.mean():.0%} of plain pixels in [0, 1]: it expects those; say so: mean=(0,), std=(1,)"
            )
            return
    own = (tuple(x.mean(dim=(0, 2, 3)).tolist()), tuple(x.std(dim=(0, 2, 3)).clamp_min(1e-6).tolist()))
    best = max(
        (
            (_right(model, x, labels, one), name, one)
            for name, one in {**CONSTANTS, "": own}.items()
            if len(one[0]) in (1, x.shape[1])
        ),
        key=lambda tried: tried[0].sum(),
    )
    right, name, (mean, std) = best
    if _clearly_more(right, plain):
        told = name or f"the mean and standard deviation of the {which}"
        numbers = ", ".join(
            f"{key}=({', '.join(f'{value:.4g}' for value in one)},)" for key, one in (("mean", mean), ("std", std))
        )
        yield (
            f"the model gets {plain.mean():.0%} of the {which} right as they are, and {right.mean():.0%} "
            f"standardised by {told}: it expects that; put it inside: oodbench.networks.Headed(model, {numbers})"
        )


def _undone(model: Trained) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """Return the mean and standard deviation by which pixels pass a model's own standardisation as they are."""
    own = getattr(model.net, "standardise", None)
    if not isinstance(own, Standardise):
        return None
    mean, std = (one.flatten().double() for one in (own.mean, own.std))
    if mean.tolist() == [0] * len(mean) and std.tolist() == [1] * len(std):
        return None
    return tuple((-mean / std).tolist()), tuple((1 / std).tolist())


def _clearly_more(right: npt.NDArray[np.bool_], plain: npt.NDArray[np.bool_]) -> bool:
    gained, lost = int((right & ~plain).sum()), int((plain & ~right).sum())
    return gained - lost > max(0.05 * len(plain), 3 * math.sqrt(gained + lost))


def _right(
    model: Trained, x: Tensor, labels: npt.NDArray[np.int64], standard: Moments = ((0.0,), (1.0,))
) -> npt.NDArray[np.bool_]:
    """Return which images a model gets right, standardised before, a batch at a time."""
    mean, std = (x.new_tensor(one).view(-1, 1, 1) for one in standard)
    found = []
    with torch.no_grad():
        for part in torch.split(x, model.batch):
            logits: Tensor = model.net.outputs((part - mean) / std, ANSWER)[LOGITS]  # type: ignore[operator]
            found.append(logits.argmax(dim=1).cpu().numpy())
    right: npt.NDArray[np.bool_] = np.concatenate(found) == labels
    return right

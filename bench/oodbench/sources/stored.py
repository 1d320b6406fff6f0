"""A classifier that is not here: its logits, and its features and head where there are some, computed elsewhere."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from oodbench.contract import (
    FEATURE_MAP,
    FEATURES,
    FIRST_MAP,
    HEAD,
    INPUTS,
    LAYERS,
    LOGITS,
    MAPS,
    NETWORK,
    Head,
    Output,
)
from oodbench.data.images import digest_of
from oodbench.data.inputs import Indices, check_labels
from oodbench.errors import BadData, BadMethod
from oodbench.networks.answers import head_of_two_classes, refuse_probabilities, two_classes
from oodbench.sources import arrays
from oodbench.sources.arrays import Array

CHUNK = 1024

ABSENT = "stored outputs hold no pixels and no network; hand over the model itself"

IMAGES = ("images", "x", "pixels", "data")
LABELS = ("labels", "y", "targets")
"""Names under which .npz files hold images and classes; the first that is there counts."""

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class StoredOutputs:
    """What a classifier answered to n inputs: enough for every method that reads no more.

    Args:
        logits: [n C]; float.
        features: [n F], the input of the last linear layer; or None.
        labels: Classes [n], where they are known.

    Raises:
        BadData: The arrays are not of these shapes, or hold NaN or infinite numbers.

    Example:
        >>> len(oodbench.StoredOutputs(logits=np.eye(3), features=np.ones((3, 8)), labels=[0, 1, 2]))
        3
    """

    logits: Array
    features: Array | None = None
    labels: Any = None
    card: str | None = None

    def __post_init__(self) -> None:
        name = self.card or "stored outputs"
        for field in ("logits", "features"):
            value = getattr(self, field)
            if value is None and field == "features":
                continue
            found = arrays.plain(f"{name}, {field}", value)
            if found.ndim != 2 or found.dtype.kind != "f" or not len(found):
                raise BadData(f"{name}: got {field} {found.dtype}{list(found.shape)}; expected floats [n _]")
            if not np.isfinite(found).all():
                raise BadData(
                    f"{name}: {field} hold NaN or infinite numbers, the first in row "
                    f"{np.argwhere(~np.isfinite(found))[0, 0]}"
                )
            object.__setattr__(self, field, found.astype(np.float32, copy=False))
        if self.features is not None and len(self.features) != len(self.logits):
            raise BadData(f"{name}: got {len(self.features)} rows of features, and {len(self.logits)} of logits")
        if self.labels is not None:
            object.__setattr__(self, "labels", arrays.classes(name, self.labels, len(self.logits)))
            check_labels(self.labels, len(self.logits), name)

    @property
    def shape(self) -> tuple[int, ...]:
        """Classes, and features."""
        return (self.logits.shape[1], 0 if self.features is None else self.features.shape[1])

    def __len__(self) -> int:
        return len(self.logits)

    def batch(self, indices: Indices) -> Floats:
        """Return the rows at `indices`: logits and features side by side [k C+F]."""
        parts = [self.logits[indices], *([] if self.features is None else [self.features[indices]])]
        rows: Floats = np.concatenate(parts, axis=1)
        return rows

    def take(self, indices: Indices) -> "StoredOutputs":
        """Return the rows at `indices`, in that order."""
        features = None if self.features is None else self.features[indices]
        return replace(
            self,
            logits=self.logits[indices],
            features=features,
            labels=None if self.labels is None else self.labels[indices],
        )

    def sha256(self) -> str:
        """Return the sha256 of the numbers and labels."""
        return self._sha256

    @cached_property
    def _sha256(self) -> str:
        chunks = (self.batch(slice(start, start + CHUNK)) for start in range(0, len(self), CHUNK))
        return digest_of((len(self), *self.shape), chunks, self.labels)


class StoredModel(nn.Module):
    """Stands for the classifier whose outputs were stored; with a head, methods that read one run, too.

    Args:
        head: Weights W [C F] and bias b [C] (or None) of the last linear layer: features @ W.T + b = logits; or a path
            to an .npz file that holds `weight` and `bias`.

    Raises:
        BadData: They are not of these shapes.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> W, b, f = rng.normal(size=(3, 8)), np.zeros(3), rng.normal(size=(100, 8))
        >>> stored = oodbench.StoredOutputs(logits=f @ W.T + b, features=f, labels=(f @ W.T + b).argmax(1))
        >>> far = oodbench.StoredOutputs(logits=9 * f @ W.T + b, features=9 * f)
        >>> model = oodbench.StoredModel(head=(W, b))
        >>> oodbench.evaluate(model, test=stored, failures={"far": far}, methods=["msp"]).accuracy
        {'test': 1.0}
    """

    passes = 1
    entries: frozenset[Output] = frozenset()

    def __init__(self, head: tuple[Array, Array | None] | str | Path | None = None) -> None:
        super().__init__()
        self._head = _head(head)
        self._classes: int | None = None
        self._checked = False

    @property
    def lacks(self) -> Mapping[Output, str]:
        """Why there is none of an output."""
        gone: dict[Output, str] = dict.fromkeys((INPUTS, NETWORK, FEATURE_MAP, FIRST_MAP, MAPS), ABSENT)
        if self._head is None:
            gone[HEAD] = "no head was stored: oodbench.StoredModel(head=(W, b)) has one"
        return MappingProxyType(gone)

    @property
    def constants(self) -> Mapping[Output, Any]:
        """The head, of two classes where one logit was stored."""
        if self._head is None:
            raise BadMethod(self.lacks[HEAD])
        W, b = self._head
        return {HEAD: head_of_two_classes(W, b) if len(W) == 1 else self._head}

    def of(self, sets: Mapping[str, StoredOutputs]) -> "StoredModel":
        """Return the model, told how many columns of its inputs are logits, and checked against them.

        Raises:
            BadData: The sets differ in their number of classes or features, or features @ W.T + b are not the logits.
        """
        first, *others = sets.items()
        for name, one in others:
            if one.shape != first[1].shape:
                raise BadData(
                    f"{name}: has {one.shape[0]} logits and {one.shape[1]} features a row; {first[0]} has "
                    f"{first[1].shape[0]} and {first[1].shape[1]}"
                )
        self._classes = first[1].shape[0]
        refuse_probabilities(torch.from_numpy(first[1].logits[:CHUNK]))
        if self._head is not None:
            _check_head(self._head, *first)
        return self

    def outputs(
        self, x: Tensor, wanted: frozenset[Output], replacing: Mapping[Output, Tensor] | None = None
    ) -> Mapping[Output, Any]:
        """Return the stored outputs of rows [n C+F]."""
        assert self._classes is not None
        logits, features = x[:, : self._classes], x[:, self._classes :]
        given: dict[Output, Any] = {LOGITS: two_classes(logits) if self._classes == 1 else logits}
        if features.shape[1]:
            given |= {FEATURES: features, LAYERS: (features,)}
        if absent := sorted(wanted - given.keys()):
            raise BadMethod(f"{absent[0]} was not stored; stored are {', '.join(map(str, sorted(given)))}")
        return given


def from_npz(name: str, path: Path) -> StoredOutputs | tuple[npt.NDArray[Any], npt.NDArray[Any] | None]:
    """Return what an .npz file holds: stored outputs (`logits`, `features`, `labels`), or images and classes.

    Raises:
        BadData: It is no such file, or holds neither.
    """
    held = _members(name, path)
    labels = next((held[key] for key in LABELS if key in held), None)
    if "logits" in held:
        return StoredOutputs(held["logits"], held.get("features"), labels, name)
    images = next((held[key] for key in IMAGES if key in held), None)
    if images is None:
        raise BadData(
            f"{name}: {path} holds {', '.join(sorted(held)) or 'nothing'}; expected 'images' and 'labels', or "
            f"'logits', 'features' and 'labels'"
        )
    return images, labels


def _members(name: str, path: Path) -> dict[str, npt.NDArray[Any]]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {key: archive[key] for key in archive.files}
    except Exception as error:  # a damaged archive may raise anything
        raise BadData(f"{name}: {path} is no .npz file of numbers ({str(error).partition(chr(10))[0]})") from error


def _head(given: tuple[Array, Array | None] | str | Path | None) -> Head | None:
    if given is None:
        return None
    if isinstance(given, str | Path):
        held = _members("head", Path(given))
        if "weight" not in held:
            raise BadData(
                f"head: {given} holds {', '.join(sorted(held)) or 'nothing'}; expected 'weight' [C F] and 'bias' [C]"
            )
        given = held["weight"], held.get("bias")
    weight = torch.from_numpy(arrays.plain("head, weight", given[0])).float()
    if weight.ndim != 2:
        raise BadData(f"head: got weights {list(weight.shape)}; expected [C F]")
    bias = (
        weight.new_zeros(len(weight))
        if given[1] is None
        else torch.from_numpy(arrays.plain("head, bias", given[1])).float()
    )
    if bias.shape != (len(weight),):
        raise BadData(f"head: got a bias {list(bias.shape)}; expected [{len(weight)}], one a row of the weights")
    return Head(weight, bias)


def _check_head(head: Head, name: str, rows: StoredOutputs) -> None:
    W, b = head
    classes, width = rows.shape
    if tuple(W.shape) != (classes, width):
        raise BadData(
            f"head: got weights {list(W.shape)}; {name} has {classes} logits and {width} features: expected "
            f"[{classes} {width}]"
        )
    some = rows.take(slice(0, 16))
    made = torch.from_numpy(some.features) @ W.T + b
    logits = torch.from_numpy(some.logits)
    size, off = float(logits.abs().max()), float((made - logits).abs().max())
    if not off <= 1e-3 * max(size, 1e-6):
        raise BadData(
            f"head: features @ W.T + b of {name} differ from its logits, up to {size:.3g}, by up to {off:.2g}; are "
            f"these the "
            f"inputs of the last linear layer, and its weights [C F] and bias?"
        )

"""Trained models and what they show, from the cache where they were made before."""

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from oodbench.contract import Recipe, View
from oodbench.data.images import Images
from oodbench.errors import BadCheckpoint
from oodbench.models import checkpoint
from oodbench.models.train import Classes, Report, blank, silent, train
from oodbench.models.views import BATCH, NET_VIEWS, Trained
from oodbench.store import atomically, digest, source_digest

CAST = {"torch": torch.__version__.split("+")[0], "numpy": np.__version__}
"""Versions that change the bits of a trained network."""


@dataclass(frozen=True)
class ModelKey:
    """All that a trained model's weights depend on: `parts` are the models that it is made from."""

    recipe: Recipe
    seed: int
    classes: Classes
    train_sha256: str
    outliers_sha256: str | None = None
    parts: "tuple[ModelKey, ...]" = ()

    @property
    def digest(self) -> str:
        """The content address."""
        source = source_digest(type(self.recipe).__module__, "oodbench.models.train")
        data = self.train_sha256, self.outliers_sha256
        parts = [part.digest for part in self.parts]
        return digest(describe(self.recipe), self.seed, asdict(self.classes), data, parts, source, CAST)

    def folder(self, cache: Path) -> Path:
        """Where the model and what it showed are kept."""
        return cache / "models" / self.digest[:20]


def describe(recipe: Recipe) -> dict[str, Any]:
    """Return a recipe's name and fields, as records hold them."""
    return {"name": type(recipe).__name__.lower(), **json.loads(json.dumps(asdict(recipe)))}  # type: ignore[call-overload]


def model_name(recipe: Recipe, sized: Callable[[Recipe], Recipe]) -> str:
    """Return what a matrix calls a model: its recipe's name, and each field that is not as the recipe's author left it.

    "plain", "glow-volume-constant", "densityensemble-glow". It is the name of a folder of results: the same whichever
    methods run and in which order, and another one for another recipe. A recipe from outside has its package before it.

    Args:
        recipe: As the matrix trains it.
        sized: Returns a recipe as the matrix trains it.
    """
    package = type(recipe).__module__.split(".")[0]
    words = [type(recipe).__name__.lower(), *_differing(recipe, _usual(type(recipe), sized), sized)]
    name = "-".join([*([] if package == "oodbench" else [package]), *words])
    return name if len(name) <= 80 else f"{name[:60]}-{digest(name)[:8]}"


def _usual(kind: type[Any], sized: Callable[[Recipe], Recipe]) -> Any:
    """Return a recipe, or a part of one, as its author left it: as far as its fields have defaults."""
    try:
        made = kind()
    except TypeError:
        return SimpleNamespace(**{field.name: field.default for field in fields(kind)})
    return sized(made) if hasattr(kind, "provides") else made


def _differing(value: Any, usual: Any, sized: Callable[[Recipe], Recipe]) -> Iterator[str]:
    for field in fields(value):
        own, other = getattr(value, field.name), getattr(usual, field.name)
        if own == other:
            continue
        if not is_dataclass(own) or isinstance(own, type):
            yield from (field.name, _word(own))
        elif type(own) is type(other):
            yield from (field.name, *_differing(own, other, sized))
        else:  # nothing usual: another recipe, by its own name
            yield from (type(own).__name__.lower(), *_differing(own, _usual(type(own), sized), sized))


def _word(value: Any) -> str:
    """Return a value as a part of a folder's name."""
    text = str(value).lower()
    plain = isinstance(value, bool | int | float | str) and re.fullmatch(r"[a-z0-9][a-z0-9._+-]*", text)
    return text if plain else digest(repr(value))[:8]


def is_trained(key: ModelKey, cache: Path) -> bool:
    """Whether the weights are in the cache."""
    return (key.folder(cache) / "weights.safetensors").exists()


def trained(
    key: ModelKey,
    images: Images,
    cache: Path,
    device: torch.device,
    report: Report = silent,
    outliers: Images | None = None,
) -> Trained:
    """Return the model, trained now unless its weights are in the cache; its parts before it.

    Raises:
        Diverged: the loss became infinite or NaN.
        BadCheckpoint: the weights in the cache are broken; names the file to delete.
    """
    weights = key.folder(cache) / "weights.safetensors"
    if not weights.exists():
        parts = [trained(part, images, cache, device, report, outliers).net for part in key.parts]
        resume = weights.with_name("resume.safetensors")
        net = train(
            key.recipe,
            images,
            key.classes,
            key.seed,
            device=device,
            outliers=outliers if "outliers" in key.recipe.wants else None,
            parts=parts,
            resume_from=resume,
            report=report,
        )
        checkpoint.save(weights, net.state_dict(), {"recipe": describe(key.recipe), "seed": key.seed})
        resume.unlink(missing_ok=True)
    tensors, _ = checkpoint.load(weights)
    net = blank(key.recipe, images, key.classes, key.seed)
    checkpoint.restore(net, tensors, str(weights))
    net.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Trained(net.eval().requires_grad_(False), device)


def shown(
    model: Trained, images: Images, wanted: frozenset[View], folder: Path, report: Report = silent
) -> Mapping[View, Any]:
    """Return what a model shows of a set: float32 tensors mapped from files, made in one forward pass if absent.

    Args:
        model: Whom to ask.
        images: n images.
        wanted: Views; those that no forward pass shows are left out.
        folder: The model's folder in the cache.
        report: Told of the progress.
    """
    views = sorted(wanted & NET_VIEWS)
    place = folder / "views" / images.sha256()[:20]
    missing = [view for view in views if not (place / f"{view}.json").exists()]
    if missing:
        _write_views(model, images, frozenset(missing), place, report)
    return {view: _read_view(place, view) for view in views}


def _write_views(model: Trained, images: Images, wanted: frozenset[View], place: Path, report: Report) -> None:
    """Stream one forward pass into one file per array; memory stays that of one batch."""
    writers: dict[View, list[_Growing]] = {}
    for start in range(0, len(images), BATCH):
        rows = slice(start, min(start + BATCH, len(images)))
        x = torch.from_numpy(images.batch(rows)).to(model.device)
        with torch.no_grad():
            seen = model.show(x, wanted)
        for view in wanted:
            parts = seen[view] if isinstance(seen[view], tuple) else (seen[view],)
            if view not in writers:
                writers[view] = [_Growing(place / f"{view}.{i}.npy", part, len(images)) for i, part in enumerate(parts)]
            for writer, part in zip(writers[view], parts, strict=True):
                writer.put(rows, part)
        report("forward pass", rows.stop, len(images))
    for view, arrays in writers.items():
        for array in arrays:
            array.close()
        tuple_like = isinstance(seen[view], tuple)
        with atomically(place / f"{view}.json") as file:  # written last: the view is whole
            file.write_text(json.dumps({"arrays": len(arrays), "tuple": tuple_like}))


class _Growing:
    """A float array on disk, filled batch by batch and named when whole."""

    def __init__(self, path: Path, first: Tensor, n: int) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        dtype = np.float64 if first.dtype == torch.float64 else np.float32
        self._part = path.with_name(f".{path.name}.{os.getpid()}.part")  # two processes may show a shared part at once
        self._array = np.lib.format.open_memmap(self._part, "w+", dtype, (n, *first.shape[1:]))

    def put(self, rows: slice, values: Tensor) -> None:
        self._array[rows] = values.cpu().numpy()

    def close(self) -> None:
        self._array.flush()
        self._part.replace(self._path)


def _read_view(place: Path, view: View) -> Any:
    facts = json.loads((place / f"{view}.json").read_text())
    arrays = [_mapped(place / f"{view}.{i}.npy") for i in range(facts["arrays"])]
    return tuple(arrays) if facts["tuple"] else arrays[0]


def _mapped(path: Path) -> Tensor:
    try:
        # Copy-on-write: torch wants a writable array, and the file must never change.
        return torch.from_numpy(np.load(path, mmap_mode="c", allow_pickle=False))
    except (OSError, ValueError, EOFError) as error:
        raise BadCheckpoint(f"{path}: broken array in the cache ({error}); delete its folder and run again") from error

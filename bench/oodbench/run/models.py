"""Trained models and their outputs, from the cache where they were made before."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from oodbench.contract import Output
from oodbench.data.images import Images
from oodbench.errors import BadCheckpoint
from oodbench.models import checkpoint
from oodbench.models.outputs import BATCH, Trained, to_store
from oodbench.models.train import Report, labels_of, silent, start, train
from oodbench.store import atomically, digest, source_digest
from oodbench.training import InSet, Recipe

CAST = {"torch": torch.__version__.split("+")[0], "numpy": np.__version__}
"""Versions that change the bits of a trained network."""


@dataclass(frozen=True)
class ModelKey:
    """All that a trained model's weights depend on: `parts` are the models that it is made from."""

    recipe: Recipe
    seed: int
    in_set: InSet
    train_sha256: str
    outliers_sha256: str | None = None
    parts: "tuple[ModelKey, ...]" = ()

    @property
    def digest(self) -> str:
        """The content address."""
        source = source_digest(type(self.recipe).__module__, "oodbench.models.train")
        data = self.train_sha256, self.outliers_sha256
        parts = [part.digest for part in self.parts]
        return digest(describe(self.recipe), self.seed, asdict(self.in_set), data, parts, source, CAST)

    def folder(self, cache: Path) -> Path:
        """Where the model and its outputs are kept."""
        return cache / "models" / self.digest[:20]


def describe(recipe: Recipe) -> dict[str, Any]:
    """Return a recipe's name and fields, as records hold them."""
    return {"name": type(recipe).__name__.lower(), **json.loads(json.dumps(asdict(recipe)))}  # type: ignore[call-overload]


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
            key.in_set,
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
    fit = start(key.recipe, key.in_set, labels_of(images), key.seed)
    net = fit.net
    checkpoint.restore(net, tensors, str(weights))
    net.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Trained(net.eval().requires_grad_(False), device, fit.labelled)


def stored_outputs(
    model: Trained, images: Images, wanted: frozenset[Output], folder: Path, report: Report = silent
) -> Mapping[Output, Any]:
    """Return a model's outputs for a set: float32 tensors mapped from files, made in one forward pass if absent.

    Args:
        model: Whom to ask.
        images: n images.
        wanted: Outputs; those that are not to be stored are left out.
        folder: The model's folder in the cache.
        report: Told of the progress.
    """
    outputs = sorted(to_store(wanted))
    place = folder / "outputs" / images.sha256()[:20]
    missing = [output for output in outputs if not (place / f"{output}.json").exists()]
    if missing:
        _write_outputs(model, images, frozenset(missing), place, report)
    return {output: _read_output(place, output) for output in outputs}


def _write_outputs(model: Trained, images: Images, wanted: frozenset[Output], place: Path, report: Report) -> None:
    """Stream one forward pass into one file per array; memory stays that of one batch."""
    writers: dict[Output, list[_Growing]] = {}
    for first in range(0, len(images), BATCH):
        rows = slice(first, min(first + BATCH, len(images)))
        x = torch.from_numpy(images.batch(rows)).to(model.device)
        with torch.no_grad():
            given = model.outputs(x, wanted)
        for output in wanted:
            parts = given[output] if isinstance(given[output], tuple) else (given[output],)
            if output not in writers:
                paths = [place / f"{output}.{i}.npy" for i in range(len(parts))]
                writers[output] = [_Growing(path, part, len(images)) for path, part in zip(paths, parts, strict=True)]
            for writer, part in zip(writers[output], parts, strict=True):
                writer.put(rows, part)
        report("forward pass", rows.stop, len(images))
    for output, arrays in writers.items():
        for array in arrays:
            array.close()
        tuple_like = isinstance(given[output], tuple)
        with atomically(place / f"{output}.json") as file:  # written last: the output is whole
            file.write_text(json.dumps({"arrays": len(arrays), "tuple": tuple_like}))


class _Growing:
    """A float array on disk, filled batch by batch and named when whole."""

    def __init__(self, path: Path, first: Tensor, n: int) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        dtype = np.float64 if first.dtype == torch.float64 else np.float32
        self._part = path.with_name(f".{path.name}.{os.getpid()}.part")  # two processes may write a shared part at once
        self._array = np.lib.format.open_memmap(self._part, "w+", dtype, (n, *first.shape[1:]))

    def put(self, rows: slice, values: Tensor) -> None:
        self._array[rows] = values.cpu().numpy()

    def close(self) -> None:
        self._array.flush()
        self._part.replace(self._path)


def _read_output(place: Path, output: Output) -> Any:
    facts = json.loads((place / f"{output}.json").read_text())
    arrays = [_mapped(place / f"{output}.{i}.npy") for i in range(facts["arrays"])]
    return tuple(arrays) if facts["tuple"] else arrays[0]


def _mapped(path: Path) -> Tensor:
    try:
        # Copy-on-write: torch wants a writable array, and the file must never change.
        return torch.from_numpy(np.load(path, mmap_mode="c", allow_pickle=False))
    except (OSError, ValueError, EOFError) as error:
        raise BadCheckpoint(f"{path}: broken array in the cache ({error}); delete its folder and run again") from error

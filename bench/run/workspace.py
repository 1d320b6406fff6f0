"""Where a run reads and writes."""

import os
from dataclasses import dataclass, field
from pathlib import Path

import torch


def default_cache() -> Path:
    """Return $OODBENCH_CACHE, else ~/.cache/oodbench."""
    return Path(os.environ.get("OODBENCH_CACHE") or Path.home() / ".cache" / "oodbench")


@dataclass(frozen=True)
class Workspace:
    """The folders and the device of a run.

    Attributes:
        results: Records and scores, `<results>/<matrix>/<method>/<seed>.*`.
        data: The user's own root of data sets, searched first.
        cache: Weights, views and attacked images, addressed by content: safe to delete, and to share.
        device: "cpu", "cuda", "cuda:1" ...
    """

    results: Path = Path("results")
    data: Path | None = None
    cache: Path = field(default_factory=default_cache)
    device: str = "cpu"

    @property
    def torch_device(self) -> torch.device:
        """The device, as torch names it."""
        return torch.device(self.device)

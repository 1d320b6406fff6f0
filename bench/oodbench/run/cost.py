"""What stages cost: seconds of the clock, of the processor and of the GPU, and passes; kept beside the model."""

import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from oodbench.store import atomically

log = logging.getLogger(__name__)


@dataclass
class Spent:
    """What one stage cost.

    Attributes:
        seconds: Of the clock: they depend on what else the machine did.
        cpu_seconds: Of the processor, all threads together.
        gpu_seconds: Of the clock while a GPU was held; 0 on a CPU.
        forward: Images that went through the network forward.
        gradient: Images that went through it backward.
    """

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    gpu_seconds: float = 0.0
    forward: int = 0
    gradient: int = 0

    def __add__(self, other: "Spent") -> "Spent":
        return Spent(*(a + b for a, b in zip(asdict(self).values(), asdict(other).values(), strict=True)))


@contextmanager
def spending(device: torch.device) -> Iterator[Spent]:
    """Yield what a block costs; it is whole when the block has ended."""
    spent = Spent()
    clock, processor = time.perf_counter(), time.process_time()
    try:
        yield spent
    finally:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        spent.seconds += time.perf_counter() - clock
        spent.cpu_seconds += time.process_time() - processor
        spent.gpu_seconds += spent.seconds if device.type == "cuda" else 0.0


def note(folder: Path, stage: str, spent: Spent) -> None:
    """Keep what a stage of a model cost, for the records of all methods that stand on the model: one file a stage."""
    with atomically(_path(folder, stage)) as file:
        file.write_text(json.dumps(asdict(spent)), encoding="utf-8")


def noted(folder: Path, stage: str) -> Spent:
    """Return what a stage cost; nothing where nobody noted it."""
    path = _path(folder, stage)
    try:
        return Spent(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return Spent()
    except (OSError, ValueError, TypeError) as error:
        log.warning("%s: broken (%s); the cost of this stage is not known any more", path, error)
        path.unlink(missing_ok=True)
        return Spent()


def _path(folder: Path, stage: str) -> Path:
    return folder / f"{stage}.cost.json"

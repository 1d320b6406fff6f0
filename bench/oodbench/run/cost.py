"""What stages cost: seconds of the clock, of the processor and of the GPU, and passes; kept beside the model."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from oodbench.run.sealed import seal, unsealed


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
    seal(_path(folder, stage), (), spent=asdict(spent))


def noted(folder: Path, stage: str) -> Spent:
    """Return what a stage cost; nothing where nobody noted it."""
    facts = unsealed(_path(folder, stage))
    return Spent() if facts is None else Spent(**facts["spent"])


def _path(folder: Path, stage: str) -> Path:
    return folder / f"{stage}.cost.json"

"""Where a run reads and writes."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from oodbench.data.places import user_cache
from oodbench.errors import BadSetting


def default_cache() -> Path:
    """Return $OODBENCH_CACHE, else oodbench's folder in the user's cache.

    Raises:
        BadSetting: the user has no home folder, and no variable names another.
    """
    named = os.environ.get("OODBENCH_CACHE")
    return Path(named) if named else user_cache()


def usable(device: str | torch.device, name: str = "device") -> torch.device:
    """Return a device that computes; `name` stands in the error.

    Raises:
        BadSetting: it is not here, or is none.
    """
    try:
        torch.ones(1, device=device).item()  # "meta" makes tensors and computes nothing
        return torch.device(device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        here = ", ".join(["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))])
        why = str(error).splitlines()[0]
        raise BadSetting(f"{name} {device}: not here ({why}); expected one of {here}") from error


@contextmanager
def temporary() -> Iterator[Callable[[], Path]]:
    """Yield what returns a folder that is removed afterwards, and made when it is first asked for."""
    with ExitStack() as made:
        yield cache(lambda: Path(made.enter_context(TemporaryDirectory(prefix="oodbench-"))))


def open_work(folder: Path) -> Path:
    """Return a folder to write to, made where it is absent.

    Raises:
        BadSetting: It cannot be.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadSetting(f"cache {folder}: {error.strerror or error}; expected a folder to write to") from error
    return folder


@dataclass(frozen=True)
class Workspace:
    """The folders and the device of a run.

    Attributes:
        results: Records and scores, `<results>/<matrix>/<method>/<seed>.*`.
        data: The user's own root of data sets, searched first.
        cache: Weights, outputs and attacked images, addressed by content: safe to delete, and to share.
        device: "cpu", "cuda", "cuda:1" ...
        workers: Processes that work beside each other, this one among them: costs depend on it, and nothing else.
        store: Where workers that share no folders get and put what is made (`oodbench.run.shared`); None where all see
            these folders.
    """

    results: Path = Path("results")
    data: Path | None = None
    cache: Path = field(default_factory=default_cache)
    device: str = "cpu"
    workers: int = 1
    store: str | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot work, before any work.

        Raises:
            BadSetting: the data root is no folder, or the device is not here.
        """
        if self.data is not None and not self.data.is_dir():
            raise BadSetting(f"--data {self.data}: no such folder; expected the root of your data sets")
        usable(self.device, "--device")

    def resolved(self) -> "Workspace":
        """Return the same folders by absolute paths: a worker may run in another directory."""
        data = None if self.data is None else self.data.resolve()
        store = self.store if self.store is None or "://" in self.store else str(Path(self.store).resolve())
        return replace(self, results=self.results.resolve(), data=data, cache=self.cache.resolve(), store=store)

    @property
    def torch_device(self) -> torch.device:
        """The device, as torch names it."""
        return torch.device(self.device)

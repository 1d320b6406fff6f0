"""oodbench: a benchmark suite and leaderboard harness for detectors of classifier failures."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from oodbench.result import Result, load
    from oodbench.run.detector import FittedDetector, fit, load_detector
    from oodbench.run.evaluate import evaluate

__all__ = ["FittedDetector", "Result", "evaluate", "fit", "load", "load_detector"]
__version__ = "0.1.0"

_HOMES = {"evaluate": "oodbench.run.evaluate", "Result": "oodbench.result", "load": "oodbench.result"} | dict.fromkeys(
    ("FittedDetector", "fit", "load_detector"), "oodbench.run.detector"
)


def __getattr__(name: str) -> Any:
    # Loaded on first use: tables and metrics must not wait for torch.
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""oodbench: a benchmark suite and leaderboard harness for detectors of classifier failures."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from oodbench.result import Result, load
    from oodbench.run.detector import FittedDetector, fit, load_detector
    from oodbench.run.evaluate import evaluate
    from oodbench.sources.folders import ImageList
    from oodbench.sources.named import load_model
    from oodbench.sources.stored import StoredModel, StoredOutputs

__all__ = [
    "FittedDetector",
    "ImageList",
    "Result",
    "StoredModel",
    "StoredOutputs",
    "evaluate",
    "fit",
    "load",
    "load_detector",
    "load_model",
]
__version__ = "0.2.0.dev0"

_HOMES = {
    "evaluate": "oodbench.run.evaluate",
    "Result": "oodbench.result",
    "load": "oodbench.result",
    "ImageList": "oodbench.sources.folders",
    "load_model": "oodbench.sources.named",
    **dict.fromkeys(("FittedDetector", "fit", "load_detector"), "oodbench.run.detector"),
    **dict.fromkeys(("StoredModel", "StoredOutputs"), "oodbench.sources.stored"),
}


def __getattr__(name: str) -> Any:
    # Loaded on first use: tables and metrics must not wait for torch.
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

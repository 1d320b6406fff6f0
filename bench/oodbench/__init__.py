"""oodbench: a benchmark suite and leaderboard harness for detectors of classifier failures."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from oodbench.run.evaluate import evaluate

__all__ = ["evaluate"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # Loaded on first use: tables and metrics must not wait for torch.
    if name == "evaluate":
        from oodbench.run.evaluate import evaluate

        return evaluate
    raise AttributeError(f"module 'bench' has no attribute {name!r}")

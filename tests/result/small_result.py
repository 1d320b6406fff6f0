"""A small result, with all three kinds of failure, a method that cannot run, and one that fails on a set."""

from typing import Any

import numpy as np

from oodbench.records import Changed, Fooled, Outcomes, Scores
from oodbench.result import Result
from oodbench.result.rows import Judged


def result(n: int = 120, seed: int = 0, **changed: Any) -> Result:
    rng = np.random.default_rng(seed)
    correct = rng.uniform(size=n) < 0.8
    index = rng.permutation(np.flatnonzero(correct))[:40].astype(np.int32)
    fooled = np.arange(40) % 3 > 0
    level = rng.normal(size=n) + correct

    def judged(method: str, noise: float, **more: Any) -> Judged:
        scores = Scores(
            level + noise * rng.normal(size=n),
            {"far": rng.normal(size=50) - 2, "my own set": rng.normal(size=30).astype(np.float32)},
            {"fgsm-8": Changed(level[index] - 1 + noise * rng.normal(size=40), index)},
        )
        return Judged(method, scores, 1.0, 0.0, **more)

    methods = [
        judged("msp", 0.1, doubts=["few images"], of_sets={"far": ("3 images twice",)}),
        Judged("temperature", why="needs validation"),
        judged("knn", 0.5, failed={("ood", "broken"): "2 of 30 scores are NaN or infinite"}),
    ]
    given: dict[str, Any] = {
        "accuracy": {"train": 1.0, "test": float(correct.mean())},
        "outcomes": Outcomes(correct, {"fgsm-8": Fooled(index, fooled)}),
        "judged": methods,
        "doubts": ["the model is doubtful"],
        "seed": 3,
    }
    return Result(**given | changed)

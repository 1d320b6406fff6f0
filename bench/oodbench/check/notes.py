"""What an author should know of a method that breaks no law: a key that saturates, a score that is slow."""

from collections.abc import Iterator
from dataclasses import replace
from statistics import median
from time import process_time

import torch
from torch import Tensor

from oodbench.check.trial import Trial
from oodbench.contract import LOGITS

SURER = 20.0
"""What logits are multiplied by: those of a network that is surer than the toy's, as large ones are."""

TIED = 0.05
"""Share of the test inputs that may have the highest, or the lowest, score in common."""

TIMES = 3
"""How often scoring is timed."""

SLOW = 4e-3
"""Seconds of the processor for an input of 8 x 8 pixels: five times what the slowest post-hoc method here takes."""


def notes_of(trial: Trial) -> Iterator[str]:
    """Yield what is to be told of a method that runs."""
    yield from saturating(trial)
    yield from slow(trial)


def saturating(trial: Trial) -> Iterator[str]:
    """Tell of a key that many inputs share at an end, as they are or where the network is surer: no rank tells them."""
    test = trial.toy.examples["test"]
    made = [("test images", trial.scores)]
    if LOGITS in trial.method.detector.reads:
        trial.toy.examples["surer"] = replace(test, outputs=dict(test.outputs) | {LOGITS: SURER * test.outputs[LOGITS]})
        made.append((f"test images, with logits {SURER:g} times as large,", trial.score(trial.fitted, "surer")))
        del trial.toy.examples["surer"]
    for what, scores in made:
        for end, value in (("highest", scores.max()), ("lowest", scores.min())):
            if (tied := _tied(scores, value)) > TIED * len(scores) and not (scores == scores[0]).all():
                yield (
                    f"saturates: {tied} of {len(scores)} {what} share the {end} score, {value:.9g}: rank by a key "
                    f"that goes on, as the logarithm of what reaches 0 or 1, in float64"
                )
                return


def slow(trial: Trial) -> Iterator[str]:
    """Tell of a score that takes long on inputs of a few pixels."""
    n = len(trial.scores)
    seconds = median(_seconds(trial) for _ in range(TIMES)) / n
    if seconds > SLOW:
        yield (
            f"slow: {1e3 * seconds:.1f} ms of the processor for an input of the toy, {seconds * 1e4:.0f} s for "
            f"10,000: work on the whole batch at once, and in fit rather than in score"
        )


def _tied(scores: Tensor, value: Tensor) -> int:
    return int((scores == value).sum())


def _seconds(trial: Trial) -> float:
    began = process_time()
    trial.score(trial.fitted, "test", torch.arange(len(trial.scores)))
    return process_time() - began

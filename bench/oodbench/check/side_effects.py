"""Laws of what a method leaves as it was, and of what can be kept of it."""

from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from oodbench.check.trial import Fitted, Trial
from oodbench.errors import BadMethod
from oodbench.models.state import as_read, load_state, save_state
from oodbench.run.facts import facts_of


def inputs_kept(trial: Trial) -> None:
    """Fitting and scoring change no pixel, label or stored output."""
    _unchanged(trial, "inputs")


def weights_kept(trial: Trial) -> None:
    """Fitting and scoring change no weight, buffer or gradient of the network."""
    _unchanged(trial, "weights")


def modes_kept(trial: Trial) -> None:
    """Fitting and scoring leave every module in its mode, training or evaluation."""
    _unchanged(trial, "modes")


def generators_kept(trial: Trial) -> None:
    """Fitting and scoring draw from no global random generator, and seed none."""
    _unchanged(trial, "generators")


def state_saved(trial: Trial) -> None:
    """What `fit` returns survives a file without pickle, and gives the same scores."""
    detector, state = trial.fitted
    with TemporaryDirectory() as folder:
        path = Path(folder) / "state.safetensors"
        save_state(path, state)
        again = trial.score(Fitted(detector, load_state(path)), "test")
    if not torch.equal(again, trial.score(Fitted(detector, as_read(state)), "test")):
        raise BadMethod("with its state read back from a file it gives other scores: not all it learnt is in its state")


def facts_finite(trial: Trial) -> None:
    """Every number in what `fit` returns is finite: it stands in the record."""
    odd = [name for name, number in facts_of(trial.fitted.state).items() if number is None]
    if odd:
        raise BadMethod(
            f"{', '.join(odd)} in its fitted state is NaN or infinite, and stands in records as a fact of the fit: "
            f"make it finite, or a tensor if it is none"
        )


def _unchanged(trial: Trial, aspect: str) -> None:
    changed = trial.again.changed[aspect]
    if changed:
        more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
        raise BadMethod(f"it changed {changed[0]}{more}")

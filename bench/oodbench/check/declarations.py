"""Laws of what a method declares: it is well formed, true, and enough to build the method again."""

import json
import re
from collections.abc import Collection, Iterable
from dataclasses import fields, replace
from itertools import pairwise
from typing import Any, get_args

import torch

from oodbench.check.parameters import from_json, to_json
from oodbench.check.trial import ALL, Fitted, Leave, Trial
from oodbench.contract import Detector, Material, Output
from oodbench.errors import BadMethod, Undeclared, UnknownName
from oodbench.models.outputs import OF_EVERY_MODEL, given
from oodbench.spaces import SpaceName

NAME = re.compile(r"[a-z0-9]+([-+.][a-z0-9]+)*\+*")
"""A method's name: it is a folder of results and an argument on a command line."""


def frozen(trial: Trial) -> None:
    """Detector and recipe are frozen, hashable dataclasses: they are keys of caches."""
    for role, value in (("detector", trial.method.detector), ("recipe", trial.method.recipe)):
        if not _is_frozen(value):
            raise BadMethod(
                f"the {role}, a {type(value).__name__}, is not a frozen dataclass: write @dataclass(frozen=True)"
            )
        try:
            hash(value)
        except TypeError as error:
            raise BadMethod(
                f"the {role} has no hash ({error}): make its fields tuples, frozen sets, numbers"
            ) from error


def _is_frozen(value: Any) -> bool:
    parameters: Any = getattr(type(value), "__dataclass_params__", None)
    return parameters is not None and bool(parameters.frozen)


def well_formed(trial: Trial) -> None:
    """The name can be a folder; versions, materials and tuned fields exist; the model has what the detector reads."""
    method, detector = trial.method, trial.method.detector
    if not NAME.fullmatch(method.name):
        raise BadMethod(
            f"its name is {method.name!r}; expected small letters, digits and single hyphens, as 'odin-tuned'"
        )
    for role, value in (("detector", detector), ("recipe", method.recipe)):
        _versioned(role, value)
    _takes_inputs(method.recipe)
    _distinct(detector.reads | method.recipe.provides | OF_EVERY_MODEL)
    _known("material", detector.fits_on | method.recipe.wants, get_args(Material))
    own = {field.name for field in fields(detector)}  # type: ignore[arg-type]
    for name, values in method.search.over if method.search else ():
        _known(f"field of {type(detector).__name__}, tuned in `search`,", {name}, own)
        if not values:
            raise BadMethod(f"`search` has no value to try for {name!r}")
    _of_one_kind(detector, method.sized("paper").detector)
    has = given(method.recipe.provides, trial.space)
    if blind := detector.reads - has:
        raise BadMethod(
            f"it reads {_listed(blind)}, which a {type(method.recipe).__name__} model of {trial.space} does not have; "
            f"it has {_listed(has)}"
        )


def _versioned(role: str, value: Any) -> None:
    version = getattr(value, "version", None)
    if type(version) is not int or version < 1:
        raise BadMethod(
            f"the {role}, a {type(value).__name__}, has the version {version!r}; expected a whole number from 1, "
            f"`version: ClassVar[int] = 1`, to be raised whenever its scores move"
        )


def _takes_inputs(recipe: Any) -> None:
    spaces = getattr(recipe, "spaces", None)
    if not isinstance(spaces, frozenset) or not spaces:
        raise BadMethod(
            f"the recipe, a {type(recipe).__name__}, has the spaces {spaces!r}; expected those whose inputs its model "
            f"takes, as frozenset({{'images'}}), which it has from `oodbench.training.Defaults`"
        )
    _known("space", spaces, get_args(SpaceName))
    if not callable(getattr(recipe, "given", None)):
        raise BadMethod(
            f"the recipe, a {type(recipe).__name__}, has no `given`; expected `def given(self)`, which returns the "
            f"model whose weights it loads, or None; it has one from `oodbench.training.Defaults`"
        )
    if not callable(getattr(recipe, "refuses", None)):
        raise BadMethod(
            f"the recipe, a {type(recipe).__name__}, has no `refuses`; expected `def refuses(self, space)`, which "
            f"returns why no model can be built for such inputs, or None; it has one from `oodbench.training.Defaults`"
        )


def _distinct(outputs: frozenset[Any]) -> None:
    """Check that all are outputs, and that no two share a name: their files would be one."""
    for output in outputs:
        if not isinstance(output, Output):
            known = _listed(one for one in outputs if isinstance(one, Output))
            raise BadMethod(
                f"an output is declared as {output!r}; expected an `Output`, as LOGITS of oodbench.contract; "
                f"declared are {known}"
            )
    for one, other in pairwise(sorted(outputs)):
        if one.name == other.name:
            raise BadMethod(f"two outputs are named {one.name!r}, {one!r} and {other!r}; rename one")


def _of_one_kind(detector: Detector[Any], at_paper: Detector[Any]) -> None:
    """Refuse a detector at scale paper that is more than one of other fields: its version and needs stand for both."""
    same = type(at_paper) is type(detector)
    if not same or (at_paper.reads, at_paper.fits_on) != (detector.reads, detector.fits_on):
        raise BadMethod(
            f"`detector_at_paper_scale` is a {type(at_paper).__name__} that reads {_listed(at_paper.reads)} and fits "
            f"on {', '.join(sorted(at_paper.fits_on)) or 'nothing more'}; expected a {type(detector).__name__} with "
            f"the needs of `detector`: what differs is its fields"
        )


def _listed(outputs: Iterable[Output]) -> str:
    return ", ".join(map(str, sorted(outputs)))


def _known(kind: str, declared: Iterable[str], known: Collection[str]) -> None:
    for name in declared:
        if name not in known:
            raise UnknownName(kind, name, known)


def outputs_as_declared(trial: Trial) -> None:
    """It reads the outputs that it declares, no more and no less, over the ends of its grid."""
    declared = trial.method.detector.reads
    opened = set(trial.opened or ())
    if trial.opened is None:
        for candidate in trial.candidates:
            opened |= trial.run(candidate, replace(ALL, reads=declared)).opened
    if unread := {output.name for output in declared} - opened:
        raise BadMethod(f"it declares {', '.join(sorted(unread))} but never reads it: take it out of `reads`")


def materials_as_declared(trial: Trial) -> None:
    """Its `fit` opens the materials that it declares, no more and no less."""
    declared = trial.method.detector.fits_on
    opened = set(trial.opened or ())
    if trial.opened is None:
        for candidate in trial.candidates:
            trial.fit(candidate, replace(ALL, fits_on=declared), opened)
    if unopened := declared - opened:
        raise BadMethod(
            f"it declares {', '.join(sorted(unopened))} but its fit never opens it: take it out of `fits_on`"
        )


def labels_only_for_fitting(trial: Trial) -> None:
    """Its `score` does not read labels: at test time there are none."""
    try:
        trial.score(trial.fitted, "test", leave=Leave(score_labels=False))
    except Undeclared as error:
        raise BadMethod("its score reads labels; at test time there are none") from error


def parameters_in_json(trial: Trial) -> None:
    """The detector can be built again from its parameters as JSON, and gives the same scores."""
    detector, state = trial.fitted
    text = json.dumps(to_json(detector))
    again: Any = from_json(detector, json.loads(text))
    if again != detector:
        raise BadMethod(f"built again from {text} it is another detector: {again}, before {detector}")
    if not torch.equal(trial.score(Fitted(again, state), "test"), trial.scores):
        raise BadMethod(f"built again from {text} it gives other scores: not all that matters is in its fields")
    json.dumps(to_json(trial.method.recipe, "recipe"))

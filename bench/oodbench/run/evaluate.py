"""The matrix-free way in: your model, your arrays, a result."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import torch
from torch import nn

from oodbench.contract import Method
from oodbench.data.attack_cards import find_attack
from oodbench.data.images import ArrayImages
from oodbench.errors import BadData, BadMethod, BadSetting
from oodbench.measure.kinds import ROUNDED
from oodbench.models.outputs import Passes, Trained, to_store
from oodbench.records import Fooled, Outcomes
from oodbench.result import Result
from oodbench.result.rows import Judged
from oodbench.run import remarks
from oodbench.run.arrays import Array, Given, check_classes, given_sets
from oodbench.run.attack import Attempt, craft_first, tried
from oodbench.run.engines import reason
from oodbench.run.examine import Exam, examine
from oodbench.run.judged import ANSWER, as_model, evaluating, first_look
from oodbench.run.machine import exact
from oodbench.run.own import InMemory, why_not_judged
from oodbench.run.registry import find
from oodbench.run.workspace import usable

ATTACKED = 1000
"""Test images that are attacked at most: a step of an attack takes a gradient of each."""


def evaluate(
    model: nn.Module,
    *,
    train: tuple[Array, Array],
    test: tuple[Array, Array],
    failures: Mapping[str, Array],
    methods: Sequence[str | Method],
    attacks: Sequence[str] = (),
    validation: tuple[Array, Array] | None = None,
    ood_validation: Mapping[str, Array] | None = None,
    head: str | None = None,
    layers: Sequence[str] | Mapping[str, int] = (),
    pool: str | None = None,
    device: str | torch.device = "cpu",
    seed: int = 0,
) -> Result:
    """Judge how well methods tell a classifier's failures: the sets given, attacks, and its own misclassifications.

    Args:
        model: Maps pixels [n c h w] in [0, 1] to logits [n C], or [n 1] of two classes, or to a tuple, dict or object
            that holds them. Standardisation is part of it (`oodbench.networks.Headed(model, mean=..., std=...)` adds
            it). It is left unchanged.
        train: Inputs and labels that the model was trained on.
        test: Inputs and labels of the same distribution, held out.
        failures: Out-of-distribution images by name.
        methods: Names (`oodbench list`), or methods of your own.
        attacks: Names of attacks (`oodbench list`) on the first 1000 test images that the model gets right; each is
            scored twice, as it is and, under `<name>@uint8`, rounded to 256 grey levels.
        validation: Held-out images and labels, for methods that fit or tune on them.
        ood_validation: Held-out out-of-distribution images by name, for methods that tune on them.
        head: Name of the model's last linear layer; by default the last one that makes the logits, if any does.
        layers: Names of modules whose outputs multi-layer methods read, beside the penultimate features; as a mapping,
            with the axis of their channels (1 or -1) where the modules do not tell it.
        pool: Name of the module that pools the last feature map; by default the last one that makes the head's input.
        device: Where to run.
        seed: For methods whose fit is random.

    Returns:
        The result: `.table`, a row for each method and failure set, with what makes its numbers doubtful, or why there
        are none; `.accuracy`; `.metrics`, all with 95 % intervals; `.scores`; `.compare`; `.plot`; `.save`.

    Raises:
        UnknownName: no such method or attack, or no module of that name; the nearest is offered.
        BadData: an array is not what it must be.
        BadMethod: the model is none, cannot read the images, does not answer with logits, answers at random or as its
            batch wants; or the head or a layer is not what it is named as.
        BadSetting: the device is not here, or two sets have one name.

    Example:
        >>> result = oodbench.evaluate(
        ...     model, train=(x, y), test=(x_test, y_test), failures={"mnist": x_mnist}, methods=["msp", "knn"]
        ... )
        >>> result.table[["method", "failure", "set", "fpr95", "auroc", "note"]]
    """
    chosen = _chosen(methods)
    net = as_model(model, head, layers, pool)
    sets = given_sets(train, test, failures, validation, ood_validation)
    _check_names(sets.ood, attacks)
    place = usable(device)
    with exact(place), evaluating(net, place):
        trained = Trained(net.to(place), place)
        classes = first_look(trained, sets.train)
        check_classes(sets, classes)
        reasons = [why_not_judged(method, sets, net) for method in chosen]
        runnable = [method for method, why in zip(chosen, reasons, strict=True) if not why]
        outputs = InMemory(trained, to_store(ANSWER.union(*(method.detector.reads for method in runnable))))
        attempts, failed = _attacked(attacks, trained, outputs, sets.test)
        exam = Exam(
            model=trained,
            outputs=outputs,
            seed=seed,
            classes=classes,
            train=sets.train,
            validation=sets.validation,
            test=sets.test,
            correct=outputs.right(sets.test),
            ood=sets.ood,
            tuning=sets.tuning,
            attacks=attempts,
        )
        judged = [
            Judged(method.name, why=why) if why else _judged(method, exam, sets, failed)
            for method, why in zip(chosen, reasons, strict=True)
        ]
        accuracy = {"train": outputs.accuracy(sets.train), "test": outputs.accuracy(sets.test)}
        doubts = [*remarks.of_model(trained, sets.train, accuracy), *remarks.of_test(sets)]
    assert exam.correct is not None
    fooled = {name: Fooled(one.index, one.fooled) for name, one in attempts.items()}
    return Result(accuracy, Outcomes(exam.correct, fooled), judged, doubts, seed)


def _chosen(methods: Sequence[str | Method]) -> list[Method]:
    """Return methods by name, each once.

    Raises:
        UnknownName: no such method.
        BadMethod: one text in place of a list, or two methods of one name.
    """
    if isinstance(methods, str):
        raise BadMethod(f"methods: got {methods!r}; expected a list of names: [{methods!r}]")
    chosen: dict[str, Method] = {}
    for method in (find([one])[0].method if isinstance(one, str) else one for one in methods):
        if chosen.setdefault(method.name, method) != method:
            raise BadMethod(f"methods: two are named {method.name!r}; rename one")
    return list(chosen.values())


def _check_names(failures: Iterable[str], attacks: Sequence[str]) -> None:
    """Check that each set of the result has a name of its own.

    Raises:
        UnknownName: no such attack.
        BadSetting: one text in place of a list, or one name for two sets.
    """
    if isinstance(attacks, str):
        raise BadSetting(f"attacks: got {attacks!r}; expected a list of names: [{attacks!r}]")
    taken = {"test", "misclassified", *(twin for name in attacks for twin in (find_attack(name).name, name + ROUNDED))}
    for name in failures:
        if name in taken:
            raise BadSetting(f"failures: a set is named {name!r}, which is the name of another set here; rename it")


def _attacked(
    attacks: Sequence[str], trained: Trained, outputs: InMemory, test: ArrayImages
) -> tuple[dict[str, Attempt], dict[tuple[str, str], str]]:
    """Return the attacks on a model by name, and why there is none of a name; what fails costs its own rows only."""
    made: dict[str, Attempt] = {}
    failed: dict[tuple[str, str], str] = {}
    if attacks and not outputs.right(test).any():
        return {}, {("adversarial", name): "the model gets no test image right: nothing to attack" for name in attacks}
    victim = replace(trained, passes=Passes())
    for name in dict.fromkeys(attacks):
        try:
            pixels, index = craft_first(find_attack(name), ATTACKED, victim, outputs.classes(test), test)
            made |= tried(name, pixels, index, outputs.classes, test)
        except Exception as error:
            failed["adversarial", name] = reason(error)
    return made, failed


def _judged(method: Method, exam: Exam, sets: Given, failed: Mapping[tuple[str, str], str]) -> Judged:
    """Return what a method says; whatever goes wrong in it is its own note, and costs no other method's rows."""
    try:
        outcome = examine(method, exam)
        doubts = [*remarks.of_method(method, exam.model, sets.train, exam.classes)]
        doubts += [*remarks.of_fit(outcome, sets.train), *remarks.of_held_out(method, sets)]
    except Exception as error:
        why = _overflow(method, exam) or (str(error) if isinstance(error, BadData) else reason(error))
        return Judged(method.name, why=why)
    return Judged(
        method=method.name,
        scores=outcome.scores,
        forward=outcome.forward,
        gradient=outcome.gradient,
        doubts=doubts,
        of_sets={name: found for name in sets.ood if (found := tuple(remarks.of_set(name, sets)))},
        failed={**outcome.failed, **failed},
    )


def _overflow(method: Method, exam: Exam) -> str | None:
    """Return what of a method's training material is not finite, if a fit on it failed for that."""
    assert isinstance(exam.outputs, InMemory)
    for output, value in exam.outputs.made(exam.train).items():
        parts = value if isinstance(value, tuple) else (value,)
        bad = torch.stack([~part.flatten(1).isfinite().all(dim=1) for part in parts]).any(dim=0)
        if output in method.detector.reads and bad.any():
            return (
                f"{output} of {int(bad.sum())} of {len(bad)} training images are NaN or infinite (the first: image "
                f"{int(bad.nonzero()[0])}), and no fit stands on them; look for an overflow in the model"
            )
    return None

"""The matrix-free way in: your model, your data, a result."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import nn

from oodbench.contract import LOGITS, NETWORK, Method, Output
from oodbench.data.attack_cards import find_attack
from oodbench.data.inputs import Inputs
from oodbench.errors import BadData, BadMethod, BadSetting, reason
from oodbench.measure.kinds import ROUNDED
from oodbench.models.outputs import Passes, Trained, to_store
from oodbench.models.train import Report
from oodbench.records import Fooled, Outcomes
from oodbench.result import Result
from oodbench.result.rows import Judged
from oodbench.run import remarks
from oodbench.run.attack import Attempt, Crafter, Target, attack_all, with_twin
from oodbench.run.examine import Exam, examine
from oodbench.run.judged import ANSWER, evaluating, first_look
from oodbench.run.machine import exact
from oodbench.run.memory_format import channels_last
from oodbench.run.own import OwnOutputs, why_not_judged
from oodbench.run.progress import bar
from oodbench.run.registry import find
from oodbench.run.user_identity import identity
from oodbench.run.user_model import as_user_model, some, with_batches
from oodbench.run.user_sets import Given, check_classes, given_sets
from oodbench.run.workspace import open_work, usable
from oodbench.sources.named import NamedModel
from oodbench.sources.reader import Data
from oodbench.sources.stored import StoredModel

ATTACKED = 1000
"""Test images that are attacked at most: a step of an attack takes a gradient of each."""


def evaluate(
    model: nn.Module | NamedModel | StoredModel,
    *,
    test: Data,
    train: Data | None = None,
    failures: Mapping[str, Data] | None = None,
    methods: Sequence[str | Method],
    attacks: Sequence[str] = (),
    validation: Data | None = None,
    ood_validation: Mapping[str, Data] | None = None,
    transform: Any = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    classes: Sequence[str] = (),
    head: str | None = None,
    layers: Sequence[str] | Mapping[str, int] = (),
    pool: str | None = None,
    device: str | torch.device = "cpu",
    batch: int | None = None,
    gradient_batch: int | None = None,
    workers: int = 0,
    cache: str | Path | None = None,
    progress: bool | None = None,
    seed: int = 0,
) -> Result:
    """Judge how well methods tell a classifier's failures: the sets given, attacks, and its own misclassifications.

    A set is whatever holds images: an array [n c h w], uint8 or float in [0, 1]; a memory map; a data set or
    DataLoader of PyTorch; a data set of Hugging Face or its name ("hf:NAME[SPLIT]"); a folder of pictures, with a
    folder a class where classes are needed; a list of pictures as OpenOOD has them (.txt, `oodbench.ImageList`); an
    .npz or .npy file; an iterator of batches. Classes come beside: a pair of arrays, items (image, class). Images are
    read a few batches at a time, and outputs are written to disk.

    Args:
        model: Maps pixels [n c h w] in [0, 1] to logits [n C], or [n 1] of two classes, or to a tuple, dict or object
            that holds them; it is left unchanged. Or what `oodbench.load_model` returned; or, for sets of stored
            outputs, an `oodbench.StoredModel`.
        test: Inputs of the model's distribution, held out, with classes.
        train: Inputs that the model was trained on, with classes. Without them, methods that fit on them cannot run.
        failures: Out-of-distribution inputs by name.
        methods: Names (`oodbench list`), or methods of your own.
        attacks: Names of attacks (`oodbench list`) on the first 1000 test images that the model gets right; each is
            scored twice, as it is and, under `<name>@uint8`, rounded to 256 grey levels.
        validation: Held-out inputs with classes, for methods that fit or tune on them.
        ood_validation: Held-out out-of-distribution inputs by name, for methods that tune on them.
        transform: What becomes of encoded pictures: a callable that takes a PIL picture (torchvision, timm), a timm
            data config, or an image processor of Hugging Face; by default the model's own (timm), or nothing. A
            standardisation at its end is put in front of the model.
        mean: What the model's inputs are standardised by, an entry a channel, where that is not part of it; it is put
            in front of the model, and taken out of data that are standardised already.
        std: Standard deviation, likewise.
        classes: Names of the model's outputs in order, where folders are named by them.
        head: Name of the model's last linear layer; by default the last one that makes the logits, if any does.
        layers: Names of modules whose outputs multi-layer methods read, beside the penultimate features; as a mapping,
            with the axis of their channels (1 or -1) where the modules do not tell it.
        pool: Name of the module that pools the last feature map; by default the last one that makes the head's input.
        device: Where to run.
        batch: Inputs a forward pass; by default what suits the model and the device.
        gradient_batch: Inputs at a time where derivatives are taken, likewise.
        workers: Processes that read items of a data set ahead; pictures are decoded in threads.
        cache: Folder that keeps what passes through the model: the same call goes on there after a stop.
        progress: Whether to show a bar; by default where stderr is a terminal.
        seed: For methods whose fit is random.

    Returns:
        The result: `.table`, a row for each method and failure set, with what makes its numbers doubtful, or why there
        are none; `.accuracy`; `.metrics`, all with 95 % intervals; `.scores`; `.compare`; `.plot`; `.save`.

    Raises:
        UnknownName: no such method or attack, or no module of that name; the nearest is offered.
        BadData: a set is not what it must be.
        MissingData: a set is not there.
        BadMethod: the model is none, cannot read the images, does not answer with logits, answers at random or as its
            batch wants; or the head or a layer is not what it is named as.
        BadSetting: the device is not here, two sets have one name, or a number is out of range.

    Example:
        >>> result = oodbench.evaluate(
        ...     model, train=(x, y), test=(x_test, y_test), failures={"strange": strange}, methods=["msp", "knn"]
        ... )
        >>> sorted(result.accuracy)
        ['test', 'train']
        >>> result.table[["method", "failure", "set"]].drop_duplicates().shape  # two methods, two kinds of failure
        (4, 3)
    """
    chosen = _chosen(methods)
    failures = {} if failures is None else failures
    _check_names(failures, ood_validation, attacks)
    place = usable(device)
    with ExitStack() as open_:
        work = (
            open_work(Path(cache))
            if cache is not None
            else Path(open_.enter_context(TemporaryDirectory(prefix="oodbench-")))
        )
        report = open_.enter_context(bar(progress))
        user = as_user_model(model, transform, mean, std, classes)
        sets = given_sets(user.reader(lambda: work, workers), train, test, failures, validation, ood_validation)
        net = user.net(head, layers, pool, sets)
        open_.enter_context(exact(place))
        open_.enter_context(evaluating(net, place))
        trained = Trained(net.to(place), place)
        count = first_look(trained, sets.first)
        check_classes(sets, count)
        open_.enter_context(channels_last(trained, some(trained, sets.first)))
        trained = with_batches(trained, sets.first, batch, gradient_batch)
        folder = work / identity(trained, sets.first, user.preprocess) if cache is not None else work
        return _result(chosen, attacks, trained, count, sets, Place(folder, cache is not None, report), seed)


@dataclass(frozen=True)
class Place:
    """Where a model's outputs go.

    Attributes:
        folder: Holds them.
        lasting: Whether it outlives this process.
        report: Told of the progress.
    """

    folder: Path
    lasting: bool
    report: Report


def _result(
    chosen: Sequence[Method],
    attacks: Sequence[str],
    trained: Trained,
    classes: int,
    sets: Given,
    place: Place,
    seed: int,
) -> Result:
    reasons = [why_not_judged(method, sets, trained.net) for method in chosen]
    runnable = [method for method, why in zip(chosen, reasons, strict=True) if not why]
    wanted = to_store(ANSWER.union(*(method.detector.reads for method in runnable)))
    outputs = OwnOutputs(trained, wanted, place.folder, place.lasting, place.report)
    attempts, failed = _attacked(attacks, trained, outputs, sets.test, place)
    if runnable:
        sets, damaged = _readable(sets, outputs)
        failed |= damaged
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
        Judged(method.name, why=why) if why else _judged(method, exam, sets, failed, outputs, place.report)
        for method, why in zip(chosen, reasons, strict=True)
    ]
    known = {"train": sets.train, "test": sets.test} if len(sets.train) else {"test": sets.test}
    accuracy = {name: outputs.accuracy(one) for name, one in known.items()}
    judged = [_with_held_out(one, method, sets, outputs) for one, method in zip(judged, chosen, strict=True)]
    doubts = [*remarks.of_model(trained, sets.first, accuracy), *remarks.of_test(sets, outputs.overlaps)]
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


def _check_names(failures: Any, ood_validation: Any, attacks: Sequence[str]) -> None:
    """Check that each set has a text for a name, and each of the result one of its own.

    Raises:
        UnknownName: no such attack.
        BadSetting: one text in place of a list, a name that is no text, or one name for two sets.
    """
    if isinstance(attacks, str):
        raise BadSetting(f"attacks: got {attacks!r}; expected a list of names: [{attacks!r}]")
    for which, sets in (("failures", failures), ("ood_validation", ood_validation)):
        for name in sets if isinstance(sets, Mapping) else ():
            if not isinstance(name, str):
                raise BadSetting(f"{which}: got the name {name!r}, of type {type(name).__name__}; expected a text")
    taken = {"test", "misclassified", *(twin for name in attacks for twin in with_twin(find_attack(name).name))}
    for name in failures if isinstance(failures, Mapping) else ():
        if name in taken:
            raise BadSetting(f"failures: a set is named {name!r}, which is the name of another set here; rename it")


def _readable(sets: Given, outputs: OwnOutputs) -> tuple[Given, dict[tuple[str, str], str]]:
    """Return the sets without those failures that cannot be read to their end, and why these cannot."""
    failed: dict[tuple[str, str], str] = {}
    for name, images in sets.ood.items():
        try:
            outputs(images)
        except Exception as error:
            failed["ood", name] = str(error) if isinstance(error, BadData) else reason(error)
    return replace(sets, ood={name: one for name, one in sets.ood.items() if ("ood", name) not in failed}), failed


def _attacked(
    attacks: Sequence[str], trained: Trained, outputs: OwnOutputs, test: Inputs, place: Place
) -> tuple[dict[str, Attempt], dict[tuple[str, str], str]]:
    """Return the attacks on a model by name, and why there is none of a name; what fails costs its own rows only."""
    lacks: Mapping[Output, str] = getattr(trained.net, "lacks", {})
    if attacks and NETWORK in lacks:
        return {}, {("adversarial", name): lacks[NETWORK] for name in attacks}
    if attacks and not outputs.right(test).any():
        return {}, {("adversarial", name): "the model gets no test image right: nothing to attack" for name in attacks}
    victim = replace(trained, passes=Passes())
    target = Target(
        {"itself": Crafter(lambda: victim)}, lambda images: outputs(images)[LOGITS], place.folder, outputs.known
    )
    found = attack_all(dict.fromkeys(attacks, min(ATTACKED, len(test))), target, test, place.report, passing=())
    return found.made, {("adversarial", name): found.failed[name] for name in attacks if name in found.failed}


def _judged(
    method: Method,
    exam: Exam,
    sets: Given,
    failed: Mapping[tuple[str, str], str],
    outputs: OwnOutputs,
    report: Report,
) -> Judged:
    """Return what a method says; whatever goes wrong in it is its own note, and costs no other method's rows."""
    try:
        outcome = examine(method, exam, lambda text, done, total: report(f"{method.name}: {text}", done, total))
        doubts = [*remarks.of_method(method, exam.model, sets.train, exam.classes)]
        doubts += remarks.of_fit(outcome, sets.train)
    except Exception as error:
        why = _overflow(method, exam) or (str(error) if isinstance(error, BadData) else reason(error))
        return Judged(method.name, why=why)
    shared = {name: tuple(remarks.of_set(name, sets, outputs.overlaps)) for name in sets.ood}
    shared |= {name: tuple(remarks.of_attack(one)) for name, one in exam.attacks.items() if not name.endswith(ROUNDED)}
    return Judged(
        method=method.name,
        scores=outcome.scores,
        forward=outcome.forward,
        gradient=outcome.gradient,
        doubts=doubts,
        of_sets={name: found for name, found in shared.items() if found},
        failed={**outcome.failed, **failed},
    )


def _with_held_out(one: Judged, method: Method, sets: Given, outputs: OwnOutputs) -> Judged:
    """Return what a method said, and what makes its held-out sets doubtful: known when all sets have been read."""
    if one.scores is None:
        return one
    return replace(one, doubts=[*one.doubts, *remarks.of_held_out(method, sets, outputs.overlaps)])


def _overflow(method: Method, exam: Exam) -> str | None:
    """Return what of a method's training material is not finite, if a fit on it failed for that."""
    assert isinstance(exam.outputs, OwnOutputs)
    for output, value in exam.outputs.made(exam.train).items():
        parts = value if isinstance(value, tuple) else (value,)
        bad = torch.stack([~part.flatten(1).isfinite().all(dim=1) for part in parts]).any(dim=0)
        if output in method.detector.reads and bad.any():
            return (
                f"{output} of {int(bad.sum())} of {len(bad)} training images are NaN or infinite (the first: image "
                f"{int(bad.nonzero()[0])}), and no fit stands on them; look for an overflow in the model"
            )
    return None

"""From a job to its scores: the model and its outputs, the attacks, the method fitted, tuned, scored and attacked."""

from dataclasses import dataclass, replace
from functools import partial

from oodbench.contract import LOG_DENSITY, LOGITS, Output
from oodbench.errors import BadData
from oodbench.models.outputs import to_store
from oodbench.models.train import Report, silent
from oodbench.records import Scores
from oodbench.run.adaptive import Adaptation, Fitted, adapt
from oodbench.run.attack import Attacks
from oodbench.run.context import ANSWER, Context
from oodbench.run.examine import Exam, Outcome, examine
from oodbench.run.plan import Job, reference_of
from oodbench.run.quality import Labels, Logits, bits, quality, robustness, scaled
from oodbench.run.sets import in_set

QUALITY: frozenset[Output] = frozenset({LOGITS, LOG_DENSITY})
"""Outputs that tell how good a model is."""


@dataclass(frozen=True)
class Evaluation:
    """What came of a job: scores, what they were made on, and what the attacks achieved.

    Attributes:
        outcome: Of the examination.
        exam: What that was on.
        attacks: On the model alone.
        adaptation: On the model and the fitted detector at once.
    """

    outcome: Outcome
    exam: Exam
    attacks: Attacks
    adaptation: Adaptation

    @property
    def scores(self) -> Scores:
        """The scores of every set."""
        return replace(self.outcome.scores, adaptive=self.adaptation.scores)


def wanted_outputs(job: Job) -> frozenset[Output]:
    """Return the outputs of one forward pass that a job reads, and those that tell how good its model is."""
    return to_store((job.method.detector.reads | QUALITY) & job.recipe.provides)


def evaluation(context: Context, job: Job, report: Report = silent) -> Evaluation:
    """Return what comes of a job; models, outputs and attacks are made now where the cache has none.

    Raises:
        BadData: a score of the in-set's test images is NaN or infinite; or the attack failed whose images the method is
            fitted or tuned on.
        Undeclared: the method read what it did not declare.
        Diverged: a training diverged.
    """
    sets = context.sets
    reference = reference_of(job.recipe, context.matrix)
    model, _ = context.model(job.recipe, job.seed, report)
    classifier = model if reference == job.recipe else context.model(reference, job.seed, report)[0]
    attacks = context.attacked(reference, job.seed, report)
    held_out = context.attacked_validation(reference, job.seed, report)
    if held_out.failed and "adversarial_validation" in job.method.materials:
        raise BadData(f"{job.method.name} is fitted or tuned on attacked images, and there are none: {held_out.failed}")
    answer = partial(context.outputs, reference, job.seed, ANSWER)
    logits = answer(sets.test)[LOGITS].numpy()
    assert sets.test.labels is not None
    outputs = partial(context.outputs, job.recipe, job.seed, wanted_outputs(job))
    density = LOG_DENSITY in job.recipe.provides
    exam = Exam(
        model=model,
        outputs=outputs,
        seed=job.seed,
        classes=in_set(context.matrix).classes,
        train=sets.train,
        validation=sets.validation,
        test=sets.test,
        correct=logits.argmax(1) == sets.test.labels,
        ood=sets.ood,
        tuning=sets.tuning,
        attacks=attacks.made,
        corrupted=sets.corrupted,
        robustness=robustness(lambda images: answer(images)[LOGITS].numpy(), logits, sets),
        adversarial_validation=held_out.fooling,
        n_validation=context.matrix.n_validation,
        quality=quality(classifier, logits, sets.test.labels),
        calibration=scaled(logits, sets.test.labels, _held_out(context, job, report)),
        bits=bits(lambda images: outputs(images)[LOG_DENSITY].numpy(), sets) if density else {},
    )
    outcome = examine(job.method, exam, report)
    fitted = Fitted(
        method=job.method.name,
        detector=outcome.tuned.detector,
        state=outcome.tuned.state,
        model=model,
        classifier=classifier,
        classes=lambda images: context.outputs(reference, job.seed, ANSWER, images, report)[LOGITS].numpy().argmax(1),
        outputs=outputs,
        test=sets.test,
        validation=sets.validation.take(slice(0, context.matrix.n_validation)),
        folder=context.kept(job.recipe, job.seed),
        models=tuple(context.key(recipe, job.seed).address for recipe in (job.recipe, reference)),
    )
    return Evaluation(outcome, exam, attacks, adapt(context.matrix.adaptive, fitted, report))


def _held_out(context: Context, job: Job, report: Report) -> tuple[Logits, Labels] | None:
    """Return the reference classifier's logits of the validation images, and their classes; None without any."""
    images = context.sets.validation
    if images is None or images.labels is None:
        return None
    reference = reference_of(job.recipe, context.matrix)
    return context.outputs(reference, job.seed, ANSWER, images, report)[LOGITS].numpy(), images.labels

"""From a job to its scores: the model and its outputs, the attacks, the method fitted, tuned and scored."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from oodbench.contract import View
from oodbench.models.train import Report, silent
from oodbench.models.views import NET_VIEWS
from oodbench.run.attack import Attempt
from oodbench.run.context import LOGITS, Context
from oodbench.run.examine import Exam, Outcome, examine
from oodbench.run.plan import Job, reference_of
from oodbench.run.quality import bits, quality
from oodbench.run.sets import classes

QUALITY: frozenset[View] = frozenset({"logits", "log_density"})
"""Outputs that tell how good a model is."""


@dataclass(frozen=True)
class Evaluation:
    """What came of a job: scores, what they were made on, and what the attacks achieved."""

    outcome: Outcome
    exam: Exam
    attacks: Mapping[str, Attempt]


def wanted_outputs(job: Job) -> frozenset[View]:
    """Return the outputs of one forward pass that a job reads, and those that tell how good its model is."""
    return (job.method.detector.reads | QUALITY) & job.recipe.provides & NET_VIEWS


def evaluation(context: Context, job: Job, report: Report = silent) -> Evaluation:
    """Return what comes of a job; models, outputs and attacks are made now where the cache has none.

    Raises:
        BadData: a score of the in-set's test images is NaN or infinite.
        Undeclared: the method read what it did not declare.
        Diverged: a training diverged.
    """
    sets = context.sets
    reference = reference_of(job.recipe, context.matrix)
    model, _ = context.model(job.recipe, job.seed, report)
    classifier = model if reference == job.recipe else context.model(reference, job.seed, report)[0]
    attacks, tuning = context.attacked(reference, job.seed, report)
    logits = context.outputs(reference, job.seed, LOGITS, sets.test)["logits"].numpy()
    assert sets.test.labels is not None
    show = partial(context.outputs, job.recipe, job.seed, wanted_outputs(job))
    density = "log_density" in job.recipe.provides
    exam = Exam(
        model=model,
        show=show,
        seed=job.seed,
        classes=classes(context.matrix).count,
        train=sets.train,
        validation=sets.validation,
        test=sets.test,
        correct=logits.argmax(1) == sets.test.labels,
        ood=sets.ood,
        tuning=sets.tuning,
        attacks=attacks,
        adversarial_validation=tuning,
        n_validation=context.matrix.n_validation,
        quality=quality(classifier, logits, sets.test.labels),
        bits=bits(lambda images: show(images)["log_density"].numpy(), sets) if density else {},
    )
    return Evaluation(examine(job.method, exam, report), exam, attacks)

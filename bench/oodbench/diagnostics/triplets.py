"""Lee's triplets: does a detector of attacks flag them, where unharmful noise of their size counts as good?

The images that count, and which of their versions are good, are those of `oodbench.measure.triplets`; the attacks are
the matrix's, on the classifier that the method's row is judged on. The noise has the size of the attack, as Ma et al.,
"Characterizing adversarial subspaces using local intrinsic dimensionality", 2018, choose it, where Lee's code has a
number for each network and data set: the mean |x_noisy - x|_2 of all of them is the mean |x_attacked - x|_2 of those
that fooled (`oodbench.attacks.noise`).

The detector is fitted and tuned as everywhere, and on no attack that is tested: the tenth of the triplets that Lee
tunes on is left out and has no part in the numbers. Beside each stands the AUROC of clean images alone against the
same attacked ones: the gap is what a detector owes to flagging any change.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from oodbench.attacks.noise import noise_as_long
from oodbench.attacks.victim import Draws
from oodbench.contract import LOGITS
from oodbench.data.images import ArrayImages
from oodbench.data.inputs import Inputs
from oodbench.data.matrix import find_matrix
from oodbench.diagnostics import Study, write
from oodbench.errors import BadData, BadSetting
from oodbench.measure.intervals import delong
from oodbench.measure.ranking import count, evaluate
from oodbench.measure.triplets import Triplets, triplets
from oodbench.models.outputs import Access, ModelOutputs
from oodbench.models.train import Report, silent
from oodbench.run.context import ANSWER, Context
from oodbench.run.evaluation import Evaluation, evaluation
from oodbench.run.plan import Job, plan, reference_of
from oodbench.run.registry import find
from oodbench.run.tune import Floats, scores_of
from oodbench.run.workspace import Workspace
from oodbench.shown import Page, Table


def analyse(
    method: str, matrix: str, workspace: Workspace, seed: int, n: int, out: Path, report: Report = silent
) -> Study:
    """Score clean, noisy and attacked versions of up to n images an attack; return the file written and a table.

    Args:
        method: Its name; on a matrix of given classifiers with "@" and the classifier's.
        matrix: Its name.
        workspace: Folders and device.
        seed: Of the model, and of the noise.
        n: Most attacked images an attack; a matrix may have fewer.
        out: Folder to write to.
        report: Told of the training and of each attack.

    Raises:
        UnknownName: No such method or matrix.
        BadSetting: The method cannot run on the matrix, or the matrix names no attack.
        MissingData: The in-set is not here.
        BadData: A score of attacked images is NaN or infinite; or an attack failed.
    """
    known = find_matrix(matrix)
    if not known.attacks:
        raise BadSetting(f"{matrix} names no attack, of which to make triplets")
    context = Context(known.model_copy(update={"adaptive": (), "corruptions": ()}), workspace)
    job = _job(method, context, seed)
    judge = Judge(context, job, evaluation(context, job, report))
    for name, why in judge.evaluated.attacks.failed.items():
        raise BadData(f"attack {name} of {matrix} failed, and there are no triplets of it: {why}")
    rows = []
    for done, wanted in enumerate(known.attacks):
        report(f"triplets of {wanted.attack}", done, len(known.attacks))
        rows.append({"attack": wanted.attack, **judge.ranking(wanted.attack, n)})
    about = {"method": method, "matrix": matrix, "seed": seed}
    return Study([write(about | {"attacks": rows}, out / "triplets.json")], table(rows))


def _job(method: str, context: Context, seed: int) -> Job:
    """Return the one job of a method's row."""
    planned = plan(context.matrix, find([method.partition("@")[0]]), [seed])
    own = [item for item in planned if item.method.name == method]
    if not own:
        names = ", ".join(item.method.name for item in planned)
        raise BadSetting(f"{method} is no row of {context.matrix.name}; expected one of {names}")
    if not isinstance(own[0], Job):
        raise BadSetting(f"{method} on {context.matrix.name}: {own[0].reason}")
    return own[0]


@dataclass(frozen=True)
class Judge:
    """A fitted detector and the classifier that its row is judged on."""

    context: Context
    job: Job
    evaluated: Evaluation

    def ranking(self, attack: str, n: int) -> dict[str, Any]:
        """Return how the triplets of an attack on at most n images are ranked; no numbers where none is to test."""
        attempt, test = self.evaluated.attacks.made[attack], self.evaluated.exam.test
        index = attempt.index[:n]
        assert test.labels is not None
        length = attempt.l2 or 0.0
        noisy, sigma = with_noise(test.take(index), index, length, self.job.seed)
        fooled = attempt.fooled[:n]
        # what was attacked is right as it was
        kept = triplets(np.ones_like(fooled), self._classes(noisy) == test.labels[index], ~fooled)
        told = {
            "l2": length,
            "sigma": sigma,
            "n": len(index),
            "fooled": int(fooled.sum()),
            "n_test": len(kept.test),
        }
        if not len(kept.test):
            return told | dict.fromkeys(("auroc", "low", "high", "fpr95", "auroc_clean"))
        scores = self.evaluated.outcome.scores
        if attack not in scores.adversarial:
            raise BadData(f"{self.job.method.name} has no finite scores of images attacked by {attack}")
        clean, attacked = scores.test[index], scores.adversarial[attack].scores[:n]
        return told | _ranked(kept, clean, self._scores(noisy), attacked)

    def _classes(self, images: Inputs) -> npt.NDArray[np.int64]:
        reference = reference_of(self.job.recipe, self.context.matrix)
        logits = self.context.outputs(reference, self.job.seed, ANSWER, images)[LOGITS]
        return np.asarray(logits.argmax(1))

    def _scores(self, images: Inputs) -> Floats:
        tuned, exam = self.evaluated.outcome.tuned, self.evaluated.exam
        stored = cache(lambda: exam.outputs(images))
        outputs = ModelOutputs(exam.model, images, Access(tuned.detector.reads), stored)
        return scores_of(tuned.detector, tuned.state, outputs)


def _ranked(kept: Triplets, clean: Floats, noisy: Floats, attacked: Floats) -> dict[str, float]:
    """Return the ranking metrics of scores of the three versions [n] each."""
    good, bad = kept.groups(clean, noisy, attacked)
    counts = count(good, bad)
    metrics, (low, high) = evaluate(counts), delong(counts)
    alone = evaluate(count(clean[kept.test], bad))["auroc"]
    return {"auroc": metrics["auroc"], "low": low, "high": high, "fpr95": metrics["fpr95"], "auroc_clean": alone}


def with_noise(images: Inputs, rows: npt.NDArray[np.int32], length: float, seed: int) -> tuple[ArrayImages, float]:
    """Return noisy images, and sigma; what is drawn for each depends on the seed and on its place in the data set.

    Args:
        images: [n c h w] in [0, 1].
        rows: Their places [n].
        length: Of the change in l2, mean over the images.
        seed: Of the noise.

    Raises:
        BadData: No noise in [0, 1] is as long.
    """
    x = torch.from_numpy(images.batch(np.arange(len(images))))
    noisy, sigma = noise_as_long(x, Draws(seed, tuple(rows.tolist())), length)
    return ArrayImages(noisy.numpy()), sigma


def table(rows: Sequence[Mapping[str, Any]]) -> Page:
    """Return how each attack's triplets are ranked, in percent."""
    cells = [
        [
            row["attack"],
            f"{row['l2']:.3f}",
            f"{row['sigma']:.4f}",
            row["n"],
            row["fooled"],
            row["n_test"],
            *map(_percent, _ranks(row)),
        ]
        for row in rows
    ]
    headers = ["attack", "l2", "sigma", "attacked", "fooled", "tested", "AUROC", "FPR95", "AUROC, clean alone"]
    return Page(Table(headers, cells, ["left", *["right"] * (len(headers) - 1)]))


def _ranks(row: Mapping[str, Any]) -> tuple[float | None, ...]:
    return row["auroc"], row["fpr95"], row["auroc_clean"]


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.2f}"

"""Images that climb a density: which scores of them, and of an ensemble, are taken in?

The set ADV of Choi, Jang & Alemi, "WAIC, but Why? Generative Ensembles for Robust Anomaly Detection", 2018: noise, and
one step of 0.3 against the loss of one VAE, which the VAE's log density then prefers to the in-set (AUROC 0), while its
rate and WAIC of five VAEs do not (AUROC 100). Three ways up, and every score is asked where they lead:

    step t:   x_0 = clip(N(0, 1)),  x_t = clip(x_{t-1} + eps / t sign(d log p(y) / dx at x_{t-1})),  clip to [0, 1]
    logit t:  x_t = sigmoid(w_t),  sigmoid(w_0) uniform in [0.02, 0.98],  w_t by Adam up log p(y)
    fade k:   k x of the in-set's test images x;  at k = 0 "black", which is one image

The first step is the paper's; one sign of the gradient leaves an image noise, so that the path goes on, in steps that
shrink. A step may lose more than it gains, above all where the density has edges: discretised logistics give 0 and 1
the mass of a whole tail, and no slope tells so. Logits begin inside and reach 0 and 1 only by rounding. What is judged
is where a path stands, rounded to 8 bits as images are, and not the likeliest image that it passed.

Choi's code does not clip, and takes the gradient at an image of the in-set; its likelihood is a Bernoulli's, which
grows without bound outside [0, 1].

The model of `seed` is climbed. WAIC asks the members 0 to M - 1, the climbed one among them where seed < M.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, final

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from torch import Tensor

from oodbench.contract import INPUTS, LOG_DENSITY, NETWORK, Material, Method, Output, Outputs
from oodbench.data.images import ArrayImages, quantised
from oodbench.data.inputs import Inputs
from oodbench.data.matrix import find_matrix
from oodbench.diagnostics import Study, evenly, write
from oodbench.diagnostics.noise_pictures import draw_all
from oodbench.diagnostics.suited import suited
from oodbench.errors import BadSetting
from oodbench.measure.cells import cells, measure
from oodbench.measure.likelihood import bits_per_dim
from oodbench.models.outputs import Access, ModelOutputs, Trained
from oodbench.models.seeding import generator
from oodbench.models.train import Report, silent
from oodbench.run.context import Context
from oodbench.run.examine import Exam, examine
from oodbench.run.plan import offers, sized, why_not
from oodbench.run.registry import registry
from oodbench.run.sets import in_set
from oodbench.run.workspace import Workspace
from oodbench.shown import Page, Table
from oodbench.spaces import Shape
from oodbench.training import Recipe

CLIMBED: frozenset[Output] = frozenset({LOG_DENSITY, INPUTS, NETWORK})
"""What is read of a model to climb it."""

CHEAP: frozenset[Material] = frozenset({"labels", "validation"})
"""What the methods that are asked may fit on."""

ROWS = 100
"""Images whose gradient is taken at once."""


@final
@dataclass(frozen=True)
class Climb:
    """The ways up a log density.

    Attributes:
        eps: The first step, in units of the grey range; the paper's.
        kept: Steps at which images are taken, ascending; 0 is the noise itself [open choice: the paper takes 1].
        rate: Adam's, of logits.
        logit_kept: The same of the steps of logits.
        faded: Shares of their brightness that test images keep.
    """

    eps: float = 0.3
    kept: tuple[int, ...] = (0, 1, 10, 100)
    rate: float = 1.0
    logit_kept: tuple[int, ...] = (0, 100, 300)
    faded: tuple[float, ...] = (0.5, 0.25)


def analyse(
    method: str,
    matrix: str,
    workspace: Workspace,
    seed: int,
    n: int,
    out: Path,
    report: Report = silent,
    climb: Climb = Climb(),
) -> Study:
    """Let n images climb a density, and set the in-set's test images against them by each of its scores.

    Asked are all methods on the same model and on ensembles of its recipe, but those that tune. Models that are not
    in the cache are trained first.

    Args:
        method: One whose model gives a log density.
        matrix: Its name.
        workspace: Folders and device.
        seed: Of the model and of the noise.
        n: Images on each way.
        out: Folder to write to.
        report: Told of the training and of the steps.
        climb: The ways.

    Returns:
        The files written, adversarial-noise.json and pictures as PNG; and the table of AUROC by score and step.

    Raises:
        UnknownName: no such method or matrix.
        BadSetting: the method's model gives no log density, or the matrix has not what it trains on.
        MissingData: the in-set is not here.
    """
    context = _with_distinct_members(Context(find_matrix(matrix), workspace), seed)
    climbed = suited(method, climbable, "has no log density to climb")
    recipe = _sized(climbed, context)
    if reason := why_not(climbed, recipe, offers(context.matrix), context.matrix.space.name):
        raise BadSetting(f"{method} on {matrix}: {reason}")
    model, _ = context.model(recipe, seed, report)
    path = dict(ways(model, context.sets.test, n, seed, climb, report))
    judges = [one.method for one in registry().values() if asks(one.method, recipe, context)]
    auroc = {judge.name: compared(judge, context, seed, path, report) for judge in judges}
    sets = {"test": context.sets.test, **path}
    log_p = {name: context.outputs(recipe, seed, CLIMBED, images, report) for name, images in sets.items()}
    bits = {name: float(bits_per_dim(outputs[LOG_DENSITY], sets[name].shape).mean()) for name, outputs in log_p.items()}
    about = {"method": method, "matrix": matrix, "seed": seed, "n": n, "eps": climb.eps, "rate": climb.rate}
    study = {**about, "bits_per_dimension": bits, "auroc": auroc}
    file = write(study, out / "adversarial-noise.json")
    pictures = draw_all(study, context.sets.test, path, out)
    return Study([file, *pictures], table(study))


def climbable(method: Method) -> bool:
    """Whether a method's model is one density with a gradient."""
    return LOG_DENSITY in method.recipe.provides and not method.recipe.pool()


def asks(method: Method, recipe: Recipe, context: Context) -> bool:
    """Whether a method judges models of a recipe, or ensembles of them, and fits without bad inputs."""
    own = _sized(method, context)
    members = {part for part, _ in own.parts(0, context.matrix.seeds)} if own.pool() else {own}
    return members == {recipe} and method.search is None and method.detector.fits_on <= CHEAP


def noise(n: int, shape: Shape, seed: int) -> npt.NDArray[np.float32]:
    """Return N(0, 1) clipped to [0, 1], [n c h w]: about half of the values are 0."""
    drawn = torch.randn(n, *shape, generator=generator(seed, "adversarial-noise"))
    return drawn.clamp(0, 1).numpy()


def ways(
    model: Trained, test: Inputs, n: int, seed: int, climb: Climb, report: Report = silent
) -> Iterator[tuple[str, ArrayImages]]:
    """Yield the images of each way by name, on the 8-bit grid."""
    few = torch.from_numpy(test.take(evenly(len(test), n)).batch(slice(0, n)))
    shape = (few.shape[1], few.shape[2], few.shape[3])
    for step, x in stepped(model, noise(n, shape, seed), climb, report):
        yield f"step {step}", _image(x)
    for step, x in by_logits(model, inner_noise(n, shape, seed), climb, report):
        yield f"logit {step}", _image(x)
    for k in climb.faded:
        yield f"fade {k:g}", _image(k * few)
    yield "black", _image(torch.zeros(1, *shape))


def inner_noise(n: int, shape: Shape, seed: int) -> npt.NDArray[np.float32]:
    """Return U[0.02, 0.98] [n c h w]: no value is at an edge of the grey range."""
    drawn = torch.rand(n, *shape, generator=generator(seed, "adversarial-logits"))
    return (0.02 + 0.96 * drawn).numpy()


def stepped(
    model: Trained, start: npt.NDArray[np.float32], climb: Climb, report: Report = silent
) -> Iterator[tuple[int, Tensor]]:
    """Yield each kept step and where the paths stand, in steps of eps / t along the gradient's sign."""
    x = torch.from_numpy(start).to(model.device)
    for step in range(climb.kept[-1] + 1):
        if step in climb.kept:
            report("climb", step, climb.kept[-1])
            yield step, x
        _, slope = slopes(model, x)
        x = (x + climb.eps / (step + 1) * slope.sign()).clamp(0, 1)


def by_logits(
    model: Trained, start: npt.NDArray[np.float32], climb: Climb, report: Report = silent
) -> Iterator[tuple[int, Tensor]]:
    """Yield each kept step and where the paths stand, whose logits climb by Adam."""
    w = torch.from_numpy(start).to(model.device).logit().requires_grad_()
    adam = torch.optim.Adam([w], lr=climb.rate)
    for step in range(climb.logit_kept[-1] + 1):
        x = w.detach().sigmoid()
        if step in climb.logit_kept:
            report("climb by logits", step, climb.logit_kept[-1])
            yield step, x
        _, slope = slopes(model, x)
        w.grad = -slope * x * (1 - x)  # d(-log p)/dw
        adam.step()


def _image(x: Tensor) -> ArrayImages:
    return ArrayImages(quantised(x.cpu().numpy()))


def slopes(model: Trained, x: Tensor) -> tuple[Float[Tensor, "n"], Float[Tensor, "n c h w"]]:
    """Return log p(y) and d log p(y) / dx."""
    values: list[Tensor] = []

    def log_p(batch: Outputs) -> Tensor:
        values.append(batch.log_density)
        return values[-1]

    outputs = (ModelOutputs(model, rows, Access(CLIMBED)) for rows in torch.split(x, ROWS))
    slope = torch.cat([part.grad(log_p) for part in outputs])
    return torch.cat(values).detach(), slope


def compared(
    method: Method, context: Context, seed: int, path: Mapping[str, Inputs], report: Report
) -> dict[str, list[float]]:
    """Return a method's AUROC of the test images against the images of each way, with its 95 % interval."""
    recipe, sets = _sized(method, context), context.sets
    model, _ = context.model(recipe, seed, report)
    exam = Exam(
        model=model,
        outputs=partial(context.outputs, recipe, seed, method.detector.reads),
        seed=seed,
        classes=in_set(context.matrix).classes,
        train=sets.train,
        validation=sets.validation,
        test=sets.test,
        correct=None,
        ood=path,
    )
    found: dict[str, list[float]] = {}
    for cell in cells(examine(method, exam, report).scores):
        metrics, intervals = measure(cell, bootstrap=0)
        found[cell.name] = [metrics["auroc"], *intervals["auroc"]]
    return {name: found[name] for name in path if name in found}


def table(study: Mapping[str, Any]) -> Page:
    """Return the model's bits per dimension and AUROC in percent by method, a row a set."""
    rows = []
    for name, bits in study["bits_per_dimension"].items():
        aurocs = (found.get(name) for found in study["auroc"].values())
        told = ["" if name == "test" else f"{100 * one[0]:.2f}" if one else "not finite" for one in aurocs]
        rows.append(["in-set" if name == "test" else name, f"{bits:.3f}", *told])
    headers = ["AUROC, percent", "bits/dim", *study["auroc"]]
    align = ("left", *["right"] * (len(headers) - 1))
    return Page(Table(headers, rows, align))


def _with_distinct_members(context: Context, seed: int) -> Context:
    """Return the context of one seed: an ensemble's members are then 0 to M - 1."""
    return replace(context, matrix=context.matrix.model_copy(update={"seeds": (seed,)}))


def _sized(method: Method, context: Context) -> Recipe:
    return sized(method.recipe, context.matrix)

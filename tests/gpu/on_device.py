"""What a device does: every method on the weights that the CPU trained, its memory, its speed; and the table of it."""

import io
import os
import re
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from oodbench.forward_precision import WHOLE, Precision
from oodbench.networks import classifier
from oodbench.run.context import Context
from oodbench.run.cost_model import operations
from oodbench.run.engines import InProcess, engine
from oodbench.run.execute import execute, graph
from oodbench.run.graph import Done, Task, Watch
from oodbench.run.machine import exact, machine_class
from oodbench.run.models import WEIGHTS
from oodbench.run.outputs import computing_in
from oodbench.run.plan import Job, plan
from oodbench.run.registry import Registered
from oodbench.run.sealed import seal
from oodbench.run.tasks import Evaluate, TrainModel, guarded
from oodbench.run.verify import compared
from oodbench.run.workspace import Workspace
from oodbench.spaces import Images
from oodbench.training import InSet

MARKS = ("<!-- gpu table -->", "<!-- end of gpu table -->")


@dataclass(frozen=True)
class OnDevice:
    """A method on a device.

    Attributes:
        method: Its name.
        verdict: As of `oodbench verify`, against the CPU.
        auroc: Largest difference of an AUROC, in [0, 1].
        megabytes: Most memory of the device that its evaluation held.
        seconds: Of its evaluation.
    """

    method: str
    verdict: str
    auroc: float
    megabytes: float
    seconds: float


class Measured(InProcess):
    """Runs tasks here, and notes the memory of the device and the seconds of each."""

    def __init__(self, places: Sequence[Workspace]) -> None:
        super().__init__(places)
        self.spent: dict[str, tuple[float, float]] = {}

    def wait(self, watch: Watch) -> Collection[Done[Any]]:
        task: Task[Any] = self._waiting[0]
        gpu = self._place.torch_device.type == "cuda"
        if gpu:
            torch.cuda.reset_peak_memory_stats(self._place.torch_device)
        began = time.perf_counter()
        ended = super().wait(watch)
        peak = torch.cuda.max_memory_allocated(self._place.torch_device) / 2**20 if gpu else 0.0
        self.spent[task.key] = (peak, time.perf_counter() - began)
        return ended


def on_same_weights(context: Context, entries: Sequence[Registered], device: str, folder: Path) -> list[OnDevice]:
    """Train and judge on the CPU, hand the weights to a device, judge there, and compare.

    Args:
        context: A matrix, with folders for the CPU's part.
        entries: Methods.
        device: Where to.
        folder: For the device's part.
    """
    planned = plan(context.matrix, entries, context.matrix.seeds[:1])
    jobs = [item for item in planned if isinstance(item, Job)]
    pool = engine("local", context.workspace, ["cpu"], os.cpu_count())
    try:
        assert not execute(context, jobs, pool).failed
    finally:
        pool.close()
    there = replace(context.workspace, results=folder / "results", cache=folder / "cache", device=device)
    elsewhere = guarded(context.matrix, there)
    for task in graph(context, jobs):
        if isinstance(task, TrainModel):
            hand_over(context, elsewhere, task)
    measured = Measured([there])
    made = execute(elsewhere, jobs, measured)
    found = []
    for job, record in zip(jobs, made.records, strict=True):
        rerun = compared(context, job, record, there)
        task = Evaluate(context.matrix, job, (), next(iter(graph(elsewhere, [job]))).needs)
        found.append(OnDevice(job.method.name, rerun.verdict, rerun.auroc, *measured.spent[task.key]))
    return found


def hand_over(context: Context, elsewhere: Context, task: TrainModel) -> None:
    """Put a model's weights into the cache of another device, as if they had been made there."""
    source = context.folder(task.recipe, task.seed) / WEIGHTS
    target = elsewhere.folder(task.recipe, task.seed) / WEIGHTS
    if not source.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(source.read_bytes())
    assert elsewhere.guard is not None
    made = asdict(elsewhere.guard.made_model(task.recipe))
    seal(target.with_suffix(".json"), [WEIGHTS], made=made, torch=torch.__version__)


SECONDS = 2.0
"""For how long a rate is measured."""


def rate(work: Callable[[], object], device: str) -> float:
    """Return how often a second work is done, after a first time that does not count."""

    def wait() -> None:
        if device.startswith("cuda"):
            torch.cuda.synchronize(device)

    work()
    wait()
    began, times = time.perf_counter(), 0
    while time.perf_counter() - began < SECONDS:
        work()
        times += 1
        wait()
    return times / (time.perf_counter() - began)


def multiplications(device: str, size: int = 8192) -> float:
    """Return the operations a second of a large product of matrices, in whole float32."""
    left, right = (torch.rand(size, size, device=device) for _ in range(2))
    with exact(device):
        return 2.0 * size**3 * rate(lambda: left @ right, device)


def forward_passes(
    network: str, shape: tuple[int, int, int], classes: int, batch: int, device: str, precision: Precision = WHOLE
) -> float:
    """Return the images a second of forward passes as the harness makes them: by default float32; channels last."""
    space = Images(shape, (0.5,) * shape[0], (0.25,) * shape[0])
    net = classifier(network, InSet(space, classes)).eval().to(device, memory_format=torch.channels_last)
    images = torch.rand(batch, *shape, device=device).contiguous(memory_format=torch.channels_last)
    net.requires_grad_(False)
    with exact(device), torch.no_grad(), computing_in(precision, torch.device(device)):
        return batch * rate(lambda: net(images), device)


def decoded(side: int = 256) -> float:
    """Return the JPEG pictures a second that one core decodes and resizes."""
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 255, (side // 8, side // 8, 3), dtype=np.uint8)
    jpeg = io.BytesIO()
    Image.fromarray(pixels).resize((side, side)).save(jpeg, "JPEG")
    return rate(lambda: np.asarray(Image.open(io.BytesIO(jpeg.getvalue())).convert("RGB").resize((224, 224))), "cpu")


@dataclass(frozen=True)
class Speed:
    """Forward passes of a network on a device.

    Attributes:
        network: Its name.
        images: A second, in whole float32.
        share: Of the device's own rate in float32.
        coarse: Images a second in bfloat16.
    """

    network: str
    images: float
    share: float
    coarse: float


def speed(network: str, shape: tuple[int, int, int], classes: int, batch: int, device: str, limit: float) -> Speed:
    """Return how fast a network's forward passes are, where `limit` is the device's operations a second."""
    images = forward_passes(network, shape, classes, batch, device)
    each = operations(network, shape, classes)
    assert each is not None
    coarse = forward_passes(network, shape, classes, batch, device, "bfloat16")
    return Speed(network, images, images * each / limit, coarse)


def table(methods: Sequence[OnDevice], speeds: Sequence[Speed], limit: float, pictures: float, device: str) -> str:
    """Return the table that the docs show."""
    forward = [
        f"| `{one.network}` | {one.images:,.0f} | {100 * one.share:.0f} % | {one.coarse:,.0f} |" for one in speeds
    ]
    rows = [
        f"| `{one.method}` | {one.verdict} | {100 * one.auroc:.3f} | {one.megabytes:,.0f} | {one.seconds:.2f} |"
        for one in methods
    ]
    return "\n".join(
        [
            f"{machine_class(device)}, torch {torch.__version__}, whole float32 and in a fixed order. A product of "
            f"large matrices: {limit / 1e12:.1f} TFLOP/s. One of {os.cpu_count()} cores decodes {pictures:,.0f} JPEG "
            f"pictures a second.",
            "",
            "| forward passes | images a second | of that rate | images a second, bfloat16 |",
            "|:--|--:|--:|--:|",
            *forward,
            "",
            "| on the CPU's weights | verdict | AUROC differs by, points | MB on the GPU | seconds of evaluation |",
            "|:--|:--|--:|--:|--:|",
            *rows,
        ]
    )


def write(page: Path, text: str) -> None:
    """Put a table between its marks on a page."""
    old = page.read_text(encoding="utf-8")
    between = re.compile(f"{re.escape(MARKS[0])}.*?{re.escape(MARKS[1])}", re.S)
    assert len(between.findall(old)) == 1, f"{page}: expected the marks {MARKS} once"
    page.write_text(between.sub(lambda _: f"{MARKS[0]}\n\n{text}\n\n{MARKS[1]}", old), encoding="utf-8")

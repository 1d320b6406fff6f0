"""What a flow draws: bits per dimension, and the MODE score of samples beside that of test images."""

from collections.abc import Iterator, Sequence

from oodbench.data.fixed import Fixed
from oodbench.measure.summary import spread
from oodbench.report.diagnostics import Diagnostic, Finding
from oodbench.report.markdown import mean_and_std, plainly, table


class ModeScores(Fixed):
    """Of the samples, and of test images."""

    samples: float
    test: float


class Samples(Fixed):
    """samples.json; `outside` is the share of the samples' values beyond [0, 1)."""

    method: str
    matrix: str
    seed: int
    n: int
    bits_per_dimension: float
    mode_score: ModeScores
    outside: float


def section(own: Sequence[Samples]) -> list[str]:
    """Return the table, over seeds, and what stands around it."""
    bits = plainly(spread([one.bits_per_dimension for one in own]), 3)
    drawn, test = (plainly(spread([getattr(one.mode_score, name) for one in own]), 2) for name in ("samples", "test"))
    outside = mean_and_std(spread([one.outside for one in own]))
    headers = ["Bits per dimension, test", "MODE score, samples", "MODE score, test images", "Values outside [0, 1), %"]
    return [
        f"{own[0].n} samples, judged by the plain classifier of the same seed: the MODE score (Che 2017) is the number "
        "of classes where each sample is surely of one class and the classes have the training images' shares. Values "
        "of samples outside the grey range are shown as black or white.",
        table(headers, [[bits, drawn, test, outside]]),
    ]


def findings(one: Samples) -> Iterator[Finding]:
    """Yield MODE scores."""
    for name in ("samples", "test"):
        yield Finding(one.method, "mode_score", name, getattr(one.mode_score, name))


DIAGNOSTIC = Diagnostic(
    schema=Samples,
    summary="what a flow draws, and the MODE score of its samples",
    title="Samples",
    section=section,
    pictures=("samples",),
    metrics=("mode_score",),
    findings=findings,
    method="flow-gan-1",
    images=1000,
)

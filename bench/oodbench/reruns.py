"""The history of sampled re-runs, `results/reruns.csv`: a line each time that records were drawn and made again.

    date,matrix,commit,draw,share,records,same_bytes,within_tolerance,drifted,failed,auroc,machine
    2026-11-28,tiny-v1,53a1...,9f0c...,0.02,3,3,0,0,0,0.000000,cpu AVX512

`oodbench verify MATRIX --rerun SHARE --history results/reruns.csv` appends one; `--draw` with what stands there draws
the same records again, as long as the results are the same. Nobody writes to it by hand.
"""

import csv
from collections.abc import Sequence
from datetime import date
from io import StringIO
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, NonNegativeInt, StringConstraints, ValidationError

from oodbench.errors import BadRecord
from oodbench.store import atomically

FILE = "reruns.csv"
"""Below the folder of results."""


class Sample(BaseModel):
    """What came of one sample.

    Attributes:
        date: Of the re-run, UTC.
        matrix: Of the records.
        commit: Of the code that made them again; nothing where it was installed.
        draw: The verifier's part of the draw.
        share: Of the records that was asked for.
        records: How many were made again; the next four come to it.
        same_bytes: How many have every score as it was.
        within_tolerance: How many differ by less than the tolerance.
        drifted: How many differ by more, or say something else.
        failed: How many could not be made.
        auroc: Largest difference of an AUROC, in [0, 1].
        machine: Class of the machine that made them again.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    date: date
    matrix: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*-v[0-9]+$")]
    commit: Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{40})?$")]
    draw: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]{1,64}$")]
    share: Annotated[float, Field(gt=0, le=1)]
    records: Annotated[int, Field(gt=0)]
    same_bytes: NonNegativeInt
    within_tolerance: NonNegativeInt
    drifted: NonNegativeInt
    failed: NonNegativeInt
    auroc: Annotated[NonNegativeFloat, Field(le=1)]
    machine: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.() -]{1,80}$")]

    @property
    def counted(self) -> int:
        """The records by what came of them, all together."""
        return self.same_bytes + self.within_tolerance + self.drifted + self.failed


COLUMNS = tuple(Sample.model_fields)


def history(text: str) -> list[Sample]:
    """Return the samples that the text of a history holds, in its order.

    Raises:
        BadRecord: A line is none, or its counts do not come to its records; the line is named.
    """
    lines = list(csv.reader(StringIO(text)))
    if not lines or tuple(lines[0]) != COLUMNS:
        raise BadRecord(f"line 1 is {','.join(lines[0] if lines else ())[:80]!r}, expected {','.join(COLUMNS)}")
    found = []
    for at, line in enumerate(lines[1:], 2):
        if len(line) != len(COLUMNS):
            raise BadRecord(f"line {at} has {len(line)} fields, expected {len(COLUMNS)}")
        try:
            sample = Sample.model_validate(dict(zip(COLUMNS, line, strict=True)))
        except ValidationError as error:
            first = error.errors()[0]
            raise BadRecord(f"line {at}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
        if sample.counted != sample.records:
            raise BadRecord(
                f"line {at} counts {sample.counted} records, and says that {sample.records} were made again"
            )
        found.append(sample)
    return found


def read(results: Path) -> list[Sample]:
    """Return the history of a folder of results; nothing where there is none.

    Raises:
        BadRecord: It is broken.
    """
    return read_file(results / FILE)


def append(path: Path, sample: Sample) -> None:
    """Add a line to a history, which is made where it is not there; what is broken is left as it is.

    Raises:
        BadRecord: The history is broken.
    """
    samples = [*read_file(path), sample]
    file = StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    for one in samples:
        said = one.model_dump(mode="json") | {"auroc": f"{one.auroc:.6f}", "share": f"{one.share:g}"}
        writer.writerow([said[column] for column in COLUMNS])
    with atomically(path) as temporary:
        temporary.write_text(file.getvalue(), encoding="utf-8")


def read_file(path: Path) -> list[Sample]:
    """Return the history in a file; nothing where there is none.

    Raises:
        BadRecord: It is broken.
    """
    try:
        return history(path.read_text(encoding="utf-8")) if path.is_file() else []
    except (BadRecord, UnicodeDecodeError) as error:
        raise BadRecord(f"{path}: {error}") from error


def said(samples: Sequence[Sample], matrix: str) -> str:
    """Return what the re-runs of a matrix came to, in a sentence or two; nothing where there were none."""
    own = [one for one in samples if one.matrix == matrix]
    if not own:
        return ""
    last = max(own, key=lambda one: one.date)
    total = sum(one.records for one in own)
    came = {"with the same bytes": "same_bytes", "within tolerance": "within_tolerance", "drifted": "drifted"}
    came |= {"failed": "failed"}
    parts = [f"{sum(getattr(one, field) for one in own)} {words}" for words, field in came.items()]
    times = "once" if len(own) == 1 else f"{len(own)} times"
    at = f", commit {last.commit[:10]}" if last.commit else ""
    records = "record was" if total == 1 else "records were"
    return (
        f"**Re-runs.** {total} randomly drawn {records} made again from nothing, {times}: {', '.join(parts)}; the last "
        f"on {last.date.isoformat()} ({last.machine}{at})."
    )

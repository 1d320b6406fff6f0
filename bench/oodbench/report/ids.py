"""Permanent ids of matrices, rows and numbers: how they are written, read and found.

    tiny-v1                              a matrix; its name holds its version
    tiny-v1/odin@1                       a row: a method, and the version of all that its scores come from
    tiny-v1/odin@1#ood                   the row on a kind of failure: the mean that it is ranked by
    tiny-v1/odin@1#ood/glyphs/fpr95      a number: mean over seeds of a metric on a set
    tiny-v1/odin@1#ood/mean/fpr95        the mean over all sets that means are over
    tiny-v1/odin@1#ood/mean:far/auroc    the mean over the sets of a group
    cifar10-resnet-v1/msp@resnet-20@1    a row on a given model: what follows the last @ is the version

A version has a number for each thing whose declared version is part of a record's identity, in the order of `VERSIONS`,
joined by dots; ones at the end are left out. So `@1` is the first of everything, `@2` a detector's second version,
`@1.2` a recipe's. Records of another version have another id: what was cited stays what it was.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from oodbench.errors import BadSetting
from oodbench.records import Record

VERSIONS = ("detector", "recipe", "training", "protocol", "search")
"""What a record declares versions of, in the order of an id's numbers; nothing is ever inserted, or taken out."""

MEAN = "mean"
"""Stands for a set: the mean over all sets of a kind that means are over; no set has this name."""

GROUP = ":"
"""Between `mean` and the group that it is over; no name of a set has it."""

_MATRIX = r"[a-z0-9]+(?:-[a-z0-9]+)*-v[0-9]+"
_METHOD = r"[A-Za-z0-9][A-Za-z0-9._+-]*(?:@[A-Za-z0-9-]*[A-Za-z][A-Za-z0-9-]*)?"
_VERSION = r"[0-9]+(?:\.[0-9]+)*"
_SET = r"[A-Za-z0-9][A-Za-z0-9@._+-]*(?::[a-z0-9-]+)?"
_WORD = r"[a-z][a-z0-9_-]*"

ROW = re.compile(rf"({_MATRIX})/({_METHOD})(?:@({_VERSION}))?")
"""Of a row, with or without its version."""

_ID = re.compile(rf"({_MATRIX})(?:/({_METHOD})(?:@({_VERSION}))?(?:#({_WORD})(?:/({_SET})/({_WORD}))?)?)?")


@dataclass(frozen=True)
class Id:
    """A permanent id.

    Attributes:
        matrix: Name of the matrix, with its version.
        method: Of the row; `msp@resnet-20` of one on a given model.
        version: Of the row; None where it was left out.
        kind: Of failure.
        set: Or `mean`, or `mean:far`.
        metric: Name of the metric.
    """

    matrix: str
    method: str | None = None
    version: str | None = None
    kind: str | None = None
    set: str | None = None
    metric: str | None = None

    @classmethod
    def read(cls, text: str) -> "Id":
        """Return the id that a text is.

        Raises:
            BadSetting: It is none.

        Example:
            >>> Id.read("tiny-v1/odin@1#ood/glyphs/fpr95").set
            'glyphs'
        """
        found = _ID.fullmatch(text)
        if found is None:
            raise BadSetting(
                f"{text!r} is no id; expected MATRIX-vN, MATRIX-vN/METHOD@VERSION, or this followed by #KIND or by "
                "#KIND/SET/METRIC, as tiny-v1/odin@1#ood/glyphs/fpr95"
            )
        return cls(*found.groups())

    def __str__(self) -> str:
        """Return the id as it is written."""
        row = f"/{self.method}" if self.method else ""
        version = f"@{self.version}" if self.version else ""
        kind = f"#{self.kind}" if self.kind else ""
        number = f"/{self.set}/{self.metric}" if self.set else ""
        return f"{self.matrix}{row}{version}{kind}{number}"

    @property
    def row(self) -> "Id":
        """The row that it is of."""
        return Id(self.matrix, self.method, self.version)


def version_of(record: Record) -> str:
    """Return the version of a record, as ids have it.

    Raises:
        BadSetting: The record declares the version of something that ids do not know.
    """
    if unknown := sorted(record.versions.keys() - set(VERSIONS)):
        raise BadSetting(
            f"{record.matrix}/{record.method}: declares versions of {', '.join(unknown)}, and ids are made of "
            f"{', '.join(VERSIONS)}; append it to oodbench.report.ids.VERSIONS"
        )
    numbers = [record.versions.get(name, 1) for name in VERSIONS]
    while len(numbers) > 1 and numbers[-1] == 1:
        numbers.pop()
    return ".".join(map(str, numbers))


def row_version(records: Iterable[Record]) -> str | None:
    """Return the version of a row; None where its seeds are of several, and no id names them together."""
    found = {version_of(record) for record in records}
    return found.pop() if len(found) == 1 else None


def row_id(records: Iterable[Record]) -> Id | None:
    """Return the id of a row, given its records; None where its seeds are of several versions, or there are none."""
    records = list(records)
    version = row_version(records)
    return Id(records[0].matrix, records[0].method, version) if version else None

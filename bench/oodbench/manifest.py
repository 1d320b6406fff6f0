"""What a submission says of itself: `manifest.json` beside its source and its results.

submission/<method>/manifest.json      this
submission/<method>/pull-request.md    the text of the pull request
submission/<method>/source/...         the source, as it lies in a clone or in a package
submission/<method>/results/...        records, scores, costs and models, as docs/results.md has them
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, StringConstraints

from oodbench.schema import Sha256

FILE = "manifest.json"
PULL_REQUEST = "pull-request.md"
SOURCE = "source"

PART = r"[A-Za-z0-9_][A-Za-z0-9@._+-]{0,99}"
"""Of a path: no part begins with a dot, so that none leads out of the folder or is hidden."""

Path = Annotated[str, StringConstraints(pattern=rf"^{PART}(/{PART}){{0,6}}$", max_length=240)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9+._@-]{0,99}$")]

SOURCE_ENDINGS = (".py", ".pyi", ".toml", ".md", ".txt", ".cfg", ".ini", ".typed")
"""Of source: text that a reviewer reads, and that nothing here runs."""

MOST_FILES = 2000
MOST_SOURCE = 1 << 20
"""Bytes of a file of source."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class HandedIn(_Frozen):
    """One file: its sha256 and its size in bytes."""

    sha256: Sha256
    size: NonNegativeInt


class Manifest(_Frozen):
    """A submission.

    Attributes:
        methods: Names of the rows' methods.
        module: The module that defines them.
        package: Name and version of the package that it comes from, "oodbench-nearest-mean 0.1.0"; null in-tree.
        seeds: By matrix.
        oodbench: Release that made it.
        commit: Of the clone that made it; null where it was installed.
        files: Every other file, by its path.
    """

    schema_version: Literal[1] = 1
    methods: Annotated[tuple[Name, ...], Field(min_length=1, max_length=50)]
    module: Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_.]{0,199}$")]
    package: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+! -]{0,199}$")] | None = None
    seeds: Annotated[dict[Name, tuple[NonNegativeInt, ...]], Field(min_length=1, max_length=50)]
    oodbench: Annotated[str, StringConstraints(pattern=r"^[0-9][A-Za-z0-9.+!-]{0,40}$")]
    commit: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")] | None = None
    files: Annotated[dict[Path, HandedIn], Field(min_length=1, max_length=MOST_FILES)]

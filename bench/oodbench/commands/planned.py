"""What a run, a plan and a re-run are of: matrix, methods and seeds as options name them; needs torch."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

from oodbench.data.given import resolved
from oodbench.data.matrix import find_matrix
from oodbench.run.context import Context
from oodbench.run.plan import Job, Skip, plan
from oodbench.run.rows import rows
from oodbench.run.tasks import guarded
from oodbench.run.workspace import Workspace, default_cache


@final
@dataclass(frozen=True)
class Where:
    """Where data sets, weights and records lie, and on what to compute.

    Attributes:
        results: Folder of records.
        data: The user's own root of data sets.
        cache: Folder of weights and outputs; None for the usual one.
        devices: What the workers take in turn.
        store: By which workers that share no cache hand on what they made.
    """

    results: Path
    data: Path | None = None
    cache: Path | None = None
    devices: Sequence[str] = field(default=("cpu",))
    store: str | None = None


def planned(
    matrix: str, methods: Sequence[str], seeds: Sequence[int] | None, where: Where, *, every: bool = False
) -> tuple[Context, list[Job | Skip]]:
    """Return the context and the plan of a matrix.

    Args:
        matrix: Its name.
        methods: Names; none of them for those that the matrix names.
        seeds: Of the models; None for the matrix's own.
        where: The folders.
        every: Take every method where none is named.
    """
    found = resolved(find_matrix(matrix), where.data)
    entries = rows(found, methods or (() if every else found.methods))
    workspace = Workspace(
        where.results, where.data, where.cache or default_cache(), where.devices[0], store=where.store
    )
    return guarded(found, workspace), plan(found, entries, found.seeds if seeds is None else seeds)

"""The rows of a matrix: its methods; where it is given several models, each method on each of them, `msp@resnet-20`."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from oodbench.data.matrix import Matrix
from oodbench.errors import UnknownName
from oodbench.given import AT
from oodbench.recipes import Given, Plain
from oodbench.run.registry import Registered, find, registry


def rows(matrix: Matrix, names: Sequence[str]) -> list[Registered]:
    """Return what names ask for, in their order; no names ask for every row.

    Args:
        matrix: The matrix.
        names: Of methods, on all models (`msp`), or of rows (`msp@resnet-20`).

    Raises:
        UnknownName: There is no such method, or no such row of this matrix; the nearest is offered.
    """
    if len(matrix.model) < 2:
        return find(names) if names else list(registry().values())
    known = {row.method.name: row for row in on_models(matrix, registry().values())}
    chosen: list[Registered] = []
    for name in names or list(registry()):
        if name in known:
            chosen.append(known[name])
        elif name in registry():
            chosen += on_models(matrix, find([name]))
        else:
            raise UnknownName("method", name, {*registry(), *known})
    return list({row.method.name: row for row in chosen}.values())


def on_models(matrix: Matrix, entries: Iterable[Registered]) -> Iterator[Registered]:
    """Yield each entry, one that judges the plain classifier once on each of a matrix's given models."""
    for entry in entries:
        if not matrix.model or not isinstance(entry.method.recipe, Plain):
            yield entry
            continue
        for model in matrix.model:
            method = replace(entry.method, recipe=Given(model))
            if len(matrix.model) > 1:
                name, title = f"{method.name}{AT}{model.name}", f"{method.title}, {model.name}"
                method = replace(method, name=name, title=title)
            yield replace(entry, method=method)

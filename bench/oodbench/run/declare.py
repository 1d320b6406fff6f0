"""What methods declare, as `methods/declared.json` holds it (see `oodbench.declarations`)."""

from oodbench.contract import INPUTS
from oodbench.data.matrix import Matrix, load_matrices
from oodbench.declarations import Declared, Of, Row, fingerprint
from oodbench.detectors.densities import LIKELIHOOD
from oodbench.given import AT
from oodbench.identity import declared
from oodbench.run.models import describe
from oodbench.run.plan import Skip, plan
from oodbench.run.records import declared_versions, detector_fields
from oodbench.run.registry import IN_TREE, Registered, registry
from oodbench.store import digest


def made() -> Declared:
    """Return what the methods of this repository declare."""
    entries = [entry for entry in registry().values() if entry.in_tree]
    groups: dict[str, str] = {}
    by_method: dict[str, dict[str, dict[str, Row]]] = {entry.method.name: {} for entry in entries}
    for matrix in load_matrices().values():
        rows = _rows(matrix, entries)
        group = groups[matrix.name] = digest(rows)[:8]
        for name, row in rows.items():
            base, at, model = name.partition(AT)
            by_method[base].setdefault(group, {})[at + model] = row
    tables = {name: digest(rows)[:8] for name, rows in by_method.items()}
    methods = {entry.method.name: _of(entry, tables[entry.method.name]) for entry in entries}
    return {"groups": groups, "recipes": {tables[name]: by_method[name] for name in by_method}, "methods": methods}


def _rows(matrix: Matrix, entries: list[Registered]) -> dict[str, Row]:
    """Return the rows of a matrix by name."""
    found: dict[str, Row] = {}
    for job in plan(matrix, entries, matrix.seeds):
        recipe = None if isinstance(job, Skip) else fingerprint(describe(job.recipe))
        row = found.setdefault(job.method.name, {"recipe": recipe, "members": {}})
        if parts := job.recipe.parts(job.seed, matrix.seeds):
            row["members"][str(job.seed)] = [seed for _, seed in parts]
    return dict(sorted(found.items()))


def _of(entry: Registered, recipes: str) -> Of:
    method = entry.method
    paper = method.paper
    said: Of = {
        "title": method.title,
        "module": entry.module.removeprefix(IN_TREE),
        "citation": {"authors": paper.authors, "title": paper.title, "year": paper.year, "url": paper.url},
        "tuning": method.tuning_access,
        "fits_on_labels": "labels" in method.detector.fits_on,
        "versions": declared_versions(method),
        "parameters": detector_fields(method.sized("cpu").detector),
        "recipes": recipes,
    }
    at_paper_scale = detector_fields(method.sized("paper").detector)
    if at_paper_scale != said["parameters"]:
        said["parameters_at_paper_scale"] = at_paper_scale
    if method.search:
        said["search"] = {name: [declared(value) for value in values] for name, values in method.search.over}
    if method.detector == LIKELIHOOD:
        said["scores_log_density"] = True
    if method.detector.reads <= {INPUTS}:
        said["asks_no_model"] = True
    return said

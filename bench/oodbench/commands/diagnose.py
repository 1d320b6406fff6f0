"""`oodbench diagnose`."""

import json
from functools import partial
from pathlib import Path
from typing import Annotated

from oodbench.commands import names
from oodbench.commands.options import Cache, Data, Device, Matrix, Seed, argument, at_least, one_of, option
from oodbench.commands.told import Json, tell
from oodbench.shown import Page

EXAMPLES = (
    "  oodbench diagnose likelihood tiny-v1 --method glow-cv\n  oodbench diagnose purification tiny-v1\n"
    "  oodbench diagnose adversarial-noise tiny-v1 --method glow --images 100\n"
    "  oodbench diagnose samples tiny-v1 --method flow-gan-0\n"
    "  oodbench diagnose density-evaluation mnist5k-v1\n"
    "  oodbench diagnose triplets tiny-v1 --method mahalanobis-a"
)


def command(
    diagnostic: Annotated[
        str,
        argument(
            "DIAGNOSTIC",
            "which; docs/diagnostics.md tells what each finds",
            read=one_of("diagnostic", names.diagnostics),
            known=names.diagnostics,
        ),
    ],
    matrix: Matrix,
    method: Annotated[
        str | None,
        option(
            "--method",
            metavar="METHOD",
            help="whose model (default: what is usual for the diagnostic)",
            known=names.methods,
        ),
    ] = None,
    seed: Seed = 0,
    images: Annotated[
        int | None,
        option("--images", metavar="N", read=at_least(1), help="most images a set (default: the diagnostic's own)"),
    ] = None,
    out: Annotated[
        Path | None,
        option("--out", metavar="FOLDER", help="folder to write to (default: diagnosed/MATRIX/METHOD/SEED)"),
    ] = None,
    data: Data = None,
    cache: Cache = None,
    device: Device = "cpu",
    as_json: Json = False,
) -> int:
    """Study a trained model or a density: where a likelihood comes from, what a model draws, what purifying mends.

    More: how a log density is distributed, what WAIC owes to each member, which scores take in images that climb a
    density, whether a detector tells attacked images from noisy ones; or, without a model, what evaluations of a
    density say.
    """
    from oodbench.errors import BadSetting
    from oodbench.report.diagnostics import NO_MODEL, analyse_of, find_diagnostic
    from oodbench.run.machine import exact
    from oodbench.run.progress import Progress
    from oodbench.run.workspace import Workspace, default_cache

    known, analyse = find_diagnostic(diagnostic), analyse_of(diagnostic)
    if known.method is None and method:
        raise BadSetting(f"{diagnostic} needs no trained model: leave out --method {method}")
    whose = method or known.method or NO_MODEL
    workspace = Workspace(data=data, cache=cache or default_cache(), device=device)
    folder = out or Path("diagnosed") / matrix / whose / str(seed)
    with exact(workspace.torch_device), Progress(1) as progress:
        watch = partial(progress.watch, whose)
        made = analyse(whose, matrix, workspace, seed, images or known.images, folder, watch)
    found = [json.loads(path.read_text(encoding="utf-8")) for path in made.files if path.suffix == ".json"]
    told = {"files": made.files, "found": found}
    parts = made.table.parts if isinstance(made.table, Page) else (made.table,)
    return tell(Page(*parts, "", *map(str, made.files), data=told), as_json)

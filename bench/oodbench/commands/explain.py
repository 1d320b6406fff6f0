"""`oodbench explain`."""

from functools import partial
from pathlib import Path
from typing import Annotated

from oodbench.commands import names
from oodbench.commands.options import Cache, Data, Device, Matrix, Seed, argument, at_least, option
from oodbench.commands.told import Json, tell
from oodbench.shown import Page

EXAMPLES = "  oodbench explain ib-inn-2 tiny-v1\n  oodbench explain ib-inn-8 tiny-v1 --images 16 --out pictures"


def command(
    method: Annotated[str, argument("METHOD", "a method whose model is an IB-INN", known=names.methods)],
    matrix: Matrix,
    seed: Seed = 0,
    images: Annotated[
        int, option("--images", metavar="N", read=at_least(1), help="how many test images (default: 8)")
    ] = 8,
    out: Annotated[
        Path | None,
        option("--out", metavar="FOLDER", help="folder to write to (default: explained/MATRIX/METHOD/SEED)"),
    ] = None,
    data: Data = None,
    cache: Cache = None,
    device: Device = "cpu",
    as_json: Json = False,
) -> int:
    """Draw what an IB-INN sees: heat, salience and gradient maps, similar classes, each image's decision space."""
    from oodbench.explain import explain
    from oodbench.run.machine import exact
    from oodbench.run.progress import Progress
    from oodbench.run.workspace import Workspace, default_cache

    workspace = Workspace(data=data, cache=cache or default_cache(), device=device)
    folder = out or Path("explained") / matrix / method / str(seed)
    with exact(workspace.torch_device), Progress(1) as progress:
        files = explain(method, matrix, workspace, seed, images, folder, partial(progress.watch, method))
    return tell(Page(*map(str, files), data={"files": files}), as_json)

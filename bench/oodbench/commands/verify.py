"""`oodbench verify`: everything that can be seen without a re-run, or a sample of re-runs."""

import os
from pathlib import Path
from typing import Annotated

from oodbench.commands import names
from oodbench.commands.options import (
    RESULTS,
    Data,
    Device,
    Engine,
    Results,
    Seeds,
    Workers,
    argument,
    option,
    share,
)
from oodbench.commands.told import Json, tell
from oodbench.shown import Page

EXAMPLES = (
    "  oodbench verify\n  oodbench verify results/tiny-v1\n  oodbench verify submission --against results\n"
    "  oodbench verify tiny-v1 --rerun 0.02\n  oodbench verify fashion-mnist-v2 --rerun 0.01 --draw 5f0c"
)

AGAIN = "re-runs of one matrix"


def command(
    path: Annotated[
        str | None,
        argument(
            "[PATH]",
            "folder of results, a matrix in one, or a submission; also the name of a matrix in --results "
            "(default: --results)",
            known=names.matrices,
        ),
    ] = None,
    against: Annotated[
        Path | None,
        option("--against", metavar="FOLDER", help="results that are believed, to compare with"),
    ] = None,
    new: Annotated[
        list[str] | None, option("--new", metavar="METHOD...", help="methods that are not in oodbench yet")
    ] = None,
    state: Annotated[
        Path | None,
        option(
            "--state",
            metavar="FOLDER",
            help="folder that remembers what was verified, by its sha256 (default: in the cache)",
        ),
    ] = None,
    no_state: Annotated[bool, option("--no-state", help="remember nothing, and believe nothing remembered")] = False,
    verbose: Annotated[bool, option("--verbose", help="list all faults")] = False,
    rerun: Annotated[
        float | None,
        option("--rerun", metavar="SHARE", group=AGAIN, read=share, help="of the records, in (0, 1]; one at least"),
    ] = None,
    draw: Annotated[
        str | None,
        option(
            "--draw",
            metavar="NONCE",
            group=AGAIN,
            help="the verifier's part of the draw, which the records' sha256 is the other part of (default: a new one)",
        ),
    ] = None,
    history: Annotated[
        Path | None,
        option(
            "--history",
            metavar="FILE",
            group=AGAIN,
            help="append a line with what came of them, as results/reruns.csv",
        ),
    ] = None,
    methods: Annotated[
        list[str] | None,
        option(
            "--methods", metavar="METHOD...", group=AGAIN, help="draw from these (default: all)", known=names.methods
        ),
    ] = None,
    seeds: Seeds = None,
    results: Results = RESULTS,
    data: Data = None,
    device: Device = "cpu",
    workers: Workers = None,
    engine: Engine = "local",
    as_json: Json = False,
) -> int:
    """Hold results against their scores, matrices, cards and methods; or make drawn records again, and compare.

    Records are drawn at random, and made from nothing.
    """
    from oodbench.data.matrix import known_matrix
    from oodbench.errors import BadRecord

    folder = place(path, results)
    if rerun:
        name = folder.resolve().name
        if known_matrix(name) is None:
            raise BadRecord(
                f"{folder}: is no matrix; re-runs are of one matrix: oodbench verify {folder}/tiny-v1 --rerun"
            )
        from oodbench.commands.planned import Where, planned
        from oodbench.reruns import append
        from oodbench.run import verify as by_running
        from oodbench.run.engines import engine as backend

        devices = device.split(",")
        context, drawn = planned(name, methods or (), seeds, Where(folder.parent, data, devices=devices), every=True)
        nonce = draw or by_running.nonce()
        found = by_running.rerun(context, drawn, rerun, nonce, lambda fresh: backend(engine, fresh, devices, workers))
        if history:
            append(history, by_running.sampled(context, found, nonce, rerun))
        well = not any(one.verdict in ("drifted", "failed") for one in found)
        return tell(by_running.told(context, found, nonce), as_json, well=well)

    from oodbench.verify.state import State, default_state, usable
    from oodbench.verify.verified import told, verify

    kept = None if no_state else usable(state or default_state(), folder)
    report = verify(
        folder, against=against, new=new or (), state=State(kept), workers=workers or min(2, os.cpu_count() or 1)
    )
    return tell(Page(told(report, verbose=verbose), data=report), as_json, well=not report.faults)


def place(path: str | None, results: Path) -> Path:
    """Return the folder that is meant: a path, the name of a matrix, or nothing for all results."""
    from oodbench.data.matrix import known_matrix

    if path is None:
        return results
    named = "/" not in path and not Path(path).is_dir() and known_matrix(path) is not None
    return results / path if named else Path(path)

"""`oodbench run`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from oodbench.commands.options import (
    RESULTS,
    All,
    Cache,
    Data,
    Devices,
    Engine,
    Matrix,
    Methods,
    Results,
    Seeds,
    Shard,
    Workers,
    not_both,
    one_of,
    option,
    positive,
    shard,
)
from oodbench.commands.told import Json, tell
from oodbench.forward_precision import PRECISIONS, WHOLE, Precision, named
from oodbench.shown import Page

if TYPE_CHECKING:
    from oodbench.records import Record

EXAMPLES = "  oodbench run tiny-v1 --methods msp odin --seeds 0\n  oodbench run tiny-v1 --all"


def command(
    matrix: Matrix,
    methods: Methods = None,
    every: All = False,
    seeds: Seeds = None,
    results: Results = RESULTS,
    data: Data = None,
    cache: Cache = None,
    device: Devices = "cpu",
    workers: Workers = None,
    engine: Engine = "local",
    gpus: Annotated[
        float,
        option(
            "--gpus",
            metavar="X",
            read=positive,
            help="GPUs a task, on Ray: 0.5 lets two share one (default: 1)",
        ),
    ] = 1.0,
    memory: Annotated[
        float, option("--memory", metavar="GB", read=positive, help="memory a task, on Ray (default: 2)")
    ] = 2.0,
    store: Annotated[
        str | None,
        option(
            "--store",
            metavar="WHERE",
            help="s3://BUCKET/PREFIX or a folder, by which workers that share no --cache hand on what they made",
        ),
    ] = None,
    forward_precision: Annotated[
        Precision,
        option(
            "--forward-precision",
            metavar="PRECISION",
            read=one_of("precision", lambda: PRECISIONS),
            known=lambda: PRECISIONS,
            help="of the classifier's forward passes (default: float32); in bfloat16 it is another matrix, "
            "tiny-bfloat16-v1 for tiny-v1, with records and ranks of its own (docs/many-gpus.md)",
        ),
    ] = WHOLE,
    remake: Annotated[bool, option("--remake", help="make the records again that stand")] = False,
    unchecked: Annotated[
        bool,
        option(
            "--unchecked",
            help="run new methods also where they break a law of oodbench check; their rows say so, and have no rank",
        ),
    ] = False,
    part: Annotated[
        Shard | None,
        option(
            "--shard",
            metavar="I/N",
            read=shard,
            help="the I-th of N parts of the plan, from 0: for Slurm arrays; parts of one model stay together",
        ),
    ] = None,
    leaderboard: Annotated[
        Path | None,
        option("--leaderboard", metavar="FILE", help="write the leaderboard of the results there afterwards"),
    ] = None,
    as_json: Json = False,
) -> int:
    """Run methods on a matrix; resumes, and keeps what is done."""
    from oodbench.check.before import before_ranking
    from oodbench.commands.planned import Where, planned
    from oodbench.report.summary import summary
    from oodbench.run.engines import engine as backend_of
    from oodbench.run.execute import execute
    from oodbench.run.graph import Needs
    from oodbench.run.plan import part as part_of

    not_both(methods=methods, all=every)
    devices = device.split(",")
    where = Where(results, data, cache, devices, store)
    context, wanted = planned(named(matrix, forward_precision), methods or (), seeds, where, every=every)
    if part:
        wanted = part_of(wanted, part.part, part.parts)
    wanted, refused = before_ranking(wanted, unchecked=unchecked)
    if refused and not wanted:
        print("\n".join(map(str, refused)), file=sys.stderr)
        if as_json:
            tell(Page(data={"refused": refused}), as_json)
        return 1
    needs = Needs(gpus=0 if device == "cpu" else gpus, memory_gb=memory)
    backend = backend_of(engine, context.workspace, devices, workers)
    try:
        made = execute(context, wanted, backend, remake=remake, shared=part is not None, needs=needs)
    finally:
        backend.close()
    found = summary(context.workspace.results, context.matrix.name, leaderboard)
    told = {**found.data, "failed": list(map(_failure, made.failed)), "kept_from": made.kept_from, "refused": refused}
    well = not (made.failed or made.kept_from or refused)
    code = tell(Page(*found.parts, data=told), as_json, well=well)
    for record in made.failed:
        print(f"FAILED  {record.method}, seed {record.seed}: {record.reason or 'see its record'}", file=sys.stderr)
    if made.kept_from:
        print(made.of_other_machines(device), file=sys.stderr)
    for one in refused:
        print(one, file=sys.stderr)
    return code


def _failure(record: "Record") -> dict[str, object]:
    return {"method": record.method, "seed": record.seed, "reason": record.reason}

"""`oodbench plan`."""

from typing import Annotated

from oodbench.commands.options import (
    RESULTS,
    All,
    Cache,
    Data,
    Devices,
    Matrix,
    Methods,
    Results,
    Seeds,
    at_least,
    not_both,
    option,
    positive,
)
from oodbench.commands.told import Json, tell

EXAMPLES = (
    "  oodbench plan tiny-v1\n"
    "  oodbench plan tiny-v1 --all\n"
    "  oodbench plan cifar10-v1 --methods msp odin --workers 1 8 64"
)


def command(
    matrix: Matrix,
    methods: Methods = None,
    every: All = False,
    seeds: Seeds = None,
    results: Results = RESULTS,
    data: Data = None,
    cache: Cache = None,
    device: Devices = "cpu",
    workers: Annotated[
        list[int] | None,
        option(
            "--workers",
            metavar="N...",
            read=at_least(1),
            help="tell instead how long all of it takes on so many, by costs on record; MATRIX may be a scale: paper",
        ),
    ] = None,
    speed: Annotated[
        float,
        option(
            "--speed",
            metavar="X",
            read=positive,
            help="of a worker, in cores of the machine on record (default: 1)",
        ),
    ] = 1.0,
    as_json: Json = False,
) -> int:
    """Show what a run would do: what is done, cached, skipped and why, time and disk."""
    from oodbench.commands.planned import Where, planned
    from oodbench.run.cost_model import forecast_on
    from oodbench.run.forecast import forecast

    not_both(methods=methods, all=every)
    if workers:
        return tell(forecast_on(matrix, methods or (), results, workers, speed), as_json)
    where = Where(results, data, cache, device.split(","))
    return tell(forecast(*planned(matrix, methods or (), seeds, where, every=every)), as_json)

"""`oodbench verify`: everything that can be seen without a re-run, or a sample of re-runs."""

import argparse
import os
from collections.abc import Callable
from pathlib import Path

from oodbench.data.matrix import known_matrix
from oodbench.errors import BadRecord

EXAMPLES = (
    "  oodbench verify\n  oodbench verify results/tiny-v1\n  oodbench verify submission --against results\n"
    "  oodbench verify tiny-v1 --rerun 0.02\n  oodbench verify fashion-mnist-v2 --rerun 0.01 --draw 5f0c"
)


def add_options(sub: argparse.ArgumentParser, share: Callable[[str], float], seed: Callable[[str], int]) -> None:
    """Add the verb's own options; where records lie, devices and workers are those of other verbs."""
    sub.add_argument(
        "path",
        nargs="?",
        metavar="PATH",
        help="folder of results, a matrix in one, or a submission; also the name of a matrix in --results "
        "(default: --results)",
    )
    sub.add_argument("--against", type=Path, metavar="RESULTS", help="results that are believed, to compare with")
    sub.add_argument("--new", nargs="+", default=[], metavar="METHOD", help="methods that are not in oodbench yet")
    sub.add_argument(
        "--state", type=Path, help="folder that remembers what was verified, by its sha256 (default: in the cache)"
    )
    sub.add_argument("--no-state", action="store_true", help="remember nothing, and believe nothing remembered")
    sub.add_argument("--verbose", action="store_true", help="list all faults")
    again = sub.add_argument_group("re-runs of one matrix")
    again.add_argument("--rerun", type=share, metavar="SHARE", help="of the records, in (0, 1]; one at least")
    again.add_argument(
        "--draw",
        metavar="NONCE",
        help="the verifier's part of the draw, which the records' sha256 is the other part of (default: a new one)",
    )
    again.add_argument(
        "--history", type=Path, metavar="FILE", help="append a line with what came of them, as results/reruns.csv"
    )
    again.add_argument("--methods", nargs="+", metavar="METHOD", help="draw from these (default: all)")
    again.add_argument("--seeds", nargs="+", type=seed, metavar="SEED", help="default: the matrix's own")


def verify(arguments: argparse.Namespace, rerun: Callable[[argparse.Namespace], int]) -> int:
    """Print what is wrong; return 1 if anything is.

    Args:
        arguments: Of the command line.
        rerun: Makes records again and prints what came of it: needs torch, which all else does not.
    """
    path = place(arguments)
    if arguments.rerun:
        name = path.resolve().name
        if known_matrix(name) is None:
            raise BadRecord(f"{path}: is no matrix; re-runs are of one matrix: oodbench verify {path}/tiny-v1 --rerun")
        arguments.matrix, arguments.results = name, path.parent
        return rerun(arguments)

    from oodbench.verify.state import State, default_state, usable
    from oodbench.verify.verified import told, verify

    folder = None if arguments.no_state else usable(arguments.state or default_state(), path)
    workers = arguments.workers or min(2, os.cpu_count() or 1)
    report = verify(path, against=arguments.against, new=arguments.new, state=State(folder), workers=workers)
    print(told(report, verbose=arguments.verbose))
    return 1 if report.faults else 0


def place(arguments: argparse.Namespace) -> Path:
    """Return the folder that is meant: a path, the name of a matrix, or nothing for all results."""
    if arguments.path is None:
        return Path(arguments.results)
    path = Path(arguments.path)
    named = "/" not in str(arguments.path) and not path.is_dir() and known_matrix(str(arguments.path)) is not None
    return Path(arguments.results) / path if named else path

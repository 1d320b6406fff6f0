"""`oodbench submit`."""

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path

from oodbench.commands import Verb, results
from oodbench.manifest import PULL_REQUEST

ModulesOf = Callable[[list[str]], list[str]]
"""Returns the module of each method; it needs torch, which all else here does not."""


def add(verb: Verb, modules_of: ModulesOf) -> None:
    """Add the verb."""
    sub = verb(
        "submit",
        partial(submit, modules_of=modules_of),
        "Make a submission: a folder with source, records, scores, a manifest and the text of the pull request.",
        "  oodbench submit nearest-mean --matrix tiny-v1 mnist5k-v1\n"
        "  oodbench verify submission/nearest-mean --against results\n"
        "  CONTRIBUTING.md says where it goes, who makes it again, and what happens then.",
    )
    sub.add_argument("methods", nargs="+", metavar="METHOD", help="of one module, in-tree or of an installed package")
    sub.add_argument("--matrix", nargs="+", required=True, metavar="MATRIX", help="those it has every seed of")
    results(sub, "folder of records")
    sub.add_argument("--out", type=Path, help="folder to write (default: submission/METHOD)")


def submit(arguments: argparse.Namespace, modules_of: ModulesOf) -> int:
    """Write the folder and say where to go on, or print what is wrong; return 1 then."""
    from oodbench.submission.bundle import bundle
    from oodbench.submission.origin import one_module, origin_of

    methods = list(dict.fromkeys(arguments.methods))
    origin = origin_of(one_module(modules_of(methods)))
    out = arguments.out or Path("submission") / methods[0]
    made = bundle(methods, origin, list(dict.fromkeys(arguments.matrix)), arguments.results, out)
    if made.faults:
        print("\n".join(map(str, made.faults)))
        print(f"\nnothing was written: {len(made.faults)} faults")
        return 1
    print(f"{made.folder}: {made.files} files, verified; the pull request's text is {made.folder / PULL_REQUEST}")
    print(f"next: oodbench verify {made.folder}, then CONTRIBUTING.md, 'Hand it in'")
    return 0

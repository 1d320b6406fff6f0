"""oodbench: a benchmark of detectors of classifier failures.

Each verb is one call; whatever it needs is imported inside, so that tables and metrics do not wait for torch.
"""

import argparse
import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING

from oodbench import __version__
from oodbench.commands import cite, compare, new, results, site, submit
from oodbench.commands import verify as verify_command
from oodbench.errors import BadSetting, OodbenchError
from oodbench.forward_precision import PRECISIONS, WHOLE, named
from oodbench.report.diagnostics import NO_MODEL, analyse_of, find_diagnostic
from oodbench.report.diagnostics import names as diagnostic_names

if TYPE_CHECKING:
    from oodbench.run.context import Context
    from oodbench.run.graph import Backend, Needs
    from oodbench.run.plan import Job, Skip
    from oodbench.run.workspace import Workspace


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; return 0 when all went well, 1 when a check or a cell failed, 2 when the input was bad."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # spinning threads cost 3-5x on a busy machine
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal may lack a letter: ε under LC_ALL=C
    arguments = parser().parse_args(argv)
    try:
        with told_on_stderr(), ended_by_sigterm():
            return int(arguments.verb(arguments))
    except OodbenchError as error:
        print(f"oodbench: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        return 1
    except Terminated:
        print(f"oodbench: ended by SIGTERM; {_after_a_stop(arguments)}", file=sys.stderr)
        return 128 + signal.SIGTERM
    except KeyboardInterrupt:
        print(f"oodbench: interrupted; {_after_a_stop(arguments)}", file=sys.stderr)
        return 128 + signal.SIGINT
    except RecursionError:
        print("oodbench: a file is nested too deeply to be read", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"oodbench: {error.filename or 'the system'}: {error.strerror or error}; {WAY_OUT}", file=sys.stderr)
        return 2


def _after_a_stop(arguments: argparse.Namespace) -> str:
    if arguments.verb is evaluate and arguments.cache is None:
        return "nothing is kept: with --cache FOLDER the same command goes on after a stop"
    return AGAIN


FORWARD_PRECISION = (
    "of the classifier's forward passes (default: float32); in bfloat16 it is another matrix, tiny-bfloat16-v1 for "
    "tiny-v1, with records and ranks of its own (docs/many-gpus.md)"
)
AGAIN = "what is done is kept: the same command goes on from there"
WAY_OUT = "nothing that was there is lost: mend it and run the command again"


class Terminated(BaseException):
    """SIGTERM came."""


@contextmanager
def ended_by_sigterm() -> Iterator[None]:
    """Let SIGTERM end a block as Ctrl-C does, so that workers end and files are left whole."""

    def end(*_: object) -> None:
        raise Terminated

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def told_on_stderr() -> Iterator[None]:
    """Print what the package tells while a block runs, a line each, above any bar."""

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            from tqdm import tqdm

            tqdm.write(f"oodbench: {record.getMessage()}", file=sys.stderr)

    log, lines = logging.getLogger("oodbench"), Lines()
    before = log.level
    log.addHandler(lines)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.setLevel(before)
        log.removeHandler(lines)


def parser() -> argparse.ArgumentParser:
    """Return the command line's grammar."""
    top = argparse.ArgumentParser(prog="oodbench", description=__doc__.splitlines()[0] if __doc__ else None)
    top.add_argument("--version", action="version", version=f"oodbench {__version__}")
    verbs = top.add_subparsers(title="verbs", metavar="VERB", required=True)

    def verb(name: str, call: Callable[[argparse.Namespace], int], help: str, example: str) -> argparse.ArgumentParser:
        sub = verbs.add_parser(
            name,
            help=help,
            description=help,
            epilog=f"examples:\n{example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        sub.set_defaults(verb=call)
        return sub

    sub = verb(
        "list",
        list_,
        "List methods, matrices, data sets, attacks and corruptions.",
        "  oodbench list\n  oodbench list --judges-mine\n  oodbench list --json",
    )
    sub.add_argument(
        "--judges-mine", action="store_true", help="only methods that judge a given classifier (oodbench.evaluate)"
    )
    sub.add_argument("--json", action="store_true", help="print JSON: all that is known of each")

    for name, call, help, example in (
        ("plan", plan, "Show what a run would do: what is done, cached, skipped and why, time and disk.", "tiny-v1"),
        (
            "run",
            run,
            "Run methods on a matrix; resumes, and keeps what is done.",
            "tiny-v1 --methods msp odin --seeds 0",
        ),
    ):
        sub = verb(name, call, help, f"  oodbench {name} {example}\n  oodbench {name} tiny-v1 --all")
        sub.add_argument("matrix", help="name of a matrix (oodbench list)")
        which = sub.add_mutually_exclusive_group()
        which.add_argument("--methods", nargs="+", metavar="METHOD", help="names; default: the matrix's own, or all")
        which.add_argument("--all", action="store_true", help="every method")
        sub.add_argument("--seeds", nargs="+", type=at_least(0), metavar="SEED", help="default: the matrix's own")
        results(sub, "folder of records")
        _places(sub, device='"cpu", "cuda", "cuda:1" ..., several as "cuda:0,cuda:1"')
        if name == "plan":
            _many(sub)
        if name == "run":
            _workers(sub)
            _cluster(sub)
            sub.add_argument("--forward-precision", choices=PRECISIONS, default=WHOLE, help=FORWARD_PRECISION)
            sub.add_argument("--remake", action="store_true", help="make the records again that stand")
            sub.add_argument(
                "--unchecked",
                action="store_true",
                help="run new methods also where they break a law of oodbench check; their rows say so, and have no "
                "rank",
            )
            sub.add_argument(
                "--shard",
                type=shard,
                metavar="I/N",
                help="the I-th of N parts of the plan, from 0: for Slurm arrays; parts of one model stay together",
            )
            sub.add_argument("--leaderboard", type=Path, help="write the leaderboard of the results there afterwards")

    sub = verb(
        "evaluate",
        evaluate,
        "Judge your own classifier: which methods tell its failures? Data are folders, lists, archives, or "
        "hf:NAME[SPLIT].",
        "  oodbench evaluate --model timm:resnet18.a1_in1k --test val/ --failures textures=dtd/images\n"
        "  oodbench evaluate --model resnet20.th --network he-resnet-20 --mean .485 .456 .406 --std .229 .224 .225 \\\n"
        "      --train train/ --test test/ --failures svhn=svhn/ digits.npz --attacks fgsm-8 --out report/\n"
        "  oodbench evaluate --model my_package.models:best --matrix cifar10-v1 --data ~/sets --out report/\n"
        "  oodbench evaluate --model stored:head.npz --train train.npz --test test.npz --failures far=far.npz",
    )
    _evaluate_options(sub)

    sub = verb(
        "verify",
        verify,
        "Hold results against their scores, matrices, cards and methods; or make randomly drawn records again, from "
        "nothing, and compare.",
        verify_command.EXAMPLES,
    )
    verify_command.add_options(sub, share, at_least(0))
    results(sub, "folder of records")
    _places(sub, cache=False)
    _workers(sub)

    sub = verb(
        "data",
        data,
        "Say which data sets are here, get one or all that a matrix names, or check their bytes.",
        "  oodbench data list\n  oodbench data get fashion-mnist\n  oodbench data get cifar10-v1\n"
        "  oodbench data check --data ~/sets",
    )
    sub.add_argument("action", choices=("list", "get", "check"))
    sub.add_argument(
        "cards", nargs="*", metavar="CARD", help="names of data sets, for get also of matrices; default: all"
    )
    sub.add_argument("--data", type=Path, help="your own root of data sets, searched first")

    sub = verb(
        "metrics",
        metrics,
        "Compute every ranking metric of two arrays of scores (higher = more to be trusted).",
        "  oodbench metrics --good in.npy --bad out.npy --json",
    )
    sub.add_argument("--good", type=Path, required=True, help=".npy file: scores of what should be accepted")
    sub.add_argument("--bad", type=Path, required=True, help=".npy file: scores of what should be flagged")
    sub.add_argument("--json", action="store_true", help="print JSON")

    sub = verb(
        "table",
        table,
        "Rebuild leaderboard.md from the stored scores.",
        "  oodbench table\n  oodbench table --check\n  oodbench table --csv numbers.csv",
    )
    _page_of_scores(sub, "--leaderboard", "leaderboard.md")
    sub.add_argument("--csv", type=Path, help="also write every number, one a line")

    sub = verb(
        "show",
        show,
        "Draw what a method scores right, wrong, out-set, attacked and corrupted inputs, from the stored scores.",
        "  oodbench show tiny-v1 msp\n  oodbench show fashion-mnist-v2 knn --seed 3 --out pictures",
    )
    sub.add_argument("matrix", metavar="MATRIX", help="name of a matrix with records")
    sub.add_argument("method", metavar="METHOD", help="a method with a record there")
    sub.add_argument("--seed", type=at_least(0), help="of the model (default: the lowest that has a record)")
    sub.add_argument("--out", type=Path, help="folder to write to (default: shown/MATRIX/METHOD)")
    results(sub, "folder of records")

    sub = verb(
        "claims",
        claims,
        "Test the papers' claims on the stored scores, and write the page that says what holds.",
        "  oodbench claims\n  oodbench claims --check",
    )
    _page_of_scores(sub, "--page", "docs/claims.md")

    sub = verb(
        "diagnostics",
        diagnostics,
        "Write what the diagnostics found over seeds, from the files that diagnose wrote.",
        "  oodbench diagnostics\n  oodbench diagnostics --check",
    )
    _page_of_scores(sub, "--page", "docs/diagnostics.md")

    sub = verb(
        "check",
        check,
        "Run the conformance checks on a method, in-tree or from an installed package.",
        "  oodbench check odin\n  oodbench check --all",
    )
    sub.add_argument("methods", nargs="*", metavar="METHOD")
    sub.add_argument("--all", action="store_true", help="check every method")
    sub.add_argument("-v", "--verbose", action="store_true", help="also print the laws that hold or were skipped")

    sub = verb(
        "explain",
        explain,
        "Draw what an IB-INN sees: heat, salience and gradient maps, similar classes, each image's decision space.",
        "  oodbench explain ib-inn-2 tiny-v1\n  oodbench explain ib-inn-8 tiny-v1 --images 16 --out pictures",
    )
    sub.add_argument("method", metavar="METHOD", help="a method whose model is an IB-INN")
    sub.add_argument("matrix", metavar="MATRIX", help="name of a matrix (oodbench list)")
    sub.add_argument("--seed", type=at_least(0), default=0, help="of the model (default: 0)")
    sub.add_argument("--images", type=at_least(1), default=8, help="how many test images (default: 8)")
    sub.add_argument("--out", type=Path, help="folder to write to (default: explained/MATRIX/METHOD/SEED)")
    _places(sub)

    sub = verb(
        "diagnose",
        diagnose,
        "Study a trained model: where a flow's likelihood comes from, what it draws, how a log density is distributed, "
        "what WAIC owes to each member, whether purified features mend misclassifications, or which scores take in "
        "images that climb a density. Or, without a model, what evaluations of a density say.",
        "  oodbench diagnose likelihood tiny-v1 --method glow-cv\n  oodbench diagnose purification tiny-v1\n"
        "  oodbench diagnose adversarial-noise tiny-v1 --method glow --images 100\n"
        "  oodbench diagnose samples tiny-v1 --method flow-gan-0\n"
        "  oodbench diagnose density-evaluation mnist5k-v1",
    )
    sub.add_argument(
        "diagnostic",
        choices=diagnostic_names(),
        help="which; docs/diagnostics.md tells what each finds",
    )
    sub.add_argument("matrix", metavar="MATRIX", help="name of a matrix (oodbench list)")
    sub.add_argument("--method", help="whose model (default: what is usual for the diagnostic)")
    sub.add_argument("--seed", type=at_least(0), default=0, help="of the model (default: 0)")
    sub.add_argument("--images", type=at_least(1), help="most images a set (default: the diagnostic's own)")
    sub.add_argument("--out", type=Path, help="folder to write to (default: diagnosed/MATRIX/METHOD/SEED)")
    _places(sub)

    for module in (compare, cite, new, site):
        module.add(verb)
    submit.add(verb, _modules_of)
    return top


def _modules_of(methods: list[str]) -> list[str]:
    from oodbench.run.registry import find

    return [entry.module for entry in find(methods)]


def _evaluate_options(sub: argparse.ArgumentParser) -> None:
    """Add the options of `oodbench evaluate`."""
    model = sub.add_argument_group("the classifier")
    model.add_argument(
        "--model",
        required=True,
        help="timm:NAME, torchvision:NAME[@WEIGHTS], hf:NAME[@REVISION], MODULE:FUNCTION, a checkpoint's path with "
        "--network, or stored[:HEAD.npz] where sets hold logits and features",
    )
    model.add_argument(
        "--network", help="of a checkpoint: a network's name (README), timm:NAME, torchvision:NAME, MODULE:FUNCTION"
    )
    model.add_argument("--weights", type=Path, help="a checkpoint to read instead of the library's own weights")
    model.add_argument("--mean", nargs="+", type=float, help="what its inputs are standardised by, an entry a channel")
    model.add_argument("--std", nargs="+", type=float, help="likewise")
    model.add_argument("--head", help="name of its last linear layer (default: it is found)")
    model.add_argument("--layers", nargs="+", help="names of modules that multi-layer methods read")
    model.add_argument("--pool", help="name of the module that pools the last feature map (default: it is found)")
    data = sub.add_argument_group(
        "data, each a folder of pictures (a folder a class, where classes are needed), a list `path label` a line "
        "(.txt), an .npz (images and labels, or logits, features and labels), a .npy, or hf:NAME[SPLIT]"
    )
    data.add_argument("--test", help="held-out images of the classifier's distribution, with classes")
    data.add_argument("--train", help="images that it was trained on, with classes: some methods fit on them")
    data.add_argument("--failures", nargs="+", metavar="[NAME=]DATA", help="out-of-distribution images")
    data.add_argument("--validation", help="held-out images with classes: some methods fit or tune on them")
    data.add_argument("--ood-validation", nargs="+", metavar="[NAME=]DATA", help="held-out out-of-distribution images")
    data.add_argument("--matrix", help="take the sets and attacks of a matrix instead (oodbench list)")
    data.add_argument("--data", type=Path, help="your own root of data sets, for --matrix")
    data.add_argument("--transform", metavar="MODULE:NAME", help="what becomes of pictures (default: the model's own)")
    data.add_argument("--classes", type=Path, help="file with the names of the model's outputs, a line each, in order")
    sub.add_argument(
        "--methods", nargs="+", metavar="METHOD", help="names (default: all that can judge it with these data)"
    )
    sub.add_argument(
        "--attacks", nargs="*", metavar="ATTACK", help="names (oodbench list); default: the matrix's, or none"
    )
    sub.add_argument("--out", type=Path, help="folder for the report, its pictures and all scores")
    sub.add_argument(
        "--cache", type=Path, help="folder that keeps outputs: the same command goes on there after a stop"
    )
    sub.add_argument("--device", default="cpu", help='"cpu", "cuda", "cuda:1" ... (default: cpu)')
    sub.add_argument("--batch", type=at_least(1), help="inputs a forward pass (default: what suits the model)")
    sub.add_argument(
        "--gradient-batch", type=at_least(1), help="inputs at a time where derivatives are taken (likewise)"
    )
    sub.add_argument("--workers", type=at_least(0), default=0, help="processes that read items of data sets ahead")
    sub.add_argument("--seed", type=at_least(0), default=0, help="for methods whose fit is random (default: 0)")


def _page_of_scores(sub: argparse.ArgumentParser, option: str, page: str) -> None:
    """Add the options of a verb that writes a page from the stored scores, or compares it."""
    results(sub, "folder of records")
    sub.add_argument(option, type=Path, default=Path(page), help=f"file to write (default: {page})")
    sub.add_argument(
        "--check", action="store_true", help="write nothing; fail if the file is not what would be written"
    )


def _places(sub: argparse.ArgumentParser, device: str = '"cpu", "cuda", "cuda:1" ...', *, cache: bool = True) -> None:
    """Add the options that say where data sets and models lie, and on what to compute; `device` is said in the help."""
    sub.add_argument("--data", type=Path, help="your own root of data sets, searched first")
    if cache:
        sub.add_argument(
            "--cache", type=Path, help="folder of weights and outputs (default: $OODBENCH_CACHE or ~/.cache)"
        )
    sub.add_argument("--device", default="cpu", help=f"{device} (default: cpu)")


def _workers(sub: argparse.ArgumentParser) -> None:
    """Add the options that say where tasks run."""
    sub.add_argument(
        "--workers",
        type=at_least(1),
        help="processes (default: one a device on GPUs, else 2; on Ray as room is), the devices in turn",
    )
    sub.add_argument(
        "--engine",
        default="local",
        help='"local" (a pool of processes), "process" (this one), "ray" (a Ray cluster of this machine), '
        '"ray:HOST:PORT" or "ray:auto" (one that runs), or an installed one\'s name',
    )


def _many(sub: argparse.ArgumentParser) -> None:
    """Add the options that ask how long a matrix takes on many workers."""
    sub.add_argument(
        "--workers",
        nargs="+",
        type=at_least(1),
        metavar="N",
        help="tell instead how long all of it takes on so many, by costs on record; MATRIX may be a scale: paper",
    )
    sub.add_argument(
        "--speed", type=positive, default=1.0, help="of a worker, in cores of the machine on record (default: 1)"
    )


def _cluster(sub: argparse.ArgumentParser) -> None:
    """Add the options of engines that run on several machines (docs/many-gpus.md)."""
    sub.add_argument(
        "--gpus", type=positive, default=1.0, help="GPUs a task, on Ray: 0.5 lets two share one (default: 1)"
    )
    sub.add_argument("--memory", type=positive, default=2.0, metavar="GB", help="memory a task, on Ray (default: 2)")
    sub.add_argument(
        "--store",
        metavar="WHERE",
        help="s3://BUCKET/PREFIX or a folder, by which workers that share no --cache hand on what they made",
    )


def positive(text: str) -> float:
    """Read a number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a number above 0")
    return value


def shard(text: str) -> tuple[int, int]:
    """Read which part of a plan to run, and of how many: "3/16"."""
    part, _, parts = text.partition("/")
    if not (part.isdigit() and parts.isdigit() and int(part) < int(parts)):
        raise argparse.ArgumentTypeError(f"got {text!r}, expected I/N with I from 0 to N - 1, as 3/16")
    return int(part), int(parts)


def share(text: str) -> float:
    """Read a share in (0, 1]."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a share in (0, 1], as 0.02")
    return value


def at_least(least: int) -> Callable[[str], int]:
    """Return a reader of whole numbers that are not below `least`."""

    def read(text: str) -> int:
        if not text.lstrip("-").isdigit() or int(text) < least:
            raise argparse.ArgumentTypeError(f"got {text!r}, expected a whole number from {least}")
        return int(text)

    return read


def list_(arguments: argparse.Namespace) -> int:
    """Print what there is."""
    from oodbench.run.listing import listing

    print(listing(arguments.judges_mine, arguments.json))
    return 0


def _context(arguments: argparse.Namespace) -> "tuple[Context, list[Job | Skip]]":
    from oodbench.data.given import resolved
    from oodbench.data.matrix import find_matrix
    from oodbench.run.plan import plan as make_plan
    from oodbench.run.rows import rows
    from oodbench.run.tasks import guarded
    from oodbench.run.workspace import Workspace, default_cache

    name = named(arguments.matrix, getattr(arguments, "forward_precision", WHOLE))
    matrix = resolved(find_matrix(name), arguments.data)
    names = arguments.methods or (() if getattr(arguments, "all", True) else matrix.methods)
    entries = rows(matrix, names)
    cache = getattr(arguments, "cache", None) or default_cache()
    store = getattr(arguments, "store", None)
    workspace = Workspace(arguments.results, arguments.data, cache, arguments.device.split(",")[0], store=store)
    seeds = arguments.seeds if arguments.seeds is not None else matrix.seeds
    return guarded(matrix, workspace), make_plan(matrix, entries, seeds)


def _engine(arguments: argparse.Namespace, workspace: "Workspace") -> "Backend":
    """Return the backend that the options name, at the folders of a workspace."""
    from oodbench.run.engines import engine

    return engine(arguments.engine, workspace, arguments.device.split(","), arguments.workers)


def _needs(arguments: argparse.Namespace) -> "Needs":
    """Return what each task takes, by the options."""
    from oodbench.run.graph import Needs

    return Needs(gpus=0 if arguments.device == "cpu" else arguments.gpus, memory_gb=arguments.memory)


def plan(arguments: argparse.Namespace) -> int:
    """Print what a run would do."""
    from oodbench.run.cost_model import forecast_on
    from oodbench.run.forecast import forecast

    if arguments.workers:
        named = arguments.methods or ()
        print(forecast_on(arguments.matrix, named, arguments.results, arguments.workers, arguments.speed))
    else:
        print(forecast(*_context(arguments)))
    return 0


def run(arguments: argparse.Namespace) -> int:
    """Run, print the table, say where everything lies."""
    from oodbench.check.before import before_ranking
    from oodbench.report.summary import summary
    from oodbench.run.execute import execute
    from oodbench.run.plan import part

    context, planned = _context(arguments)
    if arguments.shard:
        planned = part(planned, *arguments.shard)
    planned, refused = before_ranking(planned, unchecked=arguments.unchecked)
    if refused and not planned:
        print("\n".join(map(str, refused)), file=sys.stderr)
        return 1
    backend = _engine(arguments, context.workspace)
    try:
        made = execute(
            context, planned, backend, remake=arguments.remake, shared=bool(arguments.shard), needs=_needs(arguments)
        )
    finally:
        backend.close()
    print(summary(context.workspace.results, context.matrix.name, arguments.leaderboard))
    for record in made.failed:
        print(f"FAILED  {record.method}, seed {record.seed}: {record.reason or 'see its record'}", file=sys.stderr)
    if made.kept_from:
        print(made.of_other_machines(arguments.device), file=sys.stderr)
    for one in refused:
        print(one, file=sys.stderr)
    return 1 if made.failed or made.kept_from or refused else 0


def evaluate(arguments: argparse.Namespace) -> int:
    """Judge a user's classifier, and print what was found."""
    from oodbench.run.judge import judge

    print(judge(arguments))
    return 0


def verify(arguments: argparse.Namespace) -> int:
    """Print what is wrong with results, or what came of making records again."""
    return verify_command.verify(arguments, _rerun)


def _rerun(arguments: argparse.Namespace) -> int:
    from oodbench.reruns import append
    from oodbench.run.verify import nonce, rerun, sampled, told

    context, planned = _context(arguments)
    draw = arguments.draw or nonce()
    found = rerun(context, planned, arguments.rerun, draw, partial(_engine, arguments))
    print(told(context, found, draw))
    if arguments.history:
        append(arguments.history, sampled(context, found, draw, arguments.rerun))
    return 1 if any(one.verdict in ("drifted", "failed") for one in found) else 0


def data(arguments: argparse.Namespace) -> int:
    """Print the state of data sets, get or check them."""
    from oodbench.data.inventory import check_cards, get_cards, list_cards

    action = {"list": list_cards, "get": get_cards, "check": check_cards}[arguments.action]
    text, well = action(arguments.cards, arguments.data)
    print(text)
    return 0 if well else 1


def metrics(arguments: argparse.Namespace) -> int:
    """Print the metrics of two files of scores."""
    from oodbench.measure.files import measure_files

    numbers = measure_files(arguments.good, arguments.bad)
    if arguments.json:
        print(json.dumps(numbers, indent=1))
    else:
        print("\n".join(f"{name:22} {value}" for name, value in numbers.items()))
    return 0


def table(arguments: argparse.Namespace) -> int:
    """Write the leaderboard, or compare it."""
    from oodbench.report.leaderboard import rebuild

    text, well = rebuild(arguments.results, arguments.leaderboard, check=arguments.check, csv=arguments.csv)
    print(text)
    return 0 if well else 1


def diagnostics(arguments: argparse.Namespace) -> int:
    """Write the page of the diagnostics, or compare it."""
    from oodbench.report.diagnostics_page import rebuild

    text, well = rebuild(arguments.results, arguments.page, check=arguments.check)
    print(text)
    return 0 if well else 1


def claims(arguments: argparse.Namespace) -> int:
    """Write the page of the papers' claims, or compare it."""
    from oodbench.report.claims_page import rebuild

    text, well = rebuild(arguments.results, arguments.page, check=arguments.check)
    print(text)
    return 0 if well else 1


def show(arguments: argparse.Namespace) -> int:
    """Write the pictures of a method on a matrix, print its table and their names."""
    from oodbench.report.show import show as write

    matrix, method = arguments.matrix, arguments.method
    made = write(arguments.results, matrix, method, arguments.seed, arguments.out or Path("shown") / matrix / method)
    print(f"{made.table}\n")
    print("\n".join(map(str, made.files)))
    return 0


def check(arguments: argparse.Namespace) -> int:
    """Print the verdicts of the conformance checks."""
    from oodbench.check.conformance import check_methods

    text, well = check_methods(arguments.methods, every=arguments.all, verbose=arguments.verbose)
    print(text)
    return 0 if well else 1


def explain(arguments: argparse.Namespace) -> int:
    """Write the arrays and pictures of an explanation, print their names."""
    from oodbench.explain import explain as write
    from oodbench.run.machine import exact
    from oodbench.run.progress import Progress
    from oodbench.run.workspace import Workspace, default_cache

    method, matrix, seed = arguments.method, arguments.matrix, arguments.seed
    workspace = Workspace(data=arguments.data, cache=arguments.cache or default_cache(), device=arguments.device)
    out = arguments.out or Path("explained") / matrix / method / str(seed)
    with exact(workspace.torch_device), Progress(1) as progress:
        files = write(method, matrix, workspace, seed, arguments.images, out, partial(progress.watch, method))
    print("\n".join(map(str, files)))
    return 0


def diagnose(arguments: argparse.Namespace) -> int:
    """Write the numbers and pictures of a diagnostic, print its table and their names."""
    from oodbench.run.machine import exact
    from oodbench.run.progress import Progress
    from oodbench.run.workspace import Workspace, default_cache

    diagnostic, analyse = find_diagnostic(arguments.diagnostic), analyse_of(arguments.diagnostic)
    if diagnostic.method is None and arguments.method:
        raise BadSetting(f"{arguments.diagnostic} needs no trained model: leave out --method {arguments.method}")
    method = arguments.method or diagnostic.method or NO_MODEL
    matrix, seed, images = arguments.matrix, arguments.seed, arguments.images or diagnostic.images
    workspace = Workspace(data=arguments.data, cache=arguments.cache or default_cache(), device=arguments.device)
    out = arguments.out or Path("diagnosed") / matrix / method / str(seed)
    with exact(workspace.torch_device), Progress(1) as progress:
        made = analyse(method, matrix, workspace, seed, images, out, partial(progress.watch, method))
    print(f"{made.table}\n")
    print("\n".join(map(str, made.files)))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""`oodbench evaluate`."""

from pathlib import Path
from typing import Annotated

from oodbench.commands import names
from oodbench.commands.options import at_least, number, option
from oodbench.commands.stop import Terminated
from oodbench.commands.told import Json, tell

EXAMPLES = (
    "  oodbench evaluate --model timm:resnet18.a1_in1k --test val/ --failures textures=dtd/images\n"
    "  oodbench evaluate --model resnet20.th --network he-resnet-20 --mean .485 .456 .406 --std .229 .224 .225 \\\n"
    "      --train train/ --test test/ --failures svhn=svhn/ digits.npz --attacks fgsm-8 --out report/\n"
    "  oodbench evaluate --model my_package.models:best --matrix cifar10-v1 --data ~/sets --out report/\n"
    "  oodbench evaluate --model stored:head.npz --train train.npz --test test.npz --failures far=far.npz"
)

MODEL = "the classifier"
DATA = "data"
GIVEN = "[NAME=]DATA ..."
NOTHING_KEPT = "nothing is kept: with --cache FOLDER the same command goes on after a stop"


def command(
    model: Annotated[
        str,
        option(
            "--model",
            metavar="MODEL",
            group=MODEL,
            help="timm:NAME, torchvision:NAME[@WEIGHTS], hf:NAME[@REVISION], MODULE:FUNCTION, a checkpoint's path with "
            "--network, or stored[:HEAD.npz] where sets hold logits and features",
        ),
    ],
    network: Annotated[
        str | None,
        option(
            "--network",
            metavar="NAME",
            group=MODEL,
            help="of a checkpoint: a name (docs/judge-your-classifier), timm:NAME, torchvision:NAME, MODULE:FUNCTION",
        ),
    ] = None,
    weights: Annotated[
        Path | None,
        option(
            "--weights",
            metavar="FILE",
            group=MODEL,
            help="a checkpoint to read instead of the library's own weights",
        ),
    ] = None,
    mean: Annotated[
        list[float] | None,
        option(
            "--mean",
            metavar="X...",
            group=MODEL,
            read=number,
            help="what its inputs are standardised by, an entry a channel",
        ),
    ] = None,
    std: Annotated[
        list[float] | None, option("--std", metavar="X...", group=MODEL, read=number, help="likewise")
    ] = None,
    head: Annotated[
        str | None,
        option("--head", metavar="NAME", group=MODEL, help="name of its last linear layer (default: it is found)"),
    ] = None,
    layers: Annotated[
        list[str] | None,
        option("--layers", metavar="NAME...", group=MODEL, help="names of modules that multi-layer methods read"),
    ] = None,
    pool: Annotated[
        str | None,
        option(
            "--pool",
            metavar="NAME",
            group=MODEL,
            help="name of the module that pools the last feature map (default: it is found)",
        ),
    ] = None,
    test: Annotated[
        str | None,
        option(
            "--test",
            metavar="DATA",
            group=DATA,
            help="held-out images of the classifier's distribution, with classes",
        ),
    ] = None,
    train: Annotated[
        str | None,
        option(
            "--train",
            metavar="DATA",
            group=DATA,
            help="images that it was trained on, with classes: some methods fit on them",
        ),
    ] = None,
    failures: Annotated[
        list[str] | None, option("--failures", metavar=GIVEN, group=DATA, help="out-of-distribution images")
    ] = None,
    validation: Annotated[
        str | None,
        option(
            "--validation",
            metavar="DATA",
            group=DATA,
            help="held-out images with classes: some methods fit or tune on them",
        ),
    ] = None,
    ood_validation: Annotated[
        list[str] | None,
        option("--ood-validation", metavar=GIVEN, group=DATA, help="held-out out-of-distribution images"),
    ] = None,
    matrix: Annotated[
        str | None,
        option(
            "--matrix",
            metavar="MATRIX",
            group=DATA,
            help="take the sets and attacks of a matrix instead (oodbench list)",
            known=names.matrices,
        ),
    ] = None,
    data: Annotated[
        Path | None,
        option("--data", metavar="FOLDER", group=DATA, help="your own root of data sets, for --matrix"),
    ] = None,
    transform: Annotated[
        str | None,
        option(
            "--transform",
            metavar="MODULE:NAME",
            group=DATA,
            help="what becomes of pictures (default: the model's own)",
        ),
    ] = None,
    classes: Annotated[
        Path | None,
        option(
            "--classes",
            metavar="FILE",
            group=DATA,
            help="file with the names of the model's outputs, a line each, in order",
        ),
    ] = None,
    methods: Annotated[
        list[str] | None,
        option(
            "--methods",
            metavar="METHOD...",
            help="names (default: all that can judge it with these data)",
            known=names.judges_mine,
        ),
    ] = None,
    attacks: Annotated[
        list[str] | None,
        option(
            "--attacks",
            metavar="[ATTACK...]",
            help="names (oodbench list); default: the matrix's, or none",
            known=names.attacks,
        ),
    ] = None,
    out: Annotated[
        Path | None, option("--out", metavar="FOLDER", help="folder for the report, its pictures and all scores")
    ] = None,
    cache: Annotated[
        Path | None,
        option(
            "--cache",
            metavar="FOLDER",
            help="folder that keeps outputs: the same command goes on there after a stop",
        ),
    ] = None,
    device: Annotated[
        str, option("--device", metavar="DEVICE", help='"cpu", "cuda", "cuda:1" ... (default: cpu)')
    ] = "cpu",
    batch: Annotated[
        int | None,
        option(
            "--batch",
            metavar="N",
            read=at_least(1),
            help="inputs a forward pass (default: what suits the model)",
        ),
    ] = None,
    gradient_batch: Annotated[
        int | None,
        option(
            "--gradient-batch",
            metavar="N",
            read=at_least(1),
            help="inputs at a time where derivatives are taken (likewise)",
        ),
    ] = None,
    workers: Annotated[
        int,
        option(
            "--workers", metavar="N", read=at_least(0), help="processes that read items of data sets ahead (default: 0)"
        ),
    ] = 0,
    seed: Annotated[
        int,
        option("--seed", metavar="SEED", read=at_least(0), help="for methods whose fit is random (default: 0)"),
    ] = 0,
    as_json: Json = False,
) -> int:
    """Judge your own classifier: which methods tell its failures?

    Data are a folder of pictures (a folder a class, where classes are needed), a list `path label` a line (.txt), an
    .npz (images and labels, or logits, features and labels), a .npy, or hf:NAME[SPLIT].
    """
    try:
        from oodbench.run.judge import Asked, judge

        asked = Asked(
            model=model,
            network=network,
            weights=weights,
            mean=mean,
            std=std,
            head=head,
            layers=layers or (),
            pool=pool,
            test=test,
            train=train,
            failures=failures or (),
            validation=validation,
            ood_validation=ood_validation or (),
            matrix=matrix,
            data=data,
            transform=transform,
            classes=classes,
            methods=methods,
            attacks=None if attacks is None else [name for name in attacks if name],
            out=out,
            cache=cache,
            device=device,
            batch=batch,
            gradient_batch=gradient_batch,
            workers=workers,
            seed=seed,
        )
        answer, well = judge(asked)
    except (KeyboardInterrupt, Terminated) as stop:
        if cache is None:
            raise type(stop)(NOTHING_KEPT) from stop
        raise
    return tell(answer, as_json, well=well)

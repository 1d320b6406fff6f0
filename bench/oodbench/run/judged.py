"""A user's classifier, ready to be judged: on its device, in evaluation mode, looked at before numbers are made."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn

from oodbench.contract import LOGITS, Output
from oodbench.data.inputs import Inputs
from oodbench.errors import BadMethod
from oodbench.models.outputs import Trained
from oodbench.networks import Classifier, Headed
from oodbench.networks.headed import FIRST
from oodbench.networks.wrappers import unwrapped
from oodbench.sources.pictures import PictureImages

Layers = Sequence[str] | Mapping[str, int]

ANSWER: frozenset[Output] = frozenset({LOGITS})


def as_model(model: object, head: str | None, layers: Layers, pool: str | None) -> nn.Module:
    """Return a user's module as a `Model`.

    Raises:
        BadMethod: it is no module.
        UnknownName: it has no module of that name.
    """
    if isinstance(model, torch.export.ExportedProgram):
        raise BadMethod("model: got an ExportedProgram; expected an nn.Module: hand over model.module()")
    if not isinstance(model, nn.Module):
        got = f"the class {model.__name__}" if isinstance(model, type) else f"a value of type {type(model).__name__}"
        raise BadMethod(f"model: got {got}; expected an nn.Module, whose forward pass gives logits")
    inside = unwrapped(model)
    if isinstance(inside, Classifier | Headed):
        if head or layers or pool:
            raise BadMethod(
                f"head, layers or pool is given with a {type(inside).__name__}, which knows its own; name them there: "
                f"Headed(model, head, layers, pool=...)"
            )
        return inside
    with torch.inference_mode(False):  # what is made in the caller's has no derivatives
        return Headed(inside, head, layers, pool=pool)


@contextmanager
def evaluating(model: nn.Module, device: torch.device) -> Iterator[None]:
    """Put a model on a device in evaluation mode, without gradients by its weights, and back as it was.

    What it was compiled to is not used meanwhile, nor autocast nor inference mode of the caller: hooks have to see its
    modules, detectors compute in whole float32, and derivatives are taken. What is so already is left alone: of one
    small image, telling every module anew would take as long as its forward pass.
    """
    modes = {module: module.training for module in model.modules()}
    weights = [weight for module in modes for weight in module.parameters(recurse=False)]
    buffers = [buffer for module in modes for buffer in module.buffers(recurse=False)]
    wants = {weight: weight.requires_grad for weight in weights if not weight.is_inference()}
    here = torch.empty(0, device=device).device  # with the number that "cuda" leaves out
    home = weights[0].device if weights else here
    elsewhere = any(one.device != here for one in (*weights, *buffers))
    compiled = any("_orig_mod" in one._modules or one.__dict__.get("_compiled_call_impl") for one in modes)
    with ExitStack() as quiet:
        quiet.enter_context(torch.inference_mode(False))
        quiet.enter_context(torch.autocast(device.type, enabled=False))
        if compiled:
            quiet.enter_context(torch.compiler.set_stance("force_eager"))
        try:
            if elsewhere:
                model.to(device)
            _want(dict.fromkeys(wants, False))
            if any(modes.values()):
                _to_evaluation(model)
            yield
        finally:
            for module, mode in modes.items():
                if module.training != mode:
                    module.training = mode
            _want(wants)
            if elsewhere:
                model.to(home)


def _want(gradients: Mapping[nn.Parameter, bool]) -> None:
    for weight, wanted in gradients.items():
        if weight.requires_grad != wanted:
            weight.requires_grad_(wanted)


def _to_evaluation(model: nn.Module) -> None:
    try:
        model.eval()
    except NotImplementedError:  # a program of torch.export is in the mode in which it was exported
        return


def first_look(model: Trained, images: Inputs) -> int:
    """Return how many classes a model knows, after it has answered one image alone, and that image among others.

    Raises:
        BadMethod: it cannot read them, answers with something else than logits, or otherwise in other company.
    """
    x = torch.from_numpy(images.batch(spread(len(images), FIRST))).to(model.device)
    together = _answer(
        model, x, f"the first of the {'test' if images.card == 'test' else 'training'} images", _hint(images)
    )
    alone = _answer(model, x[:1], "one of the training images")
    _check_alone(model, x, alone, together[:1])
    return together.shape[1]


def spread(n: int, most: int) -> slice:
    """Return at most `most` of n rows, at equal distances.

    Example:
        >>> list(range(100))[spread(100, 4)]
        [0, 25, 50, 75]
    """
    step = max(1, -(-n // most))
    return slice(0, None, step)


def _hint(images: Inputs) -> str:
    """Return what to do where pictures have other channels than a model."""
    if not isinstance(images, PictureImages):
        return ""
    if images.preprocess and images.shape[0] == 3:
        return "; pictures are handed to the transform in RGB: for a model of one channel begin it with Grayscale()"
    if not images.preprocess and images.shape[0] == 1:
        return (
            "; the first picture is grey, and so are all: transform=torchvision.transforms.ToTensor() has them in RGB"
        )
    return ""


def _answer(model: Trained, x: Tensor, which: str, hint: str = "") -> Tensor:
    try:
        with torch.no_grad():
            logits: Tensor = model.net.outputs(x, ANSWER)[LOGITS]  # type: ignore[operator]
    except (RuntimeError, ValueError, TypeError, AssertionError, IndexError) as error:
        raise BadMethod(
            f"the model cannot read {which}, float32 {list(x.shape)} ({_first_line(error)}); "
            f"expected images [n c h w] as it was trained on, in batches of any size, and weights of one dtype{hint}"
        ) from error
    if len(logits) != len(x):
        raise BadMethod(
            f"the model answered {len(x)} images with {len(logits)} rows; expected logits [n C], a row each"
        )
    return logits


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


def _check_alone(model: Trained, x: Tensor, alone: Tensor, among: Tensor) -> None:
    """Check that an image's logits are its own, within half the digits of the coarsest dtype that takes part."""
    dtypes = {one.dtype for one in model.net.parameters() if one.is_floating_point()} | {torch.float32}
    near = max(torch.finfo(dtype).eps for dtype in dtypes) ** 0.5
    size = float(among.abs().max())
    off = float((alone - among).abs().max())
    if not off > near * size:
        return
    again = _answer(model, x[:1], "one of the training images")
    if float((alone - again).abs().max()) > near * size:
        raise BadMethod(
            f"two passes over one image differ by up to {off:.2g} in logits up to {size:.2g}: the model is random in "
            f"evaluation mode, so that no score of it can be made again; pass `training=self.training` to its "
            f"functional dropout, or average passes of a fixed seed inside forward"
        )
    raise BadMethod(
        f"an image's logits, up to {size:.2g}, differ by up to {off:.2g} alone and in a batch of {len(x)}: the model's "
        f"output depends on its batch, so that a score would tell of the other images in it; let batch norms use their "
        f"running statistics in evaluation mode (track_running_stats=True)"
    )

"""Trained classifiers by name: of timm, torchvision, Hugging Face, the user's own code, or a network's checkpoint."""

import importlib
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from oodbench.errors import BadCheckpoint, BadMethod, BadSetting, MissingData, UnknownName
from oodbench.models.weights import fit_weights, read_weights
from oodbench.networks import OF_TOKENS, TRUNKS, Classifier, trunk
from oodbench.networks.libraries import check_torchvision, from_timm, from_torchvision, with_timm
from oodbench.networks.public_names import public_names
from oodbench.sources.preprocess import Moments, Preprocess, preprocess, told_moments

EXPECTED = (
    "timm:NAME, torchvision:NAME[@WEIGHTS], hf:NAME[@REVISION], MODULE:FUNCTION (your own, which returns an "
    "nn.Module), or a "
    "checkpoint's path with its network"
)


@dataclass(frozen=True, eq=False)
class NamedModel:
    """A trained classifier, and what belongs to it.

    Attributes:
        name: As it was asked for.
        model: Maps standardised pixels to logits.
        preprocess: What becomes of pictures before it.
        standard: Mean and standard deviation of its inputs.
        classes: Names of its outputs, where they are known.
    """

    name: str
    model: nn.Module
    preprocess: Preprocess | None = None
    standard: Moments | None = None
    classes: tuple[str, ...] = ()


def load_model(
    name: str | Path,
    *,
    network: str | None = None,
    weights: str | Path | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> NamedModel:
    """Return a trained classifier by name, with its own preprocessing.

    No code of a download is run: weights are safetensors, or tensors of `torch.save`. `MODULE:FUNCTION` runs your own.

    Args:
        name: timm:NAME, torchvision:NAME[@WEIGHTS], hf:NAME[@REVISION], MODULE:FUNCTION, or a checkpoint's path.
        network: Of the checkpoint: a name in `oodbench.networks`, or timm:NAME, torchvision:NAME, MODULE:FUNCTION.
        weights: A checkpoint to read instead of the library's own.
        mean: What a checkpoint's inputs are standardised by, an entry a channel.
        std: Likewise.

    Raises:
        UnknownName: The library has no such model; the nearest is offered.
        BadMethod: The library is not installed, or the function returns no module.
        MissingData: The weights cannot be had.
        BadCheckpoint: They do not fit, or hold more than tensors.

    Example:
        >>> torch.save(torch.nn.Linear(2, 2).state_dict(), "best.pt")
        >>> code = Path("my_net.py").write_text("import torch; make = lambda: torch.nn.Linear(2, 2)")
        >>> oodbench.load_model("best.pt", network="my_net:make").model
        Linear(in_features=2, out_features=2, bias=True)

        By name, with the library's own weights and preprocessing, it is `load_model("timm:resnet18.a1_in1k")`.
    """
    text = str(name)
    if network is not None or (weights is None and Path(text).is_file()):
        return _checkpoint(text, network, mean, std)
    library, _, rest = text.partition(":")
    if not rest:
        there = "" if not Path(text).exists() else "; of a checkpoint say the network, too"
        raise BadSetting(f"model: got {text!r}; expected {EXPECTED}{there}")
    loader = LIBRARIES.get(library)
    loaded = loader(text, rest, weights) if loader else _own(text, library, rest, weights)
    told = told_moments(mean, std)
    return loaded if told is None else NamedModel(text, loaded.model, loaded.preprocess, told, loaded.classes)


def _timm(text: str, name: str, weights: str | Path | None) -> NamedModel:
    timm = with_timm(name)
    from timm.data import ImageNetInfo, infer_imagenet_subset, resolve_data_config

    model = _had(text, lambda: timm.create_model(name, pretrained=weights is None))
    _read_into(model, weights)
    how = preprocess(resolve_data_config({}, model=model))
    subset = infer_imagenet_subset(model)
    return NamedModel(text, model, how, how.standard, tuple(ImageNetInfo(subset).label_names()) if subset else ())


def _torchvision(text: str, rest: str, weights: str | Path | None) -> NamedModel:
    from torchvision import models

    name, _, asked = rest.partition("@")
    check_torchvision(name)
    every = models.get_model_weights(name)
    if asked and asked not in every.__members__:
        raise UnknownName(f"weights of torchvision:{name}", asked, every.__members__)
    chosen = every[asked] if asked else every.DEFAULT
    model = models.get_model(name, weights=None, num_classes=len(chosen.meta["categories"]))
    if weights is None:
        # Not get_model(weights=...): only here can be said that nothing but tensors is read.
        model.load_state_dict(
            _had(text, lambda: chosen.get_state_dict(progress=False, check_hash=True, weights_only=True))
        )
    _read_into(model, weights)
    how = preprocess(chosen.transforms())
    return NamedModel(text, model, how, how.standard, tuple(chosen.meta["categories"]))


def _huggingface(text: str, rest: str, weights: str | Path | None) -> NamedModel:
    try:
        from transformers import AutoImageProcessor, AutoModelForImageClassification
    except ImportError as error:
        raise BadMethod(f"model {text!r} needs transformers: pip install 'oodbench[models]'") from error
    name, _, revision = rest.partition("@")
    told: dict[str, Any] = {"revision": revision} if revision else {}
    model = _had(
        text,
        lambda: AutoModelForImageClassification.from_pretrained(
            name, use_safetensors=True, trust_remote_code=False, **told
        ),
    )
    processor = _had(text, lambda: AutoImageProcessor.from_pretrained(name, trust_remote_code=False, **told))
    _read_into(model, weights)
    how = preprocess(processor)
    names = getattr(model.config, "id2label", None) or {}
    return NamedModel(text, model, how, how.standard, tuple(str(names[key]) for key in sorted(names)))


def _own(text: str, module: str, function: str, weights: str | Path | None) -> NamedModel:
    if not re.fullmatch(r"[A-Za-z_][\w.]*", module) or not re.fullmatch(r"[A-Za-z_][\w.]*", function):
        raise BadSetting(f"model: got {text!r}; expected {EXPECTED}")
    made = call(text, module, function)
    _read_into(made, weights)
    return NamedModel(text, made)


def call(text: str, module: str, function: str) -> nn.Module:
    """Return the module that a user's own function returns; it is looked for from the working directory on.

    Raises:
        BadMethod: There is no such function, or it returns something else.
    """
    try:
        made = named_object(module, function)
    except ImportError as error:
        raise BadMethod(f"model {text!r}: {error}; expected {EXPECTED}") from error
    model = made if isinstance(made, nn.Module) else made()
    if isinstance(model, NamedModel):
        model = model.model
    if not isinstance(model, nn.Module):
        raise BadMethod(f"model {text!r} returned a {type(model).__name__}; expected an nn.Module")
    return model


def named_object(module: str, name: str) -> Any:
    """Return what a user's own module has under a dotted name; it is looked for from the working directory on.

    Raises:
        ImportError: There is no such module.
        UnknownName: It has nothing of that name.
    """
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    found: Any = importlib.import_module(module)
    for part in name.split("."):
        if not hasattr(found, part):
            raise UnknownName(f"name in {module}", name, [one for one in dir(found) if not one.startswith("_")])
        found = getattr(found, part)
    return found


def _checkpoint(
    path: str, network: str | None, mean: Sequence[float] | None, std: Sequence[float] | None
) -> NamedModel:
    if network is None:
        raise BadSetting(
            f"model: {path} is a checkpoint; say its network, too (network=..., --network): one of "
            f"{', '.join(sorted(TRUNKS.keys() - {'toy-cnn'}))}, timm:NAME, torchvision:NAME or MODULE:FUNCTION"
        )
    if not Path(path).is_file():
        raise MissingData(f"model: {path} is not there; expected a checkpoint of {network}")
    tensors = read_weights(Path(path))
    standard = told_moments(mean, std)
    if network in TRUNKS:
        model: nn.Module = _of_trunk(path, network, tensors, standard)
        return NamedModel(path, model)
    library, _, name = network.partition(":")
    if not name:
        raise UnknownName("network", network, TRUNKS.keys() - OF_TOKENS.keys())
    made = {"timm": from_timm, "torchvision": from_torchvision}.get(library)
    classes = len(_matrices(path, network, tensors)[-1])
    model = made(name, classes) if made else call(network, library, name)
    fit_weights(model, tensors, str, path)
    return NamedModel(path, model, None, standard)


def _of_trunk(path: str, network: str, tensors: dict[str, Any], standard: Moments | None) -> nn.Module:
    """Return one of our networks with a checkpoint's weights; its first and last matrix tell channels and classes."""
    matrices = _matrices(path, network, tensors)
    channels, classes = matrices[0].shape[1], matrices[-1].shape[0]
    mean, std = standard or ((0.0,), (1.0,))
    model = Classifier(trunk(network, channels), classes, mean, std)
    fit_weights(model, tensors, public_names(network), path)
    return model


def _matrices(path: str, network: str, tensors: dict[str, Any]) -> list[Any]:
    matrices = [value for value in tensors.values() if value.ndim > 1]
    if not matrices:
        raise BadCheckpoint(f"{path}: holds no weights of a {network}")
    return matrices


def _read_into(model: nn.Module, weights: str | Path | None) -> None:
    if weights is None:
        return
    if not Path(weights).is_file():
        raise MissingData(f"weights: {weights} is not there; expected a checkpoint")
    fit_weights(model, read_weights(Path(weights)), str, str(weights))


def _had(text: str, get: Callable[[], Any]) -> Any:
    try:
        return get()
    except Exception as error:  # libraries pass on what theirs raise
        said = str(error).strip().splitlines()
        raise MissingData(
            f"model {text!r}: its weights cannot be had ({said[0] if said else type(error).__name__}); with a "
            f"checkpoint at hand, give weights=... (--weights)"
        ) from error


LIBRARIES: dict[str, Callable[[str, str, str | Path | None], NamedModel]] = {
    "timm": _timm,
    "torchvision": _torchvision,
    "hf": _huggingface,
}
"""By the part of a name before its colon."""

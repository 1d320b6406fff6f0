"""What becomes of a picture before a model reads it: its size and crop here, its standardisation inside the model.

Pixels have to be in [0, 1] in between, since attacks, steps of ODIN and rounding to 8 bits are defined there. So the
standardisation, with which transforms of timm, torchvision and Hugging Face end, is taken off and given to the model.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from torch import Tensor

from oodbench.errors import BadData, BadSetting

Moments = tuple[tuple[float, ...], tuple[float, ...]]
"""Mean and standard deviation by channel, of pixels in [0, 1]."""

Transform = Callable[[Image.Image], Any]


@dataclass(frozen=True, eq=False)
class Preprocess:
    """What becomes of a picture: `fit` makes pixels [c h w] of it, `standard` is what the model standardises by.

    Attributes:
        fit: Takes an RGB picture; returns a tensor or array [c h w], uint8 or float in [0, 1].
        standard: Mean and standard deviation that were taken off; None where there were none.
        rule: Says what it does, to tell one from another.
    """

    fit: Transform
    standard: Moments | None
    rule: str

    def __call__(self, picture: Image.Image, name: str) -> npt.NDArray[np.float32]:
        """Return the pixels of a picture, float32 [c h w] in [0, 1].

        Args:
            picture: In RGB.
            name: What errors call it.

        Raises:
            BadData: The transform fails, or returns something else.
        """
        try:
            made = self.fit(picture)
        except (TypeError, ValueError, RuntimeError, AttributeError) as error:
            raise BadData(
                f"{name}: the transform failed on a picture of {picture.width}x{picture.height} in RGB ({error})"
            ) from error
        return _in_range(_pixels(made, name), name)


def preprocess(transform: Any) -> Preprocess:
    """Return what a transform does up to its standardisation, and that.

    Args:
        transform: Takes a PIL picture, as torchvision's and timm's transforms and the transforms of torchvision's
            weights do; or a timm data config (a mapping), or an image processor of Hugging Face.

    Raises:
        BadSetting: It is none of these.

    Example:
        >>> import torchvision
        >>> preprocess(torchvision.models.ResNet18_Weights.DEFAULT.transforms()).standard
        ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    """
    if isinstance(transform, Preprocess):
        return transform
    if isinstance(transform, Mapping):
        transform = _of_timm(transform)
    if hasattr(transform, "image_mean") and hasattr(transform, "do_normalize"):
        return _of_processor(transform)
    if not callable(transform):
        raise BadSetting(
            f"transform: got a {type(transform).__name__}; expected a callable that takes a PIL picture, a timm data "
            f"config, or an image processor of Hugging Face"
        )
    steps = getattr(transform, "transforms", None)
    if isinstance(steps, list | tuple) and steps and _is_normalize(steps[-1]):
        shortened = copy.copy(transform)
        shortened.transforms = list(steps[:-1])
        return Preprocess(shortened, _moments(steps[-1].mean, steps[-1].std), repr(shortened))
    if all(
        hasattr(transform, name) for name in ("crop_size", "resize_size", "mean", "std")
    ):  # of torchvision's weights
        plain = copy.copy(transform)
        plain.mean, plain.std = [0.0] * len(transform.mean), [1.0] * len(transform.std)
        return Preprocess(plain, _moments(transform.mean, transform.std), repr(plain))
    return Preprocess(transform, None, _named(transform))


def _of_timm(config: Mapping[str, Any]) -> Any:
    try:
        from timm.data import create_transform
    except ImportError as error:
        raise BadSetting("transform: a data config needs timm: pip install 'oodbench[models]'") from error
    known = ("input_size", "interpolation", "mean", "std", "crop_pct", "crop_mode")
    if "input_size" not in config:
        raise BadSetting(
            f"transform: got a mapping with {sorted(config)}; expected a timm data config, with input_size"
        )
    return create_transform(**{key: config[key] for key in known if key in config}, is_training=False)


def _of_processor(processor: Any) -> Preprocess:
    told = {"do_normalize": False}
    unit = {"do_rescale": True, "rescale_factor": 1 / 255} if hasattr(processor, "do_rescale") else {}
    unit |= {"rescale_offset": False} if hasattr(processor, "rescale_offset") else {}

    def fit(picture: Image.Image) -> Tensor:
        made: Tensor = processor(picture, **told, **unit, return_tensors="pt")["pixel_values"][0]
        return made

    rule = processor.to_json_string() if hasattr(processor, "to_json_string") else repr(processor)
    return Preprocess(fit, _of_rescaled(processor), rule)


def _of_rescaled(processor: Any) -> Moments | None:
    """Return by what pixels in [0, 1] are standardised where a processor rescales bytes by another factor than 1 / 255.

    It makes (k x - o - mean) / std of pixels x in [0, 1], with k = 255 factor (255 without rescaling) and an offset o.
    """
    k = 1.0
    if hasattr(processor, "do_rescale"):
        k = 255 * float(processor.rescale_factor) if processor.do_rescale else 255.0
    offset = 1.0 if getattr(processor, "do_rescale", False) and getattr(processor, "rescale_offset", False) else 0.0
    k = round(k, 9)
    mean, std = (processor.image_mean, processor.image_std) if processor.do_normalize else (0.0, 1.0)
    if k == 1 and not offset:
        return _moments(mean, std) if processor.do_normalize else None
    return _moments((np.asarray(mean) + offset) / k, np.asarray(std) / k)


def _is_normalize(step: Any) -> bool:
    return type(step).__name__ == "Normalize" and hasattr(step, "mean") and hasattr(step, "std")


def told_moments(mean: Sequence[float] | None, std: Sequence[float] | None) -> Moments | None:
    """Return what a user said of a standardisation; None where nothing was said.

    Raises:
        BadSetting: One was given without the other, they have different lengths, or a deviation is not above 0.
    """
    if mean is None and std is None:
        return None
    if mean is None or std is None:
        raise BadSetting("mean and std: got one without the other; give both, an entry a channel")
    first, second = _moments(mean, std)
    if not all(value > 0 for value in second) or len({len(first), len(second)} - {1}) > 1:
        raise BadSetting(f"mean and std: got {first} and {second}; expected an entry a channel, std above 0")
    return first, second


def _moments(mean: Any, std: Any) -> Moments:
    first, second = (tuple(float(value) for value in np.atleast_1d(np.asarray(one))) for one in (mean, std))
    return first, second


def _named(transform: Any) -> str:
    """Return how a transform calls itself, without the address in memory that tells one run from the next."""
    text = getattr(transform, "__qualname__", None) or repr(transform)
    return text if " at 0x" not in text else type(transform).__qualname__


def _pixels(made: Any, name: str) -> npt.NDArray[np.float32]:
    if isinstance(made, Image.Image):
        made = np.asarray(made)[None] if made.mode == "L" else np.asarray(made).transpose(2, 0, 1)
    pixels = made.detach().cpu().numpy() if isinstance(made, Tensor) else np.asarray(made)
    if pixels.ndim != 3:
        raise BadData(f"{name}: the transform returned shape {list(pixels.shape)}; expected [c h w]")
    if pixels.dtype == np.uint8:
        return pixels.astype(np.float32) / np.float32(255)
    return pixels.astype(np.float32)


def _in_range(pixels: npt.NDArray[np.float32], name: str) -> npt.NDArray[np.float32]:
    low, high = float(pixels.min()), float(pixels.max())
    if not (low >= 0 and high <= 1):
        raise BadData(
            f"{name}: the transform made pixels from {low:g} to {high:g}, expected [0, 1]; end it with ToTensor(), and "
            f"let a Normalize stand last, which is then put in front of the model; what resizes tensors overshoots "
            f"(bicubic): resize the picture, or clamp"
        )
    return pixels

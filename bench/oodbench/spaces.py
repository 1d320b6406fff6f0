"""Input spaces: what one input is, pixels or tokens. Cards declare a space; recipes and outputs say which they are for.

Importing it needs no torch.
"""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from annotated_types import Ge

SpaceName = Literal["images", "tokens"]
"""What recipes and outputs name a space by."""

Shape = tuple[int, int, int]
"""Channels, height, width."""


@dataclass(frozen=True)
class Images:
    """Pixels [c h w], float32 in [0, 1].

    Attributes:
        shape: Channels, height, width.
        mean: Per-channel mean of the training split, that networks standardise by.
        std: Per-channel standard deviation of the training split, likewise.
    """

    name: ClassVar[SpaceName] = "images"

    shape: Shape
    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True)
class Tokens:
    """Ids of words [length], int64 in [0, vocabulary), padded behind.

    Attributes:
        length: Words that are kept of a text; a longer one loses its end.
        vocabulary: Ids in all: of the padding, of unknown words, and of the commonest words of the training split.
        pad: Id of the padding.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}
    name: ClassVar[SpaceName] = "tokens"

    length: Annotated[int, Ge(1)]
    vocabulary: Annotated[int, Ge(3)]
    pad: Annotated[int, Ge(0)] = 0


Space: TypeAlias = Images | Tokens
"""What one input of a data set is."""

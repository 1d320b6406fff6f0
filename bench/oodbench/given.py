"""Classifiers that a matrix is given: a network by name, and weights that somebody else trained. Needs no torch."""

from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

from annotated_types import Ge, Gt, Le, MinLen
from pydantic import StringConstraints

AT = "@"
"""Between a method and the given model that a row judges: `msp@resnet-20`."""

Text = Annotated[str, MinLen(1)]
Channel = Annotated[float, Ge(0), Le(1)]

NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*$"
"""Of a file below a folder: no part begins with a dot, so that none leads out of it."""


@dataclass(frozen=True, kw_only=True)
class Weights:
    """A file of weights; what it is says its sha256 alone, so that it may move.

    Attributes:
        seed: Of the matrix; each of its seeds has a file.
        name: Of the file, with folders before it where these tell it from others: safetensors where it ends so, else
            what `torch.save` wrote of a state dict.
        sha256: Of the file. None where nobody has published it: the file that is there is taken, its own sha256 stands
            in every record in this one's place, and a record of another file is not current.
        size: In bytes; None with the sha256.
        url: Where to get it, an https address; None where a person has to.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    seed: Annotated[int, Ge(0)]
    name: Annotated[str, StringConstraints(pattern=NAME)] = field(compare=False)
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None = None
    size: Annotated[int, Gt(0)] | None = field(default=None, compare=False)
    url: Annotated[str, StringConstraints(pattern=r"^https://")] | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        """Refuse half an identity: what is downloaded is checked, or is not downloaded."""
        if (self.sha256 is None) != (self.size is None):
            raise ValueError(f"{self.name}: give sha256 and size, or neither")
        if self.url and self.sha256 is None:
            raise ValueError(f"{self.name}: an address needs the sha256 of what is to come from it")

    @property
    def told(self) -> bool:
        """Whether the matrix says which file it is."""
        return self.sha256 is not None


@dataclass(frozen=True, kw_only=True)
class GivenModel:
    """A classifier that is loaded, not trained.

    Attributes:
        name: What rows and records call it: `msp@resnet-20`.
        network: Name of a network in `oodbench.networks`; its weights may have the names of public checkpoints.
        mean: Per-channel mean in [0, 1] that its inputs were standardised by; zeros where they were not, () for texts.
        std: Per-channel standard deviation, likewise; ones where they were not.
        weights: A file a seed.
        folders: Folders below a root that may hold the files; a download goes into the first.
        licence: Terms of use.
        citation: Who trained it.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")] = field(compare=False)
    network: Text
    mean: tuple[Channel, ...] = ()
    std: tuple[Annotated[float, Gt(0)], ...] = ()
    weights: Annotated[tuple[Weights, ...], MinLen(1)]
    folders: Annotated[tuple[Text, ...], MinLen(1)] = field(default=("checkpoints",), compare=False)
    licence: Text = field(compare=False)
    citation: Text = field(compare=False)

    def of_seed(self, seed: int) -> Weights:
        """Return the weights of a seed."""
        return next(one for one in self.weights if one.seed == seed)


def method_of(row: str) -> str:
    """Return the method of a row: `msp` of `msp@resnet-20`, and of `msp`."""
    return row.partition(AT)[0]


def model_of(row: str) -> str:
    """Return the given model of a row: `resnet-20` of `msp@resnet-20`, and nothing of `msp`."""
    return row.partition(AT)[2]

"""What can go wrong, as one tree.

    OodbenchError
    ├── UnknownName        a method, matrix, card, metric ... that does not exist; offers the nearest
    ├── BadCard            a card or matrix file that breaks the schema
    ├── BadData            an image or label file, an array or a score that is not what it must be
    │   ├── MissingData    a data set that is not here; says the command that gets it
    │   └── BadChecksum    bytes that are not the ones the card names
    ├── BadCheckpoint      weights that do not fit the network they are loaded into
    ├── BadRecord          a record or scores file that is broken or foreign
    │   └── NewerRecord    one that a newer program wrote: it is never replaced
    ├── BadMethod          a method that breaks the contract
    ├── Undeclared         a read of an output or material that the method did not declare
    ├── BadSetting         a device, folder or number that a run cannot use
    ├── Diverged           a training run whose loss is no longer finite
    └── Busy               a results folder that another run is writing to

Every message names the thing, what was got, what was expected and, where there is one, the way out.
"""

import traceback
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path


class OodbenchError(Exception):
    """Base of every error that oodbench raises on purpose."""


class BadCard(OodbenchError):
    """A card or matrix file breaks the schema."""


class BadData(OodbenchError):
    """A file, array or score is not what it must be."""


class MissingData(BadData):
    """A data set is not on this machine."""


class BadChecksum(BadData):
    """The bytes of a file are not the ones its card names."""


class BadCheckpoint(OodbenchError):
    """Weights do not fit the network they are loaded into."""


class BadRecord(OodbenchError):
    """A record or scores file is broken or foreign."""


class NewerRecord(BadRecord):
    """A record was written by a newer program."""


class BadMethod(OodbenchError):
    """A method breaks the contract."""


class Undeclared(OodbenchError):
    """A method read an output or material that it did not declare."""


class BadSetting(OodbenchError):
    """A device, folder or number that a run cannot use."""


class Diverged(OodbenchError):
    """The loss of a training run is no longer finite."""


class Busy(OodbenchError):
    """Another run is writing to the same results folder."""


MOST_NAMES = 30
"""That a message lists."""


class UnknownName(OodbenchError):
    """A name that does not exist; the message offers the nearest one that does, and lists all or, of many, the next."""

    def __init__(self, kind: str, got: str, known: Iterable[str]) -> None:
        names = sorted(known)
        near = get_close_matches(got, names, n=6, cutoff=0.4)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        shown = f"Known: {', '.join(names) or 'none'}."
        if len(names) > MOST_NAMES:
            shown = f"{len(names)} are known" + (f", near it {', '.join(near)}." if near else ".")
        super().__init__(f"unknown {kind} {got!r}{hint} {shown}")


def reason(error: Exception) -> str:
    """Return what went wrong in one line; for a fault that oodbench did not foresee, also where.

    Example:
        >>> reason(BadSetting("device 'cuda' is not here"))
        "BadSetting: device 'cuda' is not here"
    """
    if isinstance(error, OodbenchError):
        return f"{type(error).__name__}: {error}"
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}{where}"

"""In which precision a matrix's classifiers make the forward passes whose outputs are stored, and how its name says so.

Every matrix is one of whole float32; in another precision it is another matrix, with a name, a page and ranks of its
own: `tiny-bfloat16-v1` is `tiny-v1` with forward passes in bfloat16. Derivatives, attacks, training, densities, fits
and scores are float32 or float64 in both.
"""

import re
from typing import Literal, get_args

Precision = Literal["float32", "bfloat16"]

PRECISIONS: tuple[Precision, ...] = get_args(Precision)

WHOLE: Precision = "float32"
"""What a matrix has whose name tells nothing."""

LOWER: tuple[Precision, ...] = tuple(one for one in PRECISIONS if one != WHOLE)

_NAME = re.compile(rf"(?P<name>[a-z0-9-]+)-(?P<precision>{'|'.join(LOWER)})-(?P<version>v[0-9]+)")


def named(matrix: str, precision: Precision) -> str:
    """Return the name of a matrix in another precision than float32.

    Example:
        >>> named("tiny-v1", "bfloat16")
        'tiny-bfloat16-v1'
        >>> named("tiny-v1", "float32")
        'tiny-v1'
    """
    name, _, version = told(matrix)[0].rpartition("-")
    return matrix if precision == WHOLE else f"{name}-{precision}-{version}"


def told(matrix: str) -> tuple[str, Precision]:
    """Return the name of a matrix in float32, and the precision that its name tells.

    Example:
        >>> told("tiny-bfloat16-v1"), told("tiny-v1")
        (('tiny-v1', 'bfloat16'), ('tiny-v1', 'float32'))
    """
    found = _NAME.fullmatch(matrix)
    if found is None:
        return matrix, WHOLE
    return f"{found['name']}-{found['version']}", next(one for one in LOWER if one == found["precision"])

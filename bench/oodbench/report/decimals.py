"""A number as a paper prints it, and the same number in our unit."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

WORDS = frozenset({"doubt"})
"""Keys of a cell that hold no number."""


def in_our_unit(cell: Any, scale: int, complement: bool) -> dict[str, Any]:
    """Return `value`, `std`, `low`, `high`, `doubt` of a cell, as far as it has them, and its decimal `places`.

    Args:
        cell: A number, `[value, std]`, or a mapping with any of those keys.
        scale: What the printed number is divided by: 100 for percent.
        complement: Whether the paper prints 1 - x of the number x that we keep.

    Raises:
        ValueError: The cell is none of these.
    """
    printed = _by_key(cell)
    numbers = {key: _decimal(key, number) for key, number in printed.items() if key not in WORDS}
    places = max(map(_places, numbers.values()), default=0)
    # In decimals, so that 40.2 percent printed of 1 - x is x = 0.598 to the last bit.
    ours = {key: number / scale for key, number in numbers.items()}
    if complement:
        swapped = {"low": "high", "high": "low"}
        ours = {swapped.get(key, key): number if key == "std" else 1 - number for key, number in ours.items()}
    words = {key: word for key, word in printed.items() if key in WORDS}
    return words | {key: float(number) for key, number in ours.items()} | {"places": places}


def _by_key(cell: Any) -> Mapping[str, Any]:
    if isinstance(cell, Mapping):
        return cell
    if isinstance(cell, list | tuple):
        if len(cell) != 2:
            raise ValueError(f"a list of {len(cell)} in a cell, expected [value, std]")
        return {"value": cell[0], "std": cell[1]}
    return {"value": cell}


def _decimal(key: str, number: Any) -> Decimal:
    if isinstance(number, bool) or not isinstance(number, int | Decimal):
        raise ValueError(f"{key} is {number!r}, expected a number as printed")
    return Decimal(number)


def _places(number: Decimal) -> int:
    return max(0, -int(number.as_tuple().exponent))

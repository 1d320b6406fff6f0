"""What every test relies on: a call whose arrays have not the shapes of its annotations is an error."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from checked_shapes import typechecker
from jaxtyping import Float, TypeCheckError, jaxtyped
from torch import Tensor


def halved(hint: Any) -> Callable[[Tensor], Tensor]:
    """Return a function that comes anew at each call, and has annotations of its own at each."""

    def half(x: hint) -> hint:
        return x[: len(x) // 2]

    return jaxtyped(half, typechecker=typechecker)


@jaxtyped(typechecker=typechecker)
def first(x: Float[Tensor, "n d"], rows: int) -> Float[Tensor, "d"]:
    return x[0, :rows]


def test_arguments_and_what_is_returned_are_checked() -> None:
    assert first(torch.zeros(2, 3), 3).shape == (3,)
    with pytest.raises(TypeCheckError, match="checking the parameters"):
        first(torch.zeros(2), 3)
    with pytest.raises(TypeCheckError, match="checking the parameters"):
        first(torch.zeros(2, 3), "3")  # type: ignore[arg-type]
    with pytest.raises(TypeCheckError, match="checking the return value"):
        first(torch.zeros(2, 3), 2)


def test_a_function_that_comes_again_is_checked_by_the_annotations_it_has_then() -> None:
    for _ in range(2):
        assert halved(Float[Tensor, " _"])(torch.zeros(4)).shape == (2,)
        with pytest.raises(TypeCheckError, match="checking the parameters"):
            halved(Float[Tensor, "_ _"])(torch.zeros(4))
        with pytest.raises(TypeCheckError, match="checking the return value"):
            halved(Float[Tensor, " n"])(torch.zeros(4))

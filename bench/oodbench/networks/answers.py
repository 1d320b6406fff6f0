"""What a classifier answers, as logits: a tensor, what is named `logits`, the only matrix of a tuple or dict."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from oodbench.contract import Head
from oodbench.errors import BadMethod


def logits_of(answer: object) -> Tensor:
    """Return the logits [n C], in float32, of what a classifier answers to n inputs.

    One column z is the log-odds of the second of two classes: it becomes (-z/2, z/2), whose softmax is that of (0, z)
    and whose level favours neither class.

    Example:
        >>> logits_of({"logits": torch.tensor([[4.0]])})
        tensor([[-2.,  2.]])

    Raises:
        BadMethod: it is no matrix, or several could be meant.
    """
    found = raw_logits(answer)
    return two_classes(found) if found.shape[1] == 1 else found.float()


def two_classes(z: Tensor) -> Tensor:
    """Return the logits [n 2] of two classes from the log-odds [n 1] of the second."""
    half = z.float() / 2
    return torch.cat([-half, half], dim=1)


def head_of_two_classes(W: Tensor, b: Tensor) -> Head:
    """Return the last layer whose logits are `two_classes` of what the one of a single logit gives, W [1 F], b [1]."""
    return Head(two_classes(W.T).T, two_classes(b[:, None]).T[:, 0])


def raw_logits(answer: object) -> Tensor:
    """Return the matrix [n C] of an answer as it is, its dtype and its single column kept.

    Raises:
        BadMethod: as `logits_of`.
    """
    found = _named(answer)
    if isinstance(found, Tensor) and found.ndim == 2 and found.is_floating_point() and found.shape[1]:
        return found
    raise BadMethod(
        f"the model answered with {_told(found)}; expected logits [n C] of C classes ([n 1]: the log-odds of the "
        f"second of two), or a tuple, dict or object that names them `logits` or holds one matrix; else wrap the model "
        f"in an nn.Module whose forward returns them"
    )


def _named(answer: object) -> object:
    """Return the part of an answer that is called logits, or is its only matrix; else the answer."""
    if isinstance(answer, Tensor):
        return answer
    named = answer.get("logits") if isinstance(answer, Mapping) else getattr(answer, "logits", None)
    if isinstance(named, Tensor):
        return named
    parts: list[Any] = []
    if isinstance(answer, Mapping):
        parts = list(answer.values())
    elif isinstance(answer, tuple | list):
        parts = list(answer)
    matrices = [part for part in parts if isinstance(part, Tensor) and part.ndim == 2]
    return matrices[0] if len(matrices) == 1 else answer


def _told(answer: object) -> str:
    if isinstance(answer, Tensor):
        return f"shape {list(answer.shape)}" + ("" if answer.is_floating_point() else f" of {answer.dtype}")
    parts = (
        answer.items() if isinstance(answer, Mapping) else enumerate(answer) if isinstance(answer, tuple | list) else ()
    )
    shapes = [f"{key}: {list(part.shape)}" for key, part in parts if isinstance(part, Tensor)]
    return type(answer).__name__ + (f" ({', '.join(shapes)})" if shapes else "")


def refuse_probabilities(answer: Tensor) -> None:
    """Check that answers [n C] are no probabilities.

    Raises:
        BadMethod: they are in [0, 1] and each row sums to 1; or there is one column, and all of it is in [0, 1].
    """
    p, near = answer.double(), torch.finfo(answer.dtype).eps ** 0.5
    sums_to_one = bool(((p.sum(dim=1) - 1).abs() <= near).all())
    if _all_within_unit(p) and (sums_to_one or p.shape[1] == 1):
        last = "sigmoid" if p.shape[1] == 1 else "softmax"
        raise BadMethod(
            f"the model answered probabilities (all in [0, 1]{'' if p.shape[1] == 1 else ', each row sums to 1'}); "
            f"expected logits: probabilities saturate, and then rank nothing; hand over what stands before its {last}"
        )


def doubt(answer: Tensor) -> str:
    """Return what makes answers [n C] doubtful as logits, and what to do; "" if nothing does."""
    z, near = answer.double(), torch.finfo(answer.dtype).eps ** 0.5
    if bool((z.logsumexp(dim=1).abs() <= near).all()):
        return (
            "the model answers log-probabilities: they have lost the logits' level, so that a score of it (energy) is "
            "rounding; hand over what stands before its log_softmax"
        )
    if _all_within_unit(z):
        return (
            "all of the model's answers are in [0, 1], as a sigmoid's are; if they are, hand over what stands before it"
        )
    return ""


def _all_within_unit(p: Tensor) -> bool:
    return bool(((p >= 0) & (p <= 1)).all())

"""States and parameters through files, without pickle."""

import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from oodbench.check.parameters import from_json, to_json
from oodbench.contract import FEATURES, LOGITS, Outputs, Stateless
from oodbench.errors import BadCheckpoint, BadMethod
from oodbench.estimators import Mixture
from oodbench.models.state import load_state, save_state


class Pair(NamedTuple):
    mu: torch.Tensor
    note: Any


def same(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, tuple):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and a == b


TENSORS = st.sampled_from(
    [torch.zeros(0, 3), torch.tensor(2.5), torch.arange(6).reshape(2, 3).T, torch.eye(2).double(), torch.tensor([True])]
)
NUMBERS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text())
STATES = st.recursive(
    TENSORS | NUMBERS,
    lambda inner: st.lists(inner, max_size=3).map(tuple) | st.builds(Pair, mu=TENSORS, note=inner),
    max_leaves=6,
)


@settings(max_examples=40, deadline=None)
@given(STATES)
def test_any_state_survives_a_file(tmp_path_factory: pytest.TempPathFactory, state: Any) -> None:
    path = tmp_path_factory.mktemp("state") / "state.safetensors"
    save_state(path, state)
    assert same(load_state(path), state)


@pytest.mark.parametrize("value", [[1.0], {"a": 1}, {1}, b"x", torch.nn.Linear(1, 1), complex(1), print])
def test_what_is_not_a_state_is_named_with_its_place(tmp_path: Path, value: Any) -> None:
    with pytest.raises(BadMethod, match=rf"state\.note\.1 is a {type(value).__name__}; a fitted state is made of"):
        save_state(tmp_path / "s", Pair(torch.zeros(1), (1.0, value)))
    assert not list(tmp_path.iterdir())


def test_a_tuple_that_is_not_at_the_top_of_its_module_is_refused(tmp_path: Path) -> None:
    class Local(NamedTuple):
        a: float

    with pytest.raises(BadMethod, match="Local, which is not a NamedTuple at the top of its module"):
        save_state(tmp_path / "s", Local(1.0))


def test_loading_imports_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "s"
    save_state(path, Mixture(*(torch.zeros(1),) * 3, 1, 0.0, 0.0))
    monkeypatch.delitem(sys.modules, "oodbench.estimators")
    with pytest.raises(BadCheckpoint, match=r"oodbench\.estimators:Mixture of 6 fields; no such NamedTuple"):
        load_state(path)
    assert "oodbench.estimators" not in sys.modules


def test_a_truncated_state_is_named(tmp_path: Path) -> None:
    path = tmp_path / "s"
    save_state(path, (torch.zeros(100),))
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(BadCheckpoint, match="not a whole safetensors file"):
        load_state(path)


def test_weights_are_not_taken_for_a_state(tmp_path: Path) -> None:
    from oodbench.models import checkpoint

    checkpoint.save(tmp_path / "w", {"a": torch.zeros(1)}, {"seed": 0})
    with pytest.raises(BadCheckpoint, match="holds no fitted state, but seed"):
        load_state(tmp_path / "w")


def test_a_slice_that_is_not_contiguous_is_kept(tmp_path: Path) -> None:
    """Eigenvectors come in columns: the last of them are a view with strides of its own."""
    kept = torch.linalg.eigh(torch.eye(5) + torch.ones(5, 5)).eigenvectors[:, 2:]
    assert not kept.is_contiguous()
    save_state(tmp_path / "state", (kept, kept.T))
    again = load_state(tmp_path / "state")
    assert torch.equal(again[0], kept)
    assert torch.equal(again[1], kept.T)


def formula(batch: Outputs) -> torch.Tensor:
    return batch.logits.amax(dim=1)


def test_a_pure_function_is_kept_by_name() -> None:
    detector = Stateless(frozenset({LOGITS, FEATURES}), formula)
    plain = to_json(detector)
    assert plain["formula"] == f"{__name__}:formula"
    assert [output["name"] for output in plain["reads"]] == ["features", "logits"]
    assert from_json(detector, plain) == detector

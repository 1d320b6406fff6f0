"""Nearest neighbours by an index, where the training features are too many: near the exact distances, in blocks."""

import sys
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from oodbench.methods.knn import NearestNeighbours
from torch import Tensor

from oodbench.errors import BadMethod

FEW = NearestNeighbours(most=1000)


def drawn(n: int, seed: int) -> Tensor:
    """Return features around twenty centres."""
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(20, 64, generator=torch.Generator().manual_seed(0))
    places = torch.randint(0, 20, (n,), generator=generator)
    return (centres[places] + 0.5 * torch.randn(n, 64, generator=generator)).relu()


def scores(detector: NearestNeighbours, features: Tensor) -> Tensor:
    train: Any = SimpleNamespace(train=SimpleNamespace(features=drawn(3000, 1)))
    batch: Any = SimpleNamespace(features=features)
    return detector.score(detector.fit(train), batch)


def test_an_index_is_near_the_exact_distances() -> None:
    pytest.importorskip("faiss")
    new = torch.cat([drawn(40, 2), torch.randn(40, 64, generator=torch.Generator().manual_seed(3))])
    exact = scores(NearestNeighbours(), new)
    torch.testing.assert_close(scores(NearestNeighbours(most=1000, probes=1.0), new), exact, atol=0.01, rtol=0)
    some = scores(FEW, new)
    assert ((exact - some) > -0.01).all()  # fewer are looked at: no nearer one is found
    torch.testing.assert_close(some[:40], exact[:40], atol=0.05, rtol=0)


def test_an_index_is_a_quarter_of_the_features_and_the_same_again() -> None:
    pytest.importorskip("faiss")
    data: Any = SimpleNamespace(train=SimpleNamespace(features=drawn(3000, 1)))
    first, again = FEW.fit(data), FEW.fit(data)
    assert first.cells.equal(again.cells) and len(first.u) == 0
    assert len(first.cells) < 0.4 * 4 * 3000 * 64


def test_too_many_features_without_faiss_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(BadMethod, match=r"need an index: pip install 'oodbench\[index\]'"):
        scores(FEW, drawn(4, 2))
    assert len(scores(NearestNeighbours(), drawn(4, 2))) == 4

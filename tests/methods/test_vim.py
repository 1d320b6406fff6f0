"""vim and residual against plain numpy, and what they do where no residual is left."""

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from oodbench.methods.vim import Matched, Residual, Space, Vim, dimension, space_of
from torch import Tensor

from oodbench.contract import FEATURES, LOGITS, Head
from oodbench.errors import BadData, BadMethod


def by_loops(lab, d: int) -> tuple[list[float], list[float]]:
    """Return the residuals and the scores of ViM for the test images."""
    w, b = (t.detach().numpy() for t in (lab.net.head.weight, lab.net.head.bias))
    train, f = (lab.all(x)[FEATURES].numpy() for x in (lab.train[0], lab.test))
    origin = -np.linalg.pinv(w) @ b
    moment = sum(np.outer(row - origin, row - origin) for row in train) / len(train)
    values, vectors = np.linalg.eig(moment)
    off = [vectors[:, j].real for j in np.argsort(-values.real)[d:]]

    def residual(row: np.ndarray) -> float:
        return float(np.sqrt(sum((v @ (row - origin)) ** 2 for v in off)))

    alpha = sum(max(w @ row + b) for row in train) / sum(map(residual, train))
    return [residual(row) for row in f], [float(np.log(np.exp(w @ row + b).sum()) - alpha * residual(row)) for row in f]


@pytest.mark.parametrize("d", [0, 1, 2, 3, 4])
def test_scores_by_loops(lab, d: int) -> None:
    residuals, scores = by_loops(lab, d)
    np.testing.assert_allclose(lab.score(Residual(d), lab.test), [-r for r in residuals], rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(lab.score(Vim(d), lab.test), scores, rtol=1e-8, atol=1e-10)


def test_the_defaults_follow_the_authors_rule(lab) -> None:
    np.testing.assert_array_equal(lab.score(Vim(), lab.test), lab.score(Vim(2), lab.test))  # five features
    sizes = {1: 0, 5: 2, 64: 32, 512: 256, 767: 383, 768: 512, 2047: 512, 2048: 1000, 4096: 1000}
    assert {F: dimension(None, F) for F in sizes} == sizes
    assert all(d < F for F in range(1, 3000) for d in [dimension(None, F)])


def test_a_share_is_one_of_the_features() -> None:
    assert [dimension(share, 64) for share in (0.05, 0.5, 0.9)] == [3, 32, 57]
    assert dimension(0.9, 1) == 0


@pytest.mark.parametrize("d", [5, 6, -1])
def test_a_principal_space_of_everything_is_refused_with_the_way_out(lab, d: int) -> None:
    with pytest.raises(BadMethod, match=f"{d} of 5 features leaves no residual; expected 0 <= d < 5: give a smaller d"):
        lab.fit(Vim(d))


def test_features_within_the_principal_space_are_refused() -> None:
    f = torch.randn(50, 2, generator=torch.Generator().manual_seed(0)) @ torch.eye(2, 6)
    head = Head(torch.eye(3, 6), torch.zeros(3))
    with pytest.raises(BadData, match="lie in 2 of their 6 directions, all inside a principal space of 3"):
        space_of(f, head, None)
    assert space_of(f, head, 1).R.shape == (6, 5)


def test_features_that_are_all_0_are_refused() -> None:
    with pytest.raises(BadData, match="lie in 0 of their 4 directions"):
        space_of(torch.zeros(9, 4), Head(torch.eye(2, 4), torch.zeros(2)), None)


def test_logits_that_are_negative_are_refused(lab) -> None:
    low = replace(lab, net=deepcopy(lab.net))
    low.net.head.bias.data -= 1000
    with pytest.raises(BadData, match=r"largest logits are -.* expected more than 0"):
        low.fit(Vim())


def test_equal_rows_of_a_head_and_negative_features_give_a_score() -> None:
    f = torch.randn(40, 6, generator=torch.Generator().manual_seed(1))
    head = Head(torch.ones(4, 6), torch.tensor([1.0, 1.0, 1.0, 1.0]))
    space = space_of(f, head, None)
    torch.testing.assert_close(space.u, torch.full((6,), -1 / 6, dtype=torch.float64))
    assert space.residual(f).isfinite().all()


def scored(f: Tensor, z: Tensor) -> Tensor:
    """Return ViM's score by a residual that is the last feature, and alpha = 2."""

    class Batch:
        features, logits = f, z

    state = Matched(Space(torch.zeros(2, dtype=torch.float64), torch.tensor([[0.0], [1.0]], dtype=torch.float64)), 2.0)
    return Vim().score(state, Batch())  # type: ignore[arg-type]


def test_small_differences_of_large_numbers_are_kept() -> None:
    z = torch.zeros(2, 3)
    z[:, 0] = 30000.0
    f = torch.tensor([[0.0, 15000.0], [0.0, 15000.001]])
    assert scored(f, z)[0] > scored(f, z)[1]


def test_the_virtual_logit_lowers_the_score(lab) -> None:
    state = lab.fit(Vim(2))
    outputs = lab.all(lab.test)
    assert state.alpha > 0
    residual = state.space.residual(outputs[FEATURES])
    lost = outputs[LOGITS].logsumexp(dim=1) - torch.from_numpy(lab.score(Vim(2), lab.test, state))
    torch.testing.assert_close(lost, state.alpha * residual)

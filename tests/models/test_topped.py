"""A network under another top: what it is asked, what it passes on, and where it can be entered."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from oodbench.check.toy import IN_SET
from oodbench.contract import FEATURE_MAP, FEATURES, LAYERS, LOGITS, Output
from oodbench.networks import classifier
from oodbench.networks.topped import Topped

DOUBLE = Output[Tensor]("double", "n C")
X = torch.rand(5, 1, 8, 8, generator=torch.Generator().manual_seed(0))


class Doubled(nn.Module):
    def forward(self, f: Tensor, head: nn.Linear) -> Mapping[Output, Tensor]:
        return {LOGITS: head(f), DOUBLE: 2 * head(f)}


def test_the_top_makes_the_logits_and_the_body_the_rest() -> None:
    net = Topped(classifier("toy-cnn", IN_SET), Doubled()).eval()
    wanted = frozenset({LOGITS, FEATURES, LAYERS, FEATURE_MAP, DOUBLE})
    with torch.no_grad():
        given, body = net.outputs(X, wanted), net.body.outputs(X, wanted - {DOUBLE})
        assert wanted <= given.keys()
        assert torch.equal(given[DOUBLE], 2 * body[LOGITS])
        assert torch.equal(given[FEATURE_MAP], body[FEATURE_MAP])
        assert torch.equal(net(X), body[LOGITS])
        assert torch.equal(net.answers(X)[DOUBLE], given[DOUBLE])


def test_it_goes_on_from_features_and_from_a_map() -> None:
    net = Topped(classifier("toy-cnn", IN_SET), Doubled()).eval()
    assert net.entries == {FEATURES, FEATURE_MAP}
    with torch.no_grad():
        given = net.outputs(X, frozenset({FEATURES, FEATURE_MAP}))
        f, maps = given[FEATURES] + 1, given[FEATURE_MAP] + 1
        for replaced in ({FEATURES: f}, {FEATURE_MAP: maps}):
            again = net.outputs(X, frozenset({DOUBLE}), replaced)
            torch.testing.assert_close(again[DOUBLE], 2 * net.body.head(f))


def test_answers_are_float32_under_half_precision() -> None:
    net = Topped(classifier("toy-cnn", IN_SET), Doubled()).eval()
    with torch.autocast("cpu", dtype=torch.bfloat16), torch.no_grad():
        assert {value.dtype for value in net.answers(X).values()} == {torch.float32}

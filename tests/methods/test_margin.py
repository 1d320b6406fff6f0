"""margin against a loop."""

import numpy as np
import torch
from given import Given
from oodbench.methods.margin import METHODS

from oodbench.contract import LOGITS

DETECTOR = METHODS[0].detector


def test_score_by_loops(lab) -> None:
    expected = [sorted(row)[-1] - sorted(row)[-2] for row in lab.all(lab.test)[LOGITS].tolist()]
    np.testing.assert_allclose(lab.score(DETECTOR, lab.test), expected, rtol=1e-6)


def test_equal_logits_and_two_classes() -> None:
    z = torch.tensor([[3.0, 3.0], [1.0, 2.0], [5.0, 2.5]])
    assert DETECTOR.score((), Given({LOGITS: z})).tolist() == [0.0, 1.0, 2.5]

import numpy as np
import pytest

from oodbench.outcomes import Fooled, Outcomes
from oodbench.records import (
    CellRecord,
    Changed,
    Citation,
    DataUsed,
    Environment,
    Git,
    ModelUsed,
    Parameters,
    Passes,
    Record,
    Scores,
)

INDEX = np.array([0, 3, 7, 19], np.int32)


@pytest.fixture
def scores():
    rng = np.random.default_rng(0)
    return Scores(
        test=rng.normal(1, 1, 20).astype(np.float32),
        ood={"blobs": rng.normal(0, 1, 7).astype(np.float32), "mnist": rng.normal(0, 1, 9).astype(np.float32)},
        adversarial={
            "fgsm-8": Changed(rng.normal(0, 1, 4).astype(np.float32), INDEX),
            "fgsm-8@uint8": Changed(rng.normal(0, 1, 4).astype(np.float32), INDEX),
        },
        corruption={"fog-3": Changed(rng.normal(0, 1, 20).astype(np.float32), np.arange(20, dtype=np.int32))},
    )


@pytest.fixture
def outcomes():
    rng = np.random.default_rng(1)
    return Outcomes(
        rng.random(20) < 0.8,
        {
            "fgsm-8": Fooled(INDEX, np.array([True, True, False, True])),
            "fgsm-8@uint8": Fooled(INDEX, np.array([True, False, False, True])),
        },
    )


@pytest.fixture
def record():
    return Record(
        matrix="tiny-v1",
        method="odin",
        seed=3,
        title="ODIN",
        citation=Citation(
            authors="Liang, Li & Srikant", title="Enhancing ...", year=2018, url="https://arxiv.org/abs/1706.02690"
        ),
        parameters=Parameters(given={"T": 1000.0}, default={"eps": 0.0014, "layers": (1, 2)}, chosen={"eps": 0.002}),
        tuning_access="ood_val",
        fits_on_labels=False,
        recipe={"name": "plain", "network": "wrn-10-1"},
        scale="tiny",
        in_set="mnist-5k",
        data={"blobs": DataUsed(card_sha256="1" * 64, data_sha256="2" * 64, split="test", n=7)},
        source_sha256="3" * 64,
        key="4" * 64,
        git=Git(commit="5" * 40, dirty=False),
        packages={"numpy": "2.4.0"},
        environment=Environment(device="cpu", threads=1, dtype="float32", python="3.11.7", platform="linux"),
        passes=Passes(forward=2.0, gradient=1.0),
        cells=(
            CellRecord(
                failure="ood", name="svhn", status="skipped", reason="not on this machine: oodbench data get svhn"
            ),
        ),
        model=ModelUsed(name="plain", sha256="7" * 64),
        reference=ModelUsed(name="plain", sha256="7" * 64),
        scores_sha256="6" * 64,
    )

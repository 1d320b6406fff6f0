"""Outlier Exposure's own text networks: they give what their authors print of them, read as they were read there."""

from functools import cache

import numpy as np
import pytest
import torch
from torch import Tensor

from oodbench.data.given import weights_file
from oodbench.data.load import load
from oodbench.data.matrix import find_matrix
from oodbench.data.texts import TextInputs
from oodbench.errors import MissingData
from oodbench.measure.ranking import count, fpr90_ood_positive, ranking
from oodbench.models.weights import fit_weights, read_weights
from oodbench.networks import classifier
from oodbench.networks.gru import GruClassifier
from oodbench.networks.public_names import public_names
from oodbench.run.plan import Job, Skip, plan
from oodbench.run.registry import find
from oodbench.run.sets import in_set

MATRIX = find_matrix("trec-oe-v1")


@cache
def texts(card: str, split: str) -> TextInputs:
    try:
        found = load(card, split, like=None if card == MATRIX.in_set else texts(MATRIX.in_set, "test"))
    except MissingData as error:
        pytest.skip(f"not here: {error}")
    assert isinstance(found, TextInputs)
    return found


@cache
def network(name: str) -> GruClassifier:
    (model,) = (one for one in MATRIX.model if one.name == name)
    try:
        path = weights_file(MATRIX, model, 0, None)
    except MissingData as error:
        pytest.skip(f"not here: {error}")
    net = classifier(model.network, in_set(MATRIX)).eval().requires_grad_(False)
    fit_weights(net, read_weights(path), public_names(model.network), str(path))
    assert isinstance(net, GruClassifier)
    return net


def right(net: GruClassifier, inputs: TextInputs) -> float:
    assert inputs.labels is not None
    return float((net(torch.from_numpy(inputs.ids)).argmax(1).numpy() == inputs.labels).mean())


def padded_in_front(net: GruClassifier, inputs: TextInputs, rng: np.random.Generator) -> np.ndarray:
    """Return the maximum softmax probabilities of texts in random batches of 64, as the authors' code reads them."""

    def batch(ids: np.ndarray) -> Tensor:
        words = (ids != net.pad).sum(1)
        front = np.full((len(ids), words.max()), net.pad)
        for row, of, n in zip(front, ids, words, strict=True):
            row[len(row) - n :] = of[:n]
        states, _ = net.gru(net.embedding(torch.from_numpy(front)))
        return net.head(states[:, -1]).double().softmax(1).amax(1)

    ids = inputs.ids[rng.permutation(len(inputs))]
    return torch.cat([batch(ids[start : start + 64]) for start in range(0, len(ids), 64)]).numpy()


def test_the_network_before_fine_tuning_answers_as_its_authors_did() -> None:
    net, train = network("baseline"), texts("trec-fine", "train+validation")
    assert right(net, train.take(np.arange(500))) == 1.0
    assert right(net, texts("trec-fine", "test")) == 0.768


@pytest.mark.parametrize(("card", "split"), [("multi30k", "train"), ("wmt16", "test")])
@pytest.mark.parametrize(
    ("name", "auroc", "fpr90"),
    [("baseline", {"multi30k": 81.6, "wmt16": 78.2}, {"multi30k": 44.2, "wmt16": 50.7}),
     ("oe-finetuned", {"multi30k": 99.7, "wmt16": 99.8}, {"multi30k": 0.3, "wmt16": 0.2})],
)  # fmt: skip
def test_in_batches_padded_in_front_they_give_what_the_paper_prints(
    card: str, split: str, name: str, auroc: dict[str, float], fpr90: dict[str, float]
) -> None:
    """The means of ten draws of 128 sentences there; here 1,280 sentences at once."""
    net, rng = network(name), np.random.default_rng(0)
    good = padded_in_front(net, texts("trec-fine", "test"), rng)
    out = texts(card, split)
    bad = padded_in_front(net, out.take(rng.choice(len(out), 1280, replace=False)), rng)
    assert 100 * ranking(good, bad)["auroc"] == pytest.approx(auroc[card], abs=1.5 if name == "baseline" else 0.2)
    assert 100 * fpr90_ood_positive(count(good, bad)) == pytest.approx(
        fpr90[card], abs=6 if name == "baseline" else 0.5
    )


def test_no_text_of_the_matrix_is_cut() -> None:
    for one in MATRIX.ood:
        assert (texts(one.card, one.split).ids[:, -1] == MATRIX.space.pad).all(), one.card


def test_every_post_hoc_method_without_pixels_is_a_row_on_both_networks() -> None:
    named = ["msp", "temperature", "energy", "max-logit", "knn", "mahalanobis-a", "gmm-100", "odin", "oe-finetune"]
    planned = plan(MATRIX, find(named), MATRIX.seeds)
    jobs = [item.method.name for item in planned if isinstance(item, Job)]
    assert jobs == [f"{name}@{model.name}" for name in named[:-2] for model in MATRIX.model]
    assert {item.reason.split(",")[0].split(" (")[0] for item in planned if isinstance(item, Skip)} == {
        "reads inputs",
        "trains a network of its own",
    }

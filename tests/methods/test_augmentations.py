"""Rows of augmented training: the plain recipe, with one more augmentation."""

from dataclasses import replace

import pytest
import torch
from oodbench.methods.augmentations import METHODS

from oodbench.check.toy import IN_SET, TRAINING, blobs
from oodbench.models.train import train
from oodbench.recipes import Plain
from oodbench.training import AUGMENTATIONS


@pytest.mark.parametrize("row", METHODS, ids=lambda row: row.name)
def test_a_row_is_the_plain_recipe_with_one_more_augmentation(row: object) -> None:
    name = row.name.removesuffix("-msp")  # type: ignore[attr-defined]
    assert name in AUGMENTATIONS.names()
    how = replace(TRAINING, augment=("flip",), epochs=2)
    recipe = row.recipe.sized("tiny", how)  # type: ignore[attr-defined]
    assert recipe.training == replace(how, augment=("flip", name))
    ours, plain, unlike = (
        train(one, blobs(96, 0), IN_SET, 0, device=torch.device("cpu")).state_dict()
        for one in (recipe, Plain(recipe.training), Plain(how))
    )
    assert all(ours[key].equal(weight) for key, weight in plain.items())
    assert not all(ours[key].equal(weight) for key, weight in unlike.items())


def test_rows() -> None:
    assert [row.name for row in METHODS] == ["cutout-msp", "randaugment-msp", "pixmix-msp"]
    assert len({row.paper.title for row in METHODS}) == 3

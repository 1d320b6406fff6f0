"""A matrix that tunes on the out-set it tests: no image is in both, and its tuned rows say so."""

import numpy as np

from oodbench.data.matrix import find_matrix
from oodbench.run.plan import tuning_access
from oodbench.run.registry import find
from oodbench.run.sets import open_sets


def test_no_image_is_tuned_on_and_tested():
    matrix = find_matrix("lee2018-cifar10-dense-svhn-tiny-v1")
    sets = open_sets(matrix, None)
    both = (sets.ood["digits"], sets.tuning["digits"])
    tested, held = ({x.tobytes() for x in images.batch(np.arange(len(images)))} for images in both)
    assert (len(tested), len(held)) == (800, 200)
    assert not tested & held


def test_only_rows_that_are_tuned_so_say_so():
    same, clean = find_matrix("lee2018-cifar10-dense-svhn-tiny-v1"), find_matrix("tiny-v1")
    names = ["msp", "temperature", "odin-tuned", "odin-fgsm"]
    methods = [entry.method for entry in find(names)]
    assert [tuning_access(same, one) for one in methods] == ["none", "id_val", "ood_val_same", "adversarial_val"]
    assert [tuning_access(clean, one) for one in methods] == ["none", "id_val", "ood_val", "adversarial_val"]

"""How often a two-sided test of typicality calls in-set images foreign, beside the share that it promises.

The p-values are those of `oodbench.detectors.densities`: the reference is every training image, un-augmented. A model
is surer of these than of others like them, so that more than a share alpha of other in-set images have p < alpha.
"""

from collections.abc import Callable
from types import SimpleNamespace

from torch import Tensor

from oodbench.data.inputs import Inputs
from oodbench.detectors.densities import Typicality
from oodbench.run.sets import Sets

ALPHA = 0.05
"""The share that the test promises."""


def false_alarms(log_density: Callable[[Inputs], Tensor], sets: Sets) -> dict[str, float]:
    """Return the share of test and of validation images with p < alpha, and alpha, "nominal".

    Args:
        log_density: Returns log p in nats of each image [n].
        sets: Those of the matrix.
    """

    def outputs(images: Inputs) -> SimpleNamespace:
        return SimpleNamespace(log_density=log_density(images))

    test = Typicality()
    reference = test.fit(SimpleNamespace(train=outputs(sets.train)))
    shares = {
        part: float((test.score(reference, outputs(images)) < ALPHA).double().mean())
        for part, images in (("test", sets.test), ("validation", sets.validation))
    }
    return {"nominal": ALPHA, **shares}

"""Typicality: is the log density what it is for training inputs, neither lower nor higher?

Nalisnick et al., "Detecting Out-of-Distribution Inputs to Deep Generative Models Using Typicality", 2019, with batches
of one; as a two-sided test Mackowiak, Ardizzone, Koethe & Rother, "Generative Classifiers as a Basis for Trustworthy
Image Classification", CVPR 2021. The formulas are in `bench/oodbench/detectors/densities.py`, the model is Glow.

    typicality:       s(x) = 2 min(u, 1 - u),   u = share of training inputs with log p at most log p(x)
    typicality-mean:  s(x) = -|log p(x) - mean log p of the training inputs|

Both look at the training inputs without augmentation. Mackowiak's code takes the evaluated in-set for reference, and a
validation set with augmentation.

Fails where strange inputs have the log density that training inputs usually have: one number says nothing of how they
come by it.
"""

from oodbench.contract import Citation, Method
from oodbench.densities.glow import Glow
from oodbench.detectors.densities import Typicality, TypicalityMean

METHODS = (
    Method(
        name="typicality",
        title="Glow, two-sided p-value of the log density",
        family="generative",
        paper=Citation(
            authors="Mackowiak, Ardizzone, Köthe, Rother",
            title="Generative Classifiers as a Basis for Trustworthy Image Classification",
            year=2021,
            url="https://arxiv.org/abs/2007.15036",
        ),
        recipe=Glow(),
        detector=Typicality(),
    ),
    Method(
        name="typicality-mean",
        title="Glow, distance of the log density to its mean",
        family="generative",
        paper=Citation(
            authors="Nalisnick, Matsukawa, Teh, Lakshminarayanan",
            title="Detecting Out-of-Distribution Inputs to Deep Generative Models Using Typicality",
            year=2019,
            url="https://arxiv.org/abs/1906.02994",
        ),
        recipe=Glow(),
        detector=TypicalityMean(),
    ),
)

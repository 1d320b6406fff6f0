"""WAIC: the log density that several models give, less how far they disagree.

Choi, Jang & Alemi, "WAIC, but Why? Generative Ensembles for Robust Anomaly Detection", 2018; the formula is in
`bench/oodbench/detectors/densities.py`, the members are those of `bench/oodbench/densities/ensemble.py`.

    s(x) = mean_m log p_m(x) - var_m log p_m(x),   M = 5, in nats of the whole image

A member is the model of the model's own row at one seed. In a matrix with several seeds neighbours share four of five
members; the paper's intervals are bootstraps of the same five.

Fails where members agree on what is wrong: that strange images are smooth and likely is one thing on which they do. The
variance of a few members is itself a rough estimate.
"""

from functools import partial

from oodbench.contract import Citation, Method
from oodbench.densities.ensemble import DensityEnsemble
from oodbench.densities.glow import Glow
from oodbench.densities.pixelcnn import PixelCnn
from oodbench.densities.vae import Vae
from oodbench.detectors.densities import WAIC

CHOI = Citation(
    authors="Choi, Jang, Alemi",
    title="WAIC, but Why? Generative Ensembles for Robust Anomaly Detection",
    year=2018,
    url="https://arxiv.org/abs/1810.01392",
)

row = partial(Method, family="generative", paper=CHOI)

METHODS = (
    row(
        name="waic-glow",
        title="WAIC of 5 Glows (several seeds share members)",
        recipe=DensityEnsemble(Glow()),
        detector=WAIC,
    ),
    row(
        name="waic-vae",
        title="WAIC of 5 VAEs (several seeds share members)",
        recipe=DensityEnsemble(Vae()),
        detector=WAIC,
    ),
    row(
        name="waic-pixelcnn++",
        title="WAIC of 5 PixelCNN++s (several seeds share members)",
        recipe=DensityEnsemble(PixelCnn()),
        detector=WAIC,
    ),
)

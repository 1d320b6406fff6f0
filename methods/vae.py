"""VAE: a bound of an image's log probability, and the rate of its code.

Choi, Jang & Alemi, "WAIC, but Why? Generative Ensembles for Robust Anomaly Detection", 2018; the bound is that of
Burda, Grosse & Salakhutdinov, "Importance Weighted Autoencoders", ICLR 2016.

    vae:       s(x) = log 1/K sum_k P(x|z_k) p(z_k) / q(z_k|x),   z_k ~ q(z|x), in nats
    vae-rate:  s(x) = -KL(q(z|x) || p(z))

The log is of the mean of the weights: the mean of their logs, which Choi's code reports, is the bound for K = 1. The
rate has its closed form for the prior N(0, I); Choi's flows for a prior leave it to a draw.

The encoder sees pixels in [0, 1]: scaled to [-1, 1] grey would be what sends no signal. Choi's rate finds every other
data set and noise outside of MNIST (99.1 and more, Table 1); whether this one does, the pages say.

Fails where strange images are smoother than the training images: a density of pixels is high for what is simple,
whatever it shows.
"""

from jaxtyping import Float
from torch import Tensor

from oodbench import formulas
from oodbench.contract import POSTERIOR, PRIOR, Citation, Method, Outputs, Stateless
from oodbench.densities.vae import Vae
from oodbench.detectors.densities import LIKELIHOOD


def rate(batch: Outputs) -> Float[Tensor, "n"]:
    """Return -KL(q(z|x) || p(z)), in nats."""
    return -formulas.gaussian_kl(*batch[POSTERIOR], *batch[PRIOR])[:, 0]


CHOI = Citation(
    authors="Choi, Jang, Alemi",
    title="WAIC, but Why? Generative Ensembles for Robust Anomaly Detection",
    year=2018,
    url="https://arxiv.org/abs/1810.01392",
)

METHODS = (
    Method(
        name="vae",
        title="VAE, importance-weighted bound of the log density",
        family="generative",
        paper=CHOI,
        recipe=Vae(),
        detector=LIKELIHOOD,
    ),
    Method(
        name="vae-rate",
        title="VAE, rate",
        family="generative",
        paper=CHOI,
        recipe=Vae(),
        detector=Stateless(frozenset({POSTERIOR, PRIOR}), rate),
    ),
)

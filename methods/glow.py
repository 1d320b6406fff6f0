"""Glow: an image's log density under a flow, and where its code lies.

Kingma & Dhariwal 2018; as an out-of-distribution score Nalisnick et al., "Do Deep Generative Models Know What They
Don't Know?", ICLR 2019; the code's norm Choi, Jang & Alemi, "WAIC, but Why?", 2018.

    glow, glow-cv:  s(x) = log p(y) = log p(z) + log|det dz/dy|, in nats
    latent-shell:   s(x) = -| ||eps(x)|| - sqrt(D) |
    latent-norm:    s(x) = -||eps(x)||

glow-cv has additive couplings: its log|det| is the same for all inputs. eps is the code, whitened under the prior at
all levels, of D dimensions: a standard normal's lie near the sphere of radius sqrt(D). Choi give numbers for "||d||"
and no formula; the distance to that shell fits them (noise, farther out, is found as well as what is nearer in), the
norm does not. Nalisnick's finding is that log p(y) prefers simpler images than those trained on: an AUROC far below
50 % in such a row is no bug.

Fails where strange images are smoother than the training images: a density of pixels is high for what is simple,
whatever it shows.
"""

import math

from jaxtyping import Float
from torch import Tensor
from torch.linalg import vector_norm

from oodbench.contract import LATENT, Citation, Method, Outputs, Stateless
from oodbench.densities.glow import Glow
from oodbench.detectors.densities import LIKELIHOOD


def norm(batch: Outputs) -> Float[Tensor, "n"]:
    """Return minus the code's norm, in float64."""
    return -_length(batch[LATENT])


def shell(batch: Outputs) -> Float[Tensor, "n"]:
    """Return minus the distance of the code to the sphere of radius sqrt(D), in float64."""
    return -(_length(batch[LATENT]) - math.sqrt(batch[LATENT].shape[1])).abs()


def _length(eps: Tensor) -> Tensor:
    length: Tensor = vector_norm(eps.double(), dim=1)
    return length


KINGMA = Citation(
    authors="Kingma, Dhariwal",
    title="Glow: Generative Flow with Invertible 1x1 Convolutions",
    year=2018,
    url="https://arxiv.org/abs/1807.03039",
)
NALISNICK = Citation(
    authors="Nalisnick, Matsukawa, Teh, Gorur, Lakshminarayanan",
    title="Do Deep Generative Models Know What They Don't Know?",
    year=2019,
    url="https://arxiv.org/abs/1810.09136",
)
CHOI = Citation(
    authors="Choi, Jang, Alemi",
    title="WAIC, but Why? Generative Ensembles for Robust Anomaly Detection",
    year=2018,
    url="https://arxiv.org/abs/1810.01392",
)

METHODS = (
    Method(
        name="glow",
        title="Glow, log density",
        family="generative",
        paper=KINGMA,
        recipe=Glow(),
        detector=LIKELIHOOD,
    ),
    Method(
        name="glow-cv",
        title="Glow of constant volume, log density",
        family="generative",
        paper=NALISNICK,
        recipe=Glow(volume="constant"),
        detector=LIKELIHOOD,
    ),
    Method(
        name="latent-shell",
        title="Glow, distance of the code to the typical shell",
        family="generative",
        paper=CHOI,
        recipe=Glow(),
        detector=Stateless(frozenset({LATENT}), shell),
    ),
    Method(
        name="latent-norm",
        title="Glow, norm of the code",
        family="generative",
        paper=CHOI,
        recipe=Glow(),
        detector=Stateless(frozenset({LATENT}), norm),
    ),
)

"""Flow-GAN: an image's log density under a flow that was trained against a critic.

Grover, Dhar & Ermon 2018; the recipe is in `bench/oodbench/densities/flow_gan.py`.

    s(x) = log p(y),   the flow trained by   min_p max_D  V(p, D) - lambda mean log p(y)

    flow-gan-inf:         lambda = infinity, maximum likelihood alone
    flow-gan-1, -0.1:     both
    flow-gan-0:           lambda = 0, the critic alone

The paper is about samples and densities, not about out-of-distribution inputs. It finds that trained against the critic
alone a flow draws good samples and gives held-out images a log likelihood below that of a mixture of Gaussians that
memorises the training images: nothing keeps the Jacobian of the generator from being nearly singular, its samples from
lying near a surface of fewer dimensions, off which the density falls at once. The likelihood term takes that back at
little cost in samples. At lambda = 0 bits a dimension are therefore bad by design; whether its *order* of images is any
worse is what the row is there to tell. What each of them draws `oodbench diagnose samples` shows.

Fails where strange images are smoother than the training images: a density of pixels is high for what is simple,
whatever it shows. The adversarial rows draw better images, and know densities less.
"""

from typing import Literal

from oodbench.contract import Citation, Method
from oodbench.densities.flow_gan import FlowGan
from oodbench.detectors.densities import LIKELIHOOD

PAPER = Citation(
    authors="Grover, Dhar, Ermon",
    title="Flow-GAN: Combining Maximum Likelihood and Adversarial Learning in Generative Models",
    year=2018,
    url="https://arxiv.org/abs/1705.08868",
)


def swept(lam: float | Literal["inf"]) -> Method:
    """Return the row of a lambda."""
    title = f"Flow-GAN, lambda {lam}, log density"
    return Method(
        name=f"flow-gan-{lam}",
        title=title,
        family="generative",
        paper=PAPER,
        recipe=FlowGan(lam=lam),
        detector=LIKELIHOOD,
    )


METHODS = (
    swept(0),
    swept(0.1),
    swept(1),
    swept("inf"),
)

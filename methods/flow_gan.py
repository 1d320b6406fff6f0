"""Flow-GAN: an image's log density under a flow that was trained against a critic.

Grover, Dhar & Ermon 2018; the recipe is in `bench/oodbench/densities/flow_gan.py`.

    s(x) = log p(y),   the flow trained by   min_p max_D  V(p, D) - lambda mean log p(y)

    glow:                  lambda = infinity, maximum likelihood alone
    flow-gan:              both
    flow-gan-adversarial:  lambda = 0, the critic alone

The paper is about samples and densities, not about out-of-distribution inputs. It finds that trained against the critic
alone a flow draws good samples and gives held-out images a log likelihood below that of a mixture of Gaussians that
memorises the training images: nothing keeps the Jacobian of the generator from being nearly singular, its samples from
lying near a surface of fewer dimensions, off which the density falls at once. The likelihood term takes that back at
little cost in samples. In the adversarial row bits a dimension are therefore bad by design; whether its *order* of
images is any worse is what the row is there to tell.
"""

from oodbench.contract import Citation, Method
from oodbench.densities.flow_gan import FlowGan
from oodbench.detectors.densities import LIKELIHOOD

PAPER = Citation(
    authors="Grover, Dhar, Ermon",
    title="Flow-GAN: Combining Maximum Likelihood and Adversarial Learning in Generative Models",
    year=2018,
    url="https://arxiv.org/abs/1705.08868",
)

METHODS = (
    Method(
        name="flow-gan",
        title="Flow-GAN, hybrid, log density",
        paper=PAPER,
        recipe=FlowGan(),
        detector=LIKELIHOOD,
    ),
    Method(
        name="flow-gan-adversarial",
        title="Flow-GAN, adversary alone, log density",
        paper=PAPER,
        recipe=FlowGan(lam=0.0, moves=2, pace=0.1),
        detector=LIKELIHOOD,
    ),
)

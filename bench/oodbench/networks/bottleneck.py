"""A classifier with a stochastic bottleneck (Alemi 2016, arXiv:1612.00410), and learned priors of its code.

    q(z|x) = N(mu, diag sigma^2),   (mu, rho) = W f(x) + b,   sigma = softplus(rho - 5)
    P(y|x) = 1/S sum_s softmax(V (mu + sigma eps_s) + c)_y

The S noise vectors eps_s are the same for all inputs: the averaged decoder is a plain function of the input.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, softplus

from oodbench.contract import FEATURES, LOGITS, POSTERIOR, PRIOR, Output
from oodbench.formulas import gaussian_kl
from oodbench.networks.classifier import NONE
from oodbench.networks.gaussian import Gaussian

LOWEST = -80.0
"""Least rho - 5: sigma is then 2e-35, and float32 still holds sigma, 1 / sigma and the slope of log sigma."""

SPREAD = math.log(10)
"""Largest |log v| of a prior's standard deviation v: it can neither vanish nor grow without bound."""

PACE = 0.1
"""Weight of an input's rate in the gradient of its prior, in place of beta: see `information_loss`.

Of 0.003, 0.01, 0.03, 0.1, 0.3 and 1 the one with the least mean rate of validation images on tiny-v1; on
fashion-mnist-v1, where three were tried, 0.03 is as good within noise. From 0.3 on the priors run to their bound.
"""


class StochasticBottleneck(nn.Module):
    """An encoder to a Gaussian posterior q(z|x) over K latents, a linear decoder, R learned Gaussian priors r(z).

    Args:
        encoder: A network with 2 K outputs, mu and rho.
        latent: K.
        classes: C.
        priors: R: one for all inputs, or one a class.
        samples: S, over which the decoder is averaged.
    """

    passes = 1
    noise: Tensor

    def __init__(
        self,
        encoder: nn.Module,
        latent: int,
        classes: int,
        *,
        priors: int,
        samples: int,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = nn.Linear(latent, classes)
        self.prior_mean = nn.Parameter(torch.zeros(priors, latent))
        self.prior_log_std = nn.Parameter(torch.zeros(priors, latent))
        self.register_buffer("noise", torch.randn(samples, latent, generator=torch.Generator().manual_seed(0)))

    @property
    def entries(self) -> frozenset[Output]:
        """Those of the encoder; its features are below the code, and the posterior's mean takes their place."""
        below: frozenset[Output] = self.encoder.entries  # type: ignore[assignment]
        return below | {FEATURES}

    @property
    def constants(self) -> Mapping[Output, Any]:
        """The priors."""
        return {PRIOR: self.prior}

    @property
    def prior(self) -> Gaussian:
        """The priors."""
        return self.paced_prior(1.0)

    def paced_prior(self, pace: float) -> Gaussian:
        """Return the priors, the gradient by their weights multiplied by `pace`."""
        mean, log_v = (w.detach() + pace * (w - w.detach()) for w in (self.prior_mean, self.prior_log_std))
        # The bound lets the gradient through: what went too far can come back.
        return Gaussian(mean, (log_v + (log_v.clamp(-SPREAD, SPREAD) - log_v).detach()).exp())

    def forward(self, x: Tensor) -> Tensor:
        """Return log P(y|x) [n C] of pixels [n c h w] or tokens [n t]."""
        return self.decoded(self.posterior(x))

    def posterior(self, x: Tensor) -> Gaussian:
        """Return q(z|x) of pixels [n c h w] or tokens [n t]."""
        return self.encoded(self.encoder(x))

    def encoded(self, outputs: Tensor) -> Gaussian:
        """Return q(z|x) from what the encoder puts out [n 2K], in the weights' own precision."""
        mean, rho = outputs.to(self.prior_mean.dtype).chunk(2, dim=1)
        return Gaussian(mean, softplus((rho - 5).clamp(min=LOWEST)))

    def sampled(self, q: Gaussian) -> Tensor:
        """Return the decoder's logits [n C] at one draw from each posterior, by the global generator."""
        logits: Tensor = self.decoder(q.mean + q.std * torch.randn_like(q.std))
        return logits.to(q.mean.dtype)

    def decoded(self, q: Gaussian) -> Tensor:
        """Return log P(y|x) [n C]: the decoder's probabilities, averaged over the fixed noise."""
        z = q.mean[:, None] + q.std[:, None] * self.noise
        log_p: Tensor = self.decoder(z).log_softmax(dim=2)
        return log_p.logsumexp(dim=1) - math.log(len(self.noise))

    def outputs(
        self, x: Tensor, wanted: frozenset[Output], replacing: Mapping[Output, Tensor] = NONE
    ) -> Mapping[Output, Any]:
        """Return outputs for x after one forward pass; the features are the posterior's mean."""
        under = {output: value for output, value in replacing.items() if output != FEATURES}
        below: Mapping[Output, Any] = self.encoder.outputs(x, wanted | {LOGITS}, under)  # type: ignore[operator]
        q = self.encoded(below[LOGITS])
        q = q._replace(mean=replacing.get(FEATURES, q.mean))
        return {**below, FEATURES: q.mean, POSTERIOR: q, LOGITS: self.decoded(q)}


def information_loss(
    net: StochasticBottleneck, x: Tensor, labels: Tensor, prior: Tensor, beta: float, label_smoothing: float = 0.0
) -> Tensor:
    """Return -log P(y|z) + beta KL(q(z|x) || r_prior(z)), z ~ q(z|x), the mean over a batch, in nats.

    The priors occur in the rate alone, so that their best values do not depend on its weight; but the small beta would
    leave them where they began in a training of some hundred steps, and next to the weight decay it would hold them
    near 0. Their gradient is that of the rate times PACE, for each of R priors alike, though it gets but 1/R of the
    inputs.

    Args:
        net: Whom to train.
        x: Pixels [n c h w] or tokens [n t].
        labels: Classes [n].
        prior: Which of the R priors each input is measured against [n].
        beta: Weight of the rate.
        label_smoothing: Of the cross-entropy.
    """
    q = net.posterior(x)
    distortion = cross_entropy(net.sampled(q), labels, label_smoothing=label_smoothing)
    kl = gaussian_kl(*q, *net.paced_prior(PACE * len(net.prior_mean) / beta))
    return distortion + beta * kl.gather(1, prior[:, None]).mean()

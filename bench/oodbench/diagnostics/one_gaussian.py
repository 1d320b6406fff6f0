"""One Gaussian fitted to a mixture of two, in two dimensions, by three divergences: which fit is best depends on which.

Theis, van den Oord & Bethge, "A note on the evaluation of generative models", ICLR 2016, figure 1, whose mixture is not
said [open choice: MIXTURE]. p is the mixture, q = N(mu, s^2 I):

    KLD   E_p[log p - log q], which mu = E_p[x], s^2 = mean variance of p minimise
    JSD   1/2 E_p[log p - log m] + 1/2 E_q[log q - log m],   m = (p + q) / 2
    MMD   E k(x, x') - 2 E k(x, y) + E k(y, y')   (squared),  k(x, y) = exp(-|x - y|^2 / (2 h^2)),  x ~ p, y ~ q

KLD and JSD are sums over a grid; MMD has a closed form between isotropic Gaussians.
"""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

Values = npt.NDArray[np.float64]


class Gaussians(NamedTuple):
    """A mixture of isotropic Gaussians in the plane: weights [K], means [K, 2], standard deviations [K]."""

    w: Values
    mu: Values
    s: Values

    def log_density(self, x: Values) -> Values:
        """Return log p of points [n, 2]."""
        distance = ((x[:, None] - self.mu) ** 2).sum(axis=2)
        each = np.log(self.w) - distance / (2 * self.s**2) - np.log(2 * np.pi * self.s**2)
        found: Values = np.logaddexp.reduce(each, axis=1)
        return found


MIXTURE = Gaussians(np.array([0.6, 0.4]), np.array([[-2.0, -1.0], [2.0, 1.0]]), np.array([0.8, 0.5]))
"""What is fitted."""

AXIS = np.linspace(-7, 7, 71)
"""The grid's coordinates: all but 1e-6 of the mass of the mixture and of the fits lies within."""

BANDWIDTH = 1.0
"""h of the MMD."""


@cache
def grid() -> Values:
    """Return the points of the grid [n, 2]."""
    return np.stack(np.meshgrid(AXIS, AXIS, indexing="ij"), axis=-1).reshape(-1, 2)


def kld(p: Gaussians, q: Gaussians) -> float:
    """Return KL(p || q) in nats."""
    log_p = p.log_density(grid())
    return _integral(np.exp(log_p) * (log_p - q.log_density(grid())))


def jsd(p: Gaussians, q: Gaussians) -> float:
    """Return the Jensen-Shannon divergence in nats, at most log 2."""
    log_p, log_q = p.log_density(grid()), q.log_density(grid())
    log_m = np.logaddexp(log_p, log_q) - np.log(2)
    return 0.5 * _integral(np.exp(log_p) * (log_p - log_m) + np.exp(log_q) * (log_q - log_m))


def mmd(p: Gaussians, q: Gaussians) -> float:
    """Return the squared maximum mean discrepancy."""
    w = np.concatenate([p.w, -q.w])
    mu, s = np.concatenate([p.mu, q.mu]), np.concatenate([p.s, q.s])
    v = BANDWIDTH**2 + s[:, None] ** 2 + s**2
    distance = ((mu[:, None] - mu) ** 2).sum(axis=2)
    return float(w @ (BANDWIDTH**2 / v * np.exp(-distance / (2 * v))) @ w)


DIVERGENCES: dict[str, Callable[[Gaussians, Gaussians], float]] = {"KLD": kld, "MMD": mmd, "JSD": jsd}


def fitted(divergence: Callable[[Gaussians, Gaussians], float], p: Gaussians = MIXTURE) -> Gaussians:
    """Return the isotropic Gaussian of least divergence from p: the best of descents from each mode and the mean."""

    def of(t: Values) -> float:
        return divergence(p, _gaussian(t))

    starts: list[Values] = [np.append(start, 0.0).astype(np.float64) for start in (*p.mu, p.w @ p.mu)]
    found = [minimize(of, start, method="Nelder-Mead", options={"xatol": 1e-5}) for start in starts]
    return _gaussian(min(found, key=lambda one: one.fun).x)


@cache
def fits() -> dict[str, Gaussians]:
    """Return the Gaussian that is fitted to MIXTURE by each divergence."""
    return {name: fitted(divergence) for name, divergence in DIVERGENCES.items()}


def _gaussian(t: Values) -> Gaussians:
    return Gaussians(np.ones(1), np.asarray(t[:2])[None], np.exp(t[2:]))


def _integral(values: Values) -> float:
    return float(values.sum() * (AXIS[1] - AXIS[0]) ** 2)

"""Formulas that several methods share: pure functions of tensors, each row scored apart from the others.

Wherever a small difference of large numbers decides a rank, the work is done in float64; float32 comes in and, unless a
function says otherwise, float32 goes out.
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from oodbench.contract import Head

ROWS = 8192
"""Rows of a training set that are turned to float64 at a time: memory stays flat as sets grow."""


def msp_key(logits: Float[Tensor, "n C"], temperature: float = 1.0) -> Float[Tensor, "n"]:
    """Return a stable key that ranks like max softmax(z / T): -log sum_{i != y} exp((z_i - z_y) / T), y = argmax z.

    With p = max softmax(z / T) the key is log p / (1 - p): it orders inputs as p does but never saturates, where p is
    1.0 in float32 from a margin of 17 on. Range: at least -log(C - 1). C > 1, T > 0.

    Example:
        >>> msp_key(torch.tensor([[2.0, 0.0], [200.0, 0.0]]))  # the softmax of the second is 1.0
        tensor([  2., 200.])
    """
    return _like(logits, _log_odds(logits, temperature))


def tempered_margin(logits: Float[Tensor, "n C"], temperature: float) -> Float[Tensor, "n"]:
    """Return `msp_key` at temperature T in units of logits: -T log mean_{i != y} exp((z_i - z_y) / T).

    It is T (key + log(C - 1)), so it ranks as `msp_key` does at that T. At T = 1000 the keys of all inputs share their
    first digits and float32 would tie some; this does not, and as T grows it tends to z_y - mean_{i != y} z_i (Liang
    2018, Proposition 1). Range: at least 0. C > 1, T > 0.

    Example:
        >>> tempered_margin(torch.tensor([[4.0, 1.0]]), temperature=1000.0)
        tensor([3.])
    """
    rivals = logits.shape[1] - 1
    return _like(logits, temperature * (_log_odds(logits, temperature) + math.log(rivals)))


def _log_odds(logits: Tensor, temperature: float) -> Tensor:
    z = logits.double()
    y = z.argmax(dim=1, keepdim=True)
    gaps = (z - z.gather(1, y)) / temperature
    return -gaps.scatter(1, y, -torch.inf).logsumexp(dim=1)


def log_probabilities(logits: Float[Tensor, "n C"]) -> tuple[Float[Tensor, "n C"], Float[Tensor, "n C"]]:
    """Return log p and log(1 - p), p = softmax(z), in float64: both exact where p is 0.0 or 1.0 in floating point.

    With r = sum_{i != y} exp(z_i - z_y), y = argmax z, the largest p is 1 / (1 + r), and 1 minus it r / (1 + r). C > 1.

    Example:
        >>> log_p, log_q = log_probabilities(torch.tensor([[100.0, 0.0]]))
        >>> log_q[0, 0].item()  # p is 1.0 in floating point, and 1 - p is not 0
        -100.0
    """
    z = logits.double()
    y = z.argmax(dim=1, keepdim=True)
    log_r = -_log_odds(z, 1.0)[:, None]
    log_total = torch.logaddexp(log_r, torch.zeros_like(log_r))
    log_p = z - z.gather(1, y) - log_total
    others = log_p.exp().scatter(1, y, 0.0)  # or the largest p, where it is 1.0, had an infinite derivative times 0
    log_q = torch.log1p(-others).scatter(1, y, log_r - log_total)
    return log_p, log_q


def max_logit(logits: Float[Tensor, "n C"]) -> Float[Tensor, "n"]:
    """Return the largest logit, max_i z_i.

    Example:
        >>> max_logit(torch.tensor([[1.0, 3.0, 2.0]]))
        tensor([3.])
    """
    return _like(logits, logits.amax(dim=1))


def energy(logits: Float[Tensor, "n C"], temperature: float = 1.0) -> Float[Tensor, "n"]:
    """Return the negative free energy, T log sum_i exp(z_i / T), T > 0.

    Example:
        >>> energy(torch.zeros(1, 4))  # log 4
        tensor([1.3863])
    """
    return _like(logits, temperature * (logits.double() / temperature).logsumexp(dim=1))


def through_head(features: Float[Tensor, "n F"], head: Head) -> Float[Tensor, "n C"]:
    """Return the logits that the last linear layer makes of features, f W^T + b, in float64.

    Example:
        >>> through_head(torch.ones(1, 2), Head(torch.tensor([[1.0, 2.0]]), torch.tensor([0.5]))).tolist()
        [[3.5]]
    """
    return features.double() @ head.weight.double().T + head.bias.double()


def entropy(logits: Float[Tensor, "n C"]) -> Float[Tensor, "n"]:
    """Return the entropy of softmax(z) in nats, within [0, log C]; higher = less certain.

    Example:
        >>> entropy(torch.zeros(1, 4))  # log 4
        tensor([1.3863])
    """
    log_p = logits.double().log_softmax(dim=1)
    return _like(logits, -(log_p.exp() * log_p).sum(dim=1))


def uniform_cross_entropy(logits: Float[Tensor, "n C"]) -> Float[Tensor, "n"]:
    """Return H(U; p) = -mean_c log p_c = logsumexp(z) - mean_c z_c in nats, p = softmax(z): log C where p is uniform.

    KL(U || p) is this less log C. Range: at least log C, unbounded; higher = more certain.

    Example:
        >>> uniform_cross_entropy(torch.zeros(1, 4))  # log 4, the least
        tensor([1.3863])
    """
    z = logits.double()
    return _like(logits, z.logsumexp(dim=1) - z.mean(dim=1))


def log_mean_softmax(members: Float[Tensor, "n M C"]) -> Float[Tensor, "n C"]:
    """Return log p, p = 1/M sum_m softmax(z_m): logits of the mean of the members' probabilities.

    Example:
        >>> log_mean_softmax(torch.tensor([[[100.0, 0.0], [0.0, 100.0]]])).exp()  # two members that disagree
        tensor([[0.5000, 0.5000]])
    """
    return _like(members, _log_mean(members.double().log_softmax(dim=2)))


def predictive_entropy(members: Float[Tensor, "n M C"]) -> Float[Tensor, "n"]:
    """Return the entropy of p = 1/M sum_m softmax(z_m) in nats, within [0, log C]; higher = less certain.

    Example:
        >>> predictive_entropy(torch.tensor([[[100.0, 0.0], [0.0, 100.0]]]))  # log 2
        tensor([0.6931])
    """
    log_p = _log_mean(members.double().log_softmax(dim=2))
    return _like(members, -(log_p.exp() * log_p).sum(dim=1))


def mutual_information(members: Float[Tensor, "n M C"]) -> Float[Tensor, "n"]:
    """Return I = H[p] - 1/M sum_m H[p_m] in nats, within [0, log M]; higher = the members agree less.

    It is the mean of KL(p_m || p), summed over terms that are none below 0: the difference of the entropies would be
    rounding wherever all members are sure of one class.

    Example:
        >>> mutual_information(torch.tensor([[[100.0, 0.0], [0.0, 100.0]], [[1.0, 0.0], [1.0, 0.0]]]))
        tensor([0.6931, 0.0000])
    """
    log_p_m = members.double().log_softmax(dim=2)
    log_p = _log_mean(log_p_m)[:, None]
    # KL = sum_c p_m log p_m/p = sum_c p (r log r - r + 1),  r = p_m/p: both p_m and p sum to 1
    log_r = log_p_m - log_p
    terms = log_p.exp() * (log_r.exp() * log_r - log_r.expm1())
    return _like(members, terms.sum(dim=2).mean(dim=1))


def _log_mean(log_p: Tensor) -> Tensor:
    # about the largest member, so that of equal members it is exactly each
    top = log_p.detach().amax(dim=1, keepdim=True)
    return (log_p - top).exp().mean(dim=1).log() + top[:, 0]


def class_means(x: Float[Tensor, "n F"], labels: Int[Tensor, "n"]) -> tuple[Float[Tensor, "K F"], Int[Tensor, "n"]]:
    """Return the mean of each class that occurs, in float64, and each row's place among those K classes.

    Example:
        >>> means, member = class_means(torch.tensor([[1.0], [3.0], [8.0]]), torch.tensor([0, 0, 7]))
        >>> means.tolist(), member.tolist()
        ([[2.0], [8.0]], [0, 0, 1])
    """
    present, member = torch.unique(labels, return_inverse=True)
    total = x.new_zeros(len(present), x.shape[1], dtype=torch.float64)
    for rows, k in zip(torch.split(x, ROWS), torch.split(member, ROWS), strict=True):
        total.index_add_(0, k, rows.double())
    return total / member.bincount()[:, None], member


def within_class_covariance(
    x: Float[Tensor, "n F"], means: Float[Tensor, "K F"], member: Int[Tensor, "n"]
) -> Float[Tensor, "F F"]:
    """Return the pooled within-class scatter, 1/n sum_i (x_i - mu_{k_i})(x_i - mu_{k_i})^T, in float64.

    Example:
        >>> x, labels = torch.tensor([[1.0], [3.0], [8.0], [8.0]]), torch.tensor([0, 0, 7, 7])
        >>> within_class_covariance(x, *class_means(x, labels)).item()
        0.5
    """
    scatter = x.new_zeros(x.shape[1], x.shape[1], dtype=torch.float64)
    for rows, k in zip(torch.split(x, ROWS), torch.split(member, ROWS), strict=True):
        centred = rows.double() - means[k]
        scatter += centred.T @ centred
    return scatter / len(x)


def precision_root(covariance: Float[Tensor, "F F"], rtol: float) -> Float[Tensor, "F r"]:
    """Return W with W W^T the pseudo-inverse of a covariance; r is its rank.

    Directions whose variance is at most `rtol` times the largest variance are left out: there the data has no width,
    and dividing by it would measure nothing but rounding.

    Example:
        >>> root = precision_root(torch.diag(torch.tensor([4.0, 0.0])), rtol=1e-9)  # of rank 1
        >>> (root @ root.T).tolist()
        [[0.25, 0.0], [0.0, 0.0]]
    """
    variance, direction = torch.linalg.eigh(covariance.double())
    kept = variance > rtol * variance[-1]
    root: Tensor = direction[:, kept] / variance[kept].sqrt()
    return root


def squared_mahalanobis(
    x: Float[Tensor, "n F"], means: Float[Tensor, "K F"], root: Float[Tensor, "F r"]
) -> Float[Tensor, "n K"]:
    """Return (x - mu_k)^T W W^T (x - mu_k) for every row and mean, in float64; W as from `precision_root`.

    Example:
        >>> means, root = torch.tensor([[1.0], [3.0]]).double(), torch.tensor([[0.5]]).double()
        >>> squared_mahalanobis(torch.tensor([[3.0]]), means, root).tolist()
        [[1.0, 0.0]]
    """
    centre = means.mean(dim=0)
    a = (x.double() - centre) @ root
    b = (means - centre) @ root
    return a.square().sum(dim=1, keepdim=True) - 2 * a @ b.T + b.square().sum(dim=1)


def diagonal_gaussian_log_density(
    x: Float[Tensor, "n F"], mu: Float[Tensor, "K F"], var: Float[Tensor, "K F"]
) -> Float[Tensor, "n K"]:
    """Return log N(x; mu_k, diag var_k) in nats for every row and component, in float64.

    Example:
        >>> mu, var = torch.zeros(1, 2).double(), torch.ones(1, 2).double()
        >>> diagonal_gaussian_log_density(torch.zeros(1, 2), mu, var).item()  # -log 2 pi
        -1.8378770664093453
    """
    # -1/2 sum_f [(x_f - mu_f)^2 / var_f + log 2 pi var_f], the square expanded about the components' mean
    centre = mu.mean(dim=0)
    a, b = x.double() - centre, mu - centre
    slope = torch.cat([b / var, -0.5 / var], dim=1)
    offset = -0.5 * (b.square() / var + (2 * math.pi * var).log()).sum(dim=1)
    return torch.addmm(offset, torch.cat([a, a.square()], dim=1), slope.T)


def gaussian_kl(
    mean: Float[Tensor, "n K"],
    std: Float[Tensor, "n K"],
    prior_mean: Float[Tensor, "R K"],
    prior_std: Float[Tensor, "R K"],
) -> Float[Tensor, "n R"]:
    """Return KL(N(mu_i, diag sigma_i^2) || N(m_r, diag v_r^2)) in nats for every row and prior; at least 0.

    With u = 2 log(sigma / v) it is 1/2 sum_k [exp(u_k) - 1 - u_k + ((mu_k - m_k) / v_k)^2], a sum over the components
    whose terms are 0 where the two Gaussians agree, and nowhere else. Standard deviations > 0.

    Example:
        >>> gaussian_kl(torch.tensor([[2.0]]), torch.ones(1, 1), torch.tensor([[0.0], [2.0]]), torch.ones(2, 1))
        tensor([[2., 0.]])
    """
    mu, sigma = mean.double(), std.double()

    def to(m: Tensor, v: Tensor) -> Tensor:
        u = 2 * (sigma.log() - v.log())
        return 0.5 * (u.expm1() - u + ((mu - m) / v).square()).sum(dim=1)

    # A prior at a time: the array [n R K] of a hundred classes would not fit.
    priors = zip(prior_mean.double(), prior_std.double(), strict=True)
    return _like(mean, torch.stack([to(m, v) for m, v in priors], dim=1))


def _like(source: Tensor, result: Tensor) -> Tensor:
    """Return the result in the source's precision, float32 at least."""
    return result.to(torch.promote_types(source.dtype, torch.float32))

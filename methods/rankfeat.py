"""RankFeat: the energy of what is left of the last feature map without its largest singular part.

Song, Sebe & Wang, "RankFeat: Rank-1 Feature Removal for Out-of-distribution Detection", NeurIPS 2022.

    A = the feature map, F channels by h w places;   A = sum_i s_i u_i v_i^T, singular values falling
    A' = A - s_1 u_1 v_1^T,   s(x) = logsumexp_c z_c(A')

z(A') goes on from the changed map: pooled, and multiplied by the head. This is the paper's RankFeat of block 4. Its
main row averages the logits of this and of block 3, whose map is no entry of the networks here. The authors' code
(KingJamesSong/RankFeat) and OpenOOD have an exact decomposition or a power iteration of 20 steps from random vectors,
pytorch-ood the exact one; here s_1 u_1 v_1^T is the projection on the first eigenvector of the smaller of A A^T and
A^T A, in float64: nothing is drawn, and an image's score does not depend on what else is in the batch.

Fails where the first singular part is the class itself: on a network of few channels or places nothing else is
left, and of a map with a single place, whose rank is 1, nothing at all (the score is then the same for all inputs).
"""

import torch
from jaxtyping import Float
from torch import Tensor

from oodbench import formulas
from oodbench.contract import FEATURE_MAP, LOGITS, NETWORK, Citation, Method, Outputs, Stateless
from oodbench.recipes import Plain


def without_rank_1(feature_map: Float[Tensor, "n F h w"]) -> Float[Tensor, "n F h w"]:
    """Return A - s_1 u_1 v_1^T of each map, computed in float64."""
    A = feature_map.flatten(2).double()
    if A.shape[1] < A.shape[2]:
        u = torch.linalg.eigh(A @ A.mT).eigenvectors[:, :, -1:]  # eigenvalues rise
        part = u @ (u.mT @ A)
    else:
        v = torch.linalg.eigh(A.mT @ A).eigenvectors[:, :, -1:]
        part = (A @ v) @ v.mT
    left: Tensor = A - part
    return left.view_as(feature_map).to(feature_map.dtype)


def score(batch: Outputs) -> Float[Tensor, "n"]:
    """Return the energy of the logits without the map's rank-1 part."""
    changed = without_rank_1(batch[FEATURE_MAP])
    return formulas.energy(batch.at(replacing={FEATURE_MAP: changed}).logits)


ONE_PLACE = "the toy's last feature map has one place, so its rank is 1: nothing is left of it, for any input"
EXCUSED = {"rankfeat": {"varied": ONE_PLACE, "direction": ONE_PLACE}}

METHODS = (
    Method(
        name="rankfeat",
        title="RankFeat (last map)",
        paper=Citation(
            authors="Song, Sebe, Wang",
            title="RankFeat: Rank-1 Feature Removal for Out-of-distribution Detection",
            year=2022,
            url="https://arxiv.org/abs/2209.08590",
        ),
        recipe=Plain(),
        detector=Stateless(frozenset({FEATURE_MAP, LOGITS, NETWORK}), score),
        family="shaping",
    ),
)

"""MODE score: how far samples are of single classes, and of the training images' classes in their shares.

    exp( E KL(p(y|x) || p(y)) - KL(p(y) || p*(y)) ),     p(y) = E p(y|x) over samples x, p* the training images'

Che, Li, Jacob, Bengio & Li, "Mode Regularized Generative Adversarial Networks", ICLR 2017, in the form of Xu et al.,
"An empirical study on evaluation metrics of generative adversarial networks", 2018. At most the number of classes.
With p* in the first term too, as in the code of Flow-GAN (github.com/ermongroup/flow-gan at 91b745e7), p* cancels:
E KL(p(y|x) || p*) = E KL(p(y|x) || p) + KL(p || p*), and what is left is the Inception score.
"""

import numpy as np
import numpy.typing as npt
from scipy.special import rel_entr

Floats = npt.NDArray[np.float64]


def mode_score(probabilities: Floats, train: Floats) -> float:
    """Return the MODE score of samples.

    Args:
        probabilities: p(y|x) of each sample, by a classifier [n C].
        train: Shares of the classes in the training split [C], none of them 0.

    Example:
        >>> round(mode_score(np.eye(4), np.full(4, 0.25)), 6)
        4.0
        >>> mode_score(np.full((9, 4), 0.25), np.full(4, 0.25))
        1.0
    """
    marginal = probabilities.mean(axis=0)
    single = rel_entr(probabilities, marginal).sum(axis=1).mean()
    return float(np.exp(single - rel_entr(marginal, train).sum()))

"""A Gaussian mixture of the features.

Shao, Song & Ermon, "Understanding Classifier Mistakes with Generative Models", 2020.

    p(f) = sum_k pi_k N(f; mu_k, diag sigma2_k),   s(x) = log p(f(x)) in nats

fitted by EM to the features of the training images, un-augmented, without labels. K = 100 for misclassifications, K =
1000 for attacks and out-of-distribution inputs. The paper states no more; chosen here: mini-batch k-means to start, EM
until the mean log density rises by less than 0.001 nats, at most 200 steps, 1e-6 of each feature's variance added to
every component's, and no more components than one for every ten training images: 350 of the 1000 where there are 3,500.
Below scale "paper" EM takes at most 30 steps at K = 1000, where each costs ten times as much, and then may not have
converged. The steps taken, the last gain in nats and the share of variances that are mostly floor stand in the record:
`iterations`, `gain`, `floored`.

Fails where the network has dropped what is strange about an input: a density of features sees only what the features
keep. The classifier's own mistakes have ordinary features; the softmax tells them better.
"""

from oodbench.contract import Citation, Method
from oodbench.detectors.mixture import FeatureMixture
from oodbench.recipes import Plain

PAPER = Citation(
    authors="Shao, Song, Ermon",
    title="Understanding Classifier Mistakes with Generative Models",
    year=2020,
    url="https://arxiv.org/abs/2010.02364",
)

METHODS = (
    Method(
        name="gmm-100",
        title="Feature mixture, K = 100",
        family="features",
        paper=PAPER,
        recipe=Plain(),
        detector=FeatureMixture(K=100),
    ),
    Method(
        name="gmm-1000",
        title="Feature mixture, K = 1000",
        family="features",
        paper=PAPER,
        recipe=Plain(),
        detector=FeatureMixture(K=1000, max_iter=30),
        detector_at_paper_scale=FeatureMixture(K=1000),
    ),
)

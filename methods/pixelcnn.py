"""PixelCNN++: the log density of an image as its score.

Salimans, Karpathy, Chen & Kingma, ICLR 2017; the recipe, and what a scale means, is in `oodbench.densities.pixelcnn`.

    s(x) = log p(x) = sum_i log P(x_i | x_<i) + D log 256,   in nats, all D dimensions together, in float64

Dropout is off, and the weights are their running mean. It takes no labels. Likelihood is known to fail: a model of one
data set may find another, simpler one more likely than its own.

Fails where strange images are smoother than the training images: a density of pixels is high for what is simple,
whatever it shows.
"""

from oodbench.contract import Citation, Method
from oodbench.densities.pixelcnn import PixelCnn
from oodbench.detectors.densities import LIKELIHOOD

PAPER = Citation(
    authors="Salimans, Karpathy, Chen, Kingma",
    title="PixelCNN++: Improving the PixelCNN with Discretized Logistic Mixture Likelihood and Other Modifications",
    year=2017,
    url="https://arxiv.org/abs/1701.05517",
)

METHODS = (
    Method(
        name="pixelcnn++",
        title="PixelCNN++, log p(x)",
        family="generative",
        paper=PAPER,
        recipe=PixelCnn(),
        detector=LIKELIHOOD,
    ),
)

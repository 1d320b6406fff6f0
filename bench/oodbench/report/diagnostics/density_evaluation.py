"""What evaluations of a generative model do and do not say: Theis, van den Oord & Bethge on a matrix's images."""

from collections.abc import Iterator, Sequence

from oodbench.data.fixed import Fixed
from oodbench.measure.summary import spread
from oodbench.report.diagnostics import Diagnostic, Finding
from oodbench.report.markdown import mean_and_std, plainly, table

DIVERGENCES = ("KLD", "MMD", "JSD")


class Mixing(Fixed):
    """A density, and 1 % of it with 99 % noise: means over test images, in nats and bits per dimension."""

    log_density: float
    log_density_mixed: float
    largest_cost: float
    bound: float
    bits: float
    bits_mixed: float
    bound_in_bits: float


class Parzen(Fixed):
    """Mean log densities of test images under windows over n true samples and over n k-means centres, in nats."""

    n: float
    samples: float
    samples_bandwidth: float
    centres: float
    centres_bandwidth: float


class Fit(Fixed):
    """A Gaussian and how far it is from the mixture."""

    mu: tuple[float, float]
    s: float
    KLD: float
    MMD: float
    JSD: float


class DensityEvaluation(Fixed):
    """density-evaluation.json; `neighbours` is a share by shift."""

    method: str
    matrix: str
    seed: int
    n_train: int
    n_test: int
    mixing: Mixing
    parzen: Parzen
    neighbours: dict[str, float]
    fits: dict[str, Fit]


def section(own: Sequence[DensityEvaluation]) -> list[str]:
    """Return the tables, over seeds, and what stands around them."""
    first = own[0]
    mixing, windows = [one.mixing for one in own], [one.parzen for one in own]
    costs = [
        ["Parzen window", plainly(spread([one.log_density for one in mixing]), 2), _bits([one.bits for one in mixing])],
        [
            "1 % of it, 99 % noise",
            plainly(spread([one.log_density_mixed for one in mixing]), 2),
            _bits([one.bits_mixed for one in mixing]),
        ],
    ]
    largest = max(one.largest_cost for one in mixing)
    kernels = [
        [name, *(plainly(spread(values), places) for values, places in columns)]
        for name, columns in {
            "true samples": (([one.samples_bandwidth for one in windows], 3), ([one.samples for one in windows], 2)),
            "k-means centres": (([one.centres_bandwidth for one in windows], 3), ([one.centres for one in windows], 2)),
        }.items()
    ]
    shares = [mean_and_std(spread([one.neighbours[shift] for one in own])) for shift in first.neighbours]
    fits = [
        [f"least {name}", f"({fit.mu[0]:.2f}, {fit.mu[1]:.2f})", f"{fit.s:.2f}", *_divergences(fit)]
        for name, fit in first.fits.items()
    ]
    return [
        "No model is trained. What Theis, van den Oord & Bethge (2016) say of evaluating generative models, on "
        f"{first.n_train} training and {first.n_test} test images.",
        f"**Mixing.** A model of which 99 % is uniform noise makes samples of noise, and costs at most log 100 = "
        f"{first.mixing.bound:.2f} nats an image ({first.mixing.bound_in_bits:.4f} bits per dimension), here "
        f"{largest:.2f} at the most; where the model finds an image less likely than noise does, it gains.",
        table(
            ["Density of test images", "Log density, nats", "Bits per dimension"], costs, ("Density of test images",)
        ),
        f"**Parzen windows.** Mean log density of test images under a window over {first.parzen.n:.0f} true samples, "
        "and over as many centres of k-means, each with the bandwidth that suits validation images best. The paper "
        "finds the centres ahead, which are no samples.",
        table(["Window over", "Bandwidth", "Log density, nats"], kernels, ("Window over",)),
        "**Nearest neighbours.** Training images moved to the right: the percentage whose nearest training image "
        "(Euclidean) is still the image that they are.",
        table(["", *(f"by {shift}" for shift in first.neighbours)], [["the same image", *shares]], ("",)),
        "**One Gaussian.** Fitted to a mixture of two by three divergences; each fit is the best by its own alone.",
        table(["Fit", "Mean", "Standard deviation", *DIVERGENCES], fits, ("Fit",)),
    ]


def _bits(values: Sequence[float]) -> str:
    return plainly(spread(values), 4)


def _divergences(fit: Fit) -> list[str]:
    return [f"{value:.4f}" for value in (fit.KLD, fit.MMD, fit.JSD)]


def findings(one: DensityEvaluation) -> Iterator[Finding]:
    """Yield nats, and percent of images."""
    yield Finding(one.method, "mixing_cost", "test", one.mixing.largest_cost)
    yield Finding(one.method, "centres_gain", "test", one.parzen.centres - one.parzen.samples)
    for shift, share in one.neighbours.items():
        yield Finding(one.method, "same_neighbour", f"moved by {shift}", 100 * share)


DIAGNOSTIC = Diagnostic(
    schema=DensityEvaluation,
    summary="what evaluations of a density do and do not say; needs no trained model",
    title="What evaluations of a density say",
    section=section,
    pictures=("mixing", "parzen", "neighbours", "one-gaussian"),
    metrics=("mixing_cost", "centres_gain", "same_neighbour"),
    findings=findings,
    method=None,
    images=1000,
)

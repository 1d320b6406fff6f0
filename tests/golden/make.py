"""Write the golden vectors: scores, and what every metric of them is.

The values come from the definitions in docs/metrics.md, one loop over all scores for each threshold, in exact
fractions. Nothing here is shared with the program, and nothing is rounded before the last step. Run
`python tests/golden/make.py` to write the files anew; a test checks that they are what this script makes.
"""

import json
import random
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

HERE = Path(__file__).parent
HALF = Fraction(1, 2)


def exact(good, bad):
    """Return every ranking metric as a fraction."""
    good, bad = [Fraction(s) for s in good], [Fraction(s) for s in bad]
    thresholds = sorted({*good, *bad})
    at_95 = max(t for t in thresholds if share(good, lambda s, t=t: s >= t) >= Fraction(95, 100))
    at_95_bad = min(t for t in thresholds if share(bad, lambda s, t=t: s <= t) >= Fraction(95, 100))
    above_all = thresholds[-1] + 1
    return {
        "auroc": sum((g > b) + HALF * (g == b) for g in good for b in bad) / (len(good) * len(bad)),
        "fpr95": share(bad, lambda s: s >= at_95),
        "fpr95_ood_positive": share(good, lambda s: s <= at_95_bad),
        "detection_error": error(good, bad, at_95),
        "min_detection_error": min(error(good, bad, t) for t in [*thresholds, above_all]),
        "aupr_in": average_precision(good, bad, 1, 1),
        "aupr_out": average_precision([-s for s in bad], [-s for s in good], 1, 1),
        "aupr_in_balanced": average_precision(good, bad, Fraction(1, len(good)), Fraction(1, len(bad))),
        "aupr_out_balanced": average_precision(
            [-s for s in bad], [-s for s in good], Fraction(1, len(bad)), Fraction(1, len(good))
        ),
    }


def share(scores, condition):
    return Fraction(sum(1 for s in scores if condition(s)), len(scores))


def error(good, bad, threshold):
    return HALF * share(good, lambda s: s < threshold) + HALF * share(bad, lambda s: s >= threshold)


def average_precision(wanted, unwanted, weight, other_weight):
    """Sum over thresholds, from the highest down, of the step in recall times the precision there."""
    total, recall = Fraction(0), Fraction(0)
    for t in sorted({*wanted, *unwanted}, reverse=True):
        hits, false = sum(s >= t for s in wanted), sum(s >= t for s in unwanted)
        reached = Fraction(hits, len(wanted))
        total += (reached - recall) * (hits * weight / (hits * weight + false * other_weight))
        recall = reached
    return total


def selective(good, bad):
    """Return every metric of selective prediction as a fraction: good inputs are right, bad ones wrong."""
    good, bad = [Fraction(s) for s in good], [Fraction(s) for s in bad]
    inputs = [(s, 0) for s in good] + [(s, 1) for s in bad]
    ideal = [(1, 0) for _ in good] + [(0, 1) for _ in bad]
    points = [accepted(good, bad, t) for t in {*good, *bad}]
    return {
        "aurc": mean_risk(inputs),
        "e_aurc": mean_risk(inputs) - mean_risk(ideal),
        "augrc": generalised_area(inputs),
        "coverage_at_risk_5": max(
            [Fraction(n, len(inputs)) for n, wrong in points if Fraction(wrong, n) <= Fraction(5, 100)], default=0
        ),
    }


def accepted(good, bad, threshold):
    """Return how many inputs score at least the threshold, and how many of them are wrong."""
    wrong = sum(s >= threshold for s in bad)
    return sum(s >= threshold for s in good) + wrong, wrong


def errors_among(inputs):
    """Return the expected errors among the k highest inputs, k = 0 to all: equal ones come in any order, as likely."""
    scores = [score for score, _ in inputs]
    places = [(sum(s > score for s in scores), scores.count(score)) for score, wrong in inputs if wrong]
    zero, one = Fraction(0), Fraction(1)
    return [
        sum(min(max(Fraction(k - above, tied), zero), one) for above, tied in places) for k in range(len(inputs) + 1)
    ]


def mean_risk(inputs):
    """Mean over coverages of the share of errors among the accepted."""
    return sum(Fraction(errors, k) for k, errors in enumerate(errors_among(inputs)) if k) / len(inputs)


def generalised_area(inputs):
    """Trapezoids below the share of all inputs that are accepted and wrong, from coverage 0 on."""
    n = len(inputs)
    return sum(Fraction(a + b) / (2 * n * n) for a, b in pairwise(errors_among(inputs)))


def normal(seed, n, mean, std, digits=4):
    rng = random.Random(seed)
    return [round(rng.gauss(mean, std), digits) for _ in range(n)]


def integers(seed, n, low, high):
    rng = random.Random(seed)
    return [rng.randint(low, high) for _ in range(n)]


CASES = {
    "perfect": ("Every good input scores above every bad one.", [3, 4, 5, 6, 7], [-2, -1, 0, 1, 2]),
    "reversed": ("Every good input scores below every bad one.", [-2, -1, 0, 1, 2], [3, 4, 5, 6, 7]),
    "reversed-imbalanced": (
        "Reversed, 20 bad to 5 good inputs: the lowest AUPR-In there is at these sizes.",
        list(range(5)),
        list(range(10, 30)),
    ),
    "constant": ("One score for all, 10 % good inputs: AUPR-In is 0.10; a trapezoid says 0.55.", [1.5] * 3, [1.5] * 27),
    "one-one": ("The smallest sets, well ordered.", [1.0], [0.0]),
    "one-one-reversed": ("The smallest sets, wrongly ordered.", [0.0], [1.0]),
    "one-one-tied": ("The smallest sets, tied.", [0.5], [0.5]),
    "one-many": ("A single good input amid bad ones.", [0.0], [-3.0, -2.0, -1.0, 0.0, 0.0, 1.0, 2.0]),
    "ties": (
        "Scores on a coarse grid, most of them shared by both groups.",
        integers(1, 30, 2, 6),
        integers(2, 25, 0, 4),
    ),
    "overlap": ("Two overlapping bell curves, no ties.", normal(3, 40, 1.0, 1.0), normal(4, 40, 0.0, 1.0)),
    "imbalance-bad": ("Ten times as many bad inputs as good.", normal(5, 6, 1.0, 1.0), normal(6, 60, 0.0, 1.0)),
    "imbalance-good": ("Ten times as many good inputs as bad.", normal(7, 60, 1.0, 1.0), normal(8, 6, 0.0, 1.0)),
    "exactly-95": (
        "Of 20 good inputs exactly one may be lost: 19 / 20 = 0.95 counts, though 0.95 is no binary fraction.",
        list(range(0, 40, 2)),
        list(range(-3, 17)),
    ),
    "just-under-95": (
        "Of 19 good inputs none may be lost: 18 / 19 < 0.95. No interpolation.",
        list(range(0, 38, 2)),
        list(range(-3, 17)),
    ),
    "threshold-tied": (
        "The threshold stands on a tie of good inputs: more than 95 % are accepted, and the detection error says so.",
        [0, 0, 0, 0, 1, 1, 1, 1, 2, 2],
        [-1, -1, 0, 0, 1],
    ),
    "log-likelihoods": (
        "Log-likelihoods of -50000 +- 1000: a program that squashes scores by a sigmoid sees one tie, AUROC 0.5.",
        normal(9, 40, -5.0e4, 1.0e3, 2),
        normal(10, 40, -5.1e4, 1.0e3, 2),
    ),
    "saturated": (
        "Softmax maxima that have reached 1.0: the ties stay ties.",
        [1.0] * 12 + [0.9999999, 0.98, 0.9, 0.6],
        [1.0] * 7 + [0.9999999, 0.95, 0.7, 0.4],
    ),
    "neighbours": (
        "Scores one float64 step apart are no ties; a cast to float32 would make them so.",
        [1.0000000000000002, 1.0000000000000004, 1.0],
        [1.0, 0.9999999999999999],
    ),
    "signed-zero": ("0.0 and -0.0 are the same score.", [0.0, 0.0, 1.0], [-0.0, -0.0, -1.0]),
    "extremes": ("The largest finite numbers are scores like any other.", [1.7e308, 1e-300], [-1.7e308, 0.0]),
}

REFUSED = {
    "nan": ("NaN has no place in an order.", [1.0, "NaN", 2.0, "NaN"], [0.0, 0.5], ("good", 2, 1)),
    "infinity": ("An infinite score is a broken score.", [1.0, 2.0], [0.0, "Infinity", 0.5], ("bad", 1, 1)),
    "minus-infinity": ("So is a log of zero.", ["-Infinity", 2.0], [0.0, 0.5], ("good", 1, 0)),
    "one-class-good": ("Without bad inputs there is nothing to measure.", [1.0, 2.0], [], ("bad", 0, None)),
    "one-class-bad": ("Without good inputs there is nothing to measure.", [], [1.0, 2.0], ("good", 0, None)),
}


def contents():
    """Return each file's text by name."""
    files = {}
    for name, (about, good, bad) in CASES.items():
        expected = {metric: float(value) for metric, value in exact(good, bad).items()}
        abstaining = {metric: float(value) for metric, value in selective(good, bad).items()}
        files[name] = {"about": about, "good": good, "bad": bad, "expected": expected, "selective": abstaining}
    for name, (about, good, bad, (group, count, first)) in REFUSED.items():
        refused = {"group": group, "count": count, "first_index": first}
        files[name] = {"about": about, "good": good, "bad": bad, "refused": refused}
    return {f"{name}.json": json.dumps(content, indent=1) + "\n" for name, content in files.items()}


if __name__ == "__main__":
    for name, text in contents().items():
        (HERE / name).write_text(text)

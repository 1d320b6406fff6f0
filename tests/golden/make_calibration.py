"""Write the golden vectors of calibration: logits, classes, and what every number of them is.

From the definitions in docs/metrics.md by plain loops in float64 over one input, one class and one bin at a time;
nothing here is shared with the program. Run `python tests/golden/make_calibration.py` to write the files anew.
"""

import json
import random
from itertools import pairwise
from math import exp, fsum, log
from pathlib import Path

HERE = Path(__file__).parent / "calibration"


def softmax(row):
    highest = max(row)
    parts = [exp(z - highest) for z in row]
    return [part / fsum(parts) for part in parts]


def nll_of(row, label):
    highest = max(row)
    return log(fsum(exp(z - highest) for z in row)) - (row[label] - highest)


def mean(values):
    values = list(values)
    return fsum(values) / len(values)


def binned(pairs, bins):
    """Return sum_b n_b / n |mean truth - mean p| of pairs (p, truth) over bins (lo, hi], 0 in the first."""
    total = 0.0
    for b in range(bins):
        inside = [(p, y) for p, y in pairs if (p > b / bins or b == 0) and p <= (b + 1) / bins]
        if inside:
            total += len(inside) / len(pairs) * abs(mean(y for _, y in inside) - mean(p for p, _ in inside))
    return total


def neighbours(pairs):
    """Return (share, gap) of bins of 100 in order of confidence, equal ones as they come; the rest joins the last."""
    ordered = sorted(pairs, key=lambda one: one[0])
    full = max(1, len(ordered) // 100)
    bins = [ordered[100 * b : 100 * (b + 1) if b < full - 1 else len(ordered)] for b in range(full)]
    return [(len(one) / len(ordered), mean(y for _, y in one) - mean(p for p, _ in one)) for one in bins]


def linspace(low, high, n):
    return [low + (high - low) * i / (n - 1) for i in range(n)]


def ib_inn(pairs):
    edges = linspace(-1e-6, 0.05, 5) + linspace(0.05, 0.95, 10)[1:-1] + [1 - e for e in linspace(0.05, -1e-6, 5)]
    points = []
    for low, high in pairwise(edges):
        hits = [y for p, y in pairs if low <= p < high]
        if len(hits) > 20:
            points.append(((low + high) / 2, abs((low + high) / 2 - mean(hits)), len(hits)))
    if not points:
        return dict.fromkeys(("ib_inn_ece", "ib_inn_mce", "ib_inn_ice"))
    return {
        "ib_inn_ece": fsum(gap * n for _, gap, n in points) / sum(n for *_, n in points),
        "ib_inn_mce": max(gap for _, gap, _ in points),
        "ib_inn_ice": fsum((b[0] - a[0]) * (a[1] + b[1]) / 2 for a, b in pairwise(points)),
    }


def expected(logits, labels):
    rows = [softmax(row) for row in logits]
    classes = range(len(logits[0]))
    pairs = [(max(p), float(z.index(max(z)) == y)) for p, z, y in zip(rows, logits, labels, strict=True)]
    sure = [right for p, right in pairs if p >= 0.997]
    mass = fsum(1 - p + 1 - right for p, right in pairs)
    return {
        "accuracy": mean(right for _, right in pairs),
        "ece_10": binned(pairs, 10),
        "ece_15": binned(pairs, 15),
        "classwise_ece": mean(
            binned([(p[k], float(y == k)) for p, y in zip(rows, labels, strict=True)], 15) for k in classes
        ),
        "rms_calibration": fsum(share * gap**2 for share, gap in neighbours(pairs)) ** 0.5,
        "mad_calibration": fsum(share * abs(gap) for share, gap in neighbours(pairs)),
        "soft_f1": 2 * fsum((1 - p) * (1 - right) for p, right in pairs) / mass if mass else None,
        "oce": (1 - mean(sure)) / 0.003 if sure else None,
        "oce_share": len(sure) / len(pairs),
        "brier": mean(fsum((p[k] - (k == y)) ** 2 for k in classes) for p, y in zip(rows, labels, strict=True)),
        "nll": mean(nll_of(z, y) for z, y in zip(logits, labels, strict=True)),
    } | ib_inn([(p[k], float(y == k)) for p, y in zip(rows, labels, strict=True) for k in classes])


def drawn(seed, n, classes, spread, right):
    """Return logits, and classes that are the highest logit's with a probability."""
    rng = random.Random(seed)
    logits = [[round(rng.gauss(0, spread), 3) for _ in range(classes)] for _ in range(n)]
    labels = [z.index(max(z)) if rng.random() < right else rng.randrange(classes) for z in logits]
    return logits, labels


CASES = {
    "usual": ("Three classes, 150 inputs: one bin of neighbours, which has them all.", *drawn(1, 150, 3, 2, 0.8)),
    "two-bins": ("230 inputs: the second bin of neighbours has 130.", *drawn(2, 230, 4, 3, 0.6)),
    "sure": ("Large logits: most confidence is above 0.997.", *drawn(3, 60, 3, 12, 0.9)),
    "unsure": ("No confidence reaches 0.997: OCE is of nothing.", *drawn(4, 40, 5, 0.3, 0.3)),
    "few": ("No bin of IB-INN has more than 20 pairs.", *drawn(5, 3, 2, 1, 0.5)),
    "always-right": (
        "Probabilities of 1 and 0 in float64: nothing is wrong, nothing in doubt, soft F1 is 0 / 0.",
        [[2000.0, 0.0, 0.0], [0.0, 2000.0, 0.0]],
        [0, 1],
    ),
    "always-wrong": (
        "The same, with other classes: the NLL is 2000, not infinite.",
        [[2000.0, 0.0], [0.0, 2000.0]],
        [1, 0],
    ),
    "tied": ("Of equal logits the first class is the prediction.", [[1.0, 1.0], [1.0, 1.0], [1.0, 1.0]], [0, 1, 0]),
}


def contents():
    """Return each file's text by name."""
    files = {}
    for name, (about, logits, labels) in CASES.items():
        content = {"about": about, "logits": logits, "labels": labels, "expected": expected(logits, labels)}
        lines = [f' "{key}": {json.dumps(value)}' for key, value in content.items()]
        files[f"{name}.json"] = "{\n" + ",\n".join(lines) + "\n}\n"
    return files


if __name__ == "__main__":
    for name, text in contents().items():
        (HERE / name).write_text(text)

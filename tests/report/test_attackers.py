"""Tables that tell which detector only looks strong: known and adaptive attacks apart, and the gap between them."""

from pathlib import Path

import numpy as np
import pytest
from made import Drawn, Hit, put_model, record, scores

from oodbench.errors import BadRecord
from oodbench.records import Adapted, AdaptiveAttack, CellRecord, Scores, record_paths, write_record, write_scores
from oodbench.report.attackers import ONLY_KNOWN
from oodbench.report.leaderboard import leaderboard, table
from oodbench.report.sets import described

NAME = "fgsm-8@score-1"
PLACES = np.arange(0, 40, dtype=np.int32)


def drawn(seed: int, known: float, adaptive: float | None) -> tuple[Drawn, Scores]:
    """Good inputs around 0; attacked ones around `known` and `adaptive`, of which half fooled the model."""
    rng = np.random.default_rng(seed)
    said = scores(seed, 0.0, attacks=(), n=100)
    half = np.arange(100) % 2 == 0
    all_right = Drawn(rng.normal(0, 1, 100).astype(np.float32), np.arange(100) < 90, said.ood, {})
    hit = Hit(rng.normal(known, 1, 80).astype(np.float32), np.arange(80, dtype=np.int32), half[:80])
    whole = Drawn(all_right.test, all_right.correct, said.ood, {"fgsm-8": hit, "fgsm-8@uint8": hit})
    own = {}
    if adaptive is not None:
        own[NAME] = Adapted(rng.normal(adaptive, 1, 40).astype(np.float32), PLACES, np.arange(40) < 30)
    return whole, Scores(whole.scores.test, whole.scores.ood, whole.scores.adversarial, {}, own)


def put_adaptive(results: Path, method: str, seed: int, known: float, adaptive: float | None, *, why: str = "") -> None:
    said, own = drawn(seed, known, adaptive)
    model = put_model(results, "plain", seed, said)
    paths = record_paths(results, "made-v1", method, seed)
    facts = {"n": 40, "fooled": 30, "success_rate": 0.75, "mean_linf": 0.03, "mean_l2": 1.0, "flat": 10}
    achieved = {NAME: AdaptiveAttack(**facts, mean=1.0, std=2.0)} if adaptive is not None else {}
    cells = (CellRecord(status="skipped", failure="adaptive", name=NAME, reason=why),) if why else ()
    fields = {"model": model, "reference": model, "scores_sha256": write_scores(paths.scores, own)}
    write_record(paths.record, record(method, seed, adaptive=achieved, cells=cells, **fields))


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """`strong` catches both attackers, `looks` those alone who do not know it, `blind` has no derivative."""
    folder = tmp_path / "results"
    for seed in (0, 1):
        put_adaptive(folder, "strong", seed, -4.0, -3.0)
        put_adaptive(folder, "looks", seed, -4.0, 2.0)
        put_adaptive(folder, "blind", seed, -4.0, None, why="its score has no derivative by the pixels")
    return folder


def row(text: str, heading: str, method: str) -> dict[str, str]:
    below = text.split(f"{heading}\n", 1)[1]
    lines = [line for line in below.splitlines() if line.startswith("|")]
    headers, _, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    (own,) = [one for one in rows[: len(rows)] if f"`{method}`" in one[0] and len(one) == len(headers)][:1]
    return dict(zip(headers, own, strict=True))


def value(results: Path, method: str, seed: int, name: str, metric: str) -> float:
    frame = table(results)
    own = frame[(frame["method"] == method) & (frame["seed"] == seed) & (frame["set"] == name)]
    (found,) = own[(own["kind"] == "adaptive") & (own["metric"] == metric)]["value"]
    return float(found)


def test_the_gap_is_known_minus_adaptive_on_the_same_images(results: Path) -> None:
    text = leaderboard(results)["docs/leaderboard/made-v1/adaptive.md"]
    for method in ("strong", "looks"):
        own = row(text, f"### `{NAME}`", method)
        for title, metric in (("AUROC ↑", "auroc"), ("FPR95 ↓", "fpr95")):
            pair = [[value(results, method, seed, name, metric) for seed in (0, 1)] for name in ("fgsm-8@known", NAME)]
            gaps = [100 * (known - adaptive) for known, adaptive in zip(*pair, strict=True)]
            said = own[f"{title} gap"].removesuffix(f" {ONLY_KNOWN}")
            assert said == f"{np.mean(gaps):.2f} ± {np.std(gaps, ddof=1):.2f}"
            assert own[f"{title} known"].startswith(f"{100 * np.mean(pair[0]):.2f} ")
            assert own[f"{title} adaptive"].startswith(f"{100 * np.mean(pair[1]):.2f} ")
    assert own["Fooled, adaptive"] == "75.00 ± 0.00"
    assert own["Fooled, known"] == "50.00 ± 0.00", "of the 40 images that the adaptive attack was on, not of all 80"
    assert own["Flat"] == "25.00 ± 0.00"
    sizes = table(results).query("kind == 'adaptive' and method == 'looks' and seed == 0 and metric == 'auroc'")
    assert dict(zip(sizes["set"], zip(sizes["n_good"], sizes["n_bad"], strict=True), strict=True)) == {
        NAME: (40, 30),
        "fgsm-8@known": (40, 20),
    }


def test_only_a_detector_that_looks_strong_is_marked(results: Path) -> None:
    pages = leaderboard(results)
    text = pages["docs/leaderboard/made-v1/adaptive.md"]
    assert ONLY_KNOWN in row(text, f"### `{NAME}`", "looks")["AUROC ↑ gap"]
    assert ONLY_KNOWN not in row(text, f"### `{NAME}`", "strong")["AUROC ↑ gap"]
    assert "`blind`" not in text.split("## What knowing the detector is worth")[1]
    readme = pages["docs/leaderboard/made-v1/README.md"]
    heading = "## Which detector catches which failure"
    own = row(readme, heading, "looks")
    assert set(own) == {"Method", "OOD", "Adversarial", "Adaptive", "Misclassifications", "AUROC gap", "FPR95 gap"}
    assert own["AUROC gap"].endswith(ONLY_KNOWN)
    assert float(own["Adversarial"].split()[0]) > 95 > 20 > float(own["Adaptive"].split()[0])
    blind = row(readme, heading, "blind")
    assert (blind["Adaptive"], blind["AUROC gap"], blind["FPR95 gap"]) == ("–", "–", "–")
    assert float(row(readme, heading, "strong")["Adaptive"].split()[0]) > 90
    assert "its score has no derivative by the pixels" in readme


def test_means_and_ranks_are_over_adaptive_attacks_alone(results: Path) -> None:
    frame = table(results)
    text = leaderboard(results)["docs/leaderboard/made-v1/adaptive.md"]
    of = frame.query(f"kind == 'adaptive' and method == 'looks' and metric == 'auroc' and set == '{NAME}'")
    ranked = [line for line in text.splitlines() if line.startswith("| 2 (") and "`looks`" in line]
    assert f"{100 * of['value'].mean():.2f} ±" in ranked[0]


def test_a_set_that_lacks_without_a_reason_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "results"
    put_adaptive(folder, "looks", 1, -4.0, 2.0)
    put_adaptive(folder, "silent", 1, -4.0, None)
    with pytest.raises(BadRecord, match=r"1\.json: lacks fgsm-8@score-1 without a reason"):
        leaderboard(folder)


def test_sets_are_described() -> None:
    title = "PGD, ε = 8/255, 20 steps of 2/255"
    assert described("pgd-8@known") == f"{title}, by an attacker who does not know the detector"
    assert described("pgd-8@uint8") == f"{title}, rounded to 256 grey levels"
    assert described("pgd-8@score-1") == "PGD, ε = 8/255, on the detector's score, too, λ = 1"
    assert described("mnist-99") == described("mnist-99@known") == ""

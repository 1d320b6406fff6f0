"""A site of drawn scores, hostile words in its records, and what the pages of the leaderboard say of the same."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from made import put, scores, skipped_set

from oodbench.records import Citation
from oodbench.report.leaderboard import leaderboard
from oodbench.site.build import build

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)>\"'&{{ 7 * 7 }}"
SHIFTS = {"msp": 1.0, "odin": 1.4, "knn": 1.45, "energy": 1.9, "pixelcnn++": 2.6, "vae": 0.2}
SEEDS = (0, 1, 2)


@dataclass(frozen=True)
class Made:
    """A results folder, its site, and the text of its pages in Markdown."""

    results: Path
    site: Path
    said: str
    pages: dict[str, str]


def fill(results: Path) -> None:
    """Write records of six rows, one of them whose words are hostile, and of one that lacks a seed and a set."""
    for method, shift in SHIFTS.items():
        fields = {"tuning_access": "ood_val", "fits_on_labels": True} if method == "knn" else {}
        if method == "vae":
            fields = {
                "title": HOSTILE,
                "citation": Citation(authors=HOSTILE, title=HOSTILE, year=2020, url="javascript:alert(1)"),
            }
        for seed in SEEDS:
            put(results, method, seed, scores(seed, shift), **fields)
    lacking = {"cells": (skipped_set("hflip"),), "status": "ok"}
    put(results, "gram", 0, scores(0, 1.2, sets=("glyphs",)), **lacking)
    put(results, "msp", 0, None, matrix="failed-v1", status="failed", reason=HOSTILE)


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Return a site and what it is of."""
    folder = tmp_path_factory.mktemp("site")
    fill(folder / "results")
    said = build(folder / "results", folder / "site")
    return Made(folder / "results", folder / "site", said, leaderboard(folder / "results"))

"""Lists of methods, matrices, data sets and attacks, as pages: made of the registry and of the cards, never typed."""

import csv
import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

FAMILIES = {
    "logits": "Functions of the logits",
    "features": "Distances, subspaces and densities of activations",
    "shaping": "Activations that are clipped, pruned or scaled",
    "perturbation": "Derivatives and changed inputs",
    "ensembles": "Several networks or masks",
    "bottleneck": "Information bottlenecks",
    "generative": "Generative models of the inputs",
    "outliers": "Training with outliers",
    "training": "Other training of the classifier",
    "other": "Others",
}
"""Headings of the families, in the order of `oodbench.contract.Family`; a test compares them."""

SCALES = {"paper": "the paper's networks, on a GPU", "cpu": "an hour on two cores", "tiny": "minutes on one core"}


def lists(root: Path) -> dict[str, str]:
    """Return the pages that are lists, by their place in the documentation."""
    return {"methods.md": _methods(root), "matrices.md": _matrices(root), "data-sets.md": _data_sets(root)}


def _methods(root: Path) -> str:
    with (root / "methods" / "rows.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    pages = root / "docs" / "leaderboard" / "methods"
    parts = [
        "# Methods\n",
        f"{len(rows)} methods, by what they are built on. The page of a method has its formula, how to use it, when it "
        "fails, and all its numbers; a method without a page has no numbers yet. "
        "*Yours* says whether it judges a classifier that you have; one that does not trains its own.\n",
    ]
    for family, title in FAMILIES.items():
        shown = [row for row in rows if row["family"] == family]
        if shown:
            parts += [
                f"## {title}\n",
                _table(["Name", "Title", "Yours", "Tuned on", "Reads"], (_method(row, pages) for row in shown)),
            ]
    return "\n".join(parts)


def _method(row: dict[str, str], pages: Path) -> list[str]:
    name, page = row["name"], pages / f"{row['name']}.md"
    title = f"[{row['title']}]({row['paper']})" if row["paper"] else row["title"]
    return [
        f"[`{name}`](leaderboard/methods/{name}.md)" if page.exists() else f"`{name}`",
        title,
        "yes" if row["judges_mine"] == "True" else "",
        row["tuned_on"],
        row["reads"].replace("_", r"\_"),
    ]


def _matrices(root: Path) -> str:
    found = [_toml(path) for path in sorted((root / "datasets" / "matrices").glob("*.toml"))]
    ran = [one for one in found if (root / "docs" / "leaderboard" / one["name"] / "README.md").exists()]
    rest = [one for one in found if one not in ran]
    columns = ["Name", "What it is", "In-set", "Out-sets", "Attacks", "Seeds", "Scale"]
    scales = "; ".join(f"*{name}*: {what}" for name, what in SCALES.items())
    return "\n".join(
        [
            "# Matrices\n",
            "A matrix is a versioned file: an in-set, out-sets, attacks, seeds, and how the classifier is trained or "
            f"which one is given. A published matrix never changes; a change is a new version. Scales: {scales}.\n",
            "## With results here\n",
            _table(columns, (_matrix(one, f"[`{one['name']}`](leaderboard/{one['name']}/README.md)") for one in ran)),
            "## Defined, and not run here\n",
            "`oodbench plan MATRIX` says what each needs, and how to get it.\n",
            _table(
                columns, (_matrix(one, f"[`{one['name']}`](../datasets/matrices/{one['name']}.toml)") for one in rest)
            ),
        ]
    )


def _matrix(one: dict[str, Any], link: str) -> list[str]:
    attacks, seeds = one.get("attacks", ()), one["seeds"]
    return [
        link,
        one["title"],
        f"`{one['in_set']}`",
        str(len(one.get("ood", ()))),
        str(len(attacks)) if attacks else "",
        str(len(seeds)),
        one["scale"],
    ]


def _data_sets(root: Path) -> str:
    cards = [_toml(path) for path in sorted((root / "datasets").glob("*.toml")) if path.stem != "attacks"]
    attacks = _toml(root / "datasets" / "attacks.toml")
    return "\n".join(
        [
            "# Data sets and attacks\n",
            "## Data sets\n",
            "A card says where a set comes from, how its bytes are checked, and under which licence it stands. "
            "`oodbench data list` says which sets are on your machine, `oodbench data get` gets others.\n",
            _table(["Card", "What it is", "Licence"], (_card(one) for one in cards)),
            "## Attacks\n",
            "[Attacks](attacks.md) says what each kind does. Radii are in pixel units of [0, 1].\n",
            _table(
                ["Name", "What it is", "Kind", "Source"],
                ([f"`{a['name']}`", a["title"], f"`{a['kind']}`", a["source"]] for a in attacks["attacks"]),
            ),
            "Attacks by who also knows the detector:\n",
            _table(
                ["Name", "What it is", "Of", "Source"],
                ([f"`{a['name']}`", a["title"], f"`{a['of']}`", a["source"]] for a in attacks.get("adaptive", ())),
            ),
        ]
    )


def _card(one: dict[str, Any]) -> list[str]:
    name = one["name"]
    title = f"[{one['title']}]({one['url']})" if one.get("url") else one["title"]
    return [f"[`{name}`](../datasets/{name}.toml)", title, one.get("licence", "")]


def _toml(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))


def _table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [headers, [":--"] * len(headers), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |" for line in lines) + "\n"

"""What pages show runs: each command is understood by the command line, each program does what stands there."""

import os
import re
import shlex
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch
import typer
from torch import nn

from oodbench.commands.grammar import VERBS, verb, verbs
from oodbench.errors import OodbenchError

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    *(f"docs/{path.relative_to(ROOT / 'docs')}" for path in (ROOT / "docs").rglob("*.md")),
]
BY_HAND = sorted(page for page in PAGES if not page.startswith("docs/leaderboard/"))
FENCE = re.compile(r"^```(\w+)(?: file=\S+)?\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(page: str, language: str) -> list[str]:
    return [text for kind, text in FENCE.findall((ROOT / page).read_text(encoding="utf-8")) if kind == language]


def commands(page: str) -> list[list[str]]:
    """Return the arguments of each command of oodbench in a page's blocks of a terminal or a script."""
    found = []
    for text in (*blocks(page, "console"), *blocks(page, "bash")):
        for line in re.sub(r"\\\n\s*", " ", text).splitlines():
            words = shlex.split(line.removeprefix("$ "), comments=" # " in line)
            words = words[words.index("oodbench") + 1 :] if "oodbench" in words else []
            end = next((at for at, word in enumerate(words) if word in (">", ">>", "|", "&&")), len(words))
            found += [words[:end]] if words else []
    return found


SHOWN = [(page, words) for page in BY_HAND for words in commands(page)]


def test_commands_are_found():
    pages = {page for page, _ in SHOWN}
    assert {"docs/start.md", "docs/commands.md", "docs/many-gpus.md", "docs/cite.md", "README.md"} <= pages


@pytest.mark.parametrize(("page", "words"), SHOWN, ids=lambda one: one if isinstance(one, str) else " ".join(one)[:60])
def test_the_command_line_understands_what_a_page_shows(page, words):
    filled = ["1/4" if "$" in word and word.endswith("/16") else word for word in words]
    try:
        if filled[0] in VERBS:
            verb(filled[0]).make_context(filled[0], filled[1:])
        else:
            assert filled[0] in {name for option in verbs().params for name in option.opts}
    except typer.Exit as end:
        assert end.exit_code == 0
    except (typer.TyperException, OodbenchError) as error:
        pytest.fail(f"{page}: oodbench {' '.join(words)} is not understood: {error}")


@pytest.fixture
def names(tmp_path, monkeypatch):
    """What the programs of pages take as given."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 4))
    x = torch.rand(20, 1, 8, 8)
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(os, "environ", {**os.environ, "OODBENCH_CACHE": str(tmp_path)})
    return {
        "net": net,
        "x": x,
        "y": net(x).argmax(1),
        "images": np.full((2, 1, 28, 28), 100, np.uint8),
        "__name__": "shown",
    }


@pytest.mark.parametrize(
    "page",
    ["docs/start.md", "docs/add-a-detector.md", "docs/add-a-recipe.md", "docs/attacks.md", "docs/corruptions.md"],
)
def test_the_programs_of_a_page_run(page, names):
    programs = blocks(page, "python")
    assert programs
    for program in programs:
        exec(compile(program, page, "exec"), names)


def test_the_recipe_of_the_page_trains(names):
    from oodbench.spaces import Images
    from oodbench.training import InSet, TrainBatch, Training

    exec(compile(blocks("docs/add-a-recipe.md", "python")[0], "add-a-recipe.md", "exec"), names)
    recipe = names["Smoothed"](training=Training(network="toy-cnn", epochs=1))
    fit = recipe.start(InSet(Images((1, 8, 8), (0.5,), (0.5,)), 4), (), names["y"], 0)
    loss = fit.players[0].loss(TrainBatch(names["x"], names["y"], torch.arange(20), 0, 0.0))
    logits = fit.net(names["x"])
    expected = nn.functional.cross_entropy(logits, names["y"], label_smoothing=0.1)
    assert torch.allclose(loss, expected)
    assert not torch.allclose(loss, nn.functional.cross_entropy(logits, names["y"]))


def test_the_card_of_the_page_is_a_card():
    (text,) = blocks("docs/add-a-data-set.md", "toml")
    shown = tomllib.loads(text)
    assert shown == tomllib.loads((ROOT / "datasets" / f"{shown['name']}.toml").read_text(encoding="utf-8"))

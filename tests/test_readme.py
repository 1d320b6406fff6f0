"""What README.md shows runs as it stands there."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn

from oodbench.measure.ranking import ranking
from oodbench.outcomes import Outcomes, write_outcomes
from oodbench.report.readme import BEGIN, END
from oodbench.scorefile import Scores, write_scores

ROOT = Path(__file__).resolve().parents[1]


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)


def test_the_python_of_the_readme_runs(capsys, tmp_path, monkeypatch):
    chance = torch.Generator().manual_seed(0)
    x = torch.rand(400, 1, 8, 8, generator=chance)
    y = (x.mean(dim=(1, 2, 3)) > 0.5).long()
    torch.manual_seed(0)
    names = {
        "model": nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 2)),
        "x_train": x[:300],
        "y_train": y[:300],
        "x_test": x[300:].numpy(),
        "y_test": y[300:].numpy(),
        "x_mnist": np.zeros((50, 1, 8, 8), np.uint8),
    }
    names |= {"x_held_out": names["x_test"], "y_held_out": names["y_test"], "images": x[300:]}
    monkeypatch.chdir(tmp_path)
    judging, fitting = blocks("python")
    exec(judging, names)
    exec(fitting, names)
    assert names["trusted"].mean() == 0.95
    loaded = names["detector"]
    assert ((loaded.score(x[300:]) >= loaded.threshold(0.95)) == names["trusted"]).all()
    table = names["result"].table
    assert isinstance(table, pd.DataFrame)
    assert set(table.method) == {"msp", "odin", "mahalanobis-a"}
    assert set(table.failure) == {"ood", "misclassification"}
    assert table.auroc.between(0, 1).all()
    assert "mahalanobis-a" in capsys.readouterr().out


def test_the_python_of_the_page_on_results_says_what_the_table_says(tmp_path, monkeypatch):
    results = tmp_path / "results"
    rng = np.random.default_rng(0)
    correct = rng.random(200) < 0.9
    scores = Scores(rng.normal(2, 1, 200) - ~correct, {"glyphs": rng.normal(0, 1, 90)})
    write_scores(results / "tiny-v1" / "msp" / "0.parquet", scores)
    write_outcomes(results / "tiny-v1" / "models" / "plain" / "0.parquet", Outcomes(correct))
    expected = ranking(scores.test, scores.ood["glyphs"])["fpr95"]
    row = {"matrix": "tiny-v1", "kind": "ood", "method": "msp", "set": "glyphs", "metric": "fpr95", "value": expected}
    others = [row | {"kind": "full-spectrum"}, row | {"matrix": "mnist5k-v1"}]
    pd.DataFrame([row, *others]).to_parquet(results / "metrics.parquet")
    monkeypatch.chdir(tmp_path)
    names = {}
    (program,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "results.md").read_text(), re.DOTALL)
    exec(program, names)
    assert names["fpr95"] == expected
    assert len(names["numbers"].query(names["this"])) == 1
    assert names["mean_when_right"] > names["mean_when_wrong"]


def test_what_it_is_two_commands_and_a_picture_come_before_any_table():
    text = (ROOT / "README.md").read_text()
    table = re.search(r"^\|", text, re.MULTILINE).start()
    assert text.index("make demo") < text.index("make test") < text.index("![") < BEGIN.search(text).start() < table


def test_its_table_is_short_and_generated():
    """`oodbench table --check` compares it."""
    text = (ROOT / "README.md").read_text()
    block = text[BEGIN.search(text).end() :].split(END)[0]
    rows = [line for line in block.splitlines() if line.startswith("| [`")]
    assert 4 <= len(rows) <= 8
    assert rows[0].count("|") <= 6
    assert "| [`" not in text.replace(block, "")


def test_pages_are_small():
    assert (ROOT / "leaderboard.md").stat().st_size <= 100_000
    for page in (ROOT / "docs" / "leaderboard").rglob("*.md"):
        assert page.stat().st_size <= 200_000, page


def test_every_make_target_and_verb_of_the_readme_exists():
    from oodbench.commands.grammar import VERBS

    text = (ROOT / "README.md").read_text()
    targets = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"make ([a-z-]+)", text)) <= targets
    assert set(re.findall(r"`oodbench ([a-z]+)", text)) == set(VERBS)


def prose(page: Path) -> str:
    """Return a page without its code."""
    return re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(), flags=re.DOTALL)


def test_every_link_of_the_documents_leads_somewhere():
    for page in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")):
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", prose(page)):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"

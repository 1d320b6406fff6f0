"""docs/metrics.md: its code runs, and it defines every metric that there is."""

import re
from pathlib import Path

import pytest

from oodbench.measure.metrics import METRICS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "metrics.md").read_text()


@pytest.mark.parametrize("code", re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))
def test_its_code_runs(code, monkeypatch):
    monkeypatch.chdir(ROOT)
    exec(compile(code, "docs/metrics.md", "exec"), {})


@pytest.mark.parametrize("name", METRICS)
def test_it_defines_every_metric(name):
    assert any(line.startswith("|") and f"`{name}`" in line.split("|")[1] for line in PAGE.splitlines())

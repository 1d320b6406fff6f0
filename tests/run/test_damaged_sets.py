"""A damaged out-set fails its own cells alone; a damaged in-set or tuning set stops the run with a sentence."""

import dataclasses
import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small import at, context_in, here, small_matrix

from oodbench.data import cards
from oodbench.data.cards import Card, load_cards
from oodbench.data.matrix import OutSet, Sample
from oodbench.errors import BadData
from oodbench.records import read_scores, record_paths
from oodbench.run.execute import execute
from oodbench.run.forecast import forecast
from oodbench.run.plan import plan
from oodbench.run.registry import find
from oodbench.run.sets import open_sets

PICTURES = Card.model_validate(
    {
        "name": "pictures",
        "title": "t",
        "roles": ["out", "tuning"],
        "origin": "pictures",
        "classes": 0,
        "splits": {"test": 60},
        "resampling": "box",
        "licence": "l",
        "citation": "c",
        "url": "https://example.org",
        "source": {
            "kind": "folder",
            "folders": ["pictures"],
            "parts": {"test": {"archives": [{"name": "a.tar", "md5": "0" * 32}], "files": "*.jpg"}},
        },
    }
)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a root of data sets that holds `pictures`, and make a card of them known."""
    known = load_cards() | {"pictures": PICTURES}
    monkeypatch.setattr(cards, "_load", lambda folder: known)
    rng = np.random.default_rng(0)
    root = tmp_path / "data"
    (root / "pictures").mkdir(parents=True)
    for k in range(60):
        Image.fromarray(rng.integers(0, 256, (30, 30, 3), np.uint8)).save(root / f"pictures/{k:02}.jpg")
    return root


def cut(root: Path) -> None:
    path = root / "pictures/41.jpg"
    path.write_bytes(path.read_bytes()[:-300])


def folder_for_a_file(root: Path) -> None:
    path = root / "pictures/41.jpg"
    path.unlink()
    path.mkdir()


def dangling(root: Path) -> None:
    path = root / "pictures/41.jpg"
    path.unlink()
    path.symlink_to(root / "gone.jpg")


def text(root: Path) -> None:
    (root / "pictures/41.jpg").write_text("<html>not found</html>")


DAMAGE = {"cut": cut, "folder": folder_for_a_file, "dangling": dangling, "text": text}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_damage_inside_a_picture_is_found_before_any_work(root: Path, damage: Callable[[Path], None]) -> None:
    matrix = small_matrix()
    matrix = matrix.model_copy(update={"ood": (*matrix.ood, OutSet(card="pictures", n=60, group="far"))})
    assert not open_sets.__wrapped__(matrix, root).damaged
    damage(root)
    sets = open_sets.__wrapped__(matrix, root)
    assert set(sets.damaged) == {"pictures"} and not sets.absent
    assert "41.jpg" in sets.damaged["pictures"]
    assert set(sets.ood) == {"glyphs", "hflip", "uniform"}


def test_a_damaged_out_set_fails_its_cells_alone(root: Path, trained_cache: Path, tmp_path: Path) -> None:
    (root / "fashion-mnist").mkdir()
    for name in ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"):
        (root / "fashion-mnist" / name).write_bytes(gzip.compress(bytes(500))[:-9])
    cut(root)
    made = context_in(tmp_path)
    more = (OutSet(card="fashion-mnist", n=60, group="far"), OutSet(card="pictures", n=60, group="far"))
    matrix = made.matrix.model_copy(update={"ood": (*more, *made.matrix.ood)})
    context = at(dataclasses.replace(made, matrix=matrix), cache=trained_cache / "cache", data=root)
    planned = plan(context.matrix, find(["msp"]), [0])
    assert "out-sets that are damaged; their cells will fail:\n  fashion-mnist: BadData: " in forecast(context, planned)
    summary = execute(context, planned, here(context))
    (record,) = summary.records
    cells = {cell.name: cell for cell in record.cells if cell.failure == "ood"}
    assert {name: cell.status for name, cell in cells.items()} == {
        "fashion-mnist": "failed",
        "pictures": "failed",
    }
    assert "t10k-images-idx3-ubyte.gz: damaged or truncated gzip" in cells["fashion-mnist"].reason
    assert "41.jpg: not a readable image" in cells["pictures"].reason
    assert record.status == "ok" and summary.failed == (record,), "the run says that something failed"
    assert len(cells) == len(record.cells)
    scores = read_scores(record_paths(context.workspace.results, "small-v1", "msp", 0).scores)
    assert set(scores.ood) == {"glyphs", "hflip", "uniform"}


def test_a_damaged_tuning_set_stops_the_run(root: Path) -> None:
    cut(root)
    matrix = small_matrix().model_copy(update={"tuning_ood": (Sample(card="pictures", n=60),)})
    with pytest.raises(BadData, match=r"41\.jpg: not a readable image"):
        open_sets.__wrapped__(matrix, root)


def test_a_damaged_in_set_stops_the_run(root: Path) -> None:
    (root / "fashion-mnist").mkdir()
    for name in ("train", "t10k"):
        (root / f"fashion-mnist/{name}-images-idx3-ubyte").write_bytes(b"not IDX")
        (root / f"fashion-mnist/{name}-labels-idx1-ubyte").write_bytes(b"not IDX")
    matrix = small_matrix().model_copy(update={"in_set": "fashion-mnist"})
    with pytest.raises(BadData, match="train-images-idx3-ubyte"):
        open_sets.__wrapped__(matrix, root)

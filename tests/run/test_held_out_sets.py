"""Held-out sets that hold images of other sets are told, however they are read; what nobody has read is not known."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from torch.utils.data import Dataset

import oodbench
from oodbench.check.toy import blobs, noise, toy
from oodbench.data.changed import ChangedImages, Mirror
from oodbench.data.images import ArrayImages, FilePictures, FolderImages
from oodbench.data.inputs import Inputs, JoinedInputs
from oodbench.recipes import Plain
from oodbench.run import own
from oodbench.run.overlap import Overlaps, Shared, marks_of

TRAIN, TEST, VALIDATION, STRANGE, HELD = (
    (np.rint(images.pixels * 255).astype(np.uint8), images.labels)
    for images in (blobs(60, 0), blobs(45, 1), blobs(30, 2), noise(24, 3), noise(20, 4))
)
Set = tuple[np.ndarray, np.ndarray | None]


def as_arrays(given: Set, _: Path) -> Any:
    return given if given[1] is not None else given[0]


def as_folder(given: Set, place: Path) -> Path:
    x, y = given
    for row, pixels in enumerate(x):
        inside = place / (str(y[row]) if y is not None else "all")
        inside.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels[0]).save(inside / f"{row:03}.png")
    return place


def as_list(given: Set, place: Path) -> Path:
    as_folder(given, place)
    paths = sorted(place.rglob("*.png"))
    labels = (path.parent.name if given[1] is not None else "-1" for path in paths)
    (place / "list.txt").write_text(
        "".join(f"{path.relative_to(place)} {label}\n" for path, label in zip(paths, labels, strict=True))
    )
    return place / "list.txt"


class Items(Dataset[Any]):
    def __init__(self, x: np.ndarray, y: np.ndarray | None) -> None:
        self.x, self.y = x, y

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, row: int) -> Any:
        return self.x[row] if self.y is None else (self.x[row], int(self.y[row]))


def as_items(given: Set, _: Path) -> Items:
    return Items(*given)


WAYS: dict[str, Callable[[Set, Path], Any]] = {
    "arrays": as_arrays,
    "folders": as_folder,
    "lists": as_list,
    "data sets": as_items,
}


def notes(method: str, place: Path, way: str, cache: Path | None = None, **changed: Set) -> list[str]:
    """Return the notes of a method's row on the failures, all sets read in one way."""
    given = {"train": TRAIN, "test": TEST, "validation": VALIDATION, "strange": STRANGE, "held": HELD} | changed
    read = {name: WAYS[way](one, place / name) for name, one in given.items()}
    table = oodbench.evaluate(
        toy(Plain()).model.net,
        failures={"strange": read.pop("strange")},
        ood_validation={"held": read.pop("held")},
        methods=[method],
        cache=cache,
        **read,
    ).table
    return table.set_index("set")["note"]["strange"].split("; ")


@pytest.mark.parametrize("way", WAYS)
def test_what_a_row_is_tuned_on_and_tested_on_is_told(way: str, tmp_path: Path) -> None:
    """Tuning reads every other image alone: those are enough to tell."""
    told = notes("ash-b-tuned", tmp_path, way, validation=TEST, held=STRANGE)
    n, k = ("45", "24") if way == "arrays" else ("at least 22", "at least 12")
    assert f"{n} of the 45 validation images are also in test" in told
    assert any(f"{k} of the 24 images of ood_validation held are also in strange: the row" in one for one in told)


@pytest.mark.parametrize("way", WAYS)
def test_held_out_sets_of_training_and_test_images_are_told(way: str, tmp_path: Path) -> None:
    told = notes("temperature", tmp_path / "a", way, validation=TRAIN)
    told += notes("react-tuned", tmp_path / "b", way, held=(TEST[0][:20], None))
    told += notes("react-tuned", tmp_path / "c", way, held=(TRAIN[0][:20], None))
    assert "60 of the 60 validation images are training images, which the model has seen" in told
    many = "20" if way == "arrays" else "at least 10"
    assert f"{many} of the 20 images of ood_validation held are also in test" in told
    assert f"{many} of the 20 images of ood_validation held are training images, which the model has seen" in told


@pytest.mark.parametrize("way", WAYS)
def test_sets_that_share_nothing_have_no_note(way: str, tmp_path: Path) -> None:
    for method in ("ash-b-tuned", "temperature"):
        assert not [one for one in notes(method, tmp_path / method, way) if "validation" in one]


@pytest.mark.parametrize("way", ["folders", "data sets"])
def test_what_is_found_in_a_cache_is_told_again(way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sets of equal content have one place there, and are read once."""
    monkeypatch.setattr(own, "SEGMENT", 16)
    for round_ in ("first", "second"):
        told = notes("temperature", tmp_path / round_, way, tmp_path / "cache", validation=TEST)
        assert "45 of the 45 validation images are also in test" in told


def marks(images: Inputs) -> Any:
    return marks_of(images.batch(slice(None)))


def pictures(place: Path) -> FolderImages:
    as_folder((TEST[0], None), place)
    return FolderImages(FilePictures(tuple(sorted(place.rglob("*.png")))), (1, *TEST[0].shape[2:]), "pad")


def test_marks_are_kept_by_source_and_place(tmp_path: Path) -> None:
    images, test, overlaps = pictures(tmp_path), ArrayImages(TEST[0]), Overlaps()
    assert overlaps(images, test) == overlaps(test, images) == Shared(None, False)
    odd = images.take(slice(1, None, 2))
    overlaps.note(odd, marks(odd))
    assert overlaps(images, test) == Shared(22, False) and str(overlaps(images, test)) == "at least 22"
    assert overlaps(odd, test) == Shared(22, True)
    joined = JoinedInputs((images.take(slice(0, None, 2)), ArrayImages(STRANGE[0])))
    overlaps.note(joined, marks(joined))
    assert overlaps(images, test) == Shared(45, True) and str(overlaps(images, test)) == "45"
    assert overlaps(ChangedImages(images, Mirror(3)), test) == Shared(None, False)


def test_what_lies_in_memory_is_read_when_it_is_asked_for() -> None:
    test, overlaps = ArrayImages(TEST[0]), Overlaps()
    mirrored = ChangedImages(test, Mirror(3))
    assert overlaps(test.take(slice(0, 9)), test) == Shared(9, True)
    assert overlaps(JoinedInputs((test, mirrored)), test) == Shared(45, True)
    assert overlaps(ChangedImages(mirrored, Mirror(3)), test) == Shared(45, True)

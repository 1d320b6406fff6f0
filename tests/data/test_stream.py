"""Batches: the same bytes in the same order, whoever decodes them; and a sentence when that goes wrong."""

import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from oodbench.data import stream
from oodbench.data.changed import ChangedImages, Mirror
from oodbench.data.images import ArrayImages, FilePictures, FolderImages
from oodbench.data.inputs import JoinedInputs
from oodbench.data.stream import batches
from oodbench.errors import BadData

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def three_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    if hasattr(os, "sched_getaffinity"):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2})
    monkeypatch.setattr(os, "cpu_count", lambda: 3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for k in range(23):
        Image.fromarray(RNG.integers(0, 256, (20, 30, 3), np.uint8)).save(folder / f"{k:02}.jpg")
    return folder


@pytest.fixture
def images(folder: Path) -> FolderImages:
    return FolderImages(FilePictures(tuple(sorted(folder.glob("*.jpg")))), (3, 16, 16), "crop", card="pictures")


def whole(images: object, size: int, workers: int) -> np.ndarray:
    made = list(batches(images, size, workers))
    assert all(len(batch) == size for batch in made[:-1]) and all(batch.dtype == np.float32 for batch in made)
    return np.concatenate(made)


@pytest.mark.parametrize("workers", [0, 1, 3, 99])
@pytest.mark.parametrize("size", [1, 4, 23, 50])
def test_the_same_bytes_whoever_decodes(images: FolderImages, workers: int, size: int) -> None:
    if size == 1 and workers in (1, 99):
        pytest.skip("as with 3")
    assert whole(images, size, workers).tobytes() == images.batch(slice(None)).tobytes()


def test_taken_mirrored_and_joined_images(images: FolderImages) -> None:
    taken = images.take(np.array([7, 3, 3, 20, 0]))
    arrays = ArrayImages(images.pixels(slice(None)))
    for one in (
        taken,
        ChangedImages(images, Mirror(3)),
        ChangedImages(taken, Mirror(2)),
        arrays,
        JoinedInputs((arrays, images)),
    ):
        got = whole(one, 2, 2)
        assert got.flags.c_contiguous and got.tobytes() == one.batch(slice(None)).tobytes()


def test_joined_images_are_taken_in_order(images: FolderImages) -> None:
    """They cannot be put in another one, part by part: that is refused, and not done otherwise."""
    arrays = ArrayImages(images.pixels(slice(None)))
    joined = JoinedInputs((arrays, images))
    places = np.array([0, len(arrays) - 1, len(arrays) + 2])
    assert joined.take(places).batch(slice(None)).tobytes() == joined.batch(places).tobytes()
    with pytest.raises(ValueError, match=r"places of joined inputs must ascend; got \[5, 0\]"):
        joined.take(np.array([5, 0]))


def test_no_random_state_is_touched(images: FolderImages) -> None:
    before, numbers = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    whole(images, 4, 2)
    assert torch.equal(torch.get_rng_state(), before)
    assert np.array_equal(np.random.get_state()[1], numbers)  # noqa: NPY002


@pytest.mark.parametrize("workers", [0, 2])
def test_a_damaged_picture_is_named(images: FolderImages, tmp_path: Path, workers: int) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"<html>")
    pictures = FilePictures((*images.pictures.paths[:9], tmp_path / "bad.jpg", *images.pictures.paths[9:]))
    made = batches(FolderImages(pictures, (3, 16, 16), "crop"), 3, workers)
    good = [next(made) for _ in range(3)]
    assert np.concatenate(good).tobytes() == images.batch(slice(0, 9)).tobytes()
    with pytest.raises(BadData) as error:
        next(made)
    assert str(error.value).startswith(f"{tmp_path / 'bad.jpg'}: not a readable image"), "no words of the loader's"


class Deadly:
    """A picture that kills the process that reads it, once that is not this one."""

    def __init__(self, content: bytes) -> None:
        self.encoded, self.here = content, os.getpid()

    def __len__(self) -> int:
        return 8

    def name(self, place: int) -> str:
        return f"picture {place}"

    def content(self, place: int) -> bytes:
        if place == 5 and os.getpid() != self.here:
            os.kill(os.getpid(), signal.SIGKILL)
        return self.encoded


@pytest.mark.processes
def test_a_process_that_dies_is_a_sentence(folder: Path) -> None:
    images = FolderImages(Deadly((folder / "00.jpg").read_bytes()), (3, 16, 16), "crop", card="deadly")
    with pytest.raises(BadData, match=r"deadly: a process that decodes pictures died .*use fewer workers"):
        whole(images, 2, 2)


def test_a_reader_that_stops_early_leaves_no_process(images: FolderImages) -> None:
    made = batches(images, 2, 2)
    next(made)
    made.close()
    assert not multiprocessing.active_children()


def _in_a_daemon(images: FolderImages, out: Path) -> None:
    out.write_bytes(whole(images, 4, 2).tobytes())


@pytest.mark.processes
def test_a_daemon_decodes_by_itself(images: FolderImages, tmp_path: Path) -> None:
    child = multiprocessing.get_context("spawn").Process(
        target=_in_a_daemon, args=(images, tmp_path / "out"), daemon=True
    )
    child.start()
    child.join(60)
    assert (tmp_path / "out").read_bytes() == images.batch(slice(None)).tobytes()


PROGRAM = """
import os, sys, threading, warnings
warnings.simplefilter("error")
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from oodbench.data.images import FilePictures, FolderImages
from oodbench.data.stream import batches

def work(images):
    return b"".join(batch.tobytes() for batch in batches(images, 4, 2))

if __name__ == "__main__":
    assert "torch" not in sys.modules, "reading data needs no torch"
    os.sched_getaffinity = lambda _: {0, 1}
    threading.Thread(target=threading.Event().wait, daemon=True).start()
    images = FolderImages(FilePictures(tuple(sorted(Path(sys.argv[1]).glob("*.jpg")))), (3, 16, 16), "crop")
    here = images.batch(slice(None)).tobytes()
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        assert pool.submit(work, images).result() == here
    print("well")
"""


@pytest.mark.processes
def test_in_a_pools_worker_beside_threads_and_without_a_warning(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    ran = subprocess.run(
        [sys.executable, "-W", "error", tmp_path / "program.py", folder], capture_output=True, text=True, timeout=120
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "well\n", "")


def test_processes_help_only_where_there_is_work_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [stream._useful(workers, 10) for workers in (0, 1, 3, 8)] == [0, 1, 3, 3]
    assert stream._useful(3, 1) == 0 and stream._useful(3, 2) == 2

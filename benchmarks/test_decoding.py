"""What decoding ahead saves: a pass over generated JPEGs, in this process and with two that decode, in turn.

The reader of the batches waits meanwhile, as one does whose network is on a GPU. Ratios of wall times within one run.
"""

import time

import numpy as np
import pytest
from PIL import Image
from pytest_benchmark.fixture import BenchmarkFixture

from oodbench.data.images import FilePictures, FolderImages
from oodbench.data.stream import batches

COUNT, SIDE, SIZE, ROUNDS = 768, 320, 64, 3


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> FolderImages:
    """Pictures of smooth noise, about as large as photographs are."""
    folder, rng = tmp_path_factory.mktemp("jpegs"), np.random.default_rng(0)
    for k in range(COUNT):
        coarse = Image.fromarray(rng.integers(0, 256, (40, 40, 3), np.uint8))
        coarse.resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(folder / f"{k:04}.jpg", quality=90)
    return FolderImages(FilePictures(tuple(sorted(folder.glob("*.jpg")))), (3, 224, 224), "crop-margin")


def wall(images: FolderImages, workers: int, forward: float) -> float:
    """Return the seconds of a pass in which every batch takes `forward` seconds on a GPU."""
    began = time.perf_counter()
    for _ in batches(images, SIZE, workers):
        time.sleep(forward)
    return time.perf_counter() - began


@pytest.mark.benchmark(group="decoding")
def test_decoding_ahead(benchmark: BenchmarkFixture, images: FolderImages) -> None:
    alone = wall(images, 0, 0) / (COUNT / SIZE)  # of one batch
    wall(images, 2, 0)  # starts the server of processes, once a program
    turns = [(wall(images, 0, alone), wall(images, 2, alone)) for _ in range(ROUNDS)]
    inside, ahead = (min(column) for column in zip(*turns, strict=True))
    benchmark.pedantic(wall, (images, 2, alone), rounds=1)
    benchmark.extra_info.update({"in_process_s": inside, "two_ahead_s": ahead})
    print(f"\n{COUNT} JPEGs: in process {inside:.2f} s, two decode ahead {ahead:.2f} s; ratio {ahead / inside:.2f}")
    assert ahead < 1.25 * inside, "decoding ahead must never cost much, whatever else the machine does"

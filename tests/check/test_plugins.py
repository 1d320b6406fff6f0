"""Methods of installed packages: found by entry point, checked like our own; what is wrong with them is said."""

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from oodbench.check.conformance import check_methods
from oodbench.errors import BadMethod, UnknownName
from oodbench.run import catalog, registry

CODE = '''
"""A method from elsewhere."""
from oodbench.contract import Citation, LOGITS, Method, Stateless
from oodbench.recipes import Plain

def largest(batch):
    return batch.logits.amax(dim=1)

def method(name):
    paper = Citation(authors="A", title="T", year=2020, url="https://example.org")
    detector = Stateless(frozenset({LOGITS}), largest)
    return Method(name=name, title=name, paper=paper, recipe=Plain(), detector=detector)

ONE = method("largest")
TWO = (method("largest-1"), method("largest-2"))
TAKEN = method("msp")
WRONG = "largest"
NONE = ()
'''

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Return a function that puts a package with these entry points on the path, as pip would."""

    def installed(*entries: str, code: str = CODE) -> None:
        (tmp_path / "from_elsewhere.py").write_text(code)
        info = tmp_path / "from_elsewhere-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: from-elsewhere\nVersion: 1.0\n")
        lines = "\n".join(f"entry{i} = {entry}" for i, entry in enumerate(entries))
        (info / "entry_points.txt").write_text(f"[{registry.GROUP}]\n{lines}\n")
        monkeypatch.syspath_prepend(str(tmp_path))
        importlib.invalidate_caches()
        registry.registry.cache_clear()

    yield installed
    sys.modules.pop("from_elsewhere", None)
    registry.registry.cache_clear()


def test_a_method_from_a_package_is_found_and_checked(install: Install) -> None:
    install("from_elsewhere:ONE")
    (found,) = registry.find(["largest"])
    assert found.module == "from_elsewhere"
    text, well = check_methods(["largest"], every=False)
    assert well, text
    assert "largest          direction                ok" in text


def test_one_entry_point_may_announce_several(install: Install) -> None:
    install("from_elsewhere:TWO")
    assert {"largest-1", "largest-2", "msp"} <= set(registry.registry())


def test_methods_of_packages_are_listed(install: Install) -> None:
    install("from_elsewhere:TWO")
    lines = {line.name: line for line in catalog.lines()}
    assert {"largest-1", "largest-2", "msp"} <= lines.keys()
    assert lines["largest-1"].judges_mine
    assert lines["largest-1"].module == "from_elsewhere"


def test_without_the_package_the_method_is_unknown() -> None:
    with pytest.raises(UnknownName, match="unknown method 'largest'"):
        registry.find(["largest"])


def test_a_name_that_is_taken_is_refused_with_both_places(install: Install) -> None:
    install("from_elsewhere:TAKEN")
    with pytest.raises(BadMethod, match=r"two methods are named 'msp': in oodbench\.methods\.msp and in from_else"):
        registry.registry()


def test_one_method_announced_twice_is_refused(install: Install) -> None:
    install("from_elsewhere:ONE", "from_elsewhere:ONE")
    with pytest.raises(BadMethod, match="two methods are named 'largest'"):
        registry.registry()


@pytest.mark.parametrize(("name", "got"), [("WRONG", "'largest'"), ("NONE", r"\(\)"), ("method", "<function method")])
def test_an_entry_point_that_holds_no_method_is_refused(install: Install, name: str, got: str) -> None:
    install(f"from_elsewhere:{name}")
    with pytest.raises(BadMethod, match=rf"entry point 'entry0' \(from_elsewhere:{name}\): expected .*, got {got}"):
        registry.registry()


@pytest.mark.parametrize(
    ("entry", "code", "why"),
    [
        ("from_elsewhere:MISSING", CODE, "AttributeError"),
        ("nowhere_at_all:ONE", CODE, "ModuleNotFoundError"),
        ("from_elsewhere:ONE", "1 / 0", "ZeroDivisionError"),
    ],
)
def test_an_entry_point_that_does_not_load_is_named(install: Install, entry: str, code: str, why: str) -> None:
    install(entry, code=code)
    with pytest.raises(BadMethod, match=rf"entry point 'entry0' \({entry}\) does not load: {why}"):
        registry.registry()

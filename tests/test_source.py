"""Digests of source: every file that behaviour can come from counts, words do not."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from oodbench import source
from oodbench.source import source_digest

FILES = {
    "__init__.py": "",
    "method.py": '"""Words."""\nfrom oodbench.contract import Method\nfrom .near import help\n'
    "from a_plugin.far import aid\nfrom .deep import deeper\n",
    "near.py": "from . import third\n\ndef help():\n    return third.VALUE\n",
    "third.py": "VALUE = 1\n",
    "far.py": "def aid():\n    return 2\n",
    "deep/__init__.py": "",
    "deep/deeper.py": "from ..far import aid\nfrom .. import near\nX = 1\n",
    "unused.py": "Y = 1\n",
}

Edit = Callable[[str, str], None]


def forget() -> None:
    source.source_digest.cache_clear()
    source._behaviour.cache_clear()
    source._is_module.cache_clear()


@pytest.fixture
def edit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Edit]:
    """Write a plugin's package; return what edits one of its files."""

    def write(name: str, text: str) -> None:
        path = tmp_path / "a_plugin" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        forget()

    for name, text in FILES.items():
        write(name, text)
    monkeypatch.syspath_prepend(tmp_path)
    yield write
    for name in [name for name in sys.modules if name.split(".")[0] == "a_plugin"]:
        del sys.modules[name]
    forget()


@pytest.mark.parametrize("name", ["method.py", "near.py", "third.py", "far.py", "deep/deeper.py"])
def test_every_file_that_a_plugins_method_imports_counts(edit: Edit, name: str) -> None:
    """Its own file, a second one by an absolute and by a relative import, one behind that, one in a package."""
    before = source_digest("a_plugin.method")
    edit(name, FILES[name] + "\nCHANGED = 1\n")
    assert source_digest("a_plugin.method") != before


def test_words_and_files_that_it_does_not_import_do_not_count(edit: Edit) -> None:
    before = source_digest("a_plugin.method")
    edit("method.py", "# A comment.\n\n" + FILES["method.py"].replace("Words", "Other words"))
    edit("unused.py", "Y = 2\n")
    assert source_digest("a_plugin.method") == before


def test_what_is_shared_counts() -> None:
    assert source_digest("oodbench.methods.msp") != source_digest("oodbench.methods.energy")
    shared = ("oodbench.formulas", "oodbench.contract", "oodbench.recipes")
    assert all(source_digest("oodbench.methods.msp") != source_digest(name) for name in shared)

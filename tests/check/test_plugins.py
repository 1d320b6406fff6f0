"""Methods of installed packages: found by entry point, checked like our own; what is wrong with them is said."""

import importlib
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from oodbench.check.conformance import check_methods
from oodbench.cli import main
from oodbench.errors import BadMethod, UnknownName
from oodbench.records import read_record
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
def centred(batch):
    top = largest(batch)
    return top - top.mean()

PAPER = Citation(authors="A", title="T", year=2020, url="https://example.org")
CENTRED = Method(
    name="centred", title="c", paper=PAPER, recipe=Plain(), detector=Stateless(frozenset({LOGITS}), centred)
)
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
    text, well = check_methods(["largest"], every=False, verbose=True)
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


def test_a_run_refuses_a_score_that_depends_on_the_batch_and_unchecked_it_has_no_rank(
    install: Install, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    install("from_elsewhere:CENTRED", "from_elsewhere:ONE")
    results = tmp_path / "results"
    places = ["--results", str(results), "--cache", str(tmp_path / "cache"), "--engine", "process"]
    assert main(["run", "toy-v1", "--methods", "centred", *places]) == 1
    said = capsys.readouterr().err
    assert "centred is not run, as it does not pass the checks that a rank asks for:\n  alone-as-in-a-batch: in" in said
    assert not results.exists()
    assert main(["run", "toy-v1", "--methods", "largest", "centred", *places]) == 1
    assert "centred is not run" in capsys.readouterr().err
    assert [path.name for path in (results / "toy-v1").iterdir() if path.name != "models"] == ["largest"]
    assert main(["run", "toy-v1", "--methods", "largest", "centred", "--unchecked", *places]) == 0
    said = capsys.readouterr().out
    assert "A row that is unchecked has none: it ran before anybody saw" in " ".join(said.split())
    assert re.search(r"unchecked +centred", said)
    assert re.search(r"1 \(1-1\) ★ +largest", said), "what was checked before stays so, and is ranked alone"
    checked = {name: read_record(results / "toy-v1" / name / "0.json").checked for name in ("largest", "centred")}
    assert checked == {"largest": True, "centred": False}


def test_without_the_package_the_method_is_unknown() -> None:
    with pytest.raises(UnknownName, match="unknown method 'largest'"):
        registry.find(["largest"])


def test_of_two_methods_of_one_name_ours_is_taken_with_a_warning(
    install: Install, caplog: pytest.LogCaptureFixture
) -> None:
    install("from_elsewhere:TAKEN", "from_elsewhere:ONE")
    assert registry.find(["msp"])[0].module == "oodbench.methods.msp"
    assert registry.find(["largest"])[0].module == "from_elsewhere"
    (said,) = caplog.messages
    assert said == (
        "two methods are named 'msp': that of oodbench (oodbench.methods.msp) is taken, and the one in from_elsewhere "
        "is not to be had; rename it"
    )


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

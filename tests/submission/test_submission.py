"""`oodbench submit` and what `oodbench verify` says of a submission: a clean one, and each way to tamper with one."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from tests.verify.made import MATRIX, make, set_field

from oodbench.cli import main
from oodbench.commands.submit import command
from oodbench.errors import BadMethod, BadRecord, BadSetting
from oodbench.manifest import FILE, Manifest
from oodbench.submission import origin
from oodbench.submission.bundle import bundle, records_of
from oodbench.submission.origin import Origin, one_module, origin_of
from oodbench.verify.handed_in import handed_in
from oodbench.verify.verified import verify
from oodbench.verify.walk import walk

KNN = "oodbench.methods.knn"
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("made") / "results")


@pytest.fixture(scope="module")
def clean(results: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = bundle(["knn"], origin_of(KNN), [MATRIX], results, tmp_path_factory.mktemp("out") / "knn")
    assert made.faults == ()
    return made.folder


def test_it_holds_source_records_scores_models_and_a_manifest_that_names_them(clean: Path) -> None:
    manifest = Manifest.model_validate_json((clean / FILE).read_text())
    files = {path.relative_to(clean).as_posix() for path in clean.rglob("*") if path.is_file()}
    assert set(manifest.files) == files - {FILE}
    assert (manifest.methods, manifest.module, manifest.package) == (("knn",), KNN, None)
    assert manifest.seeds == {MATRIX: (0, 1, 2, 3, 4)}
    for seed in range(5):
        own = {f"{MATRIX}/knn/{seed}.{end}" for end in ("json", "parquet", "cost.json")}
        own |= {f"{MATRIX}/models/plain/{seed}.{end}" for end in ("json", "parquet")}
        assert {f"results/{name}" for name in own} <= files
    assert not any("msp" in name or "glow" in name for name in files)
    assert (clean / "source/methods/knn.py").read_bytes() == (ROOT / "methods/knn.py").read_bytes()
    assert (clean / "source/tests/methods/test_knn.py").is_file()


def test_the_pull_request_says_what_it_scored_and_how_it_is_made_again(clean: Path) -> None:
    text = (clean / "pull-request.md").read_text()
    assert text.startswith("# `knn`\n\n**Nearest neighbours (k = 50)** (`knn`, version 1): Sun, Ming, Zhu, Li")
    assert f"| {MATRIX} | ood | `knn` | " in text
    assert f"oodbench run {MATRIX} --methods knn --results again" in text
    assert "- `source/methods/knn.py`" in text


def test_verify_takes_it(clean: Path, results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(clean), "--against", str(results), "--no-state", "--workers", "1"]) == 0
    assert "5 records in" in capsys.readouterr().out


def edited(path: Path, change) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def named(folder: Path, name: str, text: str) -> None:
    """Write a file that the manifest names, as a careful forger does."""
    import hashlib

    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    raw = path.read_bytes()
    said = {"sha256": hashlib.sha256(raw).hexdigest(), "size": len(raw)}
    edited(folder / FILE, lambda content: content["files"].update({name: said}))


KNN_FILE = "source/methods/knn.py"
RECORD = f"results/{MATRIX}/knn/0.json"

TAMPERED = {
    "source edited": (
        lambda f: (f / KNN_FILE).write_text((f / KNN_FILE).read_text().replace("2**30", "2**31")),
        f"../{KNN_FILE}: is not as it was when the submission was made",
    ),
    "source longer": (lambda f: (f / KNN_FILE).write_text("x"), f"../{KNN_FILE}: has 1 bytes, and manifest.json says"),
    "source gone": (lambda f: (f / KNN_FILE).unlink(), f"../manifest.json: names {KNN_FILE}, which is not there"),
    "source never there": (
        lambda f: (f / KNN_FILE).unlink() or edited(f / FILE, lambda c: c["files"].pop(KNN_FILE)),
        "../source: has no methods/knn.py",
    ),
    "a file beside": (lambda f: (f / "source/more.py").write_text("1"), "../source/more.py: is in no line of"),
    "a hidden file": (lambda f: (f / "source/.envrc").write_text("1"), "../source/.envrc: is in no line of"),
    "a program": (lambda f: named(f, "source/run.sh", "rm -rf /"), "../source/run.sh: is no text of source"),
    "a pickle": (lambda f: named(f, "source/state.pkl", "x"), "../source/state.pkl: is no text of source"),
    "an unseen letter": (
        lambda f: named(f, "source/methods/more.py", "a = 1  # \u202e b"),
        "../source/methods/more.py: holds '\\u202e', which is not seen",
    ),
    "no text": (
        lambda f: (f / "source/methods/x.py").write_bytes(b"\xff"),
        "../source/methods/x.py: is in no line of",
    ),
    "a look-alike by case": (
        lambda f: named(f, "source/methods/KNN.py", "1"),
        "to file systems that do not tell letters by case",
    ),
    "a table of numbers": (
        lambda f: named(f, "results/ranks.csv", "a"),
        "../results/ranks.csv: has no place in a submission",
    ),
    "a file elsewhere": (lambda f: named(f, ".github/x.yml", "a"), "files..github/x.yml"),
    "a name that leaves": (
        lambda f: edited(f / FILE, lambda c: c["files"].update({"../x.py": c["files"][KNN_FILE]})),
        "../manifest.json: files.../x.py",
    ),
    "a link": (
        lambda f: (f / KNN_FILE).unlink() or (f / KNN_FILE).symlink_to("/etc/passwd"),
        f"../{KNN_FILE}: is a link",
    ),
    "a manifest that is a link": (
        lambda f: (f / FILE).unlink() or (f / FILE).symlink_to("/etc/passwd"),
        "../manifest.json: cannot be read",
    ),
    "a manifest that is none": (lambda f: (f / FILE).write_text("{"), "../manifest.json: is truncated or not JSON"),
    "a bomb of brackets": (lambda f: (f / FILE).write_text("[" * 99999), "../manifest.json: is nested more than"),
    "a large manifest": (lambda f: (f / FILE).write_text(" " * (2 << 20)), "../manifest.json: has 2097152 bytes"),
    "another schema": (
        lambda f: edited(f / FILE, lambda c: c.update(schema_version=2)),
        "../manifest.json: schema",
    ),
    "an unknown field": (lambda f: edited(f / FILE, lambda c: c.update(run="x")), "../manifest.json: run: Extra"),
    "another method": (lambda f: edited(f / FILE, lambda c: c.update(methods=["msp"])), "method knn stands in results"),
    "a seed fewer": (
        lambda f: edited(f / FILE, lambda c: c["seeds"].update({MATRIX: [0, 1, 2, 3]})),
        f"{MATRIX}/knn: has the seeds [0, 1, 2, 3, 4], and manifest.json says [0, 1, 2, 3]",
    ),
    "another matrix": (
        lambda f: edited(f / FILE, lambda c: c["seeds"].update({"tiny-v1": [0]})),
        "../manifest.json: matrix tiny-v1 stands in manifest.json alone",
    ),
    "another module": (
        lambda f: edited(f / FILE, lambda c: c.update(module="oodbench.methods.msp")),
        "../source: has no methods/msp.py",
    ),
    "a record": (lambda f: (f / RECORD).write_text("{}"), f"../{RECORD}: has 2 bytes, and manifest.json says"),
}


@pytest.mark.parametrize("what", TAMPERED)
def test_tampering_is_named(what: str, clean: Path, tmp_path: Path) -> None:
    folder = tmp_path / "knn"
    shutil.copytree(clean, folder)
    tamper, says = TAMPERED[what]
    tamper(folder)
    said = [str(fault) for fault in verify(folder).faults]
    assert any(says in one for one in said), said


def test_a_source_too_large_is_not_read(clean: Path, tmp_path: Path) -> None:
    folder = tmp_path / "knn"
    shutil.copytree(clean, folder)
    named(folder, "source/methods/more.py", "#" * (2 << 20))
    assert any(
        "more.py: has 2097152 bytes, expected at most 1048576; it is not read" in str(f) for f in verify(folder).faults
    )


def test_a_submission_that_is_too_large_as_a_whole_is_not_hashed(clean: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("oodbench.verify.handed_in.MOST_BYTES", 1000)
    folder = tmp_path / "knn"
    shutil.copytree(clean, folder)
    (fault,), _ = handed_in(folder, walk(folder / "results"))
    assert "bytes, expected at most 1000; nothing is hashed" in str(fault)


def test_a_folder_without_a_manifest_is_results_alone(clean: Path, tmp_path: Path) -> None:
    folder = tmp_path / "knn"
    shutil.copytree(clean, folder)
    (folder / FILE).unlink()
    assert verify(folder).faults == ()


def test_nothing_is_written_where_something_is_wrong(results: Path, tmp_path: Path) -> None:
    root = tmp_path / "results"
    shutil.copytree(results, root)
    set_field(root, "checked", False, "knn")
    made = bundle(["knn"], origin_of(KNN), [MATRIX], root, tmp_path / "out" / "knn")
    assert "ran unchecked, and has no rank" in str(made.faults[0])
    assert list((tmp_path / "out").iterdir()) == []


def test_what_is_there_is_not_written_over_and_seeds_may_not_lack(results: Path, tmp_path: Path) -> None:
    (tmp_path / "knn").mkdir()
    with pytest.raises(BadSetting, match="is there already; remove it, or name another folder by --out"):
        bundle(["knn"], origin_of(KNN), [MATRIX], results, tmp_path / "knn")
    with pytest.raises(BadRecord, match=r"odin/0\.json: is not there; a row needs every seed of its matrix"):
        records_of(results, MATRIX, ["odin"])
    root = tmp_path / "results"
    shutil.copytree(results, root)
    (root / MATRIX / "knn" / "3.json").unlink()
    with pytest.raises(BadRecord, match=r"knn/3\.json: is not there"):
        records_of(root, MATRIX, ["knn"])


def test_one_module_at_a_time() -> None:
    assert one_module([KNN, KNN]) == KNN
    with pytest.raises(BadMethod, match=r"of 2 modules, oodbench\.methods\.knn, oodbench\.methods\.msp: hand in one"):
        one_module([KNN, "oodbench.methods.msp"])


def test_the_source_of_a_project_is_its_text_and_nothing_that_was_made(tmp_path: Path) -> None:
    source = ("a.py", "pyproject.toml", "tests/test_a.py")
    for name in (*source, ".git/x.py", "build/a.py", "w.pt", "results/a.md", "a.egg-info/b.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    (tmp_path / "env").mkdir()
    (tmp_path / "env" / "pyvenv.cfg").write_text("")
    (tmp_path / "env" / "b.py").write_text("")
    (tmp_path / "c.py").symlink_to("/etc/passwd")
    found = [path.relative_to(tmp_path).as_posix() for path in origin._text_below(tmp_path)]
    assert tuple(found) == source


def test_the_command_prints_faults_or_where_to_go_on(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert command(["knn", "knn"], [MATRIX], results) == 0
    assert "submission/knn: " in capsys.readouterr().out
    other = Origin(KNN, None, {"other.py": ROOT / "methods" / "knn.py"})
    monkeypatch.setattr(origin, "origin_of", lambda _: other)
    out = tmp_path / "again"
    assert command(["knn", "knn"], [MATRIX], results, out) == 1
    assert "../source: has no methods/knn.py" in capsys.readouterr().out
    assert not out.exists()


def test_a_manifest_of_drawn_bytes_ends_in_faults(clean: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    raw, tree = (clean / FILE).read_bytes(), walk(clean / "results")
    for _ in range(150):
        content = bytearray(raw)
        for at in rng.integers(0, len(raw), rng.integers(1, 4)):
            content[at : at + int(rng.integers(0, 3))] = rng.bytes(int(rng.integers(0, 4)))
        (tmp_path / FILE).write_bytes(content)
        faults, new = handed_in(tmp_path, tree)
        assert all(str(fault).isprintable() for fault in faults)
        assert faults or bytes(content) == raw, "its files are not here"
        assert all("/" not in name for name in new)

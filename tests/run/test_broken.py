"""Whatever is broken, empty or half-written in the cache or the results is made again, to the same bytes, and said."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from small import bytes_of, here, toy_context_in

from oodbench.cli import main
from oodbench.data.matrix import find_matrix
from oodbench.records import read_cost, read_record, record_paths
from oodbench.run.context import Context
from oodbench.run.execute import Summary, execute
from oodbench.run.plan import Job, part, plan
from oodbench.run.registry import find, registry

METHODS = ["msp", "mahalanobis-c"]


def run(context: Context, *methods: str, seeds: tuple[int, ...] = (0,)) -> Summary:
    return execute(context, plan(context.matrix, find(methods or METHODS), seeds), here(context))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    assert not run(toy_context_in(folder)).failed
    return folder


def empty(path: Path) -> None:
    path.write_bytes(b"")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path: Path) -> None:
    """Flip one bit in the middle."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def gone(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize("harm", [empty, cut, flip, gone])
@pytest.mark.parametrize(
    "what",
    [
        "cache/models/*/*/weights.safetensors",
        "cache/models/*/*/weights.json",
        "cache/models/*/*/outputs/*/logits.0.npy",
        "cache/models/*/*/outputs/*/logits.json",
        "cache/models/*/*/outputs/*/layers.1.npy",
        "cache/models/*/*/attacks/*/pixels.npy",
        "cache/models/*/*/attacks/*/index.npy",
        "cache/models/*/*/attacks/*/done.json",
        "cache/models/*/*/train.cost.json",
        "cache/toy/*/*/msp.json",
    ],
)
def test_a_harmed_cache_is_mended(
    whole: Path, tmp_path: Path, what: str, harm: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copytree(whole / "cache", tmp_path / "cache")
    harmed = sorted(tmp_path.glob(what))
    assert harmed
    for path in harmed:
        harm(path)
    assert not run(toy_context_in(tmp_path)).failed
    assert bytes_of(tmp_path / "results") == bytes_of(whole / "results")
    if harm is not gone:
        assert "it is made again" in caplog.text


@pytest.mark.parametrize("harm", [empty, cut, flip, gone])
@pytest.mark.parametrize("what", ["record", "scores"])
def test_harmed_results_are_mended(
    whole: Path, tmp_path: Path, what: str, harm: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
    harm(getattr(record_paths(tmp_path / "results", "toy-v1", "msp", 0), what))
    assert not run(toy_context_in(tmp_path)).failed
    assert bytes_of(tmp_path / "results") == bytes_of(whole / "results")
    if harm is not gone:
        assert "msp, seed 0: " in caplog.text
        assert "it is made again" in caplog.text


def test_a_failure_keeps_its_whole_traceback_until_it_is_mended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from oodbench import formulas

    real = formulas.msp_key

    def broken(*args: object) -> None:
        raise ZeroDivisionError("deep inside")

    context = toy_context_in(tmp_path)
    paths = record_paths(tmp_path / "results", "toy-v1", "msp", 0)
    monkeypatch.setattr(formulas, "msp_key", broken)
    assert run(context, "msp").failed
    told = paths.failure.read_text()
    assert told.startswith("Traceback")
    assert "ZeroDivisionError: deep inside" in told
    assert "in broken" in told
    monkeypatch.setattr(formulas, "msp_key", real)
    assert not run(context, "msp").failed
    assert not paths.failure.exists()


def test_costs_hold_those_of_all_parts(tmp_path: Path) -> None:
    context = toy_context_in(tmp_path)
    run(context, "msp", "deep-ensemble")
    alone, five = (
        read_cost(record_paths(tmp_path / "results", "toy-v1", name, 0).cost) for name in ("msp", "deep-ensemble")
    )
    images = 12 * 360
    assert alone.passes["train"] == {"forward": images, "gradient": images}
    assert five.passes["train"] == {"forward": 5 * images, "gradient": 5 * images}
    assert five.seconds["train"] > 3 * alone.seconds["train"] > 0
    assert five.cpu_seconds["train"] > alone.cpu_seconds["train"] > 0
    assert five.gpu_seconds["train"] == 0


# Shards.


def test_shards_together_are_the_plan_and_models_stay_whole() -> None:
    matrix = find_matrix("tiny-v1")
    planned = plan(matrix, registry().values(), (0, 1))
    shards = [part(planned, which, 5) for which in range(5)]
    names = [(item.method.name, item.seed) for shard in shards for item in shard]
    assert sorted(names) == sorted((item.method.name, item.seed) for item in planned)
    models = [{(item.recipe, item.seed) for item in shard} for shard in shards]
    assert sum(map(len, models)) == len(set.union(*models))
    assert all(any(isinstance(item, Job) for item in shard) for shard in shards)


def test_shards_make_what_one_run_makes(whole: Path, tmp_path: Path) -> None:
    words = ["run", "toy-v1", "--methods", *METHODS, "--workers", "1"]
    places = ["--results", str(tmp_path / "results"), "--cache", str(tmp_path / "cache")]
    for which in range(2):
        assert main([*words, *places, "--shard", f"{which}/2"]) == 0
    assert bytes_of(tmp_path / "results") == bytes_of(whole / "results")


@pytest.mark.parametrize("text", ["2/2", "1", "a/b", "-1/2", "0/0"])
def test_shards_that_do_not_exist(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "toy-v1", f"--shard={text}"]) == 2
    assert "expected I/N with I from 0 to N - 1, as 3/16" in capsys.readouterr().err


# Verifying.


def verify(folder: Path, *words: str) -> int:
    return main(["verify", "toy-v1", "--rerun", "1", "--results", str(folder / "results"), "--workers", "1", *words])


def test_verify_finds_the_same_bytes(whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify(whole) == 0
    said = capsys.readouterr().out
    assert "toy-v1: 2 records made again" in said
    assert "2 same bytes" in said


def test_verify_finds_what_drifted_and_by_how_much(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from oodbench import formulas

    real = formulas.msp_key
    monkeypatch.setattr(formulas, "msp_key", lambda *args: -real(*args))
    assert verify(whole, "--methods", "msp") == 1
    assert "1 drifted" in capsys.readouterr().out


def test_verify_of_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify(tmp_path) == 2
    assert "nothing to verify" in capsys.readouterr().err


def test_the_record_says_what_it_is_of(whole: Path) -> None:
    record = read_record(record_paths(whole / "results", "toy-v1", "msp", 0).record)
    assert record.versions == {"protocol": 1, "training": 1, "recipe": 1, "detector": 1}
    assert record.environment.machine is not None
    assert record.environment.machine.startswith("cpu ")
    assert len(record.behaviour["test"]) == 12
    assert json.loads(json.dumps(record.behaviour)) == {k: list(v) for k, v in record.behaviour.items()}

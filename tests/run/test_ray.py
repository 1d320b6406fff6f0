"""The engine `ray`: what befalls workers and nodes costs tries, never bytes. Skipped where ray is not installed."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import test_engines
from small import bytes_of
from test_engines import Die, DieOnce, Raise, Square, Threads, Watch, nobody, outcomes

from oodbench.errors import BadData, BadSetting
from oodbench.run import ray_engine
from oodbench.run.engines import engine
from oodbench.run.graph import Needs, schedule
from oodbench.run.ray_engine import News, Throttled, differences
from oodbench.run.workspace import Workspace

needs_ray = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # ray's own
    pytest.mark.skipif(shutil.which("ray", path=Path(sys.executable).parent) is None, reason="ray is not installed"),
]


def test_without_ray_the_way_to_get_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_engine, "find_spec", lambda name: None)
    with pytest.raises(BadSetting, match=r"pip install 'oodbench\[ray\]'"):
        engine("ray", Workspace(), ["cpu"], 2)


def test_ray_hands_out_devices_itself() -> None:
    for devices in (["cuda:0", "cuda:1"], ["cuda:1"]):
        with pytest.raises(BadSetting, match=f"--device {','.join(devices)}: ray itself hands out devices"):
            engine("ray:auto", Workspace(), devices, None)


def test_what_differs_between_driver_and_worker_is_named_with_both() -> None:
    driver = {"python": "3.11", "torch": "2.9.0", "oodbench": "0.1.0 abc"}
    assert differences(driver, driver | {"cuda": "none"}, "node a") is None
    said = differences(driver, {"python": "3.12", "torch": "2.9.0"}, "node a (10.0.0.2)")
    assert said is not None
    assert "node a (10.0.0.2) is not as this driver" in said
    assert "python: 3.12 there, 3.11 here; oodbench: absent there, 0.1.0 abc here" in said
    assert "torch" not in said


def test_the_digest_of_the_source_follows_every_file(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1")
    before = ray_engine.tree_digest(tmp_path)
    assert ray_engine.tree_digest(tmp_path) == before
    (tmp_path / "a.py").write_text("x = 2")
    changed = ray_engine.tree_digest(tmp_path)
    (tmp_path / "a.py").rename(tmp_path / "b.py")
    assert len({before, changed, ray_engine.tree_digest(tmp_path)}) == 3


def test_news_are_the_last_of_each_task_and_told_once() -> None:
    news = News()
    for done in range(3):
        news.tell(("a", "epoch", done, 3))
    news.tell(("b", "fit", 0, 1))
    assert news.take() == ([("a", "epoch", 2, 3), ("b", "fit", 0, 1)], [])
    assert news.take() == ([], [])


def test_progress_is_throttled_and_never_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 0.4, 0.5, 1.6])
    monkeypatch.setattr(ray_engine.time, "monotonic", lambda: next(clock))
    told: list[Any] = []

    def tell(news: Any) -> None:
        told.append(news)
        raise RuntimeError("the keeper of the news is dead")

    report = Throttled("a", tell)
    report("epoch", 0, 3)
    report("epoch", 1, 3)  # too soon
    report("fit", 0, 1)  # another stage
    report("fit", 1, 1)
    assert told == [("a", "epoch", 0, 3), ("a", "fit", 0, 1), ("a", "fit", 1, 1)]


@pytest.fixture(scope="module")
def ray(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("ray")
    made = engine("ray", Workspace(results=folder / "results", cache=folder / "cache"), ["cpu"], 2)
    made._ray.cloudpickle.register_pickle_by_value(test_engines)  # workers do not see the tests' folder
    yield made
    made.close()


class TestOnThisMachine:
    pytestmark = needs_ray

    def test_results_errors_and_deaths_are_each_tasks_own(self, ray: Any, tmp_path: Path) -> None:
        class Locked(Square):  # ray sends functions, but no locks
            def run(self, place: Workspace, report: Any) -> Any:
                return threading.Lock()

        tasks = [Square(2), Square(3), Raise(BadData("no image")), Locked(4), Threads(), Die("kill")]
        got = outcomes(ray, *tasks, DieOnce(tmp_path / "mark"))
        assert "the worker died while running it: out of memory? (2 tries)" in str(got.pop("kill"))
        assert "pickle" in str(got.pop("square 4")).lower()
        assert got == {
            "square 2": 4,
            "square 3": 9,
            "raise": "BadData: no image",
            "threads": 1,
            "die once": "alive",
        }

    def test_progress_comes_through_and_may_fail(self, ray: Any) -> None:
        watch = Watch()
        (done,) = schedule([Square(5, sleeps=3.0)], ray, watch)
        assert (done.result, watch.seen) == (25, [("square 5", "squaring", 1, 2)])
        ray._ray.kill(ray._news, no_restart=True)
        assert outcomes(ray, Square(6, sleeps=1.0)) == {"square 6": 36}

    def test_what_is_cancelled_ends(self, ray: Any) -> None:
        ends = schedule([Square(1), Square(7, sleeps=600.0)], ray, nobody)
        assert next(ends).result == 1
        began = time.monotonic()
        ends.close()
        assert outcomes(ray, Square(8), Square(9)) == {"square 8": 64, "square 9": 81}
        assert time.monotonic() - began < 300

    def test_a_need_that_no_node_meets_is_refused_here(self, ray: Any) -> None:
        class Large(Square):
            needs = Needs(gpus=0.5, memory_gb=1.0)

        with pytest.raises(BadSetting, match=r"no node has 1 CPU, 0.5 GPUs and 1 GB of memory"):
            outcomes(ray, Large(1))

    def test_a_worker_that_is_not_as_the_driver_runs_nothing(self, ray: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ray, "_facts", ray._facts | {"torch": "0.4"})
        with pytest.raises(BadSetting, match=r"not as this driver \(torch: .* there, 0.4 here\)"):
            outcomes(ray, Square(1))


TOKEN = "0123456789abcdef" * 4


class TestOnTwoNodes:
    """A cluster of two nodes, both on this machine: one is killed while it trains."""

    pytestmark = needs_ray

    def test_a_node_that_dies_in_mid_training_changes_no_byte(self, tmp_path: Path) -> None:
        whole = _run(tmp_path / "whole", "process")
        assert whole.wait(1800) == 0, (tmp_path / "whole" / "log").read_text()
        with _cluster(tmp_path) as address:
            run = _run(tmp_path / "killed", f"ray:{address}")
            raylet = _until_trains_on_second(run, address, tmp_path / "killed")
            os.kill(raylet, signal.SIGKILL)
            assert run.wait(1800) == 0, (tmp_path / "killed" / "log").read_text()
        assert "its node died; it is started again" in (tmp_path / "killed" / "log").read_text()
        assert bytes_of(tmp_path / "killed" / "results") == bytes_of(tmp_path / "whole" / "results")

    def test_without_the_token_nobody_joins(self, tmp_path: Path) -> None:
        with _cluster(tmp_path, nodes=1) as address:
            run = _run(tmp_path / "stranger", f"ray:{address}", RAY_AUTH_TOKEN="f" * 64)
            assert run.wait(600) == 2
        said = (tmp_path / "stranger" / "log").read_text()
        assert "cannot be joined" in said
        assert "RAY_AUTH_MODE=token" in said


def _environment(**more: str) -> dict[str, str]:
    ours = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN, "RAY_USAGE_STATS_ENABLED": "0", "OMP_NUM_THREADS": "1"}
    return {**os.environ, **ours, **more}


def _run(folder: Path, engine: str, **environment: str) -> "subprocess.Popen[bytes]":
    folder.mkdir()
    words = [sys.executable, "-m", "oodbench.cli", "run", "tiny-v1", "--methods", "msp", "knn", "--seeds", "0", "1"]
    words += ["--engine", engine, "--results", str(folder / "results"), "--cache", str(folder / "cache")]
    with (folder / "log").open("w") as log:
        return subprocess.Popen(words, stdout=log, stderr=log, env=_environment(**environment))


@contextlib.contextmanager
def _cluster(folder: Path, nodes: int = 2) -> Iterator[str]:
    """Start nodes of one core each; yield the address; end them alone, whatever else runs ray here."""
    import socket

    from ray.util import get_node_ip_address

    with socket.socket() as free:
        free.bind(("", 0))
        port = free.getsockname()[1]
    address = f"{get_node_ip_address()}:{port}"
    ray = str(Path(sys.executable).parent / "ray")
    common = ["--num-cpus", "1", "--disable-usage-stats", "--block"]
    logs = Path("/tmp") / f"ray-{port}"  # the paths of its sockets must be short
    heads = ["--head", "--port", str(port), "--include-dashboard", "false", "--temp-dir", str(logs)]
    starts = [heads, ["--address", address, "--resources", '{"second": 1}']][:nodes]
    started = []
    try:
        for number, words in enumerate(starts):
            with (folder / f"node{number}").open("w") as log:
                started.append(
                    subprocess.Popen(
                        [ray, "start", *common, *words],
                        stdout=log,
                        stderr=log,
                        env=_environment(),
                        start_new_session=True,
                    )
                )
            _until(lambda number=number: len(_raylets(address)) > number, f"node {number} did not start")
        yield address
    finally:
        for process in reversed(started):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            process.wait(120)
        for pid in _raylets(address):
            os.kill(pid, signal.SIGKILL)
        shutil.rmtree(logs, ignore_errors=True)


def _processes() -> list[tuple[int, int, str]]:
    listed = subprocess.run(["ps", "-ww", "-eo", "pid,ppid,args"], capture_output=True, text=True, check=True)
    rows = [line.split(None, 2) for line in listed.stdout.splitlines()[1:]]
    return [(int(row[0]), int(row[1]), row[2]) for row in rows if len(row) == 3]


def _raylets(address: str, holds: str = "") -> list[int]:
    return [
        pid
        for pid, _, words in _processes()
        if "raylet/raylet" in words.split(" ")[0] and f"--gcs-address={address}" in words and holds in words
    ]


def _until_trains_on_second(run: "subprocess.Popen[bytes]", address: str, folder: Path) -> int:
    """Wait until the second node is at work and a model is half trained; return its raylet."""

    def found() -> int | None:
        raylets = _raylets(address, "second")
        at_work = [pid for pid, parent, words in _processes() if parent in raylets and "ray::train" in words]
        half = any((folder / "cache").rglob("resume.safetensors"))
        return raylets[0] if at_work and half else None

    until = time.monotonic() + 1200
    while time.monotonic() < until and run.poll() is None:
        if (raylet := found()) is not None:
            return raylet
        time.sleep(0.1)
    raise AssertionError(f"the run ended, or never trained on two nodes: {(folder / 'log').read_text()}")


def _until(true: Any, otherwise: str) -> None:
    until = time.monotonic() + 300
    while not true():
        assert time.monotonic() < until, otherwise
        time.sleep(0.2)

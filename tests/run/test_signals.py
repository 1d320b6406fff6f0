"""Ctrl-C and SIGTERM: one line, a code that says so, no worker left behind, and a run that goes on afterwards."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from test_kill import alive, children

from oodbench.cli import main


def started(folder: Path, workers: int) -> subprocess.Popen[str]:
    words = ["run", "toy-v1", "--methods", "deep-ensemble", "--workers", str(workers)]  # five models, and more to do
    places = ["--results", str(folder / "results"), "--cache", str(folder / "cache")]
    return subprocess.Popen(
        [sys.executable, "-m", "oodbench.cli", *words, *places],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(
    ("sent", "workers", "code", "line"),
    [
        (signal.SIGINT, 1, 130, "oodbench: interrupted; what is done is kept"),
        (signal.SIGINT, 2, 130, "oodbench: interrupted; what is done is kept"),
        (signal.SIGTERM, 2, 143, "oodbench: ended by SIGTERM; what is done is kept"),
    ],
)
def test_a_signal_ends_a_run_in_one_line(tmp_path: Path, sent: int, workers: int, code: int, line: str) -> None:
    run = started(tmp_path, workers)
    until = time.monotonic() + 120
    while not list((tmp_path / "cache").rglob("*.safetensors")) and time.monotonic() < until:
        time.sleep(0.2)  # it is training
    own = children(run.pid)
    if sent == signal.SIGINT:
        os.killpg(run.pid, sent)  # as a terminal does
    else:
        run.send_signal(sent)
    _, err = run.communicate(timeout=60)
    assert run.returncode == code, err
    assert "Traceback" not in err
    assert [told for told in err.splitlines() if told.startswith("oodbench:")] == [
        f"{line}: the same command goes on from there"
    ]
    until = time.monotonic() + 20
    while any(map(alive, own)) and time.monotonic() < until:
        time.sleep(0.2)
    assert not any(map(alive, own))


INTERRUPTED_WHILE_IT_IMPORTS = """
import os, signal
from multiprocessing import forkserver
from oodbench.run.engines import starting
context = starting()
os.kill(forkserver._forkserver._forkserver_pid, signal.SIGINT)
child = context.Process(target=print, args=("it serves",), kwargs={"flush": True})
child.start()
child.join()
"""


def test_an_interrupt_while_workers_are_prepared_is_no_traceback() -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_WHILE_IT_IMPORTS], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "it serves\n", "")


# What the system refuses.


def refused(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    assert main([str(word) for word in words]) == 2
    said = capsys.readouterr().err
    assert len(said.strip().splitlines()) == 1
    return said


def test_a_file_where_a_folder_should_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "file"
    file.write_text("")
    run = ("run", "toy-v1", "--methods", "msp", "--workers", 1)
    assert str(file) in refused(capsys, *run, "--results", file, "--cache", tmp_path / "c")
    assert str(file) in refused(capsys, *run, "--results", file / "below", "--cache", tmp_path / "c")


def test_a_cache_that_cannot_be_written_fails_the_records_with_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "file"
    file.write_text("")
    words = ["run", "toy-v1", "--methods", "msp", "--workers", "1", "--results", str(tmp_path / "r")]
    assert main([*words, "--cache", str(file)]) == 1
    said = capsys.readouterr().err
    assert "Traceback" not in said
    assert "Not a directory" in said


def test_a_folder_where_a_file_should_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = tmp_path / "r"
    run = ("run", "toy-v1", "--methods", "msp", "--workers", "1", "--cache", str(tmp_path / "c"))
    assert main([*run, "--results", str(results)]) == 0
    capsys.readouterr()
    folder = tmp_path / "page.md"
    folder.mkdir()
    (folder / "full").write_text("")
    assert str(folder) in refused(capsys, "table", "--results", results, "--leaderboard", folder)


def test_a_record_that_is_nested_too_deeply(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "r" / "toy-v1" / "msp" / "0.json"
    path.parent.mkdir(parents=True)
    path.write_text("[" * 100_000 + "]" * 100_000)
    refused(capsys, "table", "--results", tmp_path / "r", "--leaderboard", tmp_path / "page.md")


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes wherever it likes")
def test_a_folder_that_may_not_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "r"
    folder.mkdir(mode=0o500)
    assert str(folder) in refused(capsys, "run", "toy-v1", "--methods", "msp", "--results", folder)


def test_pages_are_written_where_letters_are_ascii(tmp_path: Path) -> None:
    words = ["run", "toy-v1", "--methods", "msp", "--workers", "1", "--leaderboard", str(tmp_path / "page.md")]
    places = ["--results", str(tmp_path / "r"), "--cache", str(tmp_path / "c")]
    bare = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG", "PYTHON"))}
    done = subprocess.run(
        [sys.executable, "-m", "oodbench.cli", *words, *places],
        env={**bare, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "↓" in (tmp_path / "page.md").read_text(encoding="utf-8")

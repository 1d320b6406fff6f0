"""Ctrl-C and SIGTERM: one line, a code that says so, no worker left behind, and a run that goes on afterwards."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from test_kill import alive, children

pytestmark = pytest.mark.processes


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

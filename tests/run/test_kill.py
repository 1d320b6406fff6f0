"""kill -9 at random points: the resumed run ends with the bytes of an undisturbed one."""

import contextlib
import os
import random
import signal
import subprocess
import time

from small import bytes_of, start

METHODS = ["msp", "odin", "temperature", "mahalanobis-c"]


def test_killed_at_random_points_a_run_resumes_to_the_same_bytes(tmp_path):
    """However many workers each of the runs has."""
    undisturbed = start(tmp_path / "whole", METHODS, workers=1, epochs=2)
    began = time.monotonic()
    out, _ = undisturbed.communicate(timeout=300)
    whole = time.monotonic() - began
    assert undisturbed.returncode == 0, out

    chance = random.Random(1)
    kills = 0
    for workers in (1, 2, 1, 2):
        process = start(tmp_path / "killed", METHODS, workers=workers, epochs=2)
        time.sleep(chance.uniform(0.3, 0.9) * whole)
        kills += process.poll() is None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    assert kills, "no run was killed before it ended"
    last = start(tmp_path / "killed", METHODS, workers=2, epochs=2)
    out, _ = last.communicate(timeout=300)
    assert last.returncode == 0, out
    assert bytes_of(tmp_path / "killed" / "results") == bytes_of(tmp_path / "whole" / "results")


def test_workers_end_with_the_run(tmp_path):
    """kill -9 of the parent alone leaves no orphan that writes on."""
    parent = start(tmp_path, METHODS, workers=2, epochs=20)
    workers: list[int] = []
    until = time.monotonic() + 60
    while not workers and time.monotonic() < until:
        time.sleep(0.5)
        workers = children(parent.pid)
    assert workers, "the run started no worker"
    time.sleep(2)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    until = time.monotonic() + 30
    while any(map(alive, workers)) and time.monotonic() < until:
        time.sleep(0.2)
    assert not any(map(alive, workers))
    parent.stdout.close()


def children(pid: int) -> list[int]:
    listed = subprocess.run(["ps", "-ww", "-eo", "pid,ppid,args"], capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 2) for line in listed.splitlines()[1:]]
    return [int(row[0]) for row in rows if int(row[1]) == pid and "spawn_main" in row[2]]


def alive(pid: int) -> bool:
    found = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(found.strip()) and not found.strip().startswith("Z")

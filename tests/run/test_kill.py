"""kill -9 at random points: the resumed run ends with the bytes of an undisturbed one."""

import os
import random
import signal
import subprocess
import time

import pytest
from small import Run, bytes_of, start

pytestmark = pytest.mark.processes

METHODS = ["msp", "odin", "temperature", "mahalanobis-c"]


def test_killed_at_random_points_a_run_resumes_to_the_same_bytes(tmp_path):
    """However many workers each of the runs has; of one that is killed alone no orphan writes on."""
    whole = start(tmp_path / "whole", METHODS).end()
    chance = random.Random(1)
    kills = 0
    for workers, alone in ((2, True), (1, False), (2, False), (1, False)):
        run = start(tmp_path / "killed", METHODS, workers=workers)
        at_work = until_at_work(run) if workers > 1 else []
        time.sleep(chance.uniform(0.1, 0.5) * whole)
        kills += run.process.is_alive()
        if alone:
            assert at_work, "the run started no worker"
            os.kill(run.pid, signal.SIGKILL)
            wait_for_the_end_of(at_work)
        run.kill()
    assert kills, "no run was killed before it ended"
    start(tmp_path / "killed", METHODS).end()
    assert bytes_of(tmp_path / "killed" / "results") == bytes_of(tmp_path / "whole" / "results")


def until_at_work(run: Run) -> list[int]:
    until = time.monotonic() + 60
    while run.process.is_alive() and not children(run.pid) and time.monotonic() < until:
        time.sleep(0.1)
    return children(run.pid)


def wait_for_the_end_of(workers: list[int]) -> None:
    until = time.monotonic() + 30
    while any(map(alive, workers)) and time.monotonic() < until:
        time.sleep(0.2)
    assert not any(map(alive, workers))


def children(pid: int) -> list[int]:
    """Return the workers of a run that leads a group of processes: it starts them itself, or a server does for it."""
    listed = subprocess.run(["ps", "-ww", "-eo", "pid,ppid,pgid,args"], capture_output=True, text=True, check=True)
    rows = [line.split(None, 3) for line in listed.stdout.splitlines()[1:]]
    group = [row for row in rows if int(row[2]) == pid and int(row[0]) != pid]
    return [int(own) for own, parent, _, words in group if int(parent) != pid or "spawn_main" in words]


def alive(pid: int) -> bool:
    found = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(found.strip()) and not found.strip().startswith("Z")

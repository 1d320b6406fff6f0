"""kill -9 at random points: the resumed run ends with the bytes of an undisturbed one."""

import contextlib
import os
import random
import signal
import time

import pytest
from small import bytes_of, start

METHODS = ["msp", "odin", "temperature", "mahalanobis-c"]


@pytest.mark.parametrize("workers", [1, 2])
def test_killed_at_random_points_a_run_resumes_to_the_same_bytes(tmp_path, workers):
    undisturbed = start(tmp_path / "whole", METHODS, workers=workers, epochs=2)
    began = time.monotonic()
    out, _ = undisturbed.communicate(timeout=300)
    whole = time.monotonic() - began
    assert undisturbed.returncode == 0, out

    chance = random.Random(workers)
    kills = 0
    for _ in range(3):
        process = start(tmp_path / "killed", METHODS, workers=workers, epochs=2)
        time.sleep(chance.uniform(0.3, 0.9) * whole)
        kills += process.poll() is None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    assert kills, "no run was killed before it ended"
    last = start(tmp_path / "killed", METHODS, workers=workers, epochs=2)
    out, _ = last.communicate(timeout=300)
    assert last.returncode == 0, out
    assert bytes_of(tmp_path / "killed" / "results") == bytes_of(tmp_path / "whole" / "results")

"""Two runs on one cache: one makes what both want, the other waits for it; a stop costs no more than a segment."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from oodbench.check.toy import blobs, toy
from oodbench.contract import LOGITS
from oodbench.data.attack_cards import Pgd, find_attack
from oodbench.models.outputs import Passes, Trained
from oodbench.recipes import Plain
from oodbench.run import own
from oodbench.run.attack import Crafter, Target, attempts
from oodbench.run.outputs import outputs_of
from oodbench.run.own import OwnOutputs

READS = frozenset({LOGITS})
IMAGES = blobs(80, 3)


@pytest.fixture
def model() -> Iterator[Trained]:
    """The toy's classifier in small batches, which counts its passes."""
    yield replace(toy(Plain()).model, passes=Passes(), batch=8, gradient_batch=8)


def at_once(first: Callable[[Event, Event], Any], second: Callable[[], Any]) -> tuple[Any, Any]:
    """Return what two made, of which the second began while the first was in the middle and waited a while."""
    middle, go_on = Event(), Event()
    with ThreadPoolExecutor(2) as pool:
        made = pool.submit(first, middle, go_on)
        assert middle.wait(30)
        other = pool.submit(second)
        go_on.wait(0.5)
        go_on.set()
        return made.result(60), other.result(60)


def pausing(middle: Event, go_on: Event) -> Callable[[str, int, int], None]:
    """Return a report that stops at the first that is done until it may go on."""

    def report(_: str, done: int, __: int) -> None:
        if done:
            middle.set()
            assert go_on.wait(30)

    return report


def test_outputs_of_a_matrix_are_made_by_one_of_two(model: Trained, tmp_path: Path) -> None:
    asked: list[str] = []

    def made_by(name: str) -> Callable[[], Trained]:
        return lambda: asked.append(name) or model

    a, b = at_once(
        lambda middle, go_on: outputs_of(made_by("a"), IMAGES, READS, tmp_path, pausing(middle, go_on)),
        lambda: outputs_of(made_by("b"), IMAGES, READS, tmp_path),
    )
    assert asked == ["a"]
    torch.testing.assert_close(a[LOGITS], b[LOGITS], rtol=0, atol=0)


def test_outputs_of_a_users_model_are_made_by_one_of_two(
    model: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own, "SEGMENT", 16)
    passed = counted(monkeypatch)
    a, b = at_once(
        lambda middle, go_on: OwnOutputs(model, READS, tmp_path, True, pausing(middle, go_on))(IMAGES),
        lambda: OwnOutputs(model, READS, tmp_path, True)(IMAGES),
    )
    assert sum(passed) == len(IMAGES)
    torch.testing.assert_close(a[LOGITS], b[LOGITS], rtol=0, atol=0)
    assert not list(tmp_path.rglob("from-*"))


def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that grows by the number of images of each pass whose outputs are kept."""
    passed: list[int] = []
    real = own.passed

    def counting(model: Trained, images: Any, *rest: Any, **more: Any) -> Any:
        passed.append(len(images))
        return real(model, images, *rest, **more)

    monkeypatch.setattr(own, "passed", counting)
    return passed


def test_an_attack_is_crafted_by_one_of_two(model: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pgd, "at_once", 8)
    attack = find_attack("pgd-26").model_copy(update={"steps": 5, "eps": 0.3, "alpha": 0.1})

    def crafted(one: Trained, report: Callable[..., None] = lambda *_: None) -> np.ndarray:
        def logits(images: Any) -> Tensor:
            with torch.no_grad():
                return model.outputs(torch.from_numpy(images.batch(slice(None))), READS)[LOGITS]

        found = attempts("a", attack, 40, Target({"itself": Crafter(lambda: one)}, logits, tmp_path), IMAGES, report)
        return np.asarray(found["a"].images.batch(slice(None)))

    other = replace(model, passes=Passes())
    a, b = at_once(lambda middle, go_on: crafted(model, pausing(middle, go_on)), lambda: crafted(other))
    assert other.passes.forward == 0
    np.testing.assert_array_equal(a, b)


def test_a_lock_ends_with_the_process_that_holds_it(model: Trained, tmp_path: Path) -> None:
    place = tmp_path / "outputs" / IMAGES.sha256()[:20]
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom oodbench.store import one_at_a_time\n"
        "with one_at_a_time(Path(sys.argv[1])):\n    print('held', flush=True)\n    time.sleep(600)\n"
    )
    command = [sys.executable, "-c", code, str(place / ".lock")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process, ThreadPoolExecutor(1) as pool:
        try:
            assert process.stdout is not None and process.stdout.readline() == b"held\n"
            waiting = pool.submit(outputs_of, lambda: model, IMAGES, READS, tmp_path)
            Event().wait(0.3)
            assert not waiting.done()
        finally:
            process.send_signal(signal.SIGKILL)
        assert len(waiting.result(60)[LOGITS]) == len(IMAGES)


@pytest.mark.parametrize("step", ["seal_outputs", "remove_segments"])
def test_a_stop_when_the_whole_is_joined_costs_no_pass(
    model: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    monkeypatch.setattr(own, "SEGMENT", 16)
    whole = OwnOutputs(model, READS)(IMAGES)
    real = getattr(own, step)

    def stop(place: Path, *rest: Any) -> None:
        if not place.name.startswith("from-"):
            raise KeyboardInterrupt
        real(place, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(own, step, stop)
        with pytest.raises(KeyboardInterrupt):
            OwnOutputs(model, READS, tmp_path, True)(IMAGES)
    passed = counted(monkeypatch)
    again = OwnOutputs(model, READS, tmp_path, True)(IMAGES)
    assert not passed
    torch.testing.assert_close(again[LOGITS], whole[LOGITS])
    assert not list(tmp_path.rglob("from-*"))


def test_parts_that_hold_what_the_whole_lacks_stay(
    model: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stopped call that wanted more goes on from them, whatever another call finds there."""
    from oodbench.contract import FEATURES

    monkeypatch.setattr(own, "SEGMENT", 16)
    OwnOutputs(model, READS, tmp_path, True)(IMAGES)
    more = READS | {FEATURES}

    def stop(_: str, done: int, __: int) -> None:
        if done > 40:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        OwnOutputs(model, more, tmp_path, True, stop)(IMAGES)
    OwnOutputs(model, READS, tmp_path, True)(IMAGES)
    passed = counted(monkeypatch)
    OwnOutputs(model, more, tmp_path, True)(IMAGES)
    assert sum(passed) == len(IMAGES) - 32

"""Who may take a rank: a method that nothing vouches for is held to the laws before a run."""

from dataclasses import replace

import pytest

from oodbench.check import before
from oodbench.check.before import before_ranking, broken
from oodbench.check.trial import Trial
from oodbench.contract import LOGITS, Stateless
from oodbench.data.matrix import find_matrix
from oodbench.run.plan import plan
from oodbench.run.registry import Registered, registry

EXCUSED = {
    "centred": {"alone-as-in-a-batch": "I say so", "order-of-a-batch": "I say so"},
    "upside-down": {"direction": "no noise is like the toy's"},
}
"""As an author may write it, in the module that the entries below name."""


def largest(batch):
    return batch.logits.amax(dim=1)


def centred(batch):
    top = batch.logits.amax(dim=1)
    return top - top.mean()


def smallest(batch):
    return -batch.logits.amax(dim=1)


def entry(name, rule, module=__name__):
    detector = Stateless(frozenset({LOGITS}), rule)
    return Registered(replace(registry()["msp"].method, name=name, detector=detector), module)


def planned(*entries):
    toy = find_matrix("toy-v1")
    return plan(toy, entries, toy.seeds)


def test_a_method_whose_scores_depend_on_the_batch_may_not_run_whatever_its_author_excuses():
    runs, refused = before_ranking(planned(entry("largest", largest), entry("centred", centred)))
    assert [(job.method.name, job.entry.checked) for job in runs] == [("largest", True)]
    (one,) = refused
    assert one.method == "centred"
    assert [law.partition(":")[0] for law in one.why] == ["alone-as-in-a-batch"]
    assert "run it with --unchecked" in str(one)


def test_unchecked_lets_it_run_and_marks_it():
    runs, refused = before_ranking(planned(entry("centred", centred)), unchecked=True)
    assert [job.entry.checked for job in runs] == [False]
    assert refused == ()


def test_what_only_the_toy_shows_may_be_excused():
    assert broken(entry("upside-down", smallest)) == ()
    (said,) = broken(entry("smallest", smallest))
    assert said.startswith("direction: test images rank below uniform noise")


def test_methods_of_this_repository_are_vouched_for_as_committed(monkeypatch):
    ours = entry("largest", largest, "oodbench.methods.msp")
    monkeypatch.setattr(before, "uncommitted", lambda: frozenset({"knn"}))
    monkeypatch.setattr(before, "broken", lambda _: pytest.fail("nobody asked"))
    (job,), _ = before_ranking(planned(ours))
    assert job.entry.checked is None
    monkeypatch.setattr(before, "uncommitted", lambda: frozenset({"msp"}))
    (job,), _ = before_ranking(planned(ours), unchecked=True)
    assert job.entry.checked is False


def test_files_that_are_new_or_edited_are_found(tmp_path, monkeypatch):
    import subprocess

    folder = tmp_path / "methods"
    folder.mkdir()
    (tmp_path / "bench" / "oodbench").mkdir(parents=True)
    for name in ("kept", "edited"):
        (folder / f"{name}.py").write_text("1\n")
    for words in (["init", "-q"], ["add", "."], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "1"]):
        subprocess.run(["git", "-C", str(tmp_path), *words], check=True)
    (folder / "edited.py").write_text("2\n")
    (folder / "new.py").write_text("1\n")
    monkeypatch.setattr(before.listed, "folder", lambda: folder)
    monkeypatch.setattr(before.checkout, "folder", lambda: tmp_path)
    before.uncommitted.cache_clear()
    assert before.uncommitted() == {"edited", "new"}
    before.uncommitted.cache_clear()
    monkeypatch.setattr(before.checkout, "folder", lambda: None)
    assert before.uncommitted() == frozenset()
    before.uncommitted.cache_clear()


def test_what_the_toy_has_no_materials_for_is_not_vouched_for(monkeypatch):
    monkeypatch.setattr(Trial, "materials", frozenset())
    fitted = Registered(registry()["mahalanobis-d"].method, __name__)
    (said,) = broken(fitted)
    assert said.startswith("runs: the toy has no ")

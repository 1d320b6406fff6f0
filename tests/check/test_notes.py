"""What an author is told of a method that breaks no law."""

from dataclasses import replace

import pytest
import torch

from oodbench import formulas
from oodbench.check import notes
from oodbench.check.conformance import check_methods
from oodbench.check.trial import Trial
from oodbench.contract import FEATURES, LOGITS, Stateless
from oodbench.run import registry


def trial(rule, reads=LOGITS):
    method = replace(registry.registry()["msp"].method, detector=Stateless(frozenset({reads}), rule))
    return Trial(method)


def softmax(batch):
    return batch.logits.softmax(dim=1).amax(dim=1)


def rounded(batch):
    return (batch.features.norm(dim=1) > 0).double() + (torch.arange(len(batch.features)) == 0)


def warm_softmax(batch):
    return (batch.logits / 10).softmax(dim=1).amax(dim=1)


def test_a_softmax_that_reaches_one():
    (said,) = notes.saturating(trial(softmax))
    assert " of 90 test images share the highest score, 1:" in said
    (said,) = notes.saturating(trial(warm_softmax))
    assert "test images, with logits 20 times as large, share the highest score, 1:" in said
    (said,) = notes.saturating(trial(lambda batch: -softmax(batch)))
    assert "share the lowest score, -1:" in said


def test_a_key_in_float64_that_goes_on_is_not_told():
    assert list(notes.saturating(trial(lambda batch: formulas.msp_key(batch.logits)))) == []


def test_ties_as_they_are_of_a_method_that_reads_no_logits():
    assert list(notes.saturating(trial(lambda batch: batch.features.norm(dim=1), FEATURES))) == []
    (said,) = notes.saturating(trial(rounded, FEATURES))
    assert "89 of 90 test images share the lowest score, 1:" in said


def test_what_few_inputs_share_is_not_told():
    def few(batch):
        top = formulas.msp_key(batch.logits)
        return top.clamp(max=top.sort().values[-4])  # 4 of 90: less than TIED

    assert list(notes.saturating(trial(few))) == []


def test_the_toy_is_left_as_it_is():
    one = trial(softmax)
    before = set(one.toy.examples)
    list(notes.saturating(one))
    assert set(one.toy.examples) == before


def test_a_slow_score(monkeypatch):
    clock = iter(range(100))
    monkeypatch.setattr(notes, "process_time", lambda: 0.4 * next(clock))
    (said,) = notes.slow(trial(softmax))
    assert said.startswith("slow: 4.4 ms of the processor for an input of the toy, 44 s for 10,000:")
    monkeypatch.setattr(notes, "process_time", lambda: 0.3 * next(clock))
    assert list(notes.slow(trial(softmax))) == []


def test_check_prints_notes_and_counts_them(monkeypatch):
    monkeypatch.setitem(registry.registry(), "msp", replace(registry.registry()["msp"], method=trial(softmax).method))
    text, well = check_methods(["msp"], every=False)
    *_, note, total = text.splitlines()
    assert well
    assert note.startswith("msp              note                     saturates: ")
    assert total.endswith("0 failed, 0 skipped, 1 to note")


def test_nothing_is_told_of_scores_that_are_not_finite(monkeypatch):
    broken = trial(lambda batch: softmax(batch) * torch.nan).method
    monkeypatch.setitem(registry.registry(), "msp", replace(registry.registry()["msp"], method=broken))
    text, well = check_methods(["msp"], every=False)
    assert not well
    assert "note" not in text


@pytest.mark.parametrize("name", ["msp", "energy", "knn"])
def test_sound_methods_have_nothing_to_note(name):
    assert list(notes.saturating(Trial(registry.registry()[name].method))) == []

"""What is read at a glance is what the schema reads."""

import pytest

from oodbench.data import glance
from oodbench.data.attack_cards import load_adaptive, load_attacks
from oodbench.data.cards import load_cards
from oodbench.data.matrix import load_matrices
from oodbench.errors import BadCard


def test_matrices() -> None:
    assert [(m.name, m.scale, m.in_set, m.out_sets, m.attacks, m.seeds, m.title) for m in glance.matrices()] == [
        (m.name, m.scale, m.in_set, len(m.ood), len(m.attacks), len(m.seeds), m.title) for m in load_matrices().values()
    ]


def test_cards() -> None:
    found = [(c.name, c.roles, dict(c.splits), c.title) for c in glance.cards()]
    assert found == [(c.name, c.roles, dict(c.splits), c.title) for c in load_cards().values()]


def test_attacks() -> None:
    fixed, knowing = glance.attacks()
    assert [(a.name, a.kind, a.eps, a.title) for a in fixed] == [
        (a.name, a.kind, a.eps, a.title) for a in load_attacks().values()
    ]
    assert [(a.name, a.title) for a in knowing] == [(a.name, a.title) for a in load_adaptive().values()]


@pytest.mark.parametrize(("text", "what"), [("name = ", "cannot be read"), ("name = 'x'", r"x\.toml: has no")])
def test_a_broken_file_is_named(text: str, what: str, tmp_path, monkeypatch) -> None:
    (tmp_path / "matrices").mkdir()
    for folder in (tmp_path, tmp_path / "matrices"):
        (folder / "x.toml").write_text(text)
    (tmp_path / "attacks.toml").write_text(text)
    monkeypatch.setattr(glance, "cards_folder", lambda: tmp_path)
    for read in (glance.matrices, glance.cards):
        with pytest.raises(BadCard, match=what):
            read()
    with pytest.raises(BadCard, match=r"attacks\.toml"):
        glance.attacks()

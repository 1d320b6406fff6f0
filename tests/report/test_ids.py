"""Permanent ids: read and written without loss, one for each row, and another for another version."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made import put, record, scores

from oodbench.data.attack_cards import load_attacks
from oodbench.data.cards import load_cards
from oodbench.data.matrix import load_matrices
from oodbench.errors import BadSetting
from oodbench.measure.kinds import KINDS
from oodbench.report.entries import collect
from oodbench.report.ids import GROUP, MEAN, VERSIONS, Id, row_id, row_version, version_of
from oodbench.report.leaderboard import leaderboard
from oodbench.report.tables import SEVERAL
from oodbench.report.values import MODEL

EXAMPLES = {
    "tiny-v1": ("tiny-v1", None, None, None, None, None),
    "tiny-v1/odin@1": ("tiny-v1", "odin", "1", None, None, None),
    "tiny-v1/odin": ("tiny-v1", "odin", None, None, None, None),
    "tiny-v1/pixelcnn++@1.2#ood": ("tiny-v1", "pixelcnn++", "1.2", "ood", None, None),
    "a-b-v12/m.x_y@2.1.1.1.3#ood/mean:far/auroc": ("a-b-v12", "m.x_y", "2.1.1.1.3", "ood", "mean:far", "auroc"),
    "c-v1/msp@resnet-20@1#adversarial/fgsm-8@uint8/fpr95": (
        *("c-v1", "msp@resnet-20", "1", "adversarial"),
        *("fgsm-8@uint8", "fpr95"),
    ),
    "c-v1/msp@resnet-20": ("c-v1", "msp@resnet-20", None, None, None, None),
    "tiny-v1/odin@1#model/test/accuracy": ("tiny-v1", "odin", "1", "model", "test", "accuracy"),
}


@pytest.mark.parametrize("text", EXAMPLES)
def test_an_id_is_read_and_written_without_loss(text) -> None:
    assert Id.read(text) == Id(*EXAMPLES[text])
    assert str(Id.read(text)) == text


NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,6}", fullmatch=True)
SETS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9@._+-]{0,6}(:[a-z-]{1,5})?", fullmatch=True)


@given(NAMES, st.none() | st.from_regex(r"[a-z]{1,3}-[0-9]{1,3}", fullmatch=True), st.integers(0, 9), SETS)
def test_any_id_is_read_and_written_without_loss(method, model, version, name) -> None:
    row = f"{method}@{model}" if model else method
    made = Id("tiny-v1", row, f"{version}.2", "ood", name, "fpr95")
    assert Id.read(str(made)) == made


@pytest.mark.parametrize(
    "text",
    [
        *("", "tiny", "odin@1", "tiny-v1/", "tiny-v1/odin@", "tiny-v1/odin@1#", "tiny-v1/odin@1#ood/glyphs"),
        *("tiny-v1/../x@1", "Tiny-v1/odin@1", "tiny-v1/odin@1.", "tiny-v1/odin@1#ood/a b/fpr95", "tiny-v1/odin@1\n"),
    ],
)
def test_what_is_no_id_says_how_one_looks(text) -> None:
    with pytest.raises(BadSetting, match="expected MATRIX-vN"):
        Id.read(text)


def versions(**numbers) -> str:
    return version_of(record("m", 0, versions=numbers, scores_sha256="0" * 64))


def test_a_version_has_a_number_for_each_thing_and_no_ones_at_the_end() -> None:
    assert versions() == versions(detector=1) == versions(detector=1, recipe=1, training=1, protocol=1) == "1"
    assert versions(detector=2) == "2"
    assert versions(detector=1, recipe=2, training=1, protocol=1) == "1.2"
    assert versions(detector=2, recipe=1, search=2) == "2.1.1.1.2"
    assert versions(detector=0) == "0"


@given(st.lists(st.fixed_dictionaries({name: st.integers(1, 3) for name in VERSIONS}), min_size=2, max_size=2))
def test_other_versions_have_other_ids(two) -> None:
    assert (versions(**two[0]) == versions(**two[1])) == (two[0] == two[1])


def test_the_order_of_versions_never_changes() -> None:
    assert VERSIONS == ("detector", "recipe", "training", "protocol", "search")


def test_a_version_that_ids_do_not_know_is_refused() -> None:
    with pytest.raises(BadSetting, match=r"declares versions of network.*append it"):
        versions(network=2)


def test_a_row_of_several_versions_has_no_id() -> None:
    sha = "0" * 64
    both = [record("m", seed, versions={"detector": seed + 1}, scores_sha256=sha) for seed in (0, 1)]
    assert row_version(both) is None
    assert row_id(both) is None
    assert row_id([]) is None
    assert str(row_id(both[:1])) == "made-v1/m@1"


def test_no_set_kind_or_given_model_has_a_name_that_ids_keep() -> None:
    sets = {*load_cards(), *load_attacks()}
    assert MEAN not in sets
    assert not [name for name in sets if GROUP in name]
    assert MODEL not in KINDS
    given_models = [model.name for matrix in load_matrices().values() for model in matrix.model]
    assert given_models
    assert not [name for name in given_models if name.isdigit()]


def test_every_committed_row_has_an_id_that_is_read_back() -> None:
    from test_leaderboard import ROOT

    rows: dict[tuple[str, str], list] = {}
    for entry in collect(ROOT / "results", "trec-v1"):
        rows.setdefault((entry.record.matrix, entry.record.method), []).append(entry.record)
    for (matrix, method), records in rows.items():
        made = row_id(records)
        assert made is not None
        assert (made.matrix, made.method) == (matrix, method)
        assert Id.read(str(made)) == made


def test_pages_show_ids(tmp_path) -> None:
    for seed in (0, 1):
        put(tmp_path / "r", "msp", seed, scores(seed, 2.0), versions={"detector": 2})
        put(tmp_path / "r", "odin", seed, scores(seed, 3.0), versions={"detector": seed + 1})
    pages = leaderboard(tmp_path / "r")

    said = "- id: `made-v1/msp@2`, and of a number `made-v1/msp@2#kind/set/metric`"
    assert said in pages["docs/leaderboard/methods/msp.md"]
    assert "- id:" not in pages["docs/leaderboard/methods/odin.md"]
    board = pages["docs/leaderboard/made-v1/ood.md"]
    rows = {line.split("`")[1]: line.split("|")[-2].strip() for line in board.splitlines() if line.startswith("| 1 (")}
    rows |= {line.split("`")[1]: line.split("|")[-2].strip() for line in board.splitlines() if line.startswith("| 2 (")}
    assert rows == {"msp": "2", "odin": SEVERAL}

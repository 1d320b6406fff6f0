"""Every matrix of the folder, and what the schema refuses."""

import json
import re
import subprocess
import sys
from dataclasses import asdict, replace

import pytest

from oodbench.attacks.adaptive import DETECTIONS
from oodbench.data.attack_cards import (
    AdaptiveAttack,
    Attack,
    Attacks,
    _faults,
    find_adaptive,
    find_attack,
    load_adaptive,
    load_attacks,
)
from oodbench.data.cards import find_card
from oodbench.data.fixed import parse
from oodbench.data.matrix import Matrix, find_matrix, load_matrices
from oodbench.data.published import PUBLISHED, matrix_sha256
from oodbench.errors import BadCard, UnknownName
from oodbench.training import Training

NAMES = {
    *("toy-v1", "tiny-v1", "mnist5k-v1", "mnist5k-v2", "fashion-mnist-v1", "fashion-mnist-v2", "fashion-mnist-v3"),
    "fashion-mnist-inn-v1",
    *("toy-words-v1", "trec-v1", "trec-v2", "trec-oe-v1", "sst-binary-v1", "sst-fine-v1"),
    "newsgroups-v1",
    *("mnist-v1", "cifar10-v1", "cifar100-v1", "svhn-v1", "imagenet-v1"),
    *("cifar10-v2", "cifar100-v2"),
    *("cifar10-resnet-v1", "cifar10-resnet-v2", "mnist-oe-v1", "mnist-oe-full-v1"),
}

PAPERS = ("shao2020-", "sreeramdass-", "lee2018-", "openood-")


@pytest.fixture
def content() -> dict:
    return find_matrix("tiny-v1").model_dump(mode="json", exclude_none=True)


@pytest.mark.parametrize("matrix", load_matrices().values(), ids=lambda matrix: matrix.name)
def test_every_matrix(matrix: Matrix) -> None:
    """The schema has been checked by loading: cards, sizes, roles, origins, attacks."""
    tested = {find_card(one.card).origin for one in matrix.ood} | {find_card(matrix.in_set).origin}
    held = {find_card(one.card).origin for one in (*matrix.tuning_ood, *matrix.outliers)}
    assert bool(tested & held) == matrix.tuning_shares_source
    assert not matrix.tuning_shares_source or matrix.name.startswith(PAPERS), "as a benchmark has it, and no other"
    assert (matrix.tuning_same is None) or matrix.name.startswith(PAPERS), "kept apart from the clean ones"
    assert matrix.shape == find_card(matrix.in_set).shape
    assert isinstance(matrix.training, Training) != bool(matrix.model)
    assert set(matrix.card_hashes()) == set(matrix.cards)


@pytest.mark.parametrize("matrix", load_matrices().values(), ids=lambda matrix: matrix.name)
def test_scores_of_sixty_methods_fit_in_git(matrix: Matrix) -> None:
    if matrix.reproduces:
        return  # a paper's sets are whole: its scores lie in a folder of their own (--results)
    images = matrix.n_test + sum(one.n for one in matrix.ood) + 2 * sum(one.n for one in matrix.attacks)
    assert 60 * len(matrix.seeds) * images * 4 <= 27e6  # bytes of float32, before compression to about 93 %


@pytest.mark.parametrize("name", ["cifar10-resnet-v2", "fashion-mnist-v3", "mnist5k-v2"])
def test_scores_of_every_method_and_failure_fit_in_git(name: str) -> None:
    matrix = find_matrix(name)
    images = matrix.n_test + sum(one.n for one in (*matrix.ood, *matrix.corrupted))
    images += 2 * sum(one.n for one in matrix.attacks) + sum(one.n for one in matrix.adaptive)
    assert {one.severity for one in matrix.corrupted} == {1, 2, 3, 4, 5}
    assert 180 * len(matrix.seeds) * images * 4 <= 40e6


def test_the_matrices_of_the_issue() -> None:
    """Those of papers' tables, and their twins, are held against the papers in tests/report."""
    assert {name for name in load_matrices() if not name.startswith(PAPERS)} == NAMES


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_matrix_never_changes(name: str) -> None:
    """Whatever a number was cited from stays what it was: a change is a new version under a new name."""
    assert matrix_sha256(name) == PUBLISHED[name]


def test_every_matrix_is_pinned() -> None:
    assert set(PUBLISHED) == set(load_matrices())


def test_unknown_matrix_offers_the_nearest() -> None:
    with pytest.raises(UnknownName, match="did you mean 'tiny-v1'"):
        find_matrix("tiny-v2")


def test_a_matrix_may_say_how_it_trains_in_every_word_of_the_contract(content: dict) -> None:
    how = Training(network="wrn-40-2", epochs=3, optimiser="adam", betas=(0.5, 0.9), schedule="bell", clip=1.0)
    how = replace(how, milestones=(0.5,), average=0.9, nesterov=False, augment=("flip", "shift2"), outlier_ratio=1)
    said = parse(content | {"training": json.loads(json.dumps(asdict(how)))}, Matrix, "tiny-v1.toml").training
    assert said == how
    assert hash(said) == hash(how)


def test_reading_a_matrix_needs_no_torch() -> None:
    code = "import sys; from oodbench.data.matrix import load_matrices; load_matrices(); print('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.stdout == "False\n", run.stderr


def test_a_source_cannot_be_tuned_on_and_tested(content: dict) -> None:
    content["ood"].append({"card": "photographs-sklearn", "n": 10, "group": "far"})
    with pytest.raises(BadCard, match="tuning_ood: photographs-sklearn has the origin 'sklearn-photographs'"):
        parse(content, Matrix, "tiny-v1.toml")


def test_a_source_cannot_be_trained_against_and_tested(content: dict) -> None:
    content["ood"].append({"card": "photographs-skimage", "n": 10, "split": "train", "group": "far"})
    with pytest.raises(BadCard, match="outliers: photographs-skimage has the origin"):
        parse(content, Matrix, "tiny-v1.toml")


def test_one_source_under_two_names_is_one_source() -> None:
    """CIFAR-100 comes from where CIFAR-10 comes from; as a card it is an out-set, and no more."""
    assert find_card("cifar-10").origin == find_card("cifar-100").origin
    assert find_card("mnist").origin == find_card("mnist-5k").origin
    assert (
        len({find_card(name).origin for name in ("imagenet", "tiny-imagenet", "tiny-imagenet-crop", "imagenet32")}) == 1
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scala": "tiny"}, "scala: unknown key; did you mean 'scale'"),
        ({"scale": "huge"}, "scale"),
        ({"name": "tiny"}, "name"),
        ({"in_set": "mnist5k"}, "did you mean 'mnist-5k'"),
        ({"in_set": "uniform"}, "expected 'in' among them"),
        ({"n_test": 1001}, "mnist-5k/test: n is 1001, expected at most 1000"),
        ({"n_validation": 501}, "mnist-5k/validation: n is 501, expected at most 500"),
        ({"seeds": [0, 0]}, "seeds names something twice"),
        ({"seeds": []}, "seeds"),
        ({"ood": [{"card": "digits", "n": 1798, "group": "near"}]}, "n is 1798, expected at most 1797"),
        ({"ood": [{"card": "hflip", "n": 1001, "group": "near"}]}, "n is 1001, expected at most 1000"),
        ({"ood": [{"card": "digits", "n": 1, "group": "near", "split": "tset"}]}, "did you mean 'test'"),
        ({"ood": [{"card": "digits", "n": 1}]}, "group"),
        ({"ood": [{"card": "digits", "n": 1, "group": "near"}] * 2}, "ood names something twice"),
        ({"tuning_ood": [{"card": "lsun-crop", "n": 1}]}, "expected 'tuning' among them"),
        ({"attacks": [{"attack": "fgsm-9", "n": 1}]}, "unknown attack 'fgsm-9'; did you mean"),
        ({"attacks": [{"attack": "fgsm-26", "n": 1001}]}, "at most n_test = 1000"),
        ({"tuning_same": 100}, "tuning_same: expected one out-set, got \\['digits'"),
        (
            {"tuning_same": 100, "ood": [{"card": "digits", "n": 9, "group": "near"}]},
            "tuning_same: tuning_ood names \\['photographs-sklearn'\\], too",
        ),
        (
            {"tuning_same": 1000, "ood": [{"card": "digits", "n": 1000, "group": "near"}], "tuning_ood": []},
            "digits/test are 2000, expected at most 1797",
        ),
        ({"adversarial_validation": {"attack": "bim-13", "n": 1}}, "bim-13 is also tested"),
        ({"adversarial_validation": {"attack": "fgsm-8", "n": 201}}, "at most n_validation = 200"),
        ({"training": {"network": "resnet-small", "epochs": 1, "optimizer": "sgd"}}, "did you mean 'optimiser'"),
        ({"training": {"network": "resnet-small", "epochs": 0}}, "training.epochs"),
        ({"training": {"network": "resnet-small", "epochs": 1, "lr": 0.0}}, "training.lr"),
        ({"training": {"network": "resnet-small", "epochs": 1, "optimiser": "sdg"}}, "did you mean 'sgd'"),
        ({"training": {"network": "resnet-small", "epochs": 1, "schedule": "cosin"}}, "did you mean 'cosine'"),
        ({"training": {"network": "resnet-small", "epochs": 1, "augment": ["flop"]}}, "did you mean 'flip'"),
    ],
)
def test_what_a_matrix_may_not_say(content: dict, change: dict, message: str) -> None:
    with pytest.raises(BadCard, match=message):
        parse(content | change, Matrix, "tiny-v1.toml")


def test_unknown_attack_offers_the_nearest() -> None:
    with pytest.raises(UnknownName, match="did you mean 'fgsm-8'"):
        find_attack("fgms-8")


@pytest.mark.parametrize("attack", load_attacks().values(), ids=lambda attack: attack.name)
def test_an_attack_is_named_after_its_radius(attack: Attack) -> None:
    assert attack.name.split("-")[0] == attack.kind
    words = attack.name.removesuffix("-transferred").removesuffix("-restarts").split("-")
    assert (attack.eps is None) or words[-1] == str(round(attack.eps * 255)) or words[1:] == ["l2", "128"]
    assert attack.name.endswith("-transferred") == (attack.crafted_on != "itself")


PGD = {"kind": "pgd", "alpha": 0.1, "steps": 2, "restarts": 1}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"alpha": 0.1}, "fgsm.alpha: Input should be None"),
        ({"kind": "bim"}, "bim.alpha: Field required"),
        ({"kind": "fgms"}, "does not match any of the expected tags: 'fgsm', 'bim'"),
        ({"eps": 8.0}, "less than or equal to 1, got 8.0"),
        ({**PGD, "eps": 8.0}, "eps is 8 in l-infinity, expected pixel units"),
        ({**PGD, "step": 3}, "unknown key; did you mean 'steps'"),
        ({**PGD, "loss": "dlx"}, "'ce', 'dlr' or 'margin'"),
        ({"norm": "l1"}, "norm"),
        ({"target": "random"}, "target is 'random', and fgsm leads to no class"),
        (
            {"kind": "apgd", "steps": 9, "restarts": 1, "loss": "dlr", "targets": 9, "target": "next"},
            "one of them says",
        ),
        ({"crafted_on": "a-friend"}, "'itself' or 'another-seed'"),
        (
            {"kind": "deepfool", "norm": "l2", "steps": 9, "overshoot": 0.02, "candidates": 9},
            "eps: Input should be None",
        ),
    ],
    ids=str,
)
def test_what_an_attack_may_not_say(change: dict, message: str) -> None:
    content = {"name": "a", "title": "A", "kind": "fgsm", "eps": 0.1, "source": "ours"}
    with pytest.raises(BadCard, match=re.escape(message)):
        parse({"attacks": [content | change]}, Attacks, "attacks.toml")


def test_what_was_crafted_before_there_were_other_kinds_is_found() -> None:
    """The words that caches of attacked images and records of published matrices have of an attack."""
    signs = {"name": "fgsm-8", "kind": "fgsm", "eps": 8 / 255}
    assert find_attack("fgsm-8").content() == signs
    old = {"alpha": None, "steps": None, "label": "true", "norm": "linf"}
    assert find_attack("fgsm-8").crafting() == signs | old
    steps = {"name": "bim-13", "kind": "bim", "eps": 0.05, "alpha": 0.01, "steps": 10}
    assert find_attack("bim-13").content() == steps
    assert find_attack("bim-13").crafting() == steps | {"label": "true", "norm": "linf"}


def test_what_an_attack_does_is_in_its_address() -> None:
    card = find_attack("pgd-8")
    for change in ({"seed": 1}, {"target": "next"}, {"crafted_on": "another-seed"}, {"restarts": 2}, {"loss": "dlr"}):
        other = card.model_copy(update=change)
        assert other.content() != card.content() and other.crafting() != card.crafting()
    words = card.model_copy(update={"title": "Other words", "source": "elsewhere"})
    assert words.content() == card.content() and words.crafting() == card.crafting()


def test_a_transferred_attack_needs_another_seed(content: dict) -> None:
    attacks = {"attacks": [{"attack": "mim-26-transferred", "n": 10}]}
    assert parse(content | attacks | {"seeds": [0, 1]}, Matrix, "tiny-v1.toml").seed_after(1) == 0
    with pytest.raises(BadCard, match="mim-26-transferred is crafted on another-seed, expected two seeds or more"):
        parse(content | attacks | {"seeds": [0]}, Matrix, "tiny-v1.toml")


@pytest.mark.parametrize("card", load_adaptive().values(), ids=lambda card: card.name)
def test_every_adaptive_attack(card: AdaptiveAttack) -> None:
    """It is named after the attack that it is made from, and after what it knows."""
    of, _, knows = card.name.partition("@")
    assert (of, knows) == (card.of, f"{card.detection}-{card.weight:g}")
    assert card.detection in DETECTIONS
    assert card.attack is find_attack(of)
    assert card.name not in load_attacks()


def test_what_an_adaptive_attack_depends_on() -> None:
    card = find_adaptive("pgd-8@score-1")
    assert card.content()["of"] == find_attack("pgd-8").content()
    for change in ({"weight": 2.0}, {"detection": "typicality"}, {"of": "apgd-ce-8"}):
        assert card.model_copy(update=change).content() != card.content()
    assert card.model_copy(update={"title": "Other words", "source": "elsewhere"}).content() == card.content()
    with pytest.raises(UnknownName, match="unknown adaptive attack 'pgd-8@score-2'; did you mean"):
        find_adaptive("pgd-8@score-2")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "pgd-8@score-1", "of": "pgd-9"}, "unknown attack 'pgd-9'"),
        ({"name": "bim-8@score-1", "of": "pgd-8"}, "expected 'pgd-8', an @ and what the attacker knows"),
        ({"name": "pgd-8@known", "of": "pgd-8"}, "other than @known, @uint8"),
        ({"name": "fab-8@score-1", "of": "fab-8"}, "fab-8 is a fab, which keeps nothing by a score"),
        ({"name": "deepfool@score-1", "of": "deepfool"}, "deepfool is a deepfool, which keeps nothing by a score"),
        ({"name": "bim-8@score-1", "of": "bim-8"}, "bim-8 is a bim, which keeps nothing by a score"),
        ({"name": "pgd-8-transferred@score-1", "of": "pgd-8-transferred"}, "is crafted on another classifier"),
    ],
)
def test_what_an_adaptive_attack_may_not_be_made_from(change: dict, message: str) -> None:
    known = find_adaptive("pgd-8@score-1")
    assert [message in fault for fault in _faults([known.model_copy(update=change)])] == [True]
    assert list(_faults([known])) == []
    assert list(_faults([known, known])) == ["two adaptive attacks have one name"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"detection": "nose"}, "'score' or 'typicality'"),
        ({"weight": -1.0}, "greater than or equal to 0"),
        ({"name": "pgd-8"}, "should match pattern"),
    ],
)
def test_what_an_adaptive_attack_may_not_say(change: dict, message: str) -> None:
    card = {"name": "pgd-8@a", "title": "A", "of": "pgd-8", "detection": "score", "weight": 1.0, "source": "ours"}
    with pytest.raises(BadCard, match=re.escape(message)):
        parse({"attacks": [], "adaptive": [card | change]}, Attacks, "attacks.toml")


ONE = {"attack": "pgd-26@score-1", "n": 10}


@pytest.mark.parametrize(
    ("adaptive", "message"),
    [
        ([ONE], None),
        ([ONE | {"methods": ["msp"]}, ONE | {"attack": "pgd-26@score-10"}], None),
        ([ONE | {"attack": "pgd-26"}], "unknown adaptive attack 'pgd-26'"),
        (
            [ONE | {"n": 21}],
            "pgd-26@score-1 is on 21 images; of `attacks` pgd-26 is on 20, expected on as many or more",
        ),
        ([ONE | {"attack": "pgd-8@score-1"}], "of `attacks` pgd-8 is not there, expected on as many or more"),
        ([ONE, ONE], "adaptive names something twice"),
        ([ONE, {"attack": "pgd-26@score-10", "n": 9}], "made from pgd-26 are on 10 and 9 images, expected the same"),
    ],
)
def test_adaptive_attacks_of_a_matrix(content: dict, adaptive: list[dict], message: str | None) -> None:
    said = content | {"attacks": [{"attack": "pgd-26", "n": 20}], "adaptive": adaptive}
    if message is None:
        assert len(parse(said, Matrix, "tiny-v1.toml").adaptive) == len(adaptive)
        return
    with pytest.raises(BadCard, match=re.escape(message)):
        parse(said, Matrix, "tiny-v1.toml")

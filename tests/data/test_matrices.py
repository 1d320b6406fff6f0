"""Every matrix of the folder, and what the schema refuses."""

import hashlib
import json
import re
import subprocess
import sys
import tomllib
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
from oodbench.data.fixed import cards_folder, parse
from oodbench.data.matrix import Matrix, find_matrix, load_matrices
from oodbench.errors import BadCard, UnknownName
from oodbench.training import Training

NAMES = {
    *("toy-v1", "tiny-v1", "mnist5k-v1", "fashion-mnist-v1", "fashion-mnist-v2"),
    *("toy-words-v1", "trec-v1", "trec-v2", "trec-oe-v1"),
    *("mnist-v1", "cifar10-v1", "cifar100-v1", "svhn-v1", "imagenet-v1"),
    *("cifar10-v2", "cifar100-v2"),
    *("cifar10-resnet-v1", "mnist-oe-v1", "mnist-oe-full-v1"),
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


def test_the_matrices_of_the_issue() -> None:
    """Those of papers' tables, and their twins, are held against the papers in tests/report."""
    assert {name for name in load_matrices() if not name.startswith(PAPERS)} == NAMES


PUBLISHED = {
    "cifar10-resnet-v1": "214658007bb91ef2c87ff90ede2bc5d156905c11699333dccf83efbd5e73c81a",
    "cifar10-v1": "ce390881bd492f0684e89f5d9ef7984cbe2b7ba799d1e1df62d955687a6b5fc3",
    "cifar100-v1": "3b0536a0e6282945a8e14d7fa243a2716eaf0200a5d064ca5c1e47f4fa792414",
    "fashion-mnist-v1": "bd90910219964f548600c2cf17a4f1ac1812de0e4abfa2a089aa65b7287b4f7f",
    "fashion-mnist-v2": "4339a1170fb4490741dd9aa942844100bb302a40b795d3d0e7bb50338bcfebbc",
    "imagenet-v1": "223b78ee91b048c303caadf6eec5ada7a4229a9a1aa3a68bdf4bb6ae2626f006",
    "mnist-oe-full-v1": "b3912103b7d7f3d100dca9e9e0989e828765b30c6aa488d9c680259b3ceb023d",
    "mnist-oe-v1": "3666e245a2c0073c0f9d445743e3425c179c02487c33304de8311cfeaebc0732",
    "mnist-v1": "6882bf004e640ffb457d32c3e32539bfde771dc9cb21a2c296fa385ff827a19e",
    "mnist5k-v1": "d99a24f51e45584b93b9f292ae2ad5f5ebe9f11b95ad95cf3401fd6adc1dd39b",
    "svhn-v1": "8b9664662eefcf2ce3c9a431b0889944b57a4d5b6e8d43667fee5843a009ae46",
    "tiny-v1": "79be3173b44d88e5de61cb43405b74b932f0eaf7160ef81e7a9a653a6dcf2347",
    "toy-words-v1": "1e17b2e2eff369021315faf211fd87edb40d7d80f87fb15408a9d5db750f367f",
    "trec-v1": "2b4d442aaf08f94a89ffd02d5930cf9d315c571697024ef461de11da341af0ea",
    "trec-v2": "47d792c8e3cdc026d6bb60851b96259f69a7327f6f73e7285743ea709d285cae",
    "trec-oe-v1": "a654f978bcbdb3f0698c496e9f946c7d6d8d8b51b8750a42d57172188d9690ac",
    "cifar10-v2": "15f0c07971e03fb7a1d9916aa1e79b6eeeef8f2c868d36d7be1bc7561b06f4ba",
    "cifar100-v2": "7081f0e9f10d3d078c363db14ee228211918d050789a514827cf040b0a3184dd",
    "lee2018-cifar10-dense-lsun-resize-v1": "0dc09877ed3a4f05bb3850771fc8decc43c52afe96b27c35ea1b599cca9bbfe7",
    "lee2018-cifar10-dense-svhn-tiny-v1": "4e98758c7ec353ecf3f18f712a9cdc7e1e9612a9f64eb5a7f76881bbf376d3c6",
    "lee2018-cifar10-dense-svhn-v1": "6b8cf688ddd156b62fa97d8678bf95eb5a7a9dd43a64249d60fe021c8ecab16b",
    "lee2018-cifar10-dense-tiny-imagenet-resize-v1": "a4f6982e5de3008eafb31192b8f0a76509b060812695b944244980a3b8da5540",
    "lee2018-cifar10-resnet-lsun-resize-v1": "410ba2296628b7a5596e2878239624b4421dc54664646348841ea361a791fb61",
    "lee2018-cifar10-resnet-svhn-tiny-v1": "ae36c3e340a24c1a67fed74da7559fc962a25377c06602c6ddde2fc1065626f3",
    "lee2018-cifar10-resnet-svhn-v1": "4ac3ddb4c8dfda8011d91856be0328e72e6ba84cff934faeeb586b255f918688",
    "lee2018-cifar10-resnet-tiny-imagenet-resize-v1": "75f0d75bf808bdae3d0833dd785197aa790d70b06ea269ab385f694944c06c77",  # noqa: E501
    "lee2018-cifar100-dense-lsun-resize-v1": "c4b63064f521abf3faeee1e5c3a88e8be3fc9acb640e9992148a26df5779a613",
    "lee2018-cifar100-dense-svhn-v1": "ac70887bae38672b3ddca15ff3a7bc37a9d448c3dcd7affe3aa0c2107989aec1",
    "lee2018-cifar100-dense-tiny-imagenet-resize-v1": "6094eb160322d04eb0b1596506fc5636af2a5c07b526a9cef95296304a220252",  # noqa: E501
    "lee2018-cifar100-resnet-lsun-resize-v1": "f2162b24e11a6c4b9f900cf780eba3ffdef822f03f447772617926645681e663",
    "lee2018-cifar100-resnet-svhn-v1": "4cdfe8906c0ef299c6592e3c1f70e007cc66c9a277ad00447a5b4cadc8246212",
    "lee2018-cifar100-resnet-tiny-imagenet-resize-v1": "3ac18c3f23399120b3594a1b968e87e7821be4485c77c1ad92d26c439207e1ea",  # noqa: E501
    "lee2018-svhn-dense-cifar-10-v1": "c24f095bb3a9d9d387ee7cf0e2365d389844f909f836691efe492ef163985179",
    "lee2018-svhn-dense-lsun-resize-v1": "72cd91af6080302a491d899a59b1f79e41ab8ea89e96d9ee3329763af6f81293",
    "lee2018-svhn-dense-tiny-imagenet-resize-v1": "0ce6f67d44518bddf4b455e7f2f755926d45176f35baa7a08b951522b6b8e547",
    "lee2018-svhn-resnet-cifar-10-v1": "e232ff2446dc08e8dfe3e5564e19a6acecd6c63edbff9b936f7caf8b606c5b2f",
    "lee2018-svhn-resnet-lsun-resize-v1": "b8a47d397e10a25f9c279e2f3cfc97464348d6a614ae21c11dceb315e471b1bb",
    "lee2018-svhn-resnet-tiny-imagenet-resize-v1": "de830412e41c9a6594956a66a21dd2439bf7f9ebb3adbc0b31b2168fc773c0b4",
    "openood-cifar10-v1": "639804186a18f05333fdb3729390421d02a1207f4917696c3dc80521acb912d4",
    "openood-cifar100-v1": "dd6d3f337cd6e27bef5c4d1f086847285c245cd98730103073591ce43c77388c",
    "openood-imagenet1k-v1": "5ee5e127b8bc01be2603e711e2a721dcc8195223cd252155ce70014492a29c87",
    "openood-imagenet200-v1": "71e1e7abde4ee42833ddc400f2d59a1a8752c0bbd6ab19845c6f13288f9704bf",
    "shao2020-cifar10-dense-tiny-v1": "681c8ea4036226359a9ff6b4c89fbcaea3ea3089d25ea01d21c7653e76a7f83f",
    "shao2020-cifar10-dense-v1": "babe58362d0c1ebc968104dc8d5e1dc17d7d1153740317afe01a1221a1e3d703",
    "shao2020-cifar100-dense-tiny-v1": "ae79fe2c69ac2b4f65801a85f6a50fc8a3a6fdb5bde512f8b5fb7d0f60f5fc69",
    "shao2020-cifar100-dense-v1": "d636fb7649bde2788c9d84a237a243b570a9d729ca5b8f67a1aeb988280a4724",
    "shao2020-cifar100-wrn-tiny-v1": "b545f17d58a1d1d7c432dfce9ef6ed49c8d0d6bab25d6dbaba8b874ef88cd742",
    "shao2020-cifar100-wrn-v1": "a15631fc7e0ce3d2db6376ccc832b713d9ad68900d96eef14251e484c1a0ac11",
    "sreeramdass-gaussian-odin-tiny-v1": "570931d574de008cfe4089d018e321db5e503b4a48465412615755748cc03ada",
    "sreeramdass-gaussian-odin-v1": "7901700f70f35bd2ef133b3d308fedc550411ef335203f8f518b04b9c0a7c86c",
    "sreeramdass-tiny-imagenet-crop-tiny-v1": "a1b2547f8c33c4338eab8d6eeb08b16ed84235a15c558428c8b2e01b847f44eb",
    "sreeramdass-tiny-imagenet-crop-v1": "325a556a240ed8d4fd5bb121148cd69863d207602ae558a1d8d62df8a14bf767",
    "sreeramdass-tiny-imagenet-resize-tiny-v1": "73247e3ae69e26b266136e97f8dfcf3703148cf0e5f3fedc9b992f57fcb10b8c",
    "sreeramdass-tiny-imagenet-resize-v1": "b8df0e078adda023e7adc4e4ff95a0d4b18da65788deb0a3729fb9bef735cf78",
    "toy-v1": "8f1c198e15e340b76eb770ecf0c0fe24fc417055220664951fbfaca60c60c590",
}
"""sha256 of what each file says, but for the methods that run by default."""


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_matrix_never_changes(name: str) -> None:
    """Whatever a number was cited from stays what it was: a change is a new version under a new name."""
    content = tomllib.loads((cards_folder() / "matrices" / f"{name}.toml").read_text(encoding="utf-8"))
    said = json.dumps({key: value for key, value in content.items() if key != "methods"}, sort_keys=True)
    assert hashlib.sha256(said.encode()).hexdigest() == PUBLISHED[name]


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
        ({"name": "fab-8@score-1", "of": "fab-8"}, "fab-8 is a fab, which climbs no score"),
        ({"name": "deepfool@score-1", "of": "deepfool"}, "deepfool is a deepfool, which climbs no score"),
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

"""The names in the papers' numbers are the names of our cards and methods."""

from pathlib import Path

from oodbench.data.cards import load_cards
from oodbench.report.reported import MEAN, known_as, load_reported
from oodbench.run.registry import registry

NUMBERS = load_reported(Path(__file__).parents[2] / "results" / "reported")

NO_CARD = {
    "gaussian",  # not said which
    "lsun",
    "icons-50",
    "misclassified",
    "attacks",
    "adv-waic",
    "fgsm-lee",
    "bim-lee",
    "deepfool-lee",
    "cw-lee",
    *("snli", "imdb", "yelp", "amazon-fashion", "amazon-software"),
    *("imagenet-10", "imagenet-20", "imagenet-100", "imagenet-o", "openimage-o", "openimage-o-whole"),
    *("inaturalist", "sun", "places", "inaturalist-mos", "sun-mos", "places-mos", "textures-mos"),
    *("near-with-imagenet-o", "far-with-places"),
    *("near", "far", "openood-imagenet-200-full-spectrum", "openood-imagenet-1k-full-spectrum"),
    MEAN,
    None,
}


def test_sets_are_cards_or_known_to_have_none() -> None:
    corruptions = {n.out_set for n in NUMBERS if n.failure == "corruption"} - {MEAN}
    named = {n.in_set for n in NUMBERS} | {n.out_set for n in NUMBERS}
    assert named - set(load_cards()) - corruptions == NO_CARD


def test_methods_that_exist_are_called_what_the_registry_calls_them() -> None:
    named = {n.method for n in NUMBERS}
    post_hoc = {"msp", "temperature", "baseline-t", "odin-tuned", "gmm-100", "gmm-1000"}
    lee = {f"mahalanobis-{variant}" for variant in ("a", "b", "c", "d", "d-fgsm")}
    densities = {"glow", "vae", "vae-rate", "latent-shell", "waic-glow", "waic-vae", "pixelcnn++"}
    inns = {f"ib-inn-{beta}" for beta in (0, 1, 2, 4, 8, 16, 32, "inf")}
    assert post_hoc | lee | densities | inns <= named & set(registry())


def test_a_part_of_a_set_is_known_by_the_whole_and_nothing_else_is() -> None:
    assert known_as("mnist-5k") == ("mnist-5k", "mnist")
    assert {name for name in load_cards() if len(known_as(name)) > 1} == {
        "mnist-5k",
        "cifar-10-5k",
        "notmnist-10k",
        "omniglot-small",
        "trec-50",
    }
    assert known_as("not a card") == ("not a card",)
    cards = load_cards()
    for card in (cards[name] for name in cards if cards[name].part_of):
        whole = cards[str(card.part_of)]
        assert (whole.origin, whole.shape) == (card.origin, card.shape)

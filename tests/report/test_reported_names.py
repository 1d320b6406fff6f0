"""The names in the papers' numbers are the names of our cards and methods."""

from pathlib import Path

from bench.data.cards import load_cards
from bench.report.reported import MEAN, load_reported
from bench.run.registry import registry

NUMBERS = load_reported(Path(__file__).parents[2] / "results" / "reported")

NO_CARD = {
    "gaussian",  # not said which
    "lsun",
    "20-newsgroups",
    "mistakes",
    "attacks",
    "adv-waic",
    "fgsm-lee",
    "bim-lee",
    "deepfool-lee",
    "cw-lee",
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
    lee = {f"mahalanobis-{variant}" for variant in "abcd"}
    assert post_hoc | lee <= named & set(registry())

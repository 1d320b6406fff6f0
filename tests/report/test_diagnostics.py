"""Diagnostics: read strictly, told over seeds, and open to claims."""

import json
import subprocess
import sys
from importlib.util import find_spec

import pytest

from oodbench.cli import main
from oodbench.errors import BadRecord, UnknownName
from oodbench.report.diagnostics import find_diagnostic, metrics, names
from oodbench.report.diagnostics_page import findings, page, read_diagnostics, rebuild

MATRIX = "made-v1"


def put(results, method, seed, name, content):
    folder = results / "diagnostics" / MATRIX / method / str(seed)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps({"method": method, "matrix": MATRIX, "seed": seed} | content))
    return folder


def likelihood(results, seed, gain=10.0):
    own = {"log_prior": -900.0, "log_det": 400.0, "log_density": -500.0, "bits_per_dimension": 3.0, "variance": 50.0}
    out = own | {"bits_per_dimension": 2.0 + seed, "auroc_log_density": 0.1, "auroc_log_prior": 0.2}
    out |= {"likelier_by": 5.0, "less_variance": 9.0, "sign_agrees": seed == 0}
    content = {
        "volume": "affine",
        "sets": {"train": own, "test": own, "mnist-5k": out},
        "second_order": {"sets": 1, "sign_agrees": int(seed == 0)},
        "graying": {"black": {"1.0": -500.0, "0.5": -500.0 + gain}},
        "false_alarms": {"nominal": 0.05, "test": 0.06, "validation": 0.04},
    }
    return put(results, "glow", seed, "likelihood", content)


def purification(results, seed, settings=((0.1, 0.0, 0.01, 0.003), (0.01, 1.0, 0.0, 0.02))):
    rows = [
        {"part": part, "eps": eps, "nu": nu, "n": 100, "accuracy_before": 0.9, "accuracy_after": 0.9 + gain}
        | {"mended": 3, "broken": 2, "changed": 6}
        for at, part in enumerate(("validation", "test"))
        for eps, nu, *gains in settings
        for gain in [gains[at]]
    ]
    return put(results, "gmm-1000", seed, "purification", {"steps": 100, "components": 7, "rows": rows})


def noise(results, seed):
    content = {
        "n": 20,
        "eps": 0.3,
        "rate": 0.1,
        "bits_per_dimension": {"test": 3.0, "step 0": 9.0, "black": 0.5},
        "auroc": {"vae": {"step 0": [1.0, 1.0, 1.0], "black": [0.25, 0, 1]}, "waic-vae": {"step 0": [0.5, 0.4, 0.6]}},
    }
    return put(results, "vae", seed, "adversarial-noise", content)


def samples(results, seed):
    scores = {"samples": 2.0 + seed, "test": 9.0}
    content = {"n": 50, "bits_per_dimension": 3.5, "mode_score": scores, "outside": 0.25}
    return put(results, "flow-gan-0", seed, "samples", content)


def densities(results, seed):
    sets = {"test": {"mean": 3.0, "std": 0.5}, "mnist-5k": {"mean": 2.0 + seed, "std": 0.25, "auroc": 0.1}}
    put(results, "glow", seed, "histograms", {"n": 30, "sets": sets})
    found = {"mnist-5k": {"all": 0.5, "without": [0.4, 0.6, 0.5], "standard_error": 0.1 + seed / 10}}
    return put(results, "waic-glow", seed, "waic", {"n": 30, "members": [0, 1, 2], "auroc": found})


def test_the_page_tells_histograms_and_the_jackknife(tmp_path):
    for seed in (0, 1):
        densities(tmp_path, seed)
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in page(tmp_path).splitlines()]
    assert ["in-set", "3.000 ± 0.000", "0.500 ± 0.000", "–"] in rows
    assert ["mnist-5k", "2.500 ± 0.707", "0.250 ± 0.000", "10.00 ± 0.00"] in rows
    assert ["mnist-5k", "50.00 ± 0.00", "40.00 ± 0.00", "60.00 ± 0.00", "15.00 ± 7.07"] in rows
    assert {(method, metric, value) for method, _, metric, _, value in findings(tmp_path, MATRIX)} == {
        ("waic-glow", "jackknife_error", 10.0),
        ("waic-glow", "jackknife_error", 20.0),
    }


def test_the_page_tells_each_study_over_its_seeds(tmp_path):
    for seed in (0, 1):
        folder = likelihood(tmp_path, seed)
        purification(tmp_path, seed)
        samples(tmp_path, seed)
    noise(tmp_path, 0)
    (tmp_path / "diagnostics" / MATRIX / "glow" / "0" / "graying.png").write_bytes(b"")
    (folder / "decomposition.png").write_bytes(b"")
    text = page(tmp_path)
    assert "## Where the likelihood comes from: `glow` on made-v1 (2 seeds)" in text
    assert "## Images that climb a density: `vae` on made-v1 (seed 0)" in text
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    assert ["mnist-5k", "2.500 ± 0.707", "-900 ± 0", "400 ± 0", "10.00 ± 0.00", "20.00 ± 0.00", "1 of 2"] in rows
    assert ["0.5", "10 ± 0"] in rows
    assert "6.00 ± 0.00 % of the in-set's test images" in text
    assert ["Set", "Bits per dimension", "`vae`", "`waic-vae`"] in rows
    assert ["in-set", "3.000", "–", "–"] in rows
    assert ["step 0", "9.000", "100.00", "50.00"] in rows
    assert ["black", "0.500", "25.00", "–"] in rows
    assert ["3.500 ± 0.000", "2.50 ± 0.71", "9.00 ± 0.00", "25.00 ± 0.00"] in rows
    assert ["test", "0.1", "0", "100", "90.00 ± 0.00", "90.30 ± 0.00", "0.30 ± 0.00", "3.0 ± 0.0", "2.0 ± 0.0"] in rows
    assert f"![graying, seed 0](../{tmp_path.name}/diagnostics/{MATRIX}/glow/0/graying.png)" in text
    assert "decomposition" not in text  # pictures are of the first seed


def test_purification_is_judged_on_test_images_at_the_setting_chosen_on_validation(tmp_path):
    purification(tmp_path, 0)
    assert list(findings(tmp_path, MATRIX)) == [("gmm-1000", 0, "purification_gain", "test", pytest.approx(0.3))]


def triplets(results, seed):
    ranked = {
        "l2": 1.5,
        "sigma": 0.0625,
        "n": 10,
        "fooled": 9,
        "low": 0.5,
        "high": 1.0,
        "fpr95": 0.25,
        "auroc_clean": 0.75,
    }
    none = dict.fromkeys(("low", "high", "fpr95", "auroc", "auroc_clean"))
    attacks = [
        {"attack": "fgsm-8", **ranked, "n_test": 8 + seed, "auroc": 0.5 + seed / 10},
        {"attack": "bim-8", **ranked, **none, "n_test": 0},
    ]
    put(results, "msp", seed, "triplets", {"attacks": attacks})


def test_the_page_tells_triplets_an_attack_a_row_and_none_where_none_was_to_test(tmp_path):
    for seed in (0, 1):
        triplets(tmp_path, seed)
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in page(tmp_path).splitlines()]
    assert [
        "fgsm-8",
        "1.500 ± 0.000",
        "0.0625 ± 0.0000",
        "8.5 ± 0.7",
        "55.00 ± 7.07",
        "25.00 ± 0.00",
        "75.00 ± 0.00",
    ] in rows
    assert ["bim-8", "1.500 ± 0.000", "0.0625 ± 0.0000", "0.0 ± 0.0", "–", "–", "–"] in rows
    found = [(seed, metric, name, value) for _, seed, metric, name, value in findings(tmp_path, MATRIX)]
    assert found == [(0, "triplets_auroc", "fgsm-8", 50.0), (1, "triplets_auroc", "fgsm-8", 60.0)]


def test_claims_may_be_of_every_study(tmp_path):
    likelihood(tmp_path, 1)
    noise(tmp_path, 1)
    samples(tmp_path, 1)
    found = {(method, metric, name): value for method, _, metric, name, value in findings(tmp_path, MATRIX)}
    assert found == {
        ("glow", "false_alarms", "test"): 6.0,
        ("glow", "second_order", "ood"): 0.0,
        ("glow", "graying_gain", "1.0 about black"): 0.0,
        ("glow", "graying_gain", "0.5 about black"): 10.0,
        ("vae", "climbed_auroc", "step 0 up vae"): 100.0,
        ("vae", "climbed_auroc", "black"): 25.0,
        ("waic-vae", "climbed_auroc", "step 0 up vae"): 50.0,
        ("vae", "climbed_bits", "test"): 3.0,
        ("vae", "climbed_bits", "step 0"): 9.0,
        ("vae", "climbed_bits", "black"): 0.5,
        ("flow-gan-0", "mode_score", "samples"): 3.0,
        ("flow-gan-0", "mode_score", "test"): 9.0,
    }


def test_a_broken_study_is_named_with_the_command_that_makes_it_again(tmp_path):
    folder = likelihood(tmp_path, 3)
    content = json.loads((folder / "likelihood.json").read_text())
    (folder / "likelihood.json").write_text(json.dumps(content | {"graying": "no"}))
    with pytest.raises(
        BadRecord, match=r"graying.*oodbench diagnose likelihood made-v1 --method glow --seed 3 --out .*3$"
    ):
        read_diagnostics(tmp_path)
    (folder / "likelihood.json").write_text("{")
    with pytest.raises(BadRecord, match="make it again"):
        read_diagnostics(tmp_path)


def test_a_study_of_another_seed_or_kind_is_refused(tmp_path):
    folder = likelihood(tmp_path, 3)
    folder.rename(folder.with_name("4"))
    with pytest.raises(BadRecord, match="holds what was found of made-v1, glow, seed 3"):
        read_diagnostics(tmp_path)
    (folder.with_name("4") / "likelihood.json").rename(folder.with_name("4") / "liking.json")
    with pytest.raises(BadRecord, match=r"is of no diagnostic; expected one of adversarial-noise\.json, density-"):
        read_diagnostics(tmp_path)


def test_a_diagnostic_is_found_by_its_name_and_says_all_of_itself():
    """No list names them: each is a module here, and one of the same name that computes it."""
    for name in names():
        one = find_diagnostic(name)
        assert {"method", "matrix", "seed"} <= set(one.schema.model_fields)
        assert one.images > 0
        assert find_spec(f"oodbench.diagnostics.{name.replace('-', '_')}")
    assert len(set(metrics())) == len(metrics()) >= 5
    with pytest.raises(UnknownName, match="did you mean 'likelihood'"):
        find_diagnostic("likelihod")


def test_tables_of_diagnostics_need_no_torch():
    program = (
        "import sys; from oodbench.report.diagnostics import find_diagnostic, names; "
        "[find_diagnostic(name) for name in names()]; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_command_writes_and_compares_the_page(tmp_path, capsys):
    noise(tmp_path, 0)
    path = tmp_path / "docs" / "diagnostics.md"
    words = ["diagnostics", "--results", str(tmp_path), "--page", str(path)]
    assert main([*words, "--check"]) == 1
    assert "does not exist" in capsys.readouterr().out
    assert main(words) == 0
    assert main([*words, "--check"]) == 0
    path.write_text(path.read_text().replace("25.00", "26.00"))
    told, well = rebuild(tmp_path, path, check=True)
    assert not well
    assert "oodbench diagnostics" in told

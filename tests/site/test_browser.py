"""The site in a real, headless Chromium, opened from the disk: nothing leaves, axe finds nothing, it does what it says.

`make browser` gets all that it needs: Playwright, a Chromium, and by npm axe-core and the library of charts. It names
the Chromium in OODBENCH_BROWSER, and then nothing may be absent; without that what cannot be had skips its tests.
"""

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest
from board import Made
from read import data

from oodbench import site as package

CHROMIUM = os.environ.get("OODBENCH_BROWSER")
"""That all must run in; nothing where whatever is absent is skipped."""

if CHROMIUM is None and importlib.util.find_spec("playwright") is None:
    pytest.skip("no Playwright; make browser installs it", allow_module_level=True)

from playwright import sync_api as playwright

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


def absent(what: str) -> NoReturn:
    """Fail where all must be there, else skip."""
    (pytest.skip if CHROMIUM is None else pytest.fail)(what)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as running:
        own = CHROMIUM or shutil.which("chromium") or shutil.which("chromium-browser")
        try:
            opened = running.chromium.launch(executable_path=own, args=["--no-sandbox"])
        except playwright.Error as error:
            absent(f"no Chromium: {str(error).splitlines()[0]}; make browser gets one")
        yield opened
        opened.close()


def npm(folder: Path, *words: str) -> None:
    """Run npm in a folder."""
    if shutil.which("npm") is None:
        absent("no npm, which gets axe-core and the library of charts: install Node.js")
    done = subprocess.run(["npm", *words, "--silent", "--no-audit", "--no-fund"], cwd=folder, capture_output=True)
    if done.returncode:
        absent(f"npm {words[0]} failed: {done.stderr.decode()[-200:]}")


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the script of axe-core, by the lock file."""
    folder = tmp_path_factory.mktemp("npm") / "axe"
    shutil.copytree(Path(__file__).parent / "axe", folder, ignore=shutil.ignore_patterns("node_modules"))
    npm(folder, "ci")
    return (folder / "node_modules" / "axe-core" / "axe.min.js").read_text("utf-8")


@pytest.fixture(scope="module")
def site(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a site that has the library of charts, made by npm from the lock file where it has not been made yet."""
    folder = tmp_path_factory.mktemp("browsed")
    shutil.copytree(made.site, folder / "site")
    if not (folder / "site" / "assets" / "plot.js").is_file():
        charts = Path(package.__path__[0]) / "charts"
        shutil.copytree(charts, folder / "charts", ignore=shutil.ignore_patterns("node_modules"))
        (folder / "assets").mkdir()
        npm(folder / "charts", "ci")
        npm(folder / "charts", "run", "build")
        shutil.copy(folder / "assets" / "plot.js", folder / "site" / "assets")
    return folder / "site"


Open = Callable[..., Any]


@pytest.fixture
def open_page(browser: Any, site: Path) -> Iterator[Open]:
    """Return what opens a page, from the disk; whatever it asked of another place, or an error, fails the test."""
    contexts, faults = [], []

    def opened(address: str, **options: Any) -> Any:
        context = browser.new_context(**{"viewport": DESKTOP, "color_scheme": "light", **options})
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda one: None if one.url.startswith(("file:", "data:")) else faults.append(one.url))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda one: faults.append(one.text) if one.type == "error" else None)
        path, _, state = address.partition("#")
        page.goto(f"{(site / path).as_uri()}#{state}" if state else (site / path).as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not faults


def methods(page: Any) -> list[str]:
    """Return the rows that are seen, in their order."""
    found = page.eval_on_selector_all(
        "#board tbody tr", "rows => rows.filter(row => row.offsetHeight).map(row => row.dataset.row)"
    )
    return [str(one) for one in found]


def wait_until(page: Any, holds: Callable[[], bool]) -> None:
    """Wait until the page has done what it was asked for, five seconds at most."""
    for _ in range(100):
        if holds():
            return
        page.wait_for_timeout(50)
    assert holds()


BOARD = "made-v1/ood.html"


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize(
    "address",
    [
        "index.html",
        "methods.html",
        "changes.html",
        f"{BOARD}#compare=odin%2Cmsp&fold=1",
        "made-v1/misclassification.html",
        "made-v1/rows/knn.html",
        "made-v1/rows/vae.html",
    ],
)
def test_axe_finds_nothing(open_page: Open, axe: str, address: str, viewport: dict[str, int]) -> None:
    """In the light all rules, in the dark those of colours once more: styles alone tell the two apart."""
    page = open_page(address, viewport=viewport)
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    page.wait_for_timeout(700)
    page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    page.evaluate(axe)
    for scheme, rules in (("light", "undefined"), ("dark", "['color-contrast', 'link-in-text-block']")):
        page.emulate_media(color_scheme=scheme)
        done = page.evaluate(f"axe.run({{runOnly: {rules}, resultTypes: ['violations'], preload: false}})")
        assert len(done["passes"]) > 0
        found = [(one["id"], [node["html"][:160] for node in one["nodes"][:3]]) for one in done["violations"]]
        assert found == [], scheme
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_rows_sort_by_a_click_and_by_the_keyboard(open_page: Open) -> None:
    page = open_page(BOARD)
    first = methods(page)
    page.get_by_role("button", name="Method", exact=True).click()
    assert methods(page) == sorted(first)
    page.get_by_role("button", name="Method", exact=True).focus()
    page.keyboard.press("Enter")
    assert methods(page) == sorted(first, reverse=True)
    assert page.locator("th.name[aria-sort]").get_attribute("aria-sort") == "descending"
    page.get_by_role("button", name="AUROC ↑", exact=True).click()
    cells = page.eval_on_selector_all("#board tbody tr td:nth-child(6)", "all => all.map(one => +one.dataset.v)")
    assert cells == sorted(cells)


def test_a_row_without_a_rank_comes_last(open_page: Open) -> None:
    """Its cell says how many seeds or sets there are, which is no place."""
    page = open_page(BOARD)
    cell = page.locator('tr[data-row="gram"] td.rank').first
    assert " of " in cell.inner_text() and cell.get_attribute("data-v") is None
    assert methods(page)[-1] == "gram"


def test_an_address_names_no_file_and_no_set_that_the_board_has_not(open_page: Open) -> None:
    page = open_page(f"{BOARD}#metric=../../../evil&set=bogus&cost=bogus")
    wait_until(page, lambda: bool(page.locator("#count").inner_text()))
    assert methods(page) == methods(open_page(BOARD))
    assert page.locator("#metric").input_value() == open_page(BOARD).locator("#metric").input_value()


def test_rows_are_searched_filtered_and_folded(open_page: Open) -> None:
    page = open_page(BOARD)
    everything = methods(page)
    page.locator("#q").fill("pixel")
    assert methods(page) == ["pixelcnn++"]
    page.get_by_role("button", name="Reset").click()
    wait_until(page, lambda: methods(page) == everything)
    page.locator("#tuned").select_option("ood_val")
    assert methods(page) == ["knn"]
    page.get_by_role("button", name="Reset").click()
    page.locator("#fold").check()
    wait_until(page, lambda: 1 < len(methods(page)) < len(everything))
    folded = methods(page)
    families = page.eval_on_selector_all(
        "#board tbody tr", "rows => rows.filter(row => row.offsetHeight).map(row => row.dataset.family)"
    )
    assert len(set(families)) == len(families)
    page.locator("button.more").first.click()
    wait_until(page, lambda: len(methods(page)) > len(folded) and "open=" in page.url)


def test_another_metric_and_set_are_loaded_and_sorted_by(open_page: Open, site: Path) -> None:
    page = open_page(BOARD)
    page.locator("#metric").select_option("aupr_out")
    page.locator("#set").select_option("glyphs")
    page.wait_for_function("document.querySelector('#value-head').innerText.includes('AUPR-Out')")
    assert "metric=aupr_out" in page.url and "set=glyphs" in page.url
    assert "AUPR-Out" in page.locator("#value-head").inner_text()
    shown = page.eval_on_selector_all(
        "#board tbody tr", "rows => rows.map(row => [row.dataset.row, row.querySelector('td.value').innerText.trim()])"
    )
    _, found = data(site / "made-v1" / "data" / "ood" / "aupr_out.js")
    assert dict(shown) == {method: found["rows"][method]["glyphs"][0] for method in dict(shown)}
    numbers = [float(text.split()[0]) for _, text in shown]
    assert numbers == sorted(numbers, reverse=True)


def test_a_permalink_holds_the_whole_state(open_page: Open) -> None:
    page = open_page(BOARD)
    page.locator("#metric").select_option("auroc")
    page.locator("#q").fill("o")
    page.get_by_label("Compare odin").check()
    page.get_by_label("Compare energy").check()
    page.locator("#cost").select_option("seconds")
    page.wait_for_selector("#pairs tbody tr")
    again = open_page(f"{BOARD}#{page.url.partition('#')[2]}")
    again.wait_for_selector("#pairs tbody tr")
    for what in ("#metric", "#q", "#cost"):
        assert again.locator(what).input_value() == page.locator(what).input_value()
    assert methods(again) == methods(page)
    assert again.locator("#comparison").is_visible()
    assert again.locator("#pairs").inner_text() == page.locator("#pairs").inner_text()
    page.get_by_role("button", name="Reset").click()
    wait_until(page, lambda: page.url.endswith("#"))


def test_two_rows_are_compared_as_the_data_say(open_page: Open, site: Path) -> None:
    page = open_page(f"{BOARD}#compare=odin%2Cmsp")
    page.wait_for_selector("#roc svg path", state="attached")
    _, found = data(site / "made-v1" / "data" / "pairs" / "ood" / "odin.js")
    cells = page.locator("#pairs tbody tr").first.locator("td").all_inner_texts()
    difference, low, high, p, _ = found["fpr95"]["msp"]
    said = [f"{'−' if one < 0 else '+'}{100 * abs(one):.2f}" for one in (difference, low, high)]
    assert cells[2] == said[0] and cells[3] == f"{said[1]} to {said[2]}"
    assert cells[4] == ("< 0.0001" if p < 0.0001 else f"{p:.4f}")
    assert page.locator("#roc svg[role=img]").get_attribute("aria-label").startswith("ROC curves of odin, msp")
    assert page.locator("#roc svg g[stroke-width] > path, #roc svg g > path").count() >= 2


def test_a_row_draws_its_scores_and_its_curves(open_page: Open) -> None:
    page = open_page(BOARD)
    page.get_by_role("link", name="pixelcnn++").first.click()
    page.wait_for_selector("#histograms svg path", state="attached")
    page.wait_for_selector("#risk svg path", state="attached")
    page.locator("#kind").select_option("adversarial")
    page.wait_for_selector("#roc svg[aria-label*=Adversarial]")
    assert "kind=adversarial" in page.url
    assert "Adversarial" in page.locator("#roc svg[role=img]").get_attribute("aria-label")
    assert page.evaluate(
        "[...document.querySelectorAll('svg path')].every(one => !one.getAttribute('d').includes('NaN'))"
    )


def test_costs_have_a_front(open_page: Open) -> None:
    page = open_page(BOARD)
    page.locator("#cost").scroll_into_view_if_needed()
    page.wait_for_selector("#pareto svg circle", state="attached")
    assert page.locator("#pareto svg circle").count() == 6


def test_without_a_script_the_table_is_whole_and_no_control_is_dead(open_page: Open) -> None:
    page = open_page(BOARD, java_script_enabled=False)
    assert page.locator("#board tbody tr").count() == 7
    assert page.locator("#board tbody tr").first.is_visible()
    assert not any(one.is_visible() for one in page.locator("input, select, button").all())
    page.get_by_role("link", name="odin").first.click()
    assert page.get_by_role("heading", name="odin").is_visible()


def test_a_first_load_is_less_than_a_megabyte(open_page: Open, site: Path) -> None:
    page = open_page("index.html")
    loaded: list[str] = []
    page.on("request", lambda one: loaded.append(one.url))
    page.goto((site / BOARD).as_uri())
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    page.wait_for_selector("#pareto svg", state="attached")
    paths = {Path(re.sub("^file://", "", url)) for url in loaded if url.startswith("file:")}
    assert any(path.name == "plot.js" for path in paths)
    assert sum(path.stat().st_size for path in paths) < 1_000_000


def test_a_printed_page_has_no_controls(open_page: Open) -> None:
    page = open_page(BOARD)
    page.emulate_media(media="print")
    assert not page.locator("#q").is_visible() and page.locator("#board").is_visible()
    assert page.evaluate("getComputedStyle(document.querySelector('.scroll')).overflow") == "visible"

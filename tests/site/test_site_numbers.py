"""Every number of a site is one of the pages that `oodbench table` makes, letter by letter."""

from pathlib import Path

import pytest
from board import Made
from read import Page, data, markdown, table

from oodbench.measure.kinds import KINDS
from oodbench.report.ids import GROUP, MEAN
from oodbench.report.tables import SHOWN
from oodbench.site import addresses
from oodbench.site.build import build

ROOT = Path(__file__).resolve().parents[2]


def test_every_number_is_one_of_the_leaderboards(made: Made) -> None:
    assert compared(made.site, made.pages) > 500


@pytest.mark.slow
def test_every_number_of_the_committed_results_is_one_of_the_committed_pages(tmp_path: Path) -> None:
    build(ROOT / "results", tmp_path / "site")
    pages = {str(path.relative_to(ROOT)): path.read_text("utf-8") for path in ROOT.glob("docs/leaderboard/**/*.md")}
    assert compared(tmp_path / "site", pages) > 100_000
    assert largest(tmp_path / "site") < 1_000_000


def largest(site: Path) -> int:
    """Return the bytes of the largest first load: a page, its style and all scripts, charts included."""
    assets = sum(path.stat().st_size for path in (site / "assets").iterdir() if path.suffix in (".js", ".css"))
    return assets + max(path.stat().st_size for path in site.rglob("*.html"))


def compared(site: Path, pages: dict[str, str]) -> int:
    """Hold each number of boards, data and rows against the pages; return how many there were."""
    count = 0
    for folder in sorted(path for path in site.iterdir() if (path / "data").is_dir()):
        for board in sorted(folder.glob("*.html")):
            kind = KINDS[board.stem]
            page = pages[f"docs/leaderboard/{folder.name}/{kind.name}.md"]
            count += of_board(Page(board.read_text("utf-8")), page)
            count += of_data(folder, kind.name, pages)
        count += of_rows(folder, pages)
    return count


def of_board(board: Page, page: str) -> int:
    shown = {row["Method"].removesuffix(" †"): row for row in table(board, "FPR95 rank", "Method", "AUROC rank")}
    ranks, needs = markdown(page, "FPR95 rank", "Version"), markdown(page, "Passes", "Tuned on")
    assert {row["Method"] for row in ranks} == set(shown) == {row["Method"] for row in needs}
    count = 0
    for row in [*ranks, *needs]:
        for name, cell in row.items():
            if name in shown[row["Method"]] and name != "Method":
                assert shown[row["Method"]][name] == cell, (row["Method"], name)
                count += 1
    assert count >= 9 * len(shown)
    return count


def of_data(folder: Path, kind: str, pages: dict[str, str]) -> int:
    count = 0
    for metric in (*SHOWN, *KINDS[kind].further):
        page = pages.get(f"docs/leaderboard/{folder.name}/{kind}-{metric}.md")
        path = folder / "data" / kind / f"{metric}.js"
        if page is None or not path.exists():
            continue
        _, found = data(path)
        for row in markdown(page, "Method"):
            own = {headed(name): cell[0] for name, cell in found["rows"].get(row["Method"], {}).items()}
            for name, cell in row.items():
                if name != "Method" and " ± " not in name:
                    called = (name, name.split(" (")[0], f"{MEAN} ({name})")  # a heat map has a group's name alone
                    assert is_shown(next((own[one] for one in called if one in own), "–"), cell)
                    count += 1
    return count


def headed(name: str) -> str:
    """Return a heading of the pages for a word of ids; sets are as they are."""
    return f"{MEAN} ({name.partition(GROUP)[2]})" if name.startswith(f"{MEAN}{GROUP}") else name


def is_shown(text: str, cell: str) -> bool:
    """Return whether a cell is a number, or that number as a table of many sets has it: with one decimal, alone."""
    short = "±" not in cell and "[" not in cell and "." in cell and len(cell.rpartition(".")[2]) == 1
    return text == cell or (short and text != "–" and abs(float(text.split()[0]) - float(cell)) <= 0.055 + 1e-9)


def of_rows(folder: Path, pages: dict[str, str]) -> int:
    count = 0
    for path in sorted((folder / "rows").glob("*.html")):
        page = Page(path.read_text("utf-8"))
        method = next(attributes["data-row"] for tag, attributes in page.tags if tag == "body")
        assert method is not None
        known = markdown(pages[f"docs/leaderboard/methods/{method.partition('@')[0]}.md"], "Set")
        for heads, *rows in (one for one in page.tables if one and one[0][:2] == ["Set", "AUROC ↑"]):
            for row in (dict(zip(heads, cells, strict=True)) for cells in rows):
                alike = [one for one in known if named(one["Set"]) == named(row["Set"]) and set(one) <= set(row)]
                equal = [one for one in alike if all(row[name] == cell for name, cell in one.items() if name != "Set")]
                of_all = named(row["Set"]) == MEAN  # of many sets, and of adaptive attacks, that page has groups alone
                assert equal or not alike or of_all, (path, row)
                count += sum(len(one) - 1 for one in equal)
    assert count, folder  # of rows whose page has the groups of many sets alone, there may be none
    return count


def named(name: str) -> str:
    """Return a set's name; any mean is "mean", since there a group of all sets stands for the mean over all."""
    return MEAN if name.startswith(MEAN) else name


def test_a_paper_s_number_and_ours_are_never_in_one_column(made: Made) -> None:
    for path in made.site.rglob("*.html"):
        for rows in Page(path.read_text("utf-8")).tables:
            if rows and "In the paper" in rows[0]:
                assert any(head.startswith("Measured here") for head in rows[0])


def test_addresses_of_data_are_those_that_the_files_say(made: Made) -> None:
    for path in made.site.rglob("data/**/*.js"):
        address, _ = data(path)
        assert made.site / address == path
    assert (made.site / addresses.row("made-v1", "pixelcnn++")).is_file()

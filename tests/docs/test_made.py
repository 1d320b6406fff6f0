"""How the documentation is made: links, names, lists, tables, and the check of the built site."""

import re
import sys
from pathlib import Path
from typing import get_args

import built
import lists
import names
import pages
import pytest
import tables

from oodbench.contract import Family
from oodbench.corruptions.registry import CORRUPTIONS
from oodbench.data.attack_cards import load_adaptive, load_attacks
from oodbench.data.matrix import load_matrices
from oodbench.forward_precision import PRECISIONS, named
from oodbench.run.registry import registry

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def known():
    return names.known(ROOT)


class TestNames:
    def test_names_are_those_of_the_registries(self, known):
        assert known.methods == set(registry())
        assert known.matrices == {named(one, precision) for one in load_matrices() for precision in PRECISIONS}
        assert known.corruptions == set(CORRUPTIONS)
        plain = {name for name in known.attacks if not name.endswith("@uint8")}
        assert plain == set(load_attacks()) | set(load_adaptive())

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("`Knn`", "'knn'"),
            ("`deep_ensemble_mi`", "'deep-ensemble-mi'"),
            ("`mahalanobs-a`", "'mahalanobis-a'"),
            ("`tiny-v9`", "'tiny-v1'"),
            ("`tiny-float16-v1`", "'tiny-bfloat16-v1'"),
            ("`msp@resnet-21`", "'msp@resnet-"),
            ("`msq@resnet-20`", "nothing is called"),
            ("`pgd-8@score-99`", "nothing is called"),
            ("`shao2021-*-v1`", "nothing is called"),
            ("```console\n$ oodbench run tiny-v1 --methods msp oodin --seeds 0\n```", "'odin'"),
            ("```console\n$ oodbench plan tiny-v1\n$ oodbench plan tinny-v1\n```", "'tiny-v1'"),
            ("```console\n$ oodbench evaluate --attacks fgsm-9 --model a:b\n```", "'fgsm-8'"),
            ('```python\nevaluate(m, methods=["msp", "enrgy"])\n```', "'energy'"),
        ],
    )
    def test_a_slip_is_found_and_the_nearest_named(self, text, said, known):
        (slip,) = names.slips(text + "\n", known)
        assert said in slip

    @pytest.mark.parametrize(
        "text",
        [
            "`msp@resnet-20` on `cifar10-resnet-v1`, `fgsm-8@uint8`, `pgd-8@score-10`, `FEATURE_MAP`, `yours`, `fog`",
            "```console\n$ oodbench new nearest-mean\n$ oodbench check nearest-mean\n```\nand `nearest-mean`",
            "`oodbench plan {matrix} --methods {method}`",
            "`lee2018-*-v1` and `flow-gan` and `flow-gan-*`; `batch` and `--methods`",
            "```console\n$ oodbench run MATRIX --methods YOURS msp@resnet-32  # some\n```",
            '```python\nevaluate(m, methods=[norm, "msp"])\n```',
        ],
    )
    def test_what_is_none_passes(self, text, known):
        assert not list(names.slips(text + "\n", known))

    def test_check_names_page_and_slip(self, known):
        with pytest.raises(names.UnknownNames, match=re.escape("a.md: nothing is called 'Knn'")):
            names.check({"a.md": "`Knn`", "b.md": "`knn`"}, known)


class TestLinks:
    def turned(self, page, text):
        links = pages.Links(pages.sources(ROOT), pages.tracked(ROOT))
        return links.turned(page, text), links

    @pytest.mark.parametrize(
        ("page", "target", "there"),
        [
            ("docs/metrics.md", "ranks.md#five-seeds", "ranks.md#five-seeds"),
            ("docs/metrics.md", "../CONTRIBUTING.md", "CONTRIBUTING.md"),
            ("leaderboard.md", "docs/leaderboard/tiny-v1/ood.md", "leaderboard/tiny-v1/ood.md"),
            ("docs/leaderboard/tiny-v1/ood.md", "../../../leaderboard.md", "../../leaderboard.md"),
            ("docs/papers.md", "../datasets/matrices/trec-v2.toml", "files/datasets/matrices/trec-v2.toml"),
            ("docs/papers.md", "../results/reported", "files/results/reported/index.md"),
            ("docs/add-a-recipe.md", "../methods/rows.csv", "methods.md"),
            ("docs/add-a-data-set.md", "../datasets/matrices", "matrices.md"),
            ("docs/architecture.md", "pictures/architecture.svg", "pictures/architecture.svg"),
            ("docs/architecture.md", "https://example.org", "https://example.org"),
            ("docs/architecture.md", "#rooms", "#rooms"),
        ],
    )
    def test_a_link_leads_to_the_same_on_the_site(self, page, target, there):
        text, links = self.turned(page, f"See [x]({target}).")
        assert text == f"See [x]({there})."
        assert not links.broken

    def test_a_link_that_leads_nowhere_is_broken(self):
        _, links = self.turned("docs/metrics.md", "[x](rangs.md)")
        assert links.broken == [
            "docs/metrics.md: a link leads to rangs.md, and there is no docs/rangs.md in the repository"
        ]

    def test_code_is_left_alone(self):
        text = "`a[0](b.md)`\n\n```python\nf[1](c.md)\n```\n\n    g[1](d.md)\n"
        turned, links = self.turned("docs/metrics.md", text)
        assert turned == text
        assert not links.broken


class TestDressed:
    def test_a_block_that_is_a_file_has_its_name_as_title(self):
        made = pages._dressed("start.md", "```python file=a.py\nx = 1\n```\n\n```console\n$ file=b\n```\n")
        assert made == '```python title="a.py"\nx = 1\n```\n\n```console\n$ file=b\n```\n'

    def test_numbers_are_not_searched(self):
        made = pages._dressed("leaderboard/methods/knn.md", "# `knn`\n\n## [tiny-v1](../tiny-v1/README.md)\n")
        assert made == "# `knn`\n\n## [tiny-v1](../tiny-v1/README.md) { data-search-exclude }\n"
        assert pages._dressed("leaderboard/tiny-v1/ood.md", "x").startswith("---\nsearch:\n  exclude: true\n---\n")
        assert pages._dressed("leaderboard/tiny-v1/README.md", "x") == "x"

    def test_folded_parts_are_markdown(self):
        assert pages._dressed("a.md", "<details>\n`<details>`\n") == '<details markdown="1">\n`<details>`\n'


def test_the_navigation_has_every_page_by_hand_and_none_that_there_is_not():
    there = set(re.findall(r"^ +- .*: (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE))
    made = pages.sources(ROOT)
    by_hand = {goal for page, goal in made.items() if not page.startswith("docs/leaderboard/")}
    assert by_hand <= there, f"put into the navigation of mkdocs.yml: {sorted(by_hand - there)}"
    assert there <= set(made.values()), f"no such pages: {sorted(there - set(made.values()))}"


class TestLists:
    def test_families_are_those_of_the_contract_in_its_order(self):
        assert tuple(lists.FAMILIES) == get_args(Family)

    def test_every_method_matrix_and_card_is_listed_once(self):
        made = lists.lists(ROOT)
        for name in registry():
            assert len(re.findall(rf"^\| \[?`{re.escape(name)}`", made["methods.md"], re.MULTILINE)) == 1, name
        for name in load_matrices():
            assert made["matrices.md"].count(f"[`{name}`]") == 1, name
        for name in load_attacks():
            assert len(re.findall(rf"^\| `{re.escape(name)}` \|", made["data-sets.md"], re.MULTILINE)) == 1, name


class TestTables:
    def test_a_table_becomes_html_and_the_rest_stays(self):
        text = "a\n\n| x | y |\n|:--|--:|\n| [`m\\|n`](../m.md#k) | **1** \\| 2 |\n\nb\n"
        kept: list[str] = []
        marked = tables.held(text, kept)
        assert marked == "a\n\n[table 0]\n\nb\n"
        assert tables.put_in(marked, kept) == (
            'a\n\n<table>\n<thead>\n<tr><th>x</th><th class="number">y</th></tr>\n'
            '</thead>\n<tbody>\n<tr><td><a href="../m.html#k"><code>m|n</code></a></td>'
            '<td class="number"><strong>1</strong> | 2</td></tr>\n</tbody>\n</table>\n\n\nb\n'
        )
        assert tables.put_in("<p>[table 0]</p>", kept) == kept[0]

    @pytest.mark.parametrize(
        ("cell", "made"),
        [
            ("a < b & <c>", "a &lt; b &amp; &lt;c&gt;"),
            ("`<b>`", "<code>&lt;b&gt;</code>"),
            ("[x](../t/README.md)", '<a href="../t/index.html">x</a>'),
            ("[x](https://e.org/a.md)", '<a href="https://e.org/a.md">x</a>'),
            (r"log \|det\|", "log |det|"),
        ],
    )
    def test_a_cell(self, cell, made):
        assert tables.inline(cell) == made


class TestBuilt:
    @pytest.mark.parametrize(
        ("body", "fault"),
        [
            ('<a href="b.html#there">x</a><a id="here"></a><a href="#here">y</a>', None),
            ('<a href="c.html">x</a>', "there is no c.html"),
            ('<a href="b.html#nowhere">x</a>', "no such place"),
            ('<a href="#nowhere">x</a>', "no such place"),
            ('<img src="c.png">', "there is no c.png"),
            ('<script src="https://cdn.example.org/a.js"></script>', "another host"),
            ('<link rel="stylesheet" href="//fonts.example.org/a.css">', "another host"),
            ('<a href="https://example.org">x</a>', None),
        ],
    )
    def test_faults_are_found(self, tmp_path, body, fault):
        (tmp_path / "a.html").write_text(body)
        (tmp_path / "b.html").write_text('<p id="there"></p>')
        found = built.faults(tmp_path)
        assert len(found) == bool(fault)
        assert not fault or fault in found[0]

    def test_a_font_from_elsewhere_is_found(self, tmp_path):
        (tmp_path / "a.css").write_text("@font-face { src: url(https://fonts.example.org/a.woff2) }")
        assert "another host" in built.faults(tmp_path)[0]


def test_nothing_that_makes_the_pages_needs_more_than_the_standard_library():
    """But for the extension of the reader of docstrings, which that imports."""
    imported = {
        name
        for path in (ROOT / "docs" / "make").glob("*.py")
        if path.stem != "examples"
        for name in re.findall(r"^(?:from|import) (\w+)", path.read_text(), re.MULTILINE)
    }
    ours = {path.stem for path in (ROOT / "docs" / "make").glob("*.py")}
    assert imported - ours <= sys.stdlib_module_names

"""Tables on a terminal: as wide as it is, names whole, colours only where they are wanted."""

import re
from io import StringIO

import pytest

from oodbench.commands import told
from oodbench.commands.screen import blocks, draw, fitted, lines_of
from oodbench.run.listing import listing
from oodbench.shown import Markdown, Page, Prose, Table
from oodbench.terminal import is_colourful, is_live, is_terminal

WORDS = "the quick brown fox jumps over the lazy dog and runs away from all of them"
TABLE = Table(
    ("method", "n", "what"),
    [("msp", 7, WORDS), ("a-name-that-is-rather-long-indeed", 1234567, "short"), ("odin", 12, "")],
    colours={"short": "green"},
)


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "TERM"):
        monkeypatch.delenv(name, raising=False)


def text(table: Table, width: int) -> list[str]:
    return [line.plain for line in fitted(table, width)]


@pytest.mark.parametrize("width", [40, 48, 60, 80, 140])
def test_no_line_is_wider_than_the_terminal_and_nothing_is_lost(width: int) -> None:
    lines = text(TABLE, width)
    assert max(map(len, lines)) <= width
    assert sorted(re.findall(r"[\w-]*\w", " ".join(lines))) == sorted(
        [*TABLE.headers, *(word for row in TABLE.rows for cell in row for word in str(cell).split())]
    )


def test_a_name_is_never_broken_and_a_long_one_stands_above_its_row_where_there_is_no_room() -> None:
    assert any(line.startswith("a-name-that-is-rather-long-indeed  1234567  short") for line in text(TABLE, 80))
    lines = text(TABLE, 50)
    at = lines.index("a-name-that-is-rather-long-indeed")
    assert lines[at + 1] == "        1234567  short"


def test_what_fits_is_as_plain_text_has_it() -> None:
    assert [line.rstrip() for line in text(TABLE, 140)] == [line.rstrip() for line in str(TABLE).splitlines()]


def test_numbers_are_right_and_never_broken() -> None:
    assert TABLE.sides() == ("left", "right", "left")
    for line in text(TABLE, 40):
        assert "123456" not in line or "1234567" in line
    assert any(re.match(r"msp +7  the quick", line) for line in text(TABLE, 40))


def test_the_header_of_numbers_is_broken_between_words() -> None:
    table = Table(("inputs", "accepted, percent", "beyond the picture"), [("right", 96.5, 0.25), ("wrong", 1.0, 12.5)])
    assert text(table, 30) == [
        "inputs   accepted,  beyond the",
        "           percent     picture",
        "------  ----------  ----------",
        "right         96.5        0.25",
        "wrong          1.0        12.5",
    ]


def test_the_column_of_names_may_be_another() -> None:
    table = Table(("rank", "method", "what"), [("1", "a-name-that-is-rather-long-indeed", WORDS)], name=1)
    lines = text(table, 44)
    at = lines.index("a-name-that-is-rather-long-indeed")
    assert lines[at + 1].startswith("1 ")


@pytest.mark.parametrize("width", [80, 140])
def test_the_list_fits(width: int) -> None:
    for part in listing().parts:
        if isinstance(part, Table):
            assert max(map(len, text(part, width))) <= width


def shown(stream: StringIO) -> str:
    draw(Page("title", TABLE), stream, 80)
    return stream.getvalue()


def test_colours_on_a_terminal_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    assert "\x1b[32mshort" in shown(Terminal())
    assert "\x1b" not in shown(StringIO())
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in shown(Terminal())


def test_colours_where_they_are_forced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[" in shown(StringIO())
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in shown(StringIO())


@pytest.mark.parametrize(
    ("stream", "term", "expected"),
    [
        (Terminal(), "xterm", (True, True, True)),
        (Terminal(), "dumb", (True, False, False)),
        (StringIO(), "xterm", (False, False, False)),
    ],
)
def test_what_a_stream_can_show(
    stream: StringIO, term: str, expected: tuple[bool, bool, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", term)
    assert (is_terminal(stream), is_live(stream), is_colourful(stream)) == expected


def test_a_closed_stream_is_no_terminal() -> None:
    closed = StringIO()
    closed.close()
    assert not is_terminal(closed)


def test_a_page_is_its_plain_text() -> None:
    page = Page("a", TABLE, "b", data={"x": 1})
    assert page == f"a\n{TABLE}\nb"
    assert page.data == {"x": 1}


@pytest.mark.parametrize("as_json", [False, True])
def test_a_program_gets_plain_text_or_json(as_json: bool, capsys: pytest.CaptureFixture[str]) -> None:
    assert told.tell(Page(TABLE, data=lambda: {"n": float("inf")}), as_json, well=False) == 1
    out, err = capsys.readouterr()
    assert err == ""
    assert out == ('{\n "n": null\n}\n' if as_json else f"{TABLE}\n")


def test_an_empty_table_has_its_headers() -> None:
    empty = Table(("a", "b"), [])
    assert str(empty).split()[:2] == ["a", "b"]
    assert text(empty, 80)[0].split() == ["a", "b"]


def test_what_every_row_says_alike_stands_once_where_there_is_little_room() -> None:
    rows = [(name, "a reason that is the same for all of them", n) for name, n in (("msp", 1), ("odin", 22))]
    table = Table(("method", "why", "n"), rows)
    assert text(table, 80)[0].split() == ["method", "why", "n"]
    assert text(table, 50) == [
        "why: a reason that is the same for all of them",
        "method   n",
        "------  --",
        "msp      1",
        "odin    22",
    ]


def test_a_table_of_one_row_or_of_equal_rows_keeps_its_columns() -> None:
    assert text(Table(("a", "b"), [("x", WORDS)]), 30)[0].split() == ["a", "b"]
    assert text(Table(("a", "b"), [("x", "y" * 40)] * 2), 30)[0].split() == ["a", "b"]


MARKDOWN = """# One `code`

**Bold** and [a link](x.md#y).

| Set | Row | n |
|:--|:--|--:|
| `a` | x \\| y | 12 |
| `b` | x \\| y | 3 |

* a point
"""


def test_markdown_is_set() -> None:
    head, *_, table, empty, point = blocks(MARKDOWN)
    assert (head.plain, head.style) == ("One code", "bold")
    assert [one.plain for one in blocks(MARKDOWN) if not isinstance(one, Table)][2] == "Bold and a link."
    assert isinstance(table, Table)
    assert table.rows == [["a", "x | y", "12"], ["b", "x | y", "3"]]
    assert table.sides() == ("left", "left", "right")
    assert (empty.plain, point.plain) == ("", "* a point")


def test_the_names_of_a_markdown_table_are_those_that_tell_rows_apart() -> None:
    rows = "".join(f"| m | name-{one} |\n" for one in range(3))
    (table,) = blocks(f"| Matrix | Row |\n|:--|:--|\n{rows}")
    assert table.name == 1


def test_text_is_broken_between_words_and_a_path_is_whole() -> None:
    path = "/a/long/path/" + "x" * 40
    assert [line.plain for line in lines_of(f"  see {path} for more of it\n\nend", 24)] == [
        "  see",
        f"  {path}",
        "  for more of it",
        "",
        "end",
    ]


def test_prose_has_lines_of_its_own_in_plain_text_alone() -> None:
    prose = Prose(f"{WORDS} {WORDS}")
    assert max(map(len, str(Page(prose)).splitlines())) <= 100
    assert str(Page(prose)).replace("\n", " ") == f"{prose:s}"
    assert len(lines_of(prose, 200)) == 1
    stream = StringIO()
    draw(Page(prose, Markdown("## x")), stream, 50)
    assert max(map(len, stream.getvalue().splitlines())) <= 50


@pytest.mark.parametrize("silent", [False, True])
def test_forced_colours_break_nothing_where_no_terminal_is(
    silent: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    if silent:
        monkeypatch.setenv("NO_COLOR", "1")
    table = Table(("method", "what"), [("msp", WORDS * 3)])
    told.tell(Page(table), False)
    out = capsys.readouterr().out
    assert ("\x1b" in out) is not silent
    last = re.sub(r"\x1b\[[0-9;]*m", "", out).splitlines()[-1]
    assert last.split() == ["msp", *(WORDS * 3).split()]


def test_a_terminal_gets_fitted_tables_from_a_verb(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setattr("sys.stdout", stream)
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("NO_COLOR", "1")
    told.tell(Page(TABLE), False)
    assert max(map(len, stream.getvalue().splitlines())) <= 60

"""Every registered method passes every check; a new one is checked as soon as its file is there."""

import pytest
from brief import small, unlike

from oodbench.check.conformance import check_methods, checks_of, excuses, laws
from oodbench.cli import main
from oodbench.errors import UnknownName
from oodbench.run.registry import registry

UNLIKE = unlike()


@pytest.mark.parametrize(
    "name", [name if name in UNLIKE else pytest.param(name, marks=pytest.mark.slow) for name in registry()]
)
def test_every_method_keeps_every_law(name: str) -> None:
    """Rows that differ from another one in parameters alone are slow ones: outside the fast suite."""
    entry = registry()[name]
    verdicts = {check.law.name: check.run() for check in checks_of(small(entry.method), excuses(entry))}
    assert {law: verdict.why for law, verdict in verdicts.items() if not verdict.well} == {}


def test_report_has_a_line_for_each_method_and_law() -> None:
    text, well = check_methods(["msp", "knn"], every=False, verbose=True)
    *lines, total = text.splitlines()
    names = [law.name for law in laws()]
    assert [tuple(line.split()[:3]) for line in lines] == [(m, law, "ok") for m in ("msp", "knn") for law in names]
    assert total == f"2 methods: {2 * len(names)} ok, 0 failed, 0 skipped"
    assert well


def test_report_is_a_count_where_all_is_well() -> None:
    text, well = check_methods(["msp", "knn"], every=False)
    assert text == f"2 methods: {2 * len(list(laws()))} ok, 0 failed, 0 skipped"
    assert well


def test_unknown_method_is_told_the_nearest() -> None:
    with pytest.raises(UnknownName, match="unknown method 'odni'; did you mean 'odin'"):
        check_methods(["odni"], every=False)


def test_the_command_prints_the_report_and_exits_accordingly(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "msp"]) == 0
    assert capsys.readouterr().out == "1 method: 21 ok, 0 failed, 0 skipped\n"
    assert main(["check", "msp", "-v"]) == 0
    assert "msp              direction                ok" in capsys.readouterr().out
    assert main(["check"]) == 1
    assert main(["check", "odni"]) == 2
    assert "did you mean 'odin'" in capsys.readouterr().err


def test_no_method_named_says_what_to_do() -> None:
    text, well = check_methods([], every=False)
    assert not well
    assert "--all" in text


def test_a_law_that_a_row_cannot_keep_is_skipped_with_its_reason() -> None:
    checks = checks_of(registry()["msp"].method, {"direction": "it points nowhere"})
    told = {check.law.name: str(check.run()) for check in checks}
    assert told["direction"] == "skipped it points nowhere"
    assert told["finite"] == "ok"


def test_an_excuse_from_no_law_is_told_the_nearest() -> None:
    with pytest.raises(UnknownName, match="unknown law 'directions'; did you mean 'direction'"):
        checks_of(registry()["msp"].method, {"directions": "it points nowhere"})

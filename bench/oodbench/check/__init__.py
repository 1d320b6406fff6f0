"""Conformance checks of a method: laws that every method keeps, tried on a toy in seconds.

In a package of your own:

    from oodbench.check.conformance import Check, checks_of

    @pytest.mark.parametrize("check", checks_of(METHOD), ids=str)
    def test_conformance(check: Check) -> None:
        verdict = check.run()
        assert verdict.well, verdict
"""

"""The table of failures names tests that there are, and what is printed of it says what is so."""

from __future__ import annotations

import ast
from pathlib import Path
from xml.etree import ElementTree as Xml

import failures
import failures_page
import pytest

from support.failures import CLAIMS, FAILURES, LET_IN, LOST, Failure

TESTS = Path(__file__).parents[1]
_REPORT = """<testsuites><testsuite>
<testcase classname="tests.faults.test_a" name="test_one[first]" time="1.5">
<properties><property name="seen" value="3 of 3"/></properties></testcase>
<testcase classname="tests.faults.test_a" name="test_one[second]" time="1.0"/>
<testcase classname="tests.faults.test_a" name="test_two" time="0.1"><skipped/></testcase>
<testcase classname="tests.faults.test_b" name="test_three" time="0.1"><failure/></testcase>
</testsuite></testsuites>"""


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: failure.what)
def test_each_claim_is_shown_or_said_not_to_be(failure: Failure) -> None:
    """By tests that exist; else it does not matter, or the line says what is missing."""
    for claim in CLAIMS:
        shown, no_matter = bool(failure.shown.get(claim)), claim in failure.no_matter
        assert not (shown and no_matter)
        assert shown or no_matter or failure.lacks
    for test in failure.tests():
        file, _, name = test.partition("::")
        tree = ast.parse((TESTS / file).read_text())
        assert name in {one.name for one in tree.body if isinstance(one, ast.FunctionDef)}, test
    assert failure.shown.keys() | failure.no_matter.keys() <= {*CLAIMS}


def test_what_was_seen_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Held where all runs passed, failed where one did not, and neither where one was skipped or
    none is named.
    """
    table = (
        Failure("wind", {LOST: ("faults/test_a.py::test_one",), LET_IN: ()}, lacks="much"),
        Failure("rain", {LOST: ("faults/test_a.py::test_one", "faults/test_a.py::test_two")}),
        Failure("hail", {LOST: ("faults/test_b.py::test_three",)}, no_matter={LET_IN: "no door"}),
        Failure("fog", {LOST: ("faults/test_b.py::test_that_did_not_run",)}),
    )
    monkeypatch.setattr(failures, "FAILURES", table)
    found = failures.outcomes(Xml.fromstring(_REPORT).iter("testcase"))
    printed = [" ".join(line.split()) for line in failures.table(found)]
    lost = [line for line in printed if line.startswith(LOST)]
    assert lost == [
        "nothing lost held (2 runs of 1 tests, 2 s)",
        "nothing lost not run here in full (2 runs of 2 tests)",
        "nothing lost FAILED (faults/test_b.py::test_three)",
        "nothing lost not run here in full (0 runs of 1 tests)",
    ]
    assert 2 == printed.count("seen: 3 of 3")
    assert "nobody let in not shown" in printed
    assert "nobody let in - (no door)" in printed
    assert "but: much" in printed


def test_the_page_leads_to_each_test() -> None:
    """With a number that its cell has."""
    page = failures_page.render()
    for failure in FAILURES:
        for test in failure.tests():
            assert test.partition("::")[2] in page

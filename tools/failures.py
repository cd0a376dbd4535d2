"""`make faults`: runs the tests of each failure of the table, and prints what was seen.

A claim holds if all tests that show it passed. One that was skipped, or that no test shows, is said
to be so and never counts as held. Exit status 1: a test failed.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

from failures_page import CLAIMS, FAILURES

ROOT = Path(__file__).resolve().parent.parent


@dataclass
class Outcome:
    """What came of a test, over all that it was run with."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0
    seen: list[str] = field(default_factory=list)


def main(arguments: Sequence[str]) -> int:
    """Run them, with arguments for pytest, and print."""
    tests = dict.fromkeys(test for failure in FAILURES for test in failure.tests())
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "-q", "-o", "junit_family=xunit1"),
                *(f"--junitxml={report}", *arguments, *(f"tests/{test}" for test in tests)),
            ],
            cwd=ROOT,
            check=False,
        )
        found = outcomes(Xml.parse(report).iter("testcase")) if report.exists() else {}
    for line in table(found):
        print(line)
    return done.returncode


def outcomes(cases: Iterator[Xml.Element]) -> Mapping[str, Outcome]:
    """What came of each test, by its name in the table."""
    found: dict[str, Outcome] = {}
    for case in cases:
        file = case.get("classname", "").removeprefix("tests.").replace(".", "/")
        name = f"{file}.py::{case.get('name', '').partition('[')[0]}"
        one = found.setdefault(name, Outcome())
        one.seconds += float(case.get("time", "0"))
        if case.find("skipped") is not None:
            one.skipped += 1
        elif case.find("failure") is not None or case.find("error") is not None:
            one.failed += 1
        else:
            one.passed += 1
        said = [p.get("value", "") for p in case.iter("property") if p.get("name") == "seen"]
        one.seen += [words for words in said if words not in one.seen]
    return found


def table(found: Mapping[str, Outcome]) -> Iterator[str]:
    """The lines to print."""
    yield ""
    for failure in FAILURES:
        yield failure.what
        for claim in CLAIMS:
            yield f"    {claim:<22} {_held(failure, claim, found)}"
        for test in failure.tests():
            for seen in found.get(test, Outcome()).seen:
                yield f"    seen: {seen}"
        if failure.lacks:
            yield f"    but: {failure.lacks}"


def _held(failure: Any, claim: str, found: Mapping[str, Outcome]) -> str:
    if claim in failure.no_matter:
        return f"-  ({failure.no_matter[claim]})"
    tests = failure.shown.get(claim, ())
    if not tests:
        return "not shown"
    each = [found.get(test, Outcome()) for test in tests]
    counts = f"{sum(one.passed for one in each)} runs of {len(each)} tests"
    if any(one.failed for one in each):
        return f"FAILED  ({', '.join(t for t, o in zip(tests, each, strict=True) if o.failed)})"
    if not all(one.passed for one in each):
        return f"not run here in full  ({counts})"
    return f"held  ({counts}, {sum(one.seconds for one in each):.0f} s)"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

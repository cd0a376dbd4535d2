"""The page of what fails around a server, from the table whose tests `make faults` runs."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

_TABLE: Any = importlib.import_module("support.failures")
FAILURES: Sequence[Any] = _TABLE.FAILURES
CLAIMS: Sequence[str] = _TABLE.CLAIMS

_HEAD = """# Failures, and what comes of them

Generated from the table whose tests `make faults` runs; it prints for each line what was seen. What
happens to the files of a home, says [Damage](faults.md).

Each number leads to the tests that show it, below. "-": it does not touch that. "not shown": no
test does, and the last column says what is missing.

"""


def render() -> str:
    """The page's text."""
    numbers: dict[str, int] = {}
    lines = [
        f"| failure | {' | '.join(CLAIMS)} | not shown, or not so |\n",
        "|---|---|---|---|---|\n",
    ]
    for failure in FAILURES:
        cells = [_cell(failure, claim, numbers) for claim in CLAIMS]
        lines.append(f"| {failure.what} | {' | '.join(cells)} | {failure.lacks} |\n")
    tests = [f"{number}. `tests/{name.partition('::')[0]}`: `{name.partition('::')[2]}`\n"
             for name, number in numbers.items()]  # fmt: skip
    return _HEAD + "".join(lines) + "\n" + "".join(tests)


def _cell(failure: Any, claim: str, numbers: dict[str, int]) -> str:
    if claim in failure.no_matter:
        return f"- ({failure.no_matter[claim]})"
    tests = failure.shown.get(claim, ())
    if not tests:
        return "not shown"
    return ", ".join(str(numbers.setdefault(test, len(numbers) + 1)) for test in tests)

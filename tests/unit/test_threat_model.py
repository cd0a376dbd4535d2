"""The threat model names a test for each attack, and the test is there."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

from support.sources import parsed

ROOT = Path(__file__).parents[2]
_TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
_ROW = re.compile(r"^\|(?! *-)(?!---)(.*)\|$", re.MULTILINE)


PAGE = (ROOT / "docs" / "threat-model.md").read_text()


def part(title: str) -> str:
    """A part of the page."""
    return PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]


def attacks() -> str:
    """The page's part with the attacks."""
    return part("At the door, attack by attack")


@cache
def functions_of(file: str) -> set[str]:
    """Names of the functions in a file, none if it is not there."""
    path = ROOT / file
    if not path.exists():
        return set()
    tree = parsed(path)
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in ast.walk(tree) if isinstance(node, kinds)}


def missing(text: str) -> list[str]:
    """Tests that `text` names and that are not there."""
    named = _TEST.findall(text)
    return sorted(f"{file}::{name}" for file, name in named if name not in functions_of(file))


def test_every_test_that_is_named_is_there() -> None:
    """File and function exist."""
    assert len(_TEST.findall(attacks())) > 40
    assert [] == missing(PAGE)


def test_one_that_is_not_there_is_found() -> None:
    """The check can fail."""
    assert ["tests/nowhere.py::test_x"] == missing("`tests/nowhere.py::test_x`")


def test_every_attack_has_a_test() -> None:
    """Each row of each table names one at the least, of who is against it too."""
    rows = [row[1] for row in _ROW.finditer(attacks() + part("Against whom"))]
    heads = (" test ", " shown by ")
    bare = [row for row in rows if not _TEST.search(row) and not row.endswith(heads)]
    assert [] == bare
    assert len(rows) > 30


def test_every_hostile_test_is_on_the_page() -> None:
    """What is attacked in `tests/hostile/` stands in the threat model."""
    page = attacks()
    found = [
        f"{file.relative_to(ROOT)}::{name}"
        for file in sorted((ROOT / "tests" / "hostile").glob("test_*.py"))
        for name in sorted(functions_of(str(file.relative_to(ROOT))))
        if name.startswith("test_") and name != "test_a_conversation_is_seen"
    ]
    assert [] == [one for one in found if f"`{one}`" not in page]

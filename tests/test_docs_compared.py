"""What is said of others has its source in the cell that says it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
COMPARED = ("guides/compared.md", "index.md#beside-what-people-use-today")
# A link, how it is known, or that it is not.
SOURCE = re.compile(r"\]\(|\((seen|said|written)\b|^(not found|not known|–)$")


def cells(page: str) -> Iterator[str]:
    """The cells of all tables of a page, without their heads and the first of each row."""
    for table in re.findall(r"(?:^\|.*\n)+", page, re.M):
        for row in table.splitlines()[2:]:
            yield from (cell.strip() for cell in row.strip("|").split("|")[1:])


def without_a_source(page: str) -> list[str]:
    """The cells that say something and not from where it is known."""
    return [cell for cell in cells(page) if not SOURCE.search(cell)]


@pytest.mark.parametrize("place", COMPARED)
def test_each_cell_has_its_source(place: str) -> None:
    """On the page, or in the part of it that is named."""
    name, _, anchor = place.partition("#")
    page = (DOCS / name).read_text()
    if anchor:
        heads = {
            re.sub(r"\W+", "-", one.lower()): one for one in re.findall(r"^## (.*)", page, re.M)
        }
        page = page.split(f"## {heads[anchor]}\n")[1].split("\n## ")[0]

    assert len(list(cells(page))) > 20
    assert [] == without_a_source(page)


def test_a_cell_without_a_source_is_seen() -> None:
    """Whatever column it stands in."""
    table = "| | a | b |\n|---|---|---|\n| x | yes | no (seen) |\n| y | [z](z.md) | not found |\n"

    assert ["yes"] == without_a_source(table)

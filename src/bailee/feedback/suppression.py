"""Which small counts of the survey are not shown, and which others would give them away. Pure.

Counts by week and by version share their totals. A count of 1 to `LEAST` - 1 is hidden (primary
suppression). Then, as long as a row or column, its total included, would give a hidden count away
by subtraction, or has so little hidden in it that the sum says as much, another count in it is
hidden too (complementary suppression; Willenborg & de Waal, Elements of Statistical
Disclosure Control, ch. 4). A count of 0 says that nobody answered, and hides nothing by itself.

What this does not help against is watching the counts grow: who looks before and after an answer
sees the step once counts are large enough to be shown.

Rows: F3.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from typing import Final

LEAST: Final = 5
TOTAL: Final = "total"

Cell = tuple[str, str, str]
"""A table (`week`, `version`, or `all` for the totals of both), a row in it, and a column."""


@dataclass(frozen=True, slots=True)
class CountLine:
    """A row of a table: its name, a count for each answer and the total; None: not shown."""

    name: str
    counts: Mapping[str, int | None]
    total: int | None


@dataclass(frozen=True, slots=True)
class SurveyResults:
    """The survey's results as they may be shown. Weeks are named by their Monday."""

    answers: tuple[str, ...]
    weeks: tuple[CountLine, ...]
    versions: tuple[CountLine, ...]
    all: CountLine


def results(counts: Iterable[tuple[str, str, str, int]], answers: Sequence[str]) -> SurveyResults:
    """What may be shown of counts, each a day, a version, an answer and how often."""
    values: Counter[Cell] = Counter()
    weeks: set[str] = set()
    versions: set[str] = set()
    for day, version, answer, count in counts:
        week = monday(day)
        weeks.add(week)
        versions.add(version)
        for table, row in (("week", week), ("version", version), ("all", "")):
            values[table, row, answer] += count
            values[table, row, TOTAL] += count
    rows = {"week": sorted(weeks), "version": sorted(versions)}
    hidden = suppressed(values, sums(rows, answers))

    def line(table: str, row: str) -> CountLine:
        shown = {
            column: None if (table, row, column) in hidden else values[table, row, column]
            for column in (*answers, TOTAL)
        }
        total = shown.pop(TOTAL)
        return CountLine(row, shown, total)

    return SurveyResults(
        tuple(answers),
        tuple(line("week", row) for row in rows["week"]),
        tuple(line("version", row) for row in rows["version"]),
        line("all", ""),
    )


def monday(day: str) -> str:
    """The Monday of the week that a day is in."""
    found = date.fromisoformat(day)
    return str(found - timedelta(days=found.weekday()))


def sums(rows: Mapping[str, Sequence[str]], answers: Sequence[str]) -> list[tuple[Cell, ...]]:
    """Every sum that the tables show: its parts, and then what they add up to."""
    columns = (*answers, TOTAL)
    found: list[tuple[Cell, ...]] = []
    for table, names in (*rows.items(), ("all", ("",))):
        found += [tuple((table, row, column) for column in columns) for row in names]
        if table != "all":
            found += [
                (*((table, row, column) for row in names), ("all", "", column))
                for column in columns
            ]
    return found


def suppressed(
    values: Mapping[Cell, int], lines: Collection[tuple[Cell, ...]], least: int = LEAST
) -> frozenset[Cell]:
    """The cells that are not shown."""
    hidden = {cell for line in lines for cell in line if 0 < values[cell] < least}
    within: dict[Cell, list[tuple[Cell, ...]]] = {}
    for line in lines:
        for cell in line:
            within.setdefault(cell, []).append(line)

    def cost(cell: Cell, line: tuple[Cell, ...]) -> tuple[bool, int, bool, int]:
        """A total only at the last; rather where something is hidden anyway; a count that says
        something rather than a zero; a small one rather than a large one.
        """
        spoilt = sum(1 for other in within[cell] if other != line and not hidden.isdisjoint(other))
        return cell == line[-1], -spoilt, not values[cell], values[cell]

    changed = True
    while changed:
        changed = False
        for line in lines:
            if _gives_away(line, values, hidden, least):
                shown = [cell for cell in line if cell not in hidden]
                hidden.add(min(shown, key=partial(cost, line=line)))
                changed = True
    return frozenset(hidden)


def _gives_away(
    line: tuple[Cell, ...], values: Mapping[Cell, int], hidden: Collection[Cell], least: int
) -> bool:
    parts = [cell for cell in line[:-1] if cell in hidden]
    total_hidden = line[-1] in hidden
    if (not parts and not total_hidden) or len(parts) + total_hidden == len(line):
        return False
    if len(parts) + total_hidden == 1:
        return True
    return not total_hidden and 0 < sum(values[cell] for cell in parts) < least

"""docs/coverage.md: every promise of the mission, what implements it, which tests show it.

Made from three sources, none of them written for the page alone: docs/mission.toml holds the
promises; a module that implements some says so on a line of its docstring, `Rows: R1, R2.`; a test
that shows one is marked `@pytest.mark.row("R1")`. Both are read from the syntax tree, so nothing is
imported or run.

Rules kept here:

* A row counts as working only when a test names it that is not a unit test: it has to be seen of
  the running software. Code without any test is "no test yet".
* An id that the mission does not have is an error, wherever it stands.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

# The line may run on; it ends with the first full stop.
_ROWS = re.compile(r"^Rows:\s+([^.]+)\.", re.MULTILINE)
_ID = re.compile(r"\b[A-Z]\d+\b")


@dataclass
class Row:
    """One promise, with the modules that claim it and the tests that show it."""

    id: str
    promise: str
    more: bool
    lacks: str | None
    modules: list[str] = field(default_factory=list)
    tests: list[str] = field(default_factory=list)

    @property
    def state(self) -> str:
        """`works`, `works in part`, `parts only`, `no test yet` or `not yet`."""
        if self.tests:
            if self.only_in_units:
                return "parts only"
            return "works in part" if self.lacks else "works"
        return "no test yet" if self.modules else "not yet"

    @property
    def only_in_units(self) -> bool:
        """Whether every test that names the row is a unit test."""
        return all(test.startswith("tests/unit/") for test in self.tests)


@dataclass(frozen=True)
class Chapter:
    """The rows that share a letter."""

    id: str
    title: str
    rows: list[Row]


def read_mission(text: str) -> list[Chapter]:
    """The chapters and rows of docs/mission.toml."""
    return [
        Chapter(
            id=chapter["id"],
            title=chapter["title"],
            rows=[
                Row(row["id"], row["promise"], row.get("more", False), row.get("lacks"))
                for row in chapter["row"]
            ],
        )
        for chapter in tomllib.loads(text)["chapter"]
    ]


def rows_claimed(source: str) -> list[str]:
    """The ids on the `Rows:` line of a module's docstring; empty when it has none."""
    docstring = ast.get_docstring(ast.parse(source)) or ""
    found = _ROWS.search(docstring)
    return [] if found is None else _ID.findall(found.group(1))


def rows_shown(source: str) -> dict[str, list[str]]:
    """Test functions by the row they name, in the order of the file.

    A mark on a class, or a module's `pytestmark`, counts for every test beneath it.
    """
    shown: dict[str, list[str]] = defaultdict(list)

    def visit(body: list[ast.stmt], inherited: list[str]) -> None:
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                if node.name.startswith("test"):
                    # Marks inside the decorators' arguments (pytest.param) count too.
                    own = [i for each in node.decorator_list for i in _marked(each)]
                    for row in dict.fromkeys([*inherited, *own]):
                        shown[row].append(node.name)
            elif isinstance(node, ast.ClassDef):
                own = [i for each in node.decorator_list for i in _marked(each)]
                visit(node.body, [*inherited, *own])

    tree = ast.parse(source)
    everywhere = [
        row
        for node in tree.body
        if isinstance(node, ast.Assign)
        and any(isinstance(t, ast.Name) and t.id == "pytestmark" for t in node.targets)
        for row in _marked(node.value)
    ]
    visit(tree.body, everywhere)
    return dict(shown)


def _marked(expression: ast.expr) -> Iterator[str]:
    """The ids of every `pytest.mark.row(...)` within an expression."""
    for node in ast.walk(expression):
        match node:
            case ast.Call(
                func=ast.Attribute(value=ast.Attribute(attr="mark"), attr="row"), args=args
            ):
                for argument in args:
                    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                        yield argument.value


def collect(root: Path) -> list[Chapter]:
    """The mission with what the tree under `root` implements and shows.

    Raises:
        ValueError: a module or test names a row that the mission does not have.
    """
    chapters = read_mission((root / "docs/mission.toml").read_text())
    rows = {row.id: row for chapter in chapters for row in chapter.rows}

    def row_of(name: str, place: str) -> Row:
        if name not in rows:
            raise ValueError(f"{place} names the row {name!r}, which docs/mission.toml has not")
        return rows[name]

    for path in sorted((root / "src/bailee").rglob("*.py")):
        place = path.relative_to(root).as_posix()
        for name in rows_claimed(path.read_text()):
            row_of(name, place).modules.append(place)
    for path in sorted((root / "tests").rglob("test_*.py")):
        place = path.relative_to(root).as_posix()
        for name, tests in rows_shown(path.read_text()).items():
            row_of(name, place).tests.extend(f"{place}::{test}" for test in tests)
    return chapters


def render(chapters: list[Chapter]) -> str:
    """The page, as Markdown."""
    states: dict[str, int] = defaultdict(int)
    for chapter in chapters:
        for row in chapter.rows:
            states[row.state] += 1
    total = sum(states.values())
    order = ["works", "works in part", "parts only", "no test yet", "not yet"]
    lines = [
        "# Coverage",
        "",
        "Generated by `make docs` from `docs/mission.toml`, the `Rows:` lines of the code and the "
        "`row` marks of the tests. `make check` fails when it is out of date.",
        "",
        "A row *works* when its sentence is true of the running software and a test shows it. "
        "*Works in part* says what is missing. *Parts only*: some of it is unit-tested, as the "
        "policy's decision, and nothing shows the software doing it. *No test yet* is code "
        "that nobody has shown to work. A **+** marks a promise beyond those that the published "
        "page makes.",
        "",
        f"Of {total} rows: " + ", ".join(f"{states[s]} {s}" for s in order if states[s]) + ".",
    ]
    for chapter in chapters:
        lines += ["", f"## {chapter.id} · {chapter.title}"]
        for row in chapter.rows:
            plus = "+" if row.more else ""
            lines += ["", f"### {row.id}{plus} · {row.state}", "", row.promise]
            # A shortfall is only news where something is there.
            if row.lacks and (row.tests or row.modules):
                lines += ["", f"Missing: {row.lacks}"]
            if row.modules:
                lines += ["", "Implemented in " + ", ".join(f"`{m}`" for m in row.modules) + "."]
            if row.tests:
                lines += ["", "Shown by", "", *_tests_by_file(row.tests)]
    return "\n".join(lines) + "\n"


def _tests_by_file(tests: list[str]) -> list[str]:
    """One list item a file, with its tests' names as a list beneath it."""
    by_file: dict[str, list[str]] = defaultdict(list)
    for test in tests:
        place, name = test.split("::")
        by_file[place].append(name)
    lines = []
    for place, names in by_file.items():
        lines.append(f"- `{place}`")
        lines += [f"    - `{name}`" for name in names]
    return lines

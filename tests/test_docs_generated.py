"""The generated pages say what is so, and the tools that make them notice what is not."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import coverage_page
import demo_picture
import errors_page
import generate
import pytest
import site_build

from bailee.config import SETTINGS
from bailee.errors import CODES

ROOT = Path(__file__).parents[1]
OUTSIDE = {"src", "tests", "tools", "bench", "docs"}
INSIDE = {path.name for path in (ROOT / "src/bailee").iterdir() if path.is_dir()}

MISSION = """
[[chapter]]
id = "R"
title = "Retention"
[[chapter.row]]
id = "R1"
promise = "Thirty days."
[[chapter.row]]
id = "R2"
more = true
promise = "None."
lacks = "Dumps."
"""


def tree(
    root: Path, *, docstring: str = "", test: str = "", tests: str = "tests/acceptance"
) -> Path:
    """A checkout with the mission above, one module and one test file."""
    for folder in ("docs", "src/bailee", tests):
        (root / folder).mkdir(parents=True)
    (root / "docs/mission.toml").write_text(MISSION)
    (root / "src/bailee/sweep.py").write_text(f'"""Sweeps.\n\n{docstring}\n"""\n')
    (root / tests / "test_sweep.py").write_text(f"import pytest\n{test}\n")
    return root


def states(root: Path) -> dict[str, str]:
    """The state of each row of a checkout."""
    return {row.id: row.state for chapter in coverage_page.collect(root) for row in chapter.rows}


def test_a_row_that_no_one_names_is_not_yet(tmp_path: Path) -> None:
    """Neither code nor test: not yet."""
    assert {"R1": "not yet", "R2": "not yet"} == states(tree(tmp_path))


def test_code_without_a_test_does_not_count_as_working(tmp_path: Path) -> None:
    """A module's claim alone gives "no test yet"."""
    root = tree(tmp_path, docstring="Rows: R1, R2.")

    assert {"R1": "no test yet", "R2": "no test yet"} == states(root)


def test_a_row_that_a_test_names_works_as_far_as_nothing_is_said_to_lack(tmp_path: Path) -> None:
    """A test makes a row work, or work in part when the mission says what is missing."""
    root = tree(tmp_path, test='@pytest.mark.row("R1", "R2")\ndef test_a(): ...')

    assert {"R1": "works", "R2": "works in part"} == states(root)


def test_a_row_that_only_unit_tests_name_does_not_work(tmp_path: Path) -> None:
    """Unit tests show that the parts are right, and not that the software does it."""
    test = '@pytest.mark.row("R1")\ndef test_a(): ...'

    assert "parts only" == states(tree(tmp_path, test=test, tests="tests/unit"))["R1"]


@pytest.mark.parametrize(
    "source",
    [
        "@pytest.mark.row('R1')\ndef test_a(): ...",
        "@pytest.mark.row('R1')\nasync def test_a(): ...",
        "@pytest.mark.row('R1')\nclass TestA:\n    def test_a(self): ...",
        "pytestmark = pytest.mark.row('R1')\ndef test_a(): ...",
        "pytestmark = [pytest.mark.row('R1')]\nclass TestA:\n    def test_a(self): ...",
        "@pytest.mark.parametrize('x', [pytest.param(1, marks=pytest.mark.row('R1'))])\n"
        "def test_a(x): ...",
    ],
)
def test_a_mark_counts_wherever_pytest_takes_one(source: str) -> None:
    """Function, class, module and parameter marks all name a row."""
    assert {"R1": ["test_a"]} == coverage_page.rows_shown(source)


def test_a_mark_on_what_is_no_test_does_not_count() -> None:
    """A helper that carries a mark shows nothing."""
    assert {} == coverage_page.rows_shown("@pytest.mark.row('R1')\ndef make(): ...")


@pytest.mark.parametrize(
    "wrong",
    [
        {"docstring": "Rows: R9."},
        {"test": '@pytest.mark.row("R9")\ndef test_a(): ...'},
    ],
)
def test_a_row_that_the_mission_does_not_have_is_refused(
    tmp_path: Path, wrong: dict[str, str]
) -> None:
    """A wrong id is an error and not a row that is quietly left out."""
    with pytest.raises(ValueError, match="'R9'"):
        coverage_page.collect(tree(tmp_path, **wrong))


def test_ids_of_the_mission_are_unique() -> None:
    """No two promises share an id, and each id begins with its chapter's letter."""
    chapters = coverage_page.read_mission((ROOT / "docs/mission.toml").read_text())
    ids = [row.id for chapter in chapters for row in chapter.rows]

    assert sorted(set(ids)) == sorted(ids)
    assert [] == [r.id for c in chapters for r in c.rows if not r.id.startswith(c.id)]


def test_every_error_code_is_documented() -> None:
    """The error page has each code of the table."""
    page = errors_page.render()

    assert [] == [name for name in CODES if f"| `{name}` |" not in page]


def test_every_setting_is_documented() -> None:
    """The configuration page has each setting, by both of its names."""
    page = generate.PAGES["docs/reference/configuration.md"]()

    assert [] == [s.name for s in SETTINGS if f"| `{s.name}` | `{s.variable}` |" not in page]


def test_every_command_that_the_docs_name_is_one() -> None:
    """No page tells a person to type a command or option that bailee does not have."""
    reference = generate.PAGES["docs/reference/cli.md"]()
    commands = {
        tuple(match.split()[1:]) for match in re.findall(r"^#+ `(bailee[^`]*)`", reference, re.M)
    }
    options = set(re.findall(r"`(--[a-z-]+)`", reference)) | {"--help"}
    groups = {command[0] for command in commands if len(command) == 2}
    wrong = []
    for page in [*ROOT.glob("README*.md"), *(ROOT / "docs").rglob("*.md")]:
        for typed in typed_commands(page.read_text()):
            said = typed.partition(" #")[0].split()  # without a comment
            words = [w for w in said if re.fullmatch(r"[a-z][a-z-]*", w)]
            if not words or not said[0][0].isalpha():
                continue
            named = tuple(words[:2]) if words[0] in groups else tuple(words[:1])
            if named not in commands and named[:1] not in commands:
                wrong.append(f"{page.name}: bailee {typed}")
            if words[0] in groups and len(words) > 1 and named not in commands:
                wrong.append(f"{page.name}: bailee {typed}")
            wrong += [
                f"{page.name}: bailee {typed}: {option}"
                for option in re.findall(r"(?<!\S)(--[a-z-]+)", typed)
                if option not in options
            ]

    assert [] == wrong


def typed_commands(page: str) -> list[str]:
    """What a page shows after `bailee `, in code spans and in blocks to be typed."""
    spans = re.findall(r"`bailee ([a-z][^`\n]*)`", page)
    blocks = re.findall(r"^```(?:sh|console)\n(.*?)^```", page, re.M | re.S)
    lines = [line.removeprefix("$ ") for block in blocks for line in block.splitlines()]
    return spans + [line.removeprefix("bailee ") for line in lines if line.startswith("bailee ")]


def test_the_menu_and_the_folder_agree() -> None:
    """A page that the menu has not, or has and is not there, is noticed."""
    nav = [{"Start": ["index.md", {"More": "gone.md"}]}]

    assert [
        "the menu names gone.md, which is not there",
        "new.md is not in the menu",
    ] == site_build.disagreements(nav, {"index.md", "new.md"})


def test_links_of_the_readme_lead_somewhere() -> None:
    """Every relative link of the pages outside docs/ names a file that is there."""
    broken = [
        f"{page}: {target}"
        for page in ("README.md", "README.zh.md", "CONTRIBUTING.md", "SECURITY.md")
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", (ROOT / page).read_text())
        if not (ROOT / target).exists()
    ]

    assert [] == broken


def test_every_extra_that_the_docs_name_is_one() -> None:
    """`bailee[...]` in the docs names extras that the package has."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    named = {
        extra.strip()
        for page in [*ROOT.glob("README*.md"), *(ROOT / "docs").rglob("*.md")]
        for group in re.findall(r"bailee\[([a-z, -]+)\]", page.read_text())
        for extra in group.split(",")
    }

    assert set() == named - set(extras)


def test_every_file_that_the_docs_name_is_there() -> None:
    """A page that walks through the code names modules that exist."""
    pages = [*ROOT.glob("README*.md"), ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    gone = [
        f"{page.name}: {named}"
        for page in pages
        for named in re.findall(
            r"`((?:[a-z_]+/)+(?:[a-z_0-9-]+\.(?:py|toml|md|sh))?)`", page.read_text()
        )
        if named.split("/")[0] in INSIDE | OUTSIDE
        and not any((base / named).exists() for base in (ROOT, ROOT / "src/bailee"))
    ]

    assert [] == gone


def test_the_picture_shows_what_the_readme_does() -> None:
    """Each step and the table of what is kept, from the block that is run; no other host is
    asked for anything, and nothing in it runs.
    """
    readme = (ROOT / "README.md").read_text()
    picture = (ROOT / "docs/demo.svg").read_text()
    printed = readme.split("```console\n")[1].split("```")[0].splitlines()
    steps = [line for line in printed if line.startswith(demo_picture.MARK)]
    shown = demo_picture.lines(readme)

    assert len(steps) == sum(line.startswith(demo_picture.MARK) for line in shown) > 9
    assert [] == [line for line in shown if line not in printed or "..." in line]
    assert picture == demo_picture.render(readme)
    assert ["http://www.w3.org/2000/svg"] == re.findall(r"\w+://[^\"]+", picture)
    assert not re.search(r"<script|@font-face|@import|href|\bon\w+=", picture)
    with pytest.raises(ValueError, match="does not show"):
        demo_picture.render("# bailee\n")

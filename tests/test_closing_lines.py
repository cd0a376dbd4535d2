"""A run says what it left out: nothing is skipped unseen. And it begins only where it can end."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

CONFTEST = Path(__file__).with_name("conftest.py")
# What a process of a run that is going on finds besides, is not for the run that it starts. Of
# pytest's plugins it has those that the conftest speaks of: others take long to import.
_OUTSIDE = {name: text for name, text in os.environ.items() if not name.startswith("PYTEST_")}
_PLUGINS = ("-p", "xdist.plugin", "-p", "_hypothesis_pytestplugin", "-p", "no:cacheprovider")

WHOLE = "import pytest\n@pytest.mark.row('R1')\ndef test_a(): ..."
SKIPS = "import pytest\ndef test_a(): pytest.skip('npm is not reachable')\ndef test_b(): ..."
SKIPPED = "import pytest\npytest.importorskip('no_such_package')"
FAILS = """
from hypothesis import given, strategies as st

@given(st.lists(st.integers(0, 10**7), max_size=9))
def test_a(numbers):
    failing = sum(numbers) > 1000
    with open("tried", "a") as tried:
        tried.write("x" * failing)
    assert not failing
"""
# More GiB than any machine has.
NO_ROOM = {"BAILEE_TESTS_ROOM": str(1 << 40)}


def closing_lines(folder: Path, *flags: str, environment: dict[str, str], **files: str) -> str:
    """What a run of some test files prints, with the conftest of this suite."""
    shutil.copy(CONFTEST, folder / "conftest.py")
    for name, source in files.items():
        (folder / f"{name}.py").write_text(f"{source}\n")
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--strict-markers", *_PLUGINS, *flags],
        cwd=folder,
        env={
            **_OUTSIDE,
            "PYTHONPATH": str(CONFTEST.parent),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            **environment,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return ran.stdout


@dataclass
class Runs:
    """What two runs printed: one that leaves nothing out, and one that leaves out all that can be,
    and fails; how many examples that fail the second tried.
    """

    whole: str
    left_out: str
    tried: int


def _runs(folder: Path, whole: tuple[str, ...], other: tuple[str, ...], **room: str) -> Runs:
    one, two = folder / "one", folder / "two"
    one.mkdir()
    two.mkdir()
    printed = closing_lines(one, *whole, environment=room, test_it=WHOLE)
    files = {"test_it": SKIPS, "test_skipped": SKIPPED, "test_examples": FAILS}
    left_out = closing_lines(two, "-k", "not test_b", *other, environment={}, **files)
    return Runs(printed, left_out, len((two / "tried").read_text()))


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """In one process, where there is no room for several."""
    return _runs(tmp_path_factory.mktemp("alone"), (), ("-n", "0"), **NO_ROOM)


@pytest.fixture(scope="module")
def in_parallel(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """In two."""
    return _runs(tmp_path_factory.mktemp("parallel"), ("-n", "2"), ("-n", "2"))


@pytest.fixture(params=["alone", "in_parallel"])
def runs(request: pytest.FixtureRequest) -> Runs:
    """One of them, and the other."""
    made: Runs = request.getfixturevalue(request.param)
    return made


def test_a_run_that_left_nothing_out_says_so(runs: Runs) -> None:
    """When every test ran, a line says that."""
    assert "Nothing was left out for want of something on this machine." in runs.whole
    assert "Nothing was left out" not in runs.left_out


def test_a_skip_is_listed_with_its_reason_and_what_would_let_it_run(runs: Runs) -> None:
    """A skipped test is named, with why, and with what to install."""
    assert (
        "1 left out: npm is not reachable\n"
        "    test_it.py::test_a\n"
        "    to run: install node and npm, and make the npm registry reachable\n"
    ) in runs.left_out


def test_a_skipped_file_is_listed(runs: Runs) -> None:
    """A file that skips itself as a whole does not vanish."""
    assert "1 left out: could not import 'no_such_package'" in runs.left_out


def test_deselected_tests_are_counted(runs: Runs) -> None:
    """Tests that a flag kept out are counted, too."""
    assert "1 tests were not selected (-k, -m or --deselect)." in runs.left_out
    assert "not selected" not in runs.whole


def test_a_run_over_processes_does_not_begin_without_room(alone: Runs, tmp_path: Path) -> None:
    """It says what is free, what it takes, and what to do; a run in one process begins."""
    over_two = closing_lines(tmp_path, "-n", "2", environment=NO_ROOM, test_it=WHOLE)

    assert f"GiB free, and a whole run takes up to {1 << 40}.\nhint: make room" in over_two
    assert "passed" not in over_two
    assert "1 passed" in alone.whole


def test_over_processes_a_failing_example_is_said_as_it_was_found(
    alone: Runs, in_parallel: Runs
) -> None:
    """With how to have it again. Alone, the test makes it small: the smallest that fails."""
    assert "@reproduce_failure(" in alone.left_out
    assert "@reproduce_failure(" in in_parallel.left_out
    assert in_parallel.tried < 10 <= alone.tried

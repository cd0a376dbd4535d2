"""A run says what it left out: nothing is skipped unseen. And it begins only where it can end."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).with_name("conftest.py")
# What a process of a run that is going on finds besides, is not for the run that it starts.
_OUTSIDE = {name: text for name, text in os.environ.items() if not name.startswith("PYTEST_")}


# In one process, and in two.
WAYS = pytest.mark.parametrize("way", [(), ("-n", "2")], ids=["alone", "in parallel"])


def closing_lines(folder: Path, source: str, *flags: str, **environment: str) -> str:
    """What a run of one test file prints, with the conftest of this suite."""
    shutil.copy(CONFTEST, folder / "conftest.py")
    (folder / "test_it.py").write_text(f"import pytest\n{source}\n")
    ran = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "--strict-markers",
            *flags,
        ],
        cwd=folder,
        env={**_OUTSIDE, "PYTHONPATH": str(CONFTEST.parent), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return ran.stdout


@WAYS
def test_a_run_that_left_nothing_out_says_so(tmp_path: Path, way: tuple[str, ...]) -> None:
    """When every test ran, a line says that."""
    printed = closing_lines(tmp_path, "@pytest.mark.row('R1')\ndef test_a(): ...", *way)

    assert "Nothing was left out for want of something on this machine." in printed


@WAYS
def test_a_skip_is_listed_with_its_reason_and_what_would_let_it_run(
    tmp_path: Path, way: tuple[str, ...]
) -> None:
    """A skipped test is named, with why, and with what to install."""
    printed = closing_lines(tmp_path, "def test_a(): pytest.skip('npm is not reachable')", *way)

    assert (
        "1 left out: npm is not reachable\n"
        "    test_it.py::test_a\n"
        "    to run: install node and npm, and make the npm registry reachable\n"
    ) in printed


@WAYS
def test_a_skipped_file_is_listed(tmp_path: Path, way: tuple[str, ...]) -> None:
    """A file that skips itself as a whole does not vanish."""
    printed = closing_lines(tmp_path, "pytest.importorskip('no_such_package')", *way)

    assert "1 left out: could not import 'no_such_package'" in printed


@WAYS
def test_deselected_tests_are_counted(tmp_path: Path, way: tuple[str, ...]) -> None:
    """Tests that a flag kept out are counted, too."""
    printed = closing_lines(tmp_path, "def test_a(): ...\ndef test_b(): ...", "-k", "test_a", *way)

    assert "1 tests were not selected (-k, -m or --deselect)." in printed


def test_a_run_over_processes_does_not_begin_without_room(tmp_path: Path) -> None:
    """It says what is free, what it takes, and what to do; a run in one process begins."""
    source, none = "def test_a(): ...", {"BAILEE_TESTS_ROOM": str(1 << 40)}
    over_two = closing_lines(tmp_path, source, "-n", "2", **none)
    alone = closing_lines(tmp_path, source, "-n", "0", **none)

    assert f"GiB free, and a whole run takes up to {1 << 40}.\nhint: make room" in over_two
    assert "passed" not in over_two
    assert "1 passed" in alone


def test_over_processes_a_failing_example_is_said_as_it_was_found(tmp_path: Path) -> None:
    """With how to have it again. Alone, the test makes it small: the smallest that fails."""
    source = """
from hypothesis import given, strategies as st

@given(st.lists(st.integers(0, 10**7), max_size=9))
def test_a(numbers):
    failing = sum(numbers) > 1000
    with open("tried", "a") as tried:
        tried.write("x" * failing)
    assert not failing
"""

    def tried(*way: str) -> int:
        (tmp_path / "tried").unlink(missing_ok=True)
        assert "@reproduce_failure(" in closing_lines(tmp_path, source, *way)
        return len((tmp_path / "tried").read_text())

    assert tried("-n", "2") < 10 <= tried("-n", "0")

"""tools/setup.sh: what `make up` and `make test` need is made once, and then left alone."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "tools/setup.sh"

# Stands in for Python: writes down how it was called, and makes a "virtual environment" of itself.
PYTHON = """#!/bin/sh
echo "$*" >> "{log}"
case "$*" in
    "-m venv .venv") {venv} ;;
    "-m uv --version") test -e .venv/uv ;;
    *"install"*"uv") touch .venv/uv ;;
esac
"""
MAKES = 'mkdir -p .venv/bin && cp "$0" .venv/bin/python'


class Checkout:
    """A checkout in a folder whose name has a space, with a stand-in for Python."""

    def __init__(self, folder: Path, venv: str = MAKES) -> None:
        self.root = folder / "a checkout"
        (self.root / "tools").mkdir(parents=True)
        shutil.copy(SCRIPT, self.root / "tools/setup.sh")
        (self.root / "pyproject.toml").write_text("one")
        (self.root / "uv.lock").write_text("two")
        self._log = folder / "log"
        self.python = folder / "python"
        self.python.write_text(PYTHON.format(log=self._log, venv=venv))
        self.python.chmod(0o755)

    def set_up(self, want: str) -> subprocess.CompletedProcess[str]:
        """Run the script from elsewhere, as make does not."""
        self._log.write_text("")
        return subprocess.run(
            [self.root / "tools/setup.sh", want],
            cwd=self.root.parent,
            env={"PATH": "/usr/bin:/bin", "PYTHON": str(self.python)},
            capture_output=True,
            text=True,
            check=False,
        )

    def made(self) -> list[str]:
        """What the last run did beyond asking for versions, a word for each."""
        words = {"-m venv": "venv", "-m pip": "uv", "-m uv sync": "packages"}
        lines = self._log.read_text().splitlines()
        return [w for line in lines for start, w in words.items() if line.startswith(start)]


@pytest.mark.parametrize("want", ["run", "dev"])
def test_the_first_run_makes_everything(tmp_path: Path, want: str) -> None:
    """From nothing: a virtual environment, uv into it, the packages of the lock."""
    checkout = Checkout(tmp_path)

    done = checkout.set_up(want)

    assert (0, ["venv", "uv", "packages"]) == (done.returncode, checkout.made()), done.stderr


def test_the_second_run_does_and_says_nothing(tmp_path: Path) -> None:
    """With everything as it was, there is nothing to do."""
    checkout = Checkout(tmp_path)
    checkout.set_up("dev")

    done = checkout.set_up("dev")

    assert ([], "") == (checkout.made(), done.stdout)


def test_what_a_developer_has_is_enough_to_run(tmp_path: Path) -> None:
    """After the fuller set-up, the smaller one has nothing to do."""
    checkout = Checkout(tmp_path)
    checkout.set_up("dev")
    checkout.set_up("run")

    assert [] == checkout.made()


def test_what_runs_is_not_enough_for_a_developer(tmp_path: Path) -> None:
    """After the smaller set-up, the fuller one installs what is missing."""
    checkout = Checkout(tmp_path)
    checkout.set_up("run")
    checkout.set_up("dev")

    assert ["packages"] == checkout.made()


@pytest.mark.parametrize("changed", ["uv.lock", "pyproject.toml"])
def test_a_changed_lock_is_installed(tmp_path: Path, changed: str) -> None:
    """When what is wanted has changed, packages are installed again and nothing else."""
    checkout = Checkout(tmp_path)
    checkout.set_up("dev")
    (checkout.root / changed).write_text("three")
    checkout.set_up("dev")

    assert ["packages"] == checkout.made()


def test_a_checkout_that_was_moved_is_set_up_anew(tmp_path: Path) -> None:
    """Programs in .venv point to where they were made; in another place they are made again."""
    checkout = Checkout(tmp_path)
    checkout.set_up("dev")
    checkout.root = checkout.root.rename(tmp_path / "elsewhere")
    checkout.set_up("dev")

    assert ["venv", "uv", "packages"] == checkout.made()


def test_a_python_that_is_too_old_is_refused(tmp_path: Path) -> None:
    """The refusal names the Python and says what to do."""
    checkout = Checkout(tmp_path)
    checkout.python.write_text("#!/bin/sh\nexit 1\n")

    done = checkout.set_up("dev")

    assert (1, True) == (done.returncode, "is not Python 3.11 or later.\nhint: " in done.stderr)


def test_a_virtual_environment_that_can_not_be_made_leaves_nothing_behind(tmp_path: Path) -> None:
    """A half-made .venv would pass for a whole one at the next run."""
    checkout = Checkout(tmp_path, venv="mkdir .venv; exit 1")

    done = checkout.set_up("dev")

    assert (1, False) == (done.returncode, (checkout.root / ".venv").exists())
    assert "hint: on Debian: apt-get install python3-venv" in done.stderr

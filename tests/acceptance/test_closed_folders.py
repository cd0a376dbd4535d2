"""As an ordinary user, among folders and files that they can't enter or read: root can read all, so
the program is run as somebody else where the tests are root's.

Rows: S6, R3.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from bailee.testing.upstream import ScriptedUpstream
from support.clients.programs import SILENT, clean_environment

NOBODY = 65534
SOURCES = [str(Path(__file__).parents[2] / "src"), *(one for one in sys.path if "site-pack" in one)]
Runs = Callable[..., "subprocess.CompletedProcess[str]"]


@cache
def interpreter() -> str | None:
    """A Python that an ordinary user can run, and the packages with it; None: there is none."""
    if os.geteuid() != 0:
        return sys.executable
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for program in (sys.executable, f"/usr/bin/{version}", f"/usr/local/bin/{version}"):
        try:
            done = subprocess.run(
                [program, "-c", "import bailee.cli, bailee.agent.session"],
                check=False, capture_output=True, user=NOBODY, group=NOBODY, extra_groups=[],
                env={"PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(SOURCES)}, cwd="/",
            )  # fmt: skip
        except OSError:
            continue
        if done.returncode == 0:
            return program
    return None


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that everybody can enter, with a person's home and a project in it."""
    made = Path(tempfile.mkdtemp(prefix="closed-"))
    made.chmod(0o755)
    for name in ("home", "outer/inner/project"):
        (made / name).mkdir(parents=True)
    yield made
    for folder in made.rglob("*"):
        folder.chmod(0o755)
    shutil.rmtree(made)


@pytest.fixture
def runs(place: Path, upstream: ScriptedUpstream) -> Runs:
    """Runs `bailee` as an ordinary user, whose all of the place is."""
    program = interpreter()
    if program is None:
        pytest.skip("the tests are root's, and no Python here can be run by anybody else")

    def run(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
        ours = {"PYTHONPATH": ":".join(SOURCES), "PYTHONDONTWRITEBYTECODE": "1"}
        model = {"ANTHROPIC_BASE_URL": upstream.url, "ANTHROPIC_AUTH_TOKEN": "bl_test"}
        who: dict[str, object] = {}
        if os.geteuid() == 0:
            for one in (place, *place.rglob("*")):
                os.chown(one, NOBODY, NOBODY)
            who = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
        return subprocess.run(  # type: ignore[call-overload,no-any-return]
            [program, "-m", "bailee", *arguments],
            check=False, capture_output=True, text=True, timeout=120, cwd=folder,
            stdin=subprocess.DEVNULL,
            env=clean_environment(place / "home", **model, **ours, **SILENT), **who,
        )  # fmt: skip

    return run


def test_what_they_can_not_enter_is_said_and_breaks_nothing(place: Path, runs: Runs) -> None:
    """Settings and instructions around a project that can't be read are wishes for privacy, and the
    work goes on. A session is listed whose project lies where nobody can go any more; in such a
    folder itself a command says so.
    """
    outer, project = place / "outer", place / "outer/inner/project"
    for name in (".claude", ".git", ".bailee"):
        (outer / name).mkdir()
    (outer / "AGENTS.md").write_text("Grow pears.")
    (outer / ".claude/settings.json").write_text("{}")
    for name in (".claude", ".git", ".bailee", "AGENTS.md"):
        (outer / name).chmod(0)
    done = runs("code", "-p", "hello", folder=project)
    assert (0, "Done.") == (done.returncode, done.stdout.strip())
    assert "count as a wish for privacy" in runs("flows", folder=project).stderr

    outer.chmod(0)
    listed = runs("local", "list", folder=place)
    assert (0, True) == (listed.returncode, str(project) in listed.stdout.replace("\n", ""))
    inside = runs("code", "-p", "hello", folder=project)
    assert 2 == inside.returncode
    assert "can't be entered" in inside.stderr
    assert "Traceback" not in done.stderr + listed.stderr + inside.stderr

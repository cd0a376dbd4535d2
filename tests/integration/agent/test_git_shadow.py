"""A git directory's stand-in, by itself: crashes, and what changed outside meanwhile."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bailee.agent.git_shadow import GitShadow

SIDE = b"ref: refs/heads/side\n"


@pytest.fixture
def real(tmp_path: Path) -> Path:
    """A git directory."""
    subprocess.run(["git", "init", "-q", "-b", "main", str(tmp_path)], check=True)
    return tmp_path / ".git"


def inside(shadow: GitShadow) -> Path:
    """Where a command would write."""
    return Path(list(shadow.mounts())[1])


def test_what_changed_on_both_sides_stays_as_it_is_outside(real: Path) -> None:
    """The command's is not taken over, which is told; refs are merged."""
    (real / "packed-refs").write_bytes(b"%s refs/heads/a\n" % (b"a" * 40))
    shadow = GitShadow(real)
    within = inside(shadow)
    (within / "HEAD").write_bytes(SIDE)
    (within / "packed-refs").write_bytes(b"%s refs/heads/b\n" % (b"b" * 40))
    (within / "ORIG_HEAD").write_bytes(b"new")
    (real / "HEAD").write_bytes(b"ref: refs/heads/outside\n")
    (real / "packed-refs").write_bytes(
        b"%s refs/heads/a\n%s refs/heads/c\n" % (b"a" * 40, b"c" * 40)
    )

    assert [f"{real}/HEAD"] == shadow.take_back()
    assert b"ref: refs/heads/outside\n" == (real / "HEAD").read_bytes()
    assert b"new" == (real / "ORIG_HEAD").read_bytes()
    packed = (real / "packed-refs").read_bytes()
    assert b"%s refs/heads/b\n%s refs/heads/c\n" % (b"b" * 40, b"c" * 40) in packed
    assert b"refs/heads/a" not in packed


def test_what_git_has_locked_is_left_alone(real: Path) -> None:
    """A lock of git's own, held outside, is respected."""
    shadow = GitShadow(real)
    (inside(shadow) / "HEAD").write_bytes(SIDE)
    (real / "HEAD.lock").touch()

    assert [f"{real}/HEAD"] == shadow.take_back()
    assert (real / "HEAD.lock").exists()
    assert b"ref: refs/heads/main\n" == (real / "HEAD").read_bytes()


CRASHES = """
import os, signal, sys
from pathlib import Path
from bailee.agent.git_shadow import GitShadow
within = Path(list(GitShadow(Path(sys.argv[1])).mounts())[1])
(within / "HEAD").write_bytes(b"ref: refs/heads/side\\n")
(within / "packed-refs").write_bytes(b"%s refs/heads/b\\n" % (b"b" * 40))
(within / "commondir").write_bytes(b"evil")
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.row("S7")
def test_after_a_kill_the_next_command_takes_over_what_was_done(real: Path) -> None:
    """Refs that were packed inside are not lost; one that somebody holds is left alone."""
    holder = GitShadow(real)
    subprocess.run([sys.executable, "-c", CRASHES, str(real)], check=False)
    assert b"ref: refs/heads/main\n" == (real / "HEAD").read_bytes()
    shadow = GitShadow(real)

    assert SIDE == (real / "HEAD").read_bytes()
    assert b"%s refs/heads/b\n" % (b"b" * 40) in (real / "packed-refs").read_bytes()
    assert not (real / "commondir").exists()
    assert 2 == len(list(real.glob("bailee-*")))
    assert [] == shadow.take_back()
    assert [] == holder.take_back()
    assert [] == list(real.glob("bailee-*"))

"""Which paths belong to a workspace, on a real file system."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bailee.agent.file_content import read_bytes, write_bytes
from bailee.agent.workspace import Workspace
from bailee.errors import InputError


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A folder with links in and out of it."""
    root = tmp_path / "work"
    (root / "sub").mkdir(parents=True)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "secret").write_text("secret")
    (root / "a").write_text("a")
    (root / "to-a").symlink_to("a")
    (root / "away").symlink_to(tmp_path / "out")
    (root / "sub" / "up").symlink_to("../..")
    (root / "loop").symlink_to("loop")
    (tmp_path / "work-not").mkdir()
    return Workspace(root)


parts = st.sampled_from(
    ["a", "sub", "up", "away", "secret", "..", ".", "to-a", "work", "x", "work-not"]
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(parts, min_size=1, max_size=6).map("/".join))
def test_inside_is_where_a_path_leads(workspace: Workspace, path: str) -> None:
    """However a path is spelled, it is inside exactly when what it leads to is."""
    place = workspace.place(path)
    real = os.path.realpath(workspace.root / path)

    assert str(place.real) == real
    assert (real == str(workspace.root) or real.startswith(f"{workspace.root}/")) is place.inside


@pytest.mark.parametrize(
    ("path", "inside"),
    [("a", True), ("to-a", True), ("away/secret", False), ("../work-not/x", False),
     ("sub/up/out/secret", False), ("/etc/passwd", False), ("~/x", False), ("new/deep/x", True)],
)  # fmt: skip
def test_links_do_not_open_what_lies_outside(workspace: Workspace, path: str, inside: bool) -> None:
    """Examples of the rule, with what is not there yet."""
    assert inside is workspace.place(path).inside


@pytest.mark.parametrize("path", ["", "a\0b", "loop"])
def test_what_can_not_be_a_path_is_refused(workspace: Workspace, path: str) -> None:
    """Empty, with a null byte, a loop."""
    with pytest.raises(InputError):
        workspace.place(path)


@pytest.mark.parametrize(
    "path", [".git/hooks/pre-commit", ".git/config", "sub/.git", ".GIT/x", ".claude/settings.json",
             ".bailee/settings.json", "/home/x/.claude/settings.json", ".mcp.json"],
)  # fmt: skip
def test_what_other_programs_obey_is_guarded(workspace: Workspace, path: str) -> None:
    """A write there asks a person, whatever the rules say."""
    assert workspace.place(path).guarded is not None


def test_ordinary_names_are_not_guarded(workspace: Workspace) -> None:
    """What only begins like a guarded name is free."""
    assert [None, None] == [workspace.place(p).guarded for p in (".gitignore", ".github/x.yml")]


def test_a_link_put_there_after_the_judgement_is_not_followed(
    workspace: Workspace, tmp_path: Path
) -> None:
    """Between the question and the write the file, or its folder, may have become a link."""
    place, deep = workspace.place("new"), workspace.place("sub/new")
    (workspace.root / "new").symlink_to(tmp_path / "out" / "secret")
    (workspace.root / "sub" / "up").unlink()
    (workspace.root / "sub").rmdir()
    (workspace.root / "sub").symlink_to(tmp_path / "out")
    for late in (place, deep):
        with pytest.raises(InputError):
            write_bytes(late, b"x")
        with pytest.raises(InputError):
            read_bytes(late)

    assert ["secret"] == _names(tmp_path / "out")
    assert "secret" == (tmp_path / "out" / "secret").read_text()


def test_a_write_keeps_the_mode_and_leaves_nothing_behind(workspace: Workspace) -> None:
    """An executable stays one; a new file has the usual mode; no temporary file stays."""
    (workspace.root / "a").chmod(0o750)
    write_bytes(workspace.place("to-a"), b"new")
    write_bytes(workspace.place("sub/b"), b"b")

    assert ("new", True) == (
        (workspace.root / "a").read_text(),
        (workspace.root / "to-a").is_symlink(),
    )
    assert 0o750 == stat.S_IMODE((workspace.root / "a").stat().st_mode)
    assert ["b", "up"] == _names(workspace.root / "sub")


def test_a_pipe_is_no_file_and_does_not_block(workspace: Workspace) -> None:
    """Reading a pipe nobody writes to is refused at once; so is a folder."""
    os.mkfifo(workspace.root / "pipe")
    for name in ("pipe", "sub"):
        with pytest.raises(InputError):
            read_bytes(workspace.place(name))


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_gits_configuration_names_is_guarded(tmp_path: Path) -> None:
    """Hooks in the workspace, further configuration and scripts, there or not: an edit of them is
    asked about, whatever rule allows edits.
    """
    (tmp_path / "ours").mkdir()
    (tmp_path / "watch.sh").touch()
    for words in (
        ("init", "-q"),
        ("config", "core.hooksPath", "ours"),
        ("config", "core.fsmonitor", "./watch.sh"),
        ("config", "include.path", "../later.config"),
    ):
        subprocess.run(["git", "-C", str(tmp_path), *words], check=True)
    workspace = Workspace(tmp_path)

    for name in ("ours/pre-commit", "watch.sh", "later.config"):
        assert workspace.place(name).guarded is not None, name
    assert workspace.place("a.py").guarded is None

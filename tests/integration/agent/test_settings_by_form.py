"""Settings of programs that nobody here knows: held in the sandbox by their form. What ordinary
tools leave is not.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from bailee.agent.inside import Granted
from bailee.agent.obeyed import ASIDE
from bailee.agent.sandbox import Sandbox, find
from bailee.agent.tools.arguments import Arguments
from bailee.agent.tools.bash import Bash
from bailee.agent.workspace import Workspace

PLACES = (".newtool/hooks.json", ".newtoolrc", "sub/.newtool/mcp.json", ".github/agents/x.json",
          ".config/newtool/run.toml", "src/deep/.new.js")  # fmt: skip


@pytest.fixture
def box(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    """The sandbox of this machine, in which `write` may be written."""
    found = find(granted=Granted(names=getattr(request, "param", ())))
    if found.program is None:
        pytest.skip(f"no sandbox here: {found.why}")
    yield found


def run(box: Sandbox, folder: Path, *commands: str) -> list[tuple[str, bool]]:
    """Commands, one after the other: what the model is told of each, and whether it failed."""
    bash = Bash(Workspace(folder), box, {**os.environ, "LANG": "C.UTF-8"})

    async def work() -> list[tuple[str, bool]]:
        made = [await bash.run(Arguments("Bash", {"command": text})) for text in commands]
        return [(str(one.content), one.is_error) for one in made]

    return asyncio.run(work())


def under(folder: Path, content: bytes) -> list[str]:
    """The files with that content; of what was put aside none can be entered."""
    return sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and ASIDE not in str(path) and path.read_bytes() == content
    )


@pytest.mark.row("S7")
@pytest.mark.parametrize("place", PLACES)
def test_an_unknown_programs_settings_are_neither_made_nor_changed(
    tmp_path: Path, box: Sandbox, place: str
) -> None:
    """New ones are put aside, and told; those that are there stay as they are, whatever is tried
    with them and with the folder that they are in.
    """
    path = tmp_path / place
    top = Path(place).parts[0]
    making = f"mkdir -p {Path(place).parent}; echo evil > {place}"
    [(told, failed)] = run(box, tmp_path, making)
    assert not failed
    assert "put aside, since" in told
    assert under(tmp_path, b"evil\n") == []

    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("mine\n")
    tries = f"{making}; rm -rf {place}; mv {place} x; mv {top} y; {making}; cp -r y/. {top}; true"
    run(box, tmp_path, tries)
    assert under(tmp_path, b"evil\n") == []
    assert under(tmp_path, b"mine\n") != []


@pytest.mark.row("S7")
def test_many_settings_are_held_without_a_mount_for_each(tmp_path: Path, box: Sandbox) -> None:
    """Of a thousand, the ones beyond the first hundred are looked at afterwards."""
    for number in range(300):
        (tmp_path / f"{number:03}" / ".newtool").mkdir(parents=True)
        (tmp_path / f"{number:03}" / ".newtool" / "mine").write_text("mine\n")
    (tmp_path / "299" / ".newtool" / "later").write_text("mine\n")
    command = "for n in *; do echo evil > $n/.newtool/mine; done; chmod +x 298/.newtool/mine; true"
    [(told, _)] = run(box, tmp_path, command)

    assert under(tmp_path, b"evil\n") == []
    assert "299" not in under(tmp_path, b"mine\n")
    assert "[and " in told
    assert len(told) < 20_000


@pytest.mark.row("S7")
@pytest.mark.parametrize("box", [(".newtool", ".claude")], indirect=True)
def test_a_person_lets_commands_write_a_name_and_never_a_known_one(
    tmp_path: Path, box: Sandbox
) -> None:
    """`sandbox.write` adds to what is inert; what is known to be settings stays held."""
    run(box, tmp_path, "mkdir -p a/.newtool a/.claude; echo 1 > a/.newtool/x; echo 1 > a/.claude/x")
    assert under(tmp_path, b"1\n") == ["a/.newtool/x"]
    guarded = Workspace(tmp_path, granted=(".newtool", ".claude"))
    assert guarded.place(".newtool/x").guarded is None
    assert guarded.place(".claude/x").guarded is not None
    assert guarded.place(".another/x").guarded is not None


@pytest.mark.row("S7")
def test_ordinary_work_leaves_nothing_that_is_held(tmp_path: Path, box: Sandbox) -> None:
    """Git, a virtual environment, what tools keep for themselves, and a project's own settings."""
    kept: Sequence[str] = (
        ".pytest_cache/README.md", ".mypy_cache/x", ".next/trace", ".env.local", ".gitignore",
        ".github/workflows/ci.yml", ".github/dependabot.yml", ".eslintrc.json", ".prettierrc",
        ".cache/.hidden/x", "target/debug/.fingerprint/x", "node_modules/.bin/x", ".venv/.x",
        "build/.new", ".coverage.host.1", ".foo_cache/x", ".npmrc",
    )  # fmt: skip
    making = "; ".join(f"mkdir -p $(dirname {name}); echo kept > {name}" for name in kept)
    work = (
        "python3 -m venv --without-pip .venv && .venv/bin/python -c 'import sys'",
        making,
        "rm -rf .next .foo_cache && mv .env.local .env && echo more >> .gitignore",
    )
    for told, failed in run(box, tmp_path, *work):
        assert (told, failed) == ("[no output]", False)
    assert len(under(tmp_path, b"kept\n")) == len(kept) - 3


@pytest.mark.row("S7")
def test_what_has_no_mount_is_not_changed_moved_or_linked(tmp_path: Path, box: Sandbox) -> None:
    """Not with its times put back, nor to another name, nor by its name to another folder."""
    for number in range(200):
        (tmp_path / f"{number:03}").mkdir()
        (tmp_path / f"{number:03}" / ".newtoolrc").write_text("mine\n")
    script = """
    turn() { case $((10#$1 % 4)) in
        0) cp -p $1/.newtoolrc /tmp/t; echo evil > $1/.newtoolrc; touch -r /tmp/t $1/.newtoolrc;;
        1) mv $1/.newtoolrc $1/.other;;
        2) ln $1/.newtoolrc $1/.linked;;
        3) mkdir x$1; mv $1/.newtoolrc x$1/;;
    esac; }
    for n in [0-9]*; do turn $n; done 2>/dev/null; true"""
    run(box, tmp_path, script)

    assert under(tmp_path, b"evil\n") == []
    left = under(tmp_path, b"mine\n")
    assert len(left) >= 100
    assert {Path(path).name for path in left} == {".newtoolrc"}
    assert not any(path.startswith("x") for path in left)

"""Bubblewrap itself: what a command in the sandbox can and can't do."""

from __future__ import annotations

import pytest

from bailee.agent.sandbox import find
from bailee.testing.agent import ScriptedModel, ScriptedPerson, calls

from .conftest import Work, results, take


def run(work: Work, command: str) -> tuple[str, bool]:
    """What the model is told of a command in the sandbox."""
    if find().program is None:
        pytest.skip(f"no sandbox here: {find().why}")
    session = work.session(ScriptedModel([calls("Bash", command=command)]), asker=ScriptedPerson())
    take(session, "run")
    return results(session)[0]


def test_the_workspace_is_writable_and_nothing_else(work: Work) -> None:
    """Files go into the workspace; elsewhere the file system is read-only."""
    where = f"{work.root}/x /etc/x {work.home}/x /usr/x /x"
    text, _ = run(work, f"for f in {where}; do touch $f 2>/dev/null && echo $f; done; true")

    assert f"{work.root}/x" == text
    assert (work.root / "x").exists()


def test_there_is_no_network(work: Work) -> None:
    """Not even this machine's own services can be reached."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        _, is_error = run(work, f"exec 3<>/dev/tcp/127.0.0.1/{port}")

    assert is_error


def test_keys_in_the_home_can_not_be_read(work: Work) -> None:
    """What programs keep credentials in is empty inside."""
    (work.home / ".ssh").mkdir()
    (work.home / ".ssh" / "id").write_text("PRIVATE")
    (work.home / ".netrc").write_text("PRIVATE")
    (work.home / "notes").write_text("open")
    text, _ = run(work, "cat ~/notes ~/.ssh/* ~/.netrc; ls -a ~/.ssh")

    assert "PRIVATE" not in text
    assert text.startswith("open")


def test_git_works_and_its_hooks_can_not_be_written(work: Work) -> None:
    """A commit is possible; a hook, which would run outside later, is not."""
    work.write(a_txt="a\n")
    hook = "echo evil > .git/hooks/pre-commit && echo written; git config core.x y && echo set"
    who = "git -c user.name=t -c user.email=t@example.org"
    text, _ = run(
        work,
        f"echo b > a.txt && {who} commit -qam two && git log --oneline; {hook}; "
        "mv .git g && echo moved; true",
    )

    assert "two" in text
    assert not {"written", "set", "moved"} & set(text.split("\n"))


def test_other_processes_are_not_there(work: Work) -> None:
    """A command sees and signals none but its own."""
    text, _ = run(work, "ls /proc | grep -c '^[0-9]'; kill -0 -1 && true; echo $$")

    assert int(text.split("\n")[0]) < 6

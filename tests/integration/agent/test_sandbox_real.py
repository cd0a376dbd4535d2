"""Bubblewrap itself: what a command in the sandbox can and can't do."""

from __future__ import annotations

from pathlib import Path

import pytest

from bailee.agent.sandbox import find
from bailee.testing.agent import ScriptedModel, ScriptedPerson, calls

from .conftest import Work, results, take


def run(work: Work, command: str, within: int = 60, **options: object) -> tuple[str, bool]:
    """What the model is told of a command in the sandbox."""
    if find().program is None:
        pytest.skip(f"no sandbox here: {find().why}")
    session = work.session(
        ScriptedModel([calls("Bash", command=command, timeout=within)]),
        asker=ScriptedPerson(),
        **options,
    )
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


def test_of_the_home_nothing_is_there_but_toolchains_and_what_was_granted(work: Work) -> None:
    """Neither what is known to hold credentials nor anything else; `sandbox.read` grants more."""
    credentials = ".ssh/id .netrc .cargo/credentials.toml .config/rclone/x .m2/settings.xml"
    for name in (*credentials.split(), ".m2/repository/x", ".cargo/bin/x", "notes", "data/x"):
        (work.home / name).parent.mkdir(parents=True, exist_ok=True)
        (work.home / name).write_text(name)
    text, _ = run(work, "cd; find . -type f | sort", readable=[work.home / "data"])

    assert "./.cargo/bin/x\n./.m2/repository/x\n./data/x" == text


@pytest.mark.parametrize("how", ["granted", "workspace"])
def test_a_home_that_is_in_sight_shows_nothing_with_a_dot(work: Work, how: str) -> None:
    """Credentials have any name there, and shells run what they find: nothing of that can be read,
    changed or made; toolchains are there.
    """
    for name in (".s3cfg", ".config/x/y", ".bashrc", ".local/share/x", ".cargo/bin/x", "notes"):
        (work.home / name).parent.mkdir(parents=True, exist_ok=True)
        (work.home / name).write_text("pears")
    (work.home / ".linked").symlink_to("notes")
    options = {"readable": [work.home]} if how == "granted" else {}
    if how == "workspace":
        work.root = work.home
    put = "for f in .bashrc .zshrc .local/bin/x; do mkdir -p $(dirname $f); echo evil > $f; done"
    text, _ = run(work, f"cd; grep -rls pears . | sort; {put} 2> /dev/null; true", **options)
    made = {str(f.relative_to(work.home)) for f in work.home.rglob("*") if f.is_file()}

    assert text.startswith("./.cargo/bin/x")
    assert "pears" == (work.home / ".bashrc").read_text()
    assert not {".s3cfg", ".config/x/y", ".local/share/x", ".linked"} & set(text.split("\n"))
    assert not {".zshrc", ".local/bin/x"} & made


def test_credentials_in_gits_own_configuration_stay_outside(work: Work) -> None:
    """Logins in addresses and headers: git works without them, and the file is as it was."""
    work.git("remote", "add", "o", "https://ann:pears@git.example/a")
    work.git("config", "http.https://git.example/.extraheader", "AUTHORIZATION: basic pears")
    work.git("config", "credential.helper", "!f() { echo password=pears; }; f")
    before = (work.root / ".git" / "config").read_bytes()
    text, _ = run(work, "git remote -v; git config --list; cat .git/config; git config x.y z")

    assert "https://git.example/a (push)" in text and "pears" not in text
    assert before == (work.root / ".git" / "config").read_bytes()


def test_of_the_machine_nothing_is_there_but_the_system(work: Work) -> None:
    """Other folders of the machine are not visible, and of /etc what everybody may read."""
    (work.root.parent / "other").write_text("PRIVATE")
    text, _ = run(work, f"cat {work.root.parent}/other /etc/shadow; ls /; id -u")

    assert "PRIVATE" not in text and "root:" not in text
    assert not {"home", "srv", "mnt", "work", "boot"} & set(text.split("\n"))


def test_variables_are_those_that_are_known_to_be_harmless(work: Work) -> None:
    """A credential has any name: what is not on the list is not there, unless it was named."""
    names = ("PGPASSWORD", "MYSQL_PWD", "DATABASE_URL", "GH_PAT", "FOO", "LC_TIME", "GOFLAGS")
    work.environment |= dict.fromkeys(names, "pears")
    text, _ = run(work, "env | grep pears | sort", variables=["FOO"])

    assert "FOO=pears\nGOFLAGS=pears\nLC_TIME=pears" == text


def test_temporary_files_have_a_place(work: Work) -> None:
    """Also where the person's TMPDIR is a folder that is not there inside."""
    work.environment["TMPDIR"] = str(work.root.parent)
    text, is_error = run(work, "mktemp && python3 -c 'import tempfile; tempfile.TemporaryFile()'")

    assert not is_error and text.startswith("/tmp/tmp.")


def test_git_works_and_its_hooks_can_not_be_written(work: Work) -> None:
    """A commit is possible; a hook, which would run outside later, is not; and configuration stays
    inside, which is said.
    """
    work.write(a_txt="a\n")
    hook = "echo evil > .git/hooks/pre-commit && echo written; git config core.x y && echo set"
    who = "git -c user.name=t -c user.email=t@example.org"
    text, _ = run(
        work,
        f"echo b > a.txt && {who} commit -qam two && git log --oneline; {hook}; "
        "mv .git g && echo moved; true",
    )

    assert "two" in text
    assert not {"written", "moved"} & set(text.split("\n"))
    assert f"[not taken over: {work.root}/.git/config]" in text
    assert "x = y" not in (work.root / ".git" / "config").read_text()


def test_other_processes_are_not_there(work: Work) -> None:
    """A command sees and signals none but its own."""
    text, _ = run(work, "ls /proc | grep -c '^[0-9]'; kill -0 -1 && true; echo $$")

    assert int(text.split("\n")[0]) < 6


@pytest.mark.parametrize("sandboxed", [True, False])
@pytest.mark.parametrize("end", ["", "; sleep 60"])
def test_nothing_of_a_command_lives_on(work: Work, sandboxed: bool, end: str) -> None:
    """Whether it ends or its time is up, and in or out of the sandbox: a child with a session of
    its own, and its child, end with it.
    """
    late = "setsid sh -c 'setsid sleep 61 & sleep 61' > /dev/null 2>&1 &"
    command = f"{late} sleep 0.3{end}"
    run(work, command, within=1, sandbox=sandboxed)
    assert [] == [
        process
        for process in Path("/proc").glob("[0-9]*")
        if _of(process, str(work.root)) and "sleep" in _command(process)
    ]


def _of(process: Path, folder: str) -> bool:
    """Whether a process works in a folder."""
    try:
        return str((process / "cwd").readlink()) == folder
    except OSError:
        return False


def _command(process: Path) -> str:
    try:
        return (process / "cmdline").read_text()
    except OSError:
        return ""

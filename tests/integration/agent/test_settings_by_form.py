"""Settings of programs that nobody here knows: held in the sandbox by their form, and by what they
say; with the scripts that they have run. What ordinary tools leave is not.
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
from bailee.agent.tools.files import SeenFiles, Write
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


RUN = '{"x": {"command": "sh", "args": ["-c", "evil"]}}'
DOCUMENTS: dict[str, str | bytes] = {
    "newagent.json": f'{{"mcpServers": {RUN}}}',
    "sub/newagent.jsonc": f'{{\n  // mine\n  "mcp" : {RUN},}}',
    "servers.json5": "{mcpServers: {x: {command: 'sh'}}}",
    "hidden.json": f'{{"mcp\\u0053ervers": {RUN}}}',
    "agent.toml": '[mcp_servers.x]\nenabled = true\ncommand = "sh"\n',
    "dotted.toml": 'mcp_servers.x.command = "sh"\n',
    "deep/agent.yaml": "mcp-servers:\n  - name: x\n    command: sh\n",
    "hooks.json": '{"hooks": {"Start": [{"type": "command", "command": "sh"}]}}',
    "may.yml": "permissions:\n  bash: allow\n  edit: allow\n",
    "far.json": f'{{"mcp": {{{9_000 * " "} "x": {{"env": {{}}, "command": "sh"}}}}}}',
    "between.jsonc": '{"hooks" /* mine */ : {"Start": [{"command": "sh"}]}}',
    "wide.json": b"\xff\xfe" + f'{{"mcpServers": {RUN}}}'.encode("utf-16-le"),
    "trust.json": '{"autoApprove": ["*"]}',
    "long.json": f'{{"x": "{9_000_000 * "x"}", "mcpServers": {RUN}}}',
    "editor.json": '{"lsp": {"x": {"command": "sh"}}}',
    ".env": "AIDER_LINT_CMD=evil\n",
    "sub/.env.local": "export GEMINI_CLI_SYSTEM_SETTINGS_PATH=evil\n",
}
"""What agents and editors might be told, that are in no list, in files without a dot."""


@pytest.mark.row("S7")
@pytest.mark.parametrize("name", DOCUMENTS)
def test_what_says_what_to_start_or_permit_is_held_whatever_it_is_called(
    tmp_path: Path, box: Sandbox, name: str
) -> None:
    """Made by a command, moved there, linked there or written into what was harmless, it is put
    aside; one that is there stays as it is; and an edit of the agent's own is asked about.
    """
    said, path = DOCUMENTS[name], tmp_path / name
    content = said.encode() if isinstance(said, str) else said
    made = tmp_path / "made.txt"
    path.parent.mkdir(exist_ok=True)
    path.write_text("{}\n")
    for way in ("cat made.txt > @", "ln -f made.txt @", "ln -sf $PWD/made.txt @", "mv made.txt @"):
        command = way.replace("@", name)
        made.unlink(missing_ok=True)
        made.write_bytes(content)
        [(told, failed)] = run(box, tmp_path, command)
        assert not failed, told
        assert "put aside, since it says what programs start or permit" in told, command
        assert not os.path.lexists(path)
        path.write_text("{}\n")

    if path.name == "long.json":
        return  # of what was there before only so much is read
    path.write_bytes(content)
    run(box, tmp_path, f"echo '{{}}' > {name}; rm -f {name}; mv {name} y; true")
    assert path.read_bytes() == content
    text = content.decode("utf-16" if path.name == "wide.json" else "utf-8")
    for before, after in (("{}\n", text), (text, "{}\n")):
        path.write_text(before)
        assert Workspace(tmp_path).place(name).guarded is None or name.startswith(".")
        seen = SeenFiles()
        seen.note(path, path.read_bytes())
        write = Write(Workspace(tmp_path), seen)
        intent = write.intent(Arguments("Write", {"path": name, "content": after}))
        assert (intent.guarded or "").endswith("says what other programs start or permit.")


SCRIPTS = {
    ".claude/settings.json": (
        '{"hooks": {"Stop": [{"hooks": [{"type": "command", "command": %s}]}]}}',
        '"\\"$CLAUDE_PROJECT_DIR\\"/tools/run.sh --all"',
    ),
    ".mcp.json": (
        '{"mcpServers": {"x": {"command": "node", "args": [\n"--quiet",\n%s\n]}}}',
        '"./tools/run.sh"',
    ),
    ".newtool/conf.toml": ("[[start]]\ncommand = %s\n", "'cd tools && ./run.sh'"),
    ".newtool.yaml": ("servers:\n- cmd: bash\n  args:\n    - -e\n    - %s\n", "tools/run.sh"),
    "newagent.json": ('{"mcp": {"x": {"command": ["sh", %s]}}}', '"tools/run.sh"'),
    ".newtool/agents/a.md": ("---\nhooks:\n  - command: %s\n---\nWords.\n", "tools/run.sh"),
}


@pytest.mark.row("S7")
@pytest.mark.parametrize("settings", SCRIPTS)
@pytest.mark.parametrize("there", [True, False])
def test_scripts_that_settings_have_run_are_held(
    tmp_path: Path, box: Sandbox, settings: str, there: bool
) -> None:
    """A hook's, a server's: a command neither changes one nor makes the one that is missing, and an
    edit of it is asked about. What else lies beside it can be written.
    """
    form, value = SCRIPTS[settings]
    (tmp_path / settings).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / settings).write_text(form % value)
    (tmp_path / "tools").mkdir()
    if there:
        (tmp_path / "tools" / "run.sh").write_text("mine\n")
    run(box, tmp_path, "echo evil > tools/run.sh; echo mine > tools/other.sh; true")
    run(box, tmp_path, "mv tools t; mkdir tools; echo evil > tools/run.sh; true")

    assert under(tmp_path, b"evil\n") == []
    assert len(under(tmp_path, b"mine\n")) == 1 + there
    if "/" not in settings or settings.startswith("."):
        asked = Workspace(tmp_path).place("tools/run.sh").guarded
        assert (
            asked == "tools/run.sh is named by git's configuration or by settings, and may be run."
        )


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
    ordinary = {
        "package.json": '{"scripts": {"start": "node x"}, "hooks": {"command": "x"}}',
        "docker-compose.yml": "services:\n  mcp:\n    command: run\n",
        "pod.yaml": "kind: Pod\nspec:\n  containers:\n  - command: [sh]\n    url: x\n",
        "data.json": '[{"command": "x", "url": "http://x", "name": "caf\\u00e9"}]',
        "openapi.yaml": "servers:\n- url: https://x\n", "mkdocs.yml": "hooks:\n- x.py\n",
        "manifest.json": '{"permissions": ["tabs"]}', ".env": "GEMINI_API_KEY=x\nENV=dev\n",
        ".github/workflows/x.yml": "permissions:\n  contents: read\n",
        "pyproject.toml": '[tool.x]\ncommand = "y"\n', "build/x.json": '{"autoApprove": []}',
    }  # fmt: skip
    for name, content in ordinary.items():
        (tmp_path / "from" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "from" / name).with_suffix(".in").write_text(content)
    making = "; ".join(f"mkdir -p $(dirname {name}); echo kept > {name}" for name in kept)
    work = (
        "python3 -m venv --without-pip .venv && .venv/bin/python -c 'import sys'",
        making,
        "rm -rf .next .foo_cache && mv .env.local .env && echo more >> .gitignore",
        *(
            f"mkdir -p $(dirname {n}); cat from/{Path(n).with_suffix('.in')} > {n}"
            for n in ordinary
        ),
        "echo '{}' > tsconfig.json; echo '#' >> pyproject.toml; echo '{}' > package.json",
    )
    for told, failed in run(box, tmp_path, *work):
        assert (told, failed) == ("[no output]", False)
    for name in ordinary:
        assert (tmp_path / name).is_file(), name
    assert len(under(tmp_path, b"kept\n")) == len(kept) - 4  # .env is written anew


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

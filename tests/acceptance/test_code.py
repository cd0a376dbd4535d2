"""`bailee code -p` as programs use it: real processes, a scripted model, a real gateway."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bailee.cli.coding import _standard_input
from bailee.testing.upstream import AssistantMessage, Failure, ScriptedUpstream, Text, ToolUse
from support.clients import processes
from support.clients.programs import SILENT, Bailee, clean_environment


class Coder:
    """`bailee code` in a folder that is a git repository, with a home of its own."""

    def __init__(self, folder: Path, address: str, key: str) -> None:
        self.root = folder / "project"
        self.root.mkdir()
        self.home = folder / "coder"
        self.home.mkdir()
        self.environment = clean_environment(
            self.home, ANTHROPIC_BASE_URL=address, ANTHROPIC_AUTH_TOKEN=key, **SILENT
        )
        subprocess.run(["git", "init", "-q", str(self.root)], check=True)
        (self.root / "orchard.py").write_text("TREES = 7\n")

    def spawn(self, *arguments: str, given: bool = False, **environment: str) -> processes.Process:
        """The process; with `given`, something will be written to its standard input."""
        env = {**self.environment, **environment}
        return processes.start("code", *arguments, env=env, folder=self.root, given=given)

    def run(self, *arguments: str, given: str = "", **environment: str) -> tuple[int, str, str]:
        """To its end: exit status, standard output, standard error."""
        process = self.spawn(*arguments, given=bool(given), **environment)
        out, errors = process.communicate(given or None, timeout=300)
        return process.wait(), out, errors

    def json(self, *arguments: str) -> dict[str, Any]:
        """One prompt that succeeds, and its result."""
        status, out, errors = self.run(*arguments, "--output-format", "json")
        assert (0, "") == (status, errors)
        result: dict[str, Any] = json.loads(out)
        return result


@pytest.fixture
def coder(tmp_path: Path, upstream: ScriptedUpstream) -> Coder:
    """The agent in front of the scripted model, with no gateway between."""
    return Coder(tmp_path, upstream.url, "bl_test")


@pytest.mark.row("D3", "R1", "D4")
def test_a_session_through_the_gateway_is_held_whole(
    served: Callable[..., Bailee], upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    """An edit over two runs, the second with --continue: one session, its id known to both sides,
    each request rebuilt exactly, and not a word of it in the clear on either disk.
    """
    bailee = served()
    coder = Coder(tmp_path, bailee.ready["gateway"], bailee.ready["key"])
    upstream.then(
        ToolUse("Read", {"path": "orchard.py"}),
        ToolUse("Edit", {"path": "orchard.py", "old": "TREES = 7", "new": "TREES = 8"}),
        Text("One quince tree more."),
        Text("Eight, by the quince clock."),
    )
    first = coder.json("-p", "Plant a tree", "--allowed-tools", "Edit")
    second = coder.json("-p", "How many now?", "--continue")

    assert "TREES = 8\n" == (coder.root / "orchard.py").read_text()
    assert ("One quince tree more.", 3) == (first["result"], first["num_turns"])
    assert "Eight, by the quince clock." == second["result"]
    (session,) = bailee.sessions()
    assert first["session_id"] == second["session_id"] == session["id"]
    assert 4 == session["exchanges"]
    exported = bailee.run("sessions", "export", session["id"]).stdout.splitlines()
    rebuilt = [json.loads(line)["request"] for line in exported if "request" in json.loads(line)]
    assert [r.json for r in upstream.conversations] == rebuilt
    bailee.stop()
    assert [] == bailee.holds(b"quince", b"TREES")
    kept = [file for file in coder.home.rglob("*") if file.is_file()]
    assert [] == [f for f in kept if b"quince" in f.read_bytes() or b"TREES" in f.read_bytes()]


@pytest.mark.row("R3")
def test_after_kill_9_the_session_goes_on_from_what_was_done(
    coder: Coder, upstream: ScriptedUpstream
) -> None:
    """Killed within a command: what was done is there, and the command is not claimed."""
    upstream.then(
        ToolUse("Write", {"path": "one.txt", "content": "1\n"}),
        ToolUse("Bash", {"command": "touch begun; sleep 1000"}),
        Text("Resumed."),
    )
    process = coder.spawn("-p", "Do both", "--allowed-tools", "Write Bash")
    while not (coder.root / "begun").exists():
        assert process.poll() is None
        time.sleep(0.05)
    process.kill()
    process.communicate()

    result = coder.json("-p", "And?", "--continue")

    assert "Resumed." == result["result"]
    messages = upstream.conversations[-1].json["messages"]
    shape = [(m["role"], [block["type"] for block in m["content"]]) for m in messages]
    assert [
        ("user", ["text"]),
        ("assistant", ["tool_use"]),
        ("user", ["tool_result"]),
        ("assistant", ["tool_use"]),
        ("user", ["tool_result", "text"]),
    ] == shape
    assert "1 lines added" in messages[2]["content"][0]["content"]
    lost, prompt = messages[4]["content"]
    assert (True, "And?") == (lost["is_error"], prompt["text"])
    assert "not known" in lost["content"]


def test_nothing_is_kept_here_when_the_setting_is_0(
    coder: Coder, upstream: ScriptedUpstream
) -> None:
    """With cleanupPeriodDays 0 there is nothing to resume, and no file holds a word."""
    settings = '{"cleanupPeriodDays": 0}'
    assert 0 == coder.run("-p", "quince", "--settings", settings)[0]
    status, _, errors = coder.run("-p", "on", "--continue")

    assert (2, True) == (status, "no session of this folder" in errors)
    assert [] == [f for f in coder.home.rglob("*") if f.is_file() and b"quince" in f.read_bytes()]


def test_unattended_means_no(coder: Coder, upstream: ScriptedUpstream) -> None:
    """What needs permission is refused with a reason, which the result and standard error say."""
    upstream.then(ToolUse("Bash", {"command": "touch evil"}), Text("I may not."))
    status, out, errors = coder.run("-p", "try", "--output-format", "json")

    result = json.loads(out)
    assert (0, "I may not.") == (status, result["result"])
    assert [{"command": "touch evil"}] == [d["tool_input"] for d in result["permission_denials"]]
    assert "refused: Run a command" in errors
    assert not (coder.root / "evil").exists()


def test_settings_deny_what_the_command_line_allows(
    coder: Coder, upstream: ScriptedUpstream
) -> None:
    """A rule that denies holds in whatever scope; a project's settings can't allow."""
    (coder.root / ".bailee").mkdir()
    rules = {"permissions": {"deny": ["Bash(touch evil:*)"], "allow": ["Write"]}}
    (coder.root / ".bailee" / "settings.json").write_text(json.dumps(rules))
    upstream.then(
        ToolUse("Bash", {"command": "touch evil"}),
        ToolUse("Write", {"path": "w", "content": "x"}),
        ToolUse("Bash", {"command": "touch good"}),
    )
    result = json.loads(
        coder.run("-p", "x", "--allowedTools", "Bash", "--output-format", "json")[1]
    )

    assert ["Bash", "Write"] == [d["tool_name"] for d in result["permission_denials"]]
    assert ["good"] == [n for n in ("evil", "w", "good") if (coder.root / n).exists()]


def test_stream_json_says_what_happens_as_it_happens(
    coder: Coder, upstream: ScriptedUpstream
) -> None:
    """A line for each message, first the session, last the result."""
    upstream.then(ToolUse("Read", {"path": "orchard.py"}), Text("Seven."))
    status, out, _ = coder.run("-p", "count", "--output-format", "stream-json")
    lines = [json.loads(line) for line in out.splitlines()]

    assert 0 == status
    assert ["system", "assistant", "user", "assistant", "result"] == [x["type"] for x in lines]
    assert {lines[0]["session_id"]} == {line["session_id"] for line in lines}
    assert "TREES = 7" in lines[2]["message"]["content"][0]["content"]
    usage = {"input_tokens": 24, "output_tokens": 14}
    assert ("success", "Seven.", usage) == tuple(
        lines[4][k] for k in ("subtype", "result", "usage")
    )


@pytest.mark.parametrize(
    ("arguments", "given", "asked"),
    [(("-p", "hello"), "", "hello"), (("-p", "sum up"), "1\n2\n", "sum up\n\n1\n2\n"),
     (("-p",), "only this", "only this"), (("-p", "--model", "m"), "x", "x")],
)  # fmt: skip
def test_the_prompt_is_the_flag_and_standard_input(
    coder: Coder, upstream: ScriptedUpstream, arguments: tuple[str, ...], given: str, asked: str
) -> None:
    """Either, or both, in this order; text on standard output is the answer alone."""
    assert (0, "Done.\n", "") == coder.run(*arguments, given=given)
    request = upstream.conversations[0]
    assert asked == request.json["messages"][0]["content"][0]["text"]
    session = request.header("x-claude-code-session-id")
    assert session == json.loads(request.json["metadata"]["user_id"])["session_id"]
    assert "Bearer bl_test" == request.header("authorization")


@pytest.mark.parametrize(
    ("turns", "arguments", "environment", "status", "said"),
    [
        ([], ("-p", ""), {}, 2, "no prompt"),
        ([], ("-p", "x"), {"ANTHROPIC_AUTH_TOKEN": ""}, 2, "no key"),
        ([], ("-p", "x", "--output-format", "xml"), {}, 2, "not an output format"),
        ([], ("-p", "x", "--resume", "12345678"), {}, 2, "no session 12345678"),
        ([], ("-p", "x", "--continue"), {}, 2, "no session of this folder"),
        ([], ("-p", "x", "--continue", "--resume", "1"), {}, 2, "together"),
        ([], ("-p", "x", "--allowed-tools", "Bash("), {}, 2, "is not a permission rule"),
        ([], ("-p", "x"), {"ANTHROPIC_BASE_URL": "http://127.0.0.1:1"}, 4, "can't be reached"),
        ([], ("x",), {}, 2, "not a terminal"),
        ([], ("-p", "x"), dict.fromkeys(("CLAUDE_CODE_USE_BEDROCK", "CLAUDE_CODE_USE_VERTEX"), "1"),
         2, "both"),
        ([Failure(401, "authentication_error", "bad key")], ("-p", "x"), {}, 2, "bad key"),
        ([Failure(400, "invalid_request_error", "odd")], ("-p", "x"), {}, 2, "odd"),
        ([Failure(404, "not_found_error", "model")], ("-p", "x"), {}, 2, "--model"),
        ([Text("half", stop_reason="max_tokens")], ("-p", "x"), {}, 7, ""),
        ([Text("no", stop_reason="refusal")], ("-p", "x"), {}, 7, ""),
        ([ToolUse("Glob", {"pattern": "*"})], ("-p", "x", "--max-turns", "1"), {}, 7, ""),
    ],
)  # fmt: skip
def test_exit_statuses(
    coder: Coder,
    upstream: ScriptedUpstream,
    turns: list[Any],
    arguments: tuple[str, ...],
    environment: dict[str, str],
    status: int,
    said: str,
) -> None:
    """Who must act is in the exit status, what happened in a line, what to do in a hint."""
    upstream.then(*turns)
    ended, _, errors = coder.run(*arguments, **environment)

    assert status == ended, errors
    assert said in errors
    assert "Traceback" not in errors
    ends_with_an_error = any(line.startswith("error: ") for line in errors.splitlines())
    assert bool(said) is ends_with_an_error


def test_an_error_is_an_object_where_objects_are_read(
    coder: Coder, upstream: ScriptedUpstream
) -> None:
    """With json the error is the result, with the same exit status."""
    upstream.then(Failure(400, "invalid_request_error", "odd"))
    status, out, _ = coder.run("-p", "x", "--output-format", "json")

    result = json.loads(out)
    assert (2, True) == (status, result["is_error"])
    assert "odd" in result["result"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_work_and_the_session_can_be_resumed(
    coder: Coder, upstream: ScriptedUpstream, number: signal.Signals
) -> None:
    """Exit status 130, the command is dead, the call has its result."""
    upstream.then(ToolUse("Bash", {"command": "echo $$ > begun; exec sleep 1000"}), Text("On."))
    process = coder.spawn("-p", "sleep", "--allowed-tools", "Bash", "--no-sandbox")
    begun = coder.root / "begun"
    while not (begun.exists() and begun.read_text().strip()):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(number)
    process.communicate(timeout=60)

    assert 130 == process.returncode
    with pytest.raises(ProcessLookupError):
        os.kill(int(begun.read_text()), 0)
    assert "On." == coder.json("-p", "go on", "--continue")["result"]
    results = upstream.conversations[-1].json["messages"][2]["content"]
    assert ["tool_result", "text", "text"] == [block["type"] for block in results]


@pytest.mark.parametrize(
    ("environment", "path"),
    [
        ({"CLAUDE_CODE_USE_BEDROCK": "1", "CLAUDE_CODE_SKIP_BEDROCK_AUTH": "1"}, "/model/"),
        ({"CLAUDE_CODE_USE_VERTEX": "1", "CLAUDE_CODE_SKIP_VERTEX_AUTH": "1",
          "ANTHROPIC_VERTEX_PROJECT_ID": "p"}, "/projects/p/"),
    ],
)  # fmt: skip
@pytest.mark.row("D3")
def test_bedrock_and_vertex(
    coder: Coder, upstream: ScriptedUpstream, environment: dict[str, str], path: str
) -> None:
    """The provider's variables select its paths and formats, through a gateway's base URL."""
    addresses = {
        "ANTHROPIC_BEDROCK_BASE_URL": upstream.url,
        "ANTHROPIC_VERTEX_BASE_URL": upstream.url,
    }
    upstream.then(AssistantMessage(({"type": "text", "text": "Across the clouds."},)))
    status, out, errors = coder.run("-p", "x", **environment, **addresses)

    assert (0, "Across the clouds.\n", "") == (status, out, errors)
    assert path in upstream.conversations[0].path
    assert "Bearer bl_test" == upstream.conversations[0].header("authorization")
    assert upstream.conversations[0].header("x-claude-code-session-id") is not None


@pytest.mark.row("D1")
def test_the_embedded_model_answers(bailee: Bailee, tmp_path: Path) -> None:
    """With no upstream set: the whole way from a package to an answer, nothing else needed."""
    ready = bailee.up()
    coder = Coder(tmp_path, ready["gateway"], ready["key"])
    result = coder.json("-p", "Say hello.")

    assert ("success", True) == (result["subtype"], bool(result["result"].strip()))
    (session,) = bailee.sessions()
    assert result["session_id"] == session["id"]


def test_commands_do_not_see_the_key(coder: Coder, upstream: ScriptedUpstream) -> None:
    """The model's credential is in no command's environment, nor in its parents' (/proc)."""
    command = "env; cat /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n'; true"
    upstream.then(ToolUse("Bash", {"command": command}))
    coder.run("-p", "x", "--allowed-tools", "Bash")

    said = upstream.conversations[-1].json["messages"][-1]["content"][0]["content"]
    assert "HOME=" in said
    assert "bl_test" not in said


# -- odd environments -----------------------------------------------------------------------------


def test_an_output_that_takes_nothing_is_a_store_that_failed(
    coder: Coder, upstream: ScriptedUpstream
) -> None:
    """A full disk under standard output, in each form: exit status 6, said once."""
    for form in ("text", "json", "stream-json"):
        with Path("/dev/full").open("w") as full:
            process = processes.start(
                "code", "-p", "x", "--output-format", form,
                env=coder.environment, folder=coder.root, stdout=full,
            )  # fmt: skip
            _, errors = process.communicate(timeout=60)
        said = "error: standard output can't be written: No space left on device.\n"
        assert (6, said) == (process.wait(), errors)


def test_closed_streams_are_no_defects(coder: Coder, upstream: ScriptedUpstream) -> None:
    """Without an output nothing is asked and paid for; what is meant for a closed standard error
    does not go among the answer.
    """
    command = f"exec {sys.executable} -m bailee code -p x "
    upstream.then(ToolUse("Bash", {"command": "ls"}), Text("So be it."))

    def run(how: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", "-c", command + how],
            check=False, cwd=coder.root, env=coder.environment, capture_output=True, text=True,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip

    closed = run(">&-")
    assert (2, True) == (closed.returncode, "standard output is closed" in closed.stderr)
    assert [] == upstream.conversations
    silent = run("2>&- <&-")
    assert (0, "So be it.\n") == (silent.returncode, silent.stdout)


def test_an_input_that_never_ends_is_told_of(coder: Coder, upstream: ScriptedUpstream) -> None:
    """Who is started with an open pipe says what it waits for, and goes on when that ends."""
    process = coder.spawn("-p", "x", given=True)
    assert process.stderr is not None
    assert process.stdin is not None
    assert "waiting for standard input" in process.stderr.readline()
    process.stdin.close()

    assert 0 == process.wait(timeout=60)
    assert "x" == upstream.conversations[0].json["messages"][0]["content"][0]["text"]


def test_with_a_prompt_an_input_that_stays_silent_is_left() -> None:
    """After a while the work goes on without it; what had begun is waited for."""
    reads, writes = os.pipe()
    with open(reads) as stream:  # noqa: PTH123
        assert "" == _standard_input(stream, prompted=True, patience=(0.0, 0.0))
        os.write(writes, b"caf\xe9 \xff")
        later = threading.Timer(0.2, os.close, [writes])
        later.start()
        assert "caf\ufffd \ufffd" == _standard_input(stream, prompted=True, patience=(0.0, 0.0))
        later.join()


@pytest.mark.parametrize("what", ["folder", "prompt", "locale"])
def test_what_is_no_character_is_no_defect(
    coder: Coder, upstream: ScriptedUpstream, what: str
) -> None:
    """A folder's name and a prompt that are not UTF-8, an answer that the locale can't write."""
    upstream.then(Text("Ready — 木."))
    prompt, form, environment = "x", "stream-json", {}
    if what == "folder":
        coder.root = coder.root.rename(coder.root.with_name("proj\udcff"))
    elif what == "prompt":
        prompt = "caf\udce9"
    else:
        form, environment = "text", {"PYTHONIOENCODING": "latin-1"}
    process = subprocess.run(
        [sys.executable, "-m", "bailee", "code", "-p", prompt, "--output-format", form],
        check=False, cwd=coder.root, env={**coder.environment, **environment}, capture_output=True,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip

    assert (0, b"") == (process.returncode, process.stderr)
    assert (b"Ready \\u2014" in process.stdout) is (what == "locale")
    if what == "folder":
        assert coder.json("-p", "on", "--continue")["session_id"].encode() in process.stdout


# What root may do anyway: enter and read what is another's.
WITHOUT = ("setpriv", "--bounding-set", "-dac_override,-dac_read_search")


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv (util-linux) is not here")
def test_instructions_that_can_not_be_read_are_named(
    coder: Coder, upstream: ScriptedUpstream
) -> None:
    """An AGENTS.md that is another's does not keep the agent from its work."""
    file = coder.root / "AGENTS.md"
    file.write_text("Use tabs.")
    file.chmod(0)
    under = WITHOUT if os.geteuid() == 0 else ()
    process = processes.start("code", "-p", "x", env=coder.environment, folder=coder.root,
                              under=under, fresh=True)  # fmt: skip
    _, errors = process.communicate(timeout=60)

    assert (0, "") == (process.wait(), errors)
    assert (
        "[can't be read: Permission denied]" in upstream.conversations[0].json["system"][0]["text"]
    )


def test_a_folder_that_is_gone_is_said(coder: Coder, upstream: ScriptedUpstream) -> None:
    """Exit status 2 and what to do."""
    gone = coder.root / "gone"
    gone.mkdir()
    command = f"rmdir {gone}; exec {sys.executable} -m bailee code -p x"
    done = subprocess.run(
        ["sh", "-c", command],
        check=False,
        cwd=gone,
        env=coder.environment,
        capture_output=True,
        text=True,
    )
    assert (2, "error: the folder that this was started in is gone, or can't be entered.\n"
            "hint: cd into one that is there\n") == (done.returncode, done.stderr)  # fmt: skip


def test_a_folder_that_was_moved_has_its_session_named(
    coder: Coder, upstream: ScriptedUpstream
) -> None:
    """`--continue` does not guess; it says which session may be meant, and that one goes on."""
    first = coder.json("-p", "x")["session_id"]
    old = str(coder.root)
    coder.root = coder.root.rename(coder.root.with_name("moved"))
    status, _, errors = coder.run("-p", "y", "--continue")

    assert (2, True) == (
        status,
        f"hint: if this folder was {old}: --resume {first[:8]}\n" in errors,
    )
    assert first == coder.json("-p", "y", "--resume", first[:8])["session_id"]
    assert first == coder.json("-p", "z", "--resume", first[:8])["session_id"]

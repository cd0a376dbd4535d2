"""`bailee code` as a person uses it: keys go in, and what the screen shows is what counts."""

from __future__ import annotations

import base64
import json
import re
import signal
import termios
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from bailee.client.local_key import machine_key
from bailee.client.transcripts import LocalTranscripts
from bailee.testing.upstream import Failure, ScriptedUpstream, Text, ToolUse
from support.clients.programs import Bailee
from support.clients.terminal import Opens

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def asked(upstream: ScriptedUpstream) -> str:
    """The last request's messages, as text."""
    return json.dumps(upstream.conversations[-1].json["messages"])


def test_an_answer_is_shown_as_markdown_and_an_edit_as_a_diff(
    opens: Opens, upstream: ScriptedUpstream, root: Path
) -> None:
    """A prompt, an edit that is permitted once, the answer; then the end, and how to go on."""
    upstream.then(
        ToolUse("Edit", {"path": "orchard.py", "old": "7", "new": "8"}),
        Text("There are **eight** now:\n\n- pears\n- quinces\n"),
    )
    screen = opens()
    screen.submit("plant one")
    shown = screen.wait("3 n  no, and say why")
    assert "Allow this? Edit orchard.py" in shown
    assert "-TREES = 7" in shown
    assert "+TREES = 8" in shown
    assert "2 a  yes, and always Edit in this session" in shown
    assert "TREES = 7\n" == (root / "orchard.py").read_text()

    screen.type("y")
    shown = screen.wait("• quinces")
    assert "There are eight now:" in shown
    assert " • pears" in shown
    assert "● Edit orchard.py  +1 -1" in shown
    assert "TREES = 8\n" == (root / "orchard.py").read_text()

    screen.submit("/quit")
    screen.wait("To continue: bailee code --resume")
    assert 0 == screen.end()


def test_no_says_why_and_always_is_not_asked_again(
    opens: Opens, upstream: ScriptedUpstream, root: Path
) -> None:
    """A no with its reason reaches the model; after "always" the prefix runs by itself."""
    upstream.then(
        ToolUse("Bash", {"command": "touch a && touch b", "description": "Make two files"}),
        ToolUse("Bash", {"command": "touch a"}),
        ToolUse("Bash", {"command": "touch b"}),
        Text("Both are there."),
    )
    screen = opens()
    screen.submit("make files")
    assert "touch a && touch b" in screen.wait("no, and say why")
    screen.type("n")
    screen.wait("Why not")
    screen.submit("one at a time")
    shown = screen.wait(lambda text: text.count("no, and say why") == 2)
    assert "always Bash(touch:*) in this session" in shown
    assert "the person said no: one at a time" in asked(upstream)
    screen.type("a")
    shown = screen.wait("Both are there")

    assert 2 == shown.count("no, and say why")
    assert {"a", "b"} <= {path.name for path in root.iterdir()}


def test_a_key_pressed_too_early_permits_nothing(
    opens: Opens, upstream: ScriptedUpstream, root: Path
) -> None:
    """Keys typed before the question are not its answer; they wait for the next prompt."""
    upstream.then(
        Text("x" * 300, pause=0.05), ToolUse("Bash", {"command": "touch evil"}), Text("Well.")
    )
    screen = opens()
    screen.submit("begin")
    screen.wait("Writing")
    screen.type("y1a")
    screen.wait(
        lambda text: text.rstrip().split("\n")[-2:][0].startswith("> y1a") or "> y1a" in text
    )
    screen.type("\x15")
    screen.submit("now")
    screen.type("yyy")
    screen.wait("no, and say why")
    screen.read(0.5)

    assert not (root / "evil").exists()
    screen.type("\x03")
    screen.wait("not permitted")


@pytest.mark.parametrize("key", ["\x03", "\x1b"])
def test_ctrl_c_and_escape_stop_the_answer(
    opens: Opens, upstream: ScriptedUpstream, key: str
) -> None:
    """What was shown stays, the person can go on, and the model knows."""
    upstream.then(
        Text("one two three four five six seven\n\n" * 30, pause=0.05), Text("As you wish.")
    )
    screen = opens()
    screen.submit("count")
    screen.wait("six seven")
    screen.type(key)
    screen.wait("Interrupted")
    screen.submit("rather not")
    screen.wait("As you wish")

    assert "The person interrupted here" in asked(upstream)


def test_ctrl_c_stops_a_command(opens: Opens, upstream: ScriptedUpstream, root: Path) -> None:
    """The command ends, and it is the person's turn."""
    upstream.then(ToolUse("Bash", {"command": "touch begun; sleep 1000"}))
    screen = opens("--allowed-tools", "Bash")
    screen.submit("wait")
    screen.wait(lambda _: (root / "begun").exists())
    screen.type("\x03")

    screen.wait("Interrupted")


def test_what_a_model_says_can_not_drive_the_terminal(
    opens: Opens, upstream: ScriptedUpstream
) -> None:
    """Escape sequences and reordering characters are shown, in answers and in commands."""
    upstream.then(
        Text("a\x1b]0;owned\x07b\x1b[2Jc"),
        ToolUse("Bash", {"command": "echo ok\r\x1b[2K; rm -rf \u202egnp"}),
    )
    screen = opens()
    screen.submit("speak")
    assert "a\\x1b]0;owned\\x07b\\x1b[2Jc" in screen.wait("2Jc")
    screen.submit("run")
    shown = screen.wait("no, and say why")

    assert "echo ok\\x0d\\x1b[2K; rm -rf \\u202egnp" in shown
    assert b"]0;owned" not in screen.raw.replace(b"\\x1b]0;owned", b"")


def _stands(said: str, text: str) -> bool:
    """Whether something is said, wherever its lines end: a path may be long."""
    return said in "".join(text.split())


@pytest.mark.row("R3", "O7")
def test_the_resume_picker_previews_searches_keeps_exports_and_deletes(
    opens: Opens, upstream: ScriptedUpstream, root: Path
) -> None:
    """Sessions of this folder, with when they are forgotten; one is kept, exported and deleted, the
    other resumed.
    """
    for word in ("pears", "quinces"):
        upstream.then(Text(f"On {word}."))
        screen = opens()
        screen.submit(f"about {word}")
        screen.wait(f"On {word}")
        screen.wait(r"(?m)^>$")  # while a turn is shown, Ctrl-D is nobody's
        screen.type("\x04")
        assert 0 == screen.end()

    picker = opens("--resume", until="Which session")
    shown = picker.wait("│ On quinces")
    assert re.search(r"> about quinces +forgotten in (29|30) days", shown)
    assert "about pears" in shown
    for key, said in (("\x0b", "Keptthrough"), ("\x05", "Writtento"), ("\x05", "mdalready")):
        picker.type(key)
        picker.wait(partial(_stands, said))
    assert re.search(r"> about quinces +kept by you through", "\n".join(picker.lines))
    (exported,) = root.glob("session-*.md")
    assert "On quinces." in exported.read_text()
    picker.type("\x0b")
    picker.wait("goes by its own time again")
    picker.type("\x18")
    picker.wait("Delete it")
    picker.type("\x18")
    picker.wait(lambda _: not any("quinces" in line for line in picker.lines))
    picker.type("pea\r")
    picker.wait("On pears")
    picker.submit("and now?")
    picker.wait("Done")

    assert "about pears" in asked(upstream)
    assert "quinces" not in asked(upstream)


@pytest.mark.row("R3", "O7")
def test_a_start_says_what_goes_and_asks_about_a_clock_in_doubt(opens: Opens, root: Path) -> None:
    """A week ahead, with what can be done about it; by a clock that jumped nothing goes, and it is
    said how to say that it is right.
    """
    data = root.parent / "person/.local/share/bailee/client"

    def keep(session: str, days: int) -> None:
        at = datetime.now(UTC) - timedelta(days=days)
        store = LocalTranscripts(
            data / "transcripts", lambda: machine_key(data, lambda: None), days=30, clock=lambda: at
        )
        store.append(session, {"type": "prompt", "content": [{"type": "text", "text": "pears"}]})
        store.close()

    keep("old", 26)
    screen = opens(columns=400, until="1 session will be forgotten when it has not been used")
    screen.wait("Ctrl-K keeps one")
    screen.wait(r"(?m)^>$")
    screen.type("\x04")
    assert 0 == screen.end()

    noted = json.loads((data / "clock.json").read_text())
    noted["wall"] = (datetime.now(UTC) - timedelta(days=3650)).isoformat()
    (data / "clock.json").write_text(json.dumps(noted))
    keep("past", 40)
    opens(columns=400, until="3650 days ahead").wait("bailee local clock --confirm")
    assert {"old.log", "past.log"} <= {one.name for one in (data / "transcripts").glob("*.log")}


def test_quit_delete_forgets_the_session_here(opens: Opens, upstream: ScriptedUpstream) -> None:
    """Afterwards there is nothing to resume."""
    screen = opens()
    screen.submit("a secret")
    screen.wait("Done")
    screen.submit("/quit --delete")
    screen.wait("Forgotten on this machine")
    assert 0 == screen.end()

    again = opens("--continue", until="error: no session")
    assert 2 == again.end()


def test_files_and_images_go_along(opens: Opens, upstream: ScriptedUpstream, root: Path) -> None:
    """@file is completed and its content sent; the path of an image sends the image."""
    (root / "a picture.png").write_bytes(PNG)
    screen = opens()
    screen.type("read @orch")
    screen.wait(r"(?m)^ +orchard\.py")
    screen.type("\t")
    screen.wait("read @orchard.py")
    screen.type(" and 'a picture.png'\r")
    screen.wait("the image a picture.png is sent along")
    screen.wait("Done")

    file, image, line = upstream.conversations[-1].json["messages"][0]["content"]
    assert "TREES = 7" in file["text"]
    assert base64.b64encode(PNG).decode() == image["source"]["data"]
    assert "read @orchard.py and 'a picture.png'" == line["text"]


def test_several_lines_and_history(opens: Opens, upstream: ScriptedUpstream) -> None:
    """Ctrl-J begins a new line, Enter sends them all, and the arrow brings them back."""
    screen = opens()
    screen.type("first\nsecond")
    screen.wait("second")
    screen.type("\r")
    screen.wait("Done")
    content = upstream.conversations[0].json["messages"][0]["content"]
    assert "first\nsecond" == content[0]["text"]

    screen.type("\x1b[A")
    screen.wait(lambda text: text.count("second") == 2)


@pytest.mark.row("R1")
def test_the_status_line_says_what_the_service_keeps(
    served: Callable[..., Bailee], opens: Opens, upstream: ScriptedUpstream
) -> None:
    """Unknown before it can be known; then until when, and whether it is trained on."""
    ready = served().ready
    upstream.then(ToolUse("Glob", {"pattern": "*"}), Text("Pears."))
    screen = opens(
        columns=160,
        ANTHROPIC_BASE_URL=ready["gateway"],
        ANTHROPIC_AUTH_TOKEN=ready["key"],
        BAILEE_CONSOLE_URL=ready["console_api"],
    )
    assert "recording unknown" in screen.wait("recording unknown")
    screen.submit("hello")
    screen.wait("Pears")
    screen.wait(r"recorded, kept until \d{4}-\d\d-\d\d · not trained on")
    screen.submit("/privacy")
    screen.wait("retain.commercial")


def test_without_colour_and_in_a_narrow_terminal(opens: Opens, upstream: ScriptedUpstream) -> None:
    """NO_COLOR is respected, and 30 columns are enough."""
    upstream.then(
        ToolUse("Edit", {"path": "orchard.py", "old": "7", "new": "8"}), Text("Well **done**.")
    )
    screen = opens(columns=30, NO_COLOR="1")
    screen.submit("plant")
    screen.wait("no, and say why")
    screen.type("y")
    screen.wait("Well done")
    screen.submit("/help")
    screen.wait("/quit")

    assert [] == re.findall(rb"\x1b\[[\d;]*(?:3[0-7]|4[0-7]|38;|48;|9[0-7])[\d;]*m", screen.raw)
    assert max(len(line) for line in screen.lines) <= 30


def test_commands_say_what_there_is(opens: Opens, upstream: ScriptedUpstream, root: Path) -> None:
    """/model, /cost, /permissions, /flows, /export, /compact, /clear and what is no command."""
    upstream.then(Text("Pears."), Text("A SUMMARY"))
    screen = opens()
    screen.submit("hello")
    screen.wait("Pears")
    for line, wanted in (
        ("/model other-model", "The model is other-model"),
        ("/cost", r"output +7 tokens"),
        ("/permissions deny Bash(rm:*)", r"deny +Bash\(rm:\*\)"),
        ("/flows", "Session survey"),
        ("/export talk.md", "talk.md"),
        ("/export talk.md", "hint: /export NAME"),
        ("/compact", "was summarized"),
        ("/nothing", "there is no command /nothing"),
        ("/clear", "A new session"),
    ):
        screen.submit(line)
        screen.wait(wanted)

    assert "## You\n\nhello\n\n## The agent\n\nPears.\n" == (root / "talk.md").read_text()
    screen.submit("again")
    screen.wait("Done")
    assert "other-model" == upstream.conversations[-1].json["model"]
    assert ["again"] == [
        b["text"] for b in upstream.conversations[-1].json["messages"][0]["content"]
    ]


@pytest.mark.row("S7")
def test_pages_are_fetched_only_where_that_is_on_and_asked_about(
    opens: Opens, upstream: ScriptedUpstream, root: Path
) -> None:
    """A project can't turn it on. Where a person did, the whole address is asked about, and what
    is in a private network is refused even then.
    """
    (root / ".bailee").mkdir()
    (root / ".bailee" / "settings.json").write_text('{"webFetch": true}')
    off = opens()
    off.submit("hello")
    off.wait("Done")
    assert "WebFetch" not in {tool["name"] for tool in upstream.conversations[-1].json["tools"]}

    upstream.then(
        ToolUse("WebFetch", {"url": "http://127.0.0.1:9/pears?q=quince"}), Text("Not to be had.")
    )
    on = opens("--settings", '{"webFetch": true}')
    on.submit("look it up")
    shown = on.wait("no, and say why")
    assert "https://127.0.0.1/pears?q=quince" in shown
    assert "always WebFetch(domain:127.0.0.1)" in shown
    on.type("y")
    on.wait("Not to be had")
    assert "in a private network" in asked(upstream)


@pytest.mark.row("F1", "S3")
def test_a_report_is_shown_before_it_goes_and_the_switch_takes_it_away(
    opens: Opens, upstream: ScriptedUpstream
) -> None:
    """What would go is listed and previewed, a part is left out, the rest is sent; with
    DISABLE_BUG_COMMAND there is no such command.
    """
    screen = opens(BAILEE_INGEST_URL=upstream.url)
    screen.submit("a quince question")
    screen.wait("Done")
    screen.submit("/bug it is too slow")
    screen.wait("send nothing")
    assert [] == [r for r in upstream.requests if "feedback" in r.path]
    screen.type("p")
    screen.wait("── description ─")
    screen.wait(lambda text: text.count("send nothing") == 2)
    screen.type("t")
    screen.wait("bytes +left out")
    screen.wait(lambda text: text.count("send nothing") == 3)
    screen.type("s")
    screen.wait("bailee outbox show")
    (sent,) = [r for r in upstream.requests if r.path == "/api/claude_cli_feedback"]
    content = json.loads(sent.json["content"])
    assert ("it is too slow", False) == (content["description"], "transcript" in content)
    assert b"quince" not in sent.body

    off = opens(DISABLE_BUG_COMMAND="0")
    off.submit("/bug it is too slow")
    off.wait("there is no command /bug")


def test_a_wait_counts_down_and_is_left_by_a_key(opens: Opens, upstream: ScriptedUpstream) -> None:
    """What the service asks for is on the screen, second by second; Escape ends it, and the session
    goes on.
    """
    upstream.then(Failure(429, "rate_limit_error", headers=(("retry-after", "200"),)), Text("Now."))
    screen = opens()
    screen.submit("begin")
    shown = screen.wait("Again in 19[0-9] s · Ctrl-C stops")
    assert "takes no more for now: scripted. Trying again, 2 of 6." in " ".join(shown.split())
    screen.type("\x1b")
    screen.wait("Interrupted")
    screen.submit("go on")
    screen.wait("Now\\.")


@pytest.mark.parametrize("busy", [False, True])
def test_a_signal_leaves_the_terminal_as_it_was(
    opens: Opens, upstream: ScriptedUpstream, busy: bool
) -> None:
    """SIGTERM at the prompt and within a turn: echo and lines are back, the exit status is 130."""
    upstream.then(Text("one two three four\n\n" * 50, pause=0.05))
    screen, plain = opens(), termios.ECHO | termios.ICANON
    if busy:
        screen.submit("count")
        screen.wait("three four")
    assert 0 == screen.modes & plain
    screen.signal(signal.SIGTERM)

    assert plain == screen.modes & plain
    assert 130 == screen.end()

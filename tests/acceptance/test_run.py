"""`bailee run -- CMD`: other agents on these terms; the real Claude Code among them."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pexpect
import pyte
import pytest
from coding_agents import CACHE

from bailee.client.egress import EgressWatch
from bailee.client.rooted_settings import is_roots_alone
from bailee.testing.upstream import ScriptedUpstream, Text
from support.clients import processes
from support.clients.programs import Bailee, clean_environment
from support.clients.terminal import Screen


class Person:
    """A person's home, a project in it, and `bailee run` typed there."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "ann"
        self.project = self.home / "orchard"
        self.project.mkdir(parents=True)
        self.report = folder / "report.json"

    def environment(self, **more: str) -> dict[str, str]:
        """Nothing of this machine but the programs' path."""
        return clean_environment(self.home, SHELL="/bin/bash", **more)

    def run(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        """A command, to its end."""
        env = self.environment(**env)
        return processes.run(*arguments, env=env, folder=self.project, timeout=120)

    def program(self, name: str, text: str) -> str:
        """A stand-in for an agent: a shell script of this name, on the path."""
        path = self.home / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("#!/bin/sh\n" + text)
        path.chmod(0o755)
        return str(path)

    def write(self, place: str, *records: dict[str, Any]) -> Path:
        """A JSON Lines file under the home."""
        path = self.home / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(record) + "\n" for record in records))
        return path


@pytest.fixture
def ann(tmp_path: Path) -> Person:
    """A person on whose machine nothing has been set."""
    return Person(tmp_path)


def hosts(report: Path) -> set[str]:
    """The hosts of a report, without ports."""
    return {one["host"].rpartition(":")[0] for one in json.loads(report.read_text())["hosts"]}


# -- the real Claude Code -------------------------------------------------------------------------


@pytest.mark.row("S5", "D3")
def test_the_real_client_contacts_loopback_alone(claude: Path, bailee: Bailee, ann: Person) -> None:
    """With non-essential traffic off, `claude -p` under `bailee run` contacts bailee and nothing
    else, and its session is in the vault.
    """
    with ScriptedUpstream([Text("Seven.")]) as model:
        ready = bailee.up("--upstream", model.url)
        done = ann.run(
            "run", "--only-promised", "--report", str(ann.report), "--",
            str(claude), "-p", "How many pear trees?", "--output-format", "json",
            BAILEE_URL=ready["gateway"], BAILEE_API_KEY=ready["key"],
            CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC="1",
        )  # fmt: skip
        (session,) = bailee.sessions()

    assert 0 == done.returncode, done.stderr
    result = json.loads(done.stdout)
    assert ("Seven.", session["id"]) == (result["result"], result["session_id"])
    report = json.loads(ann.report.read_text())
    assert report["kept"], report
    assert {"127.0.0.1"} == hosts(ann.report)


@pytest.mark.row("S5")
def test_its_first_interactive_start_contacts_loopback_alone(
    claude: Path, bailee: Bailee, ann: Person
) -> None:
    """The start that by itself would fetch plugins, news and switches, its first questions, and a
    conversation: nothing leaves.
    """
    with ScriptedUpstream(tools_only=False) as model:
        ready = bailee.up("--upstream", model.url)
        terminal = pexpect.spawn(
            sys.executable,
            [
                "-m", "bailee", "run", "--only-promised", "--report", str(ann.report), "--",
                str(claude),
            ],
            cwd=str(ann.project),
            env=ann.environment(  # type: ignore[arg-type]
                BAILEE_URL=ready["gateway"], BAILEE_API_KEY=ready["key"], TERM="xterm-256color",
                CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC="1",
            ),
            dimensions=(40, 120),
            encoding="utf-8",
        )  # fmt: skip
        said = _through_its_first_questions(terminal, "count the pears")
        terminal.kill(signal.SIGTERM)
        terminal.expect(pexpect.EOF)
        terminal.close()
        sessions = bailee.json("sessions", "list")

    assert said, "the client came to no prompt"
    assert 1 == len(sessions)
    report = json.loads(ann.report.read_text())
    assert report["kept"], report
    assert {"127.0.0.1"} == hosts(ann.report)


def _through_its_first_questions(terminal: Any, message: str) -> bool:
    """Answer what a first start asks, say something, and wait for the model's word."""
    screen = pyte.Screen(120, 40)
    stream = pyte.Stream(screen)
    deadline = time.monotonic() + 60
    said = False
    while time.monotonic() < deadline:
        try:
            while True:
                stream.feed(terminal.read_nonblocking(65536, 1))
        except pexpect.TIMEOUT:
            pass
        except pexpect.EOF:
            return False
        shown = "\n".join(screen.display)
        if said and "Done." in shown:
            return True
        if "❯ No, exit" in shown:
            terminal.send("\x1b[B")
            time.sleep(0.3)
            terminal.send("\r")
        elif "shift+tab" in shown:
            if not said:
                terminal.send(message)
                time.sleep(0.5)
            terminal.send("\r")
            said = True
        else:
            terminal.send("\r")
    return False


def test_the_watch_sees_what_the_client_does_by_itself(claude: Path, ann: Person) -> None:
    """The counter-proof: without `bailee run` the same client asks for its vendor's hosts, and the
    watch sees and refuses them.
    """
    with (
        ScriptedUpstream([Text("Seven.")]) as model,
        EgressWatch(frozenset(), only_promised=True) as watch,
    ):
        subprocess.run(
            [str(claude), "-p", "How many pear trees?"],
            cwd=ann.project,
            env=ann.environment(
                ANTHROPIC_BASE_URL=model.url, ANTHROPIC_AUTH_TOKEN="x", **watch.environment
            ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=120,
            check=False,
        )

    assert watch.broken
    assert all(one.refused or one.round_proxy for one in watch.broken)


@pytest.mark.row("P1", "D3")
def test_the_real_client_has_no_pages_and_servers_where_none_are_left(
    claude: Path, ann: Person
) -> None:
    """By the settings of a policy document: the model is told of no way to fetch, and no server is
    started; without them both are there.
    """
    begun = ann.home / "begun"
    program = {"command": ann.program("orchard", f"touch {begun}\nexec cat > /dev/null\n")}
    (ann.home / ".claude.json").write_text(json.dumps({"mcpServers": {"orchard": program}}))
    bounds = {
        f"bound.{of}": {"of": of, "only": [], "en": "None."} for of in ("web_pages", "mcp_servers")
    }
    found = []
    for settings in ({"bounds": bounds}, {}):
        with ScriptedUpstream([Text("Seven.")]) as model:
            done = ann.run(
                "run", "--settings", json.dumps(settings), "--", str(claude), "-p", "How many?",
                BAILEE_URL=model.url, BAILEE_API_KEY="bl_test",
            )  # fmt: skip
            assert 0 == done.returncode, done.stderr
            asked = json.dumps(model.conversations[0].json)  # some tools are named in a message
        found.append(("WebFetch" in asked, begun.exists()))
    assert [(False, False), (True, True)] == found


# -- any program ----------------------------------------------------------------------------------


@pytest.mark.row("S6", "S5")
@pytest.mark.parametrize(
    ("env", "has", "lacks"),
    [
        ({}, {"CLAUDE_CODE_ENABLE_TELEMETRY=1", "OTEL_METRICS_EXPORTER=otlp",
              "CLAUDE_CODE_ENABLE_FEEDBACK_SURVEY_FOR_OTEL=1"}, {"OTEL_LOG_USER_PROMPTS"}),
        ({"DISABLE_TELEMETRY": "0"}, {"DISABLE_TELEMETRY=0"}, {"CLAUDE_CODE_ENABLE_TELEMETRY",
                                                              "OTEL_METRICS_EXPORTER"}),
        ({"CLAUDE_CODE_USE_BEDROCK": "1"},
         {"ANTHROPIC_BEDROCK_BASE_URL=http://127.0.0.1:8787/bedrock"},
         {"CLAUDE_CODE_ENABLE_TELEMETRY"}),
    ],
)  # fmt: skip
def test_the_environment_is_that_of_the_flows(
    ann: Person, env: dict[str, str], has: set[str], lacks: set[str]
) -> None:
    """What is on is led to bailee, what is off is not there; the switches are passed on; the key is
    in the environment and in no argument.
    """
    program = ann.program("claude", 'env; echo "args: $*"')
    done = ann.run(
        "run", "--", program, "-p", "x", BAILEE_API_KEY="bl_secret", ANTHROPIC_API_KEY="sk-mine",
        OTEL_LOG_USER_PROMPTS="1", CLAUDE_CODE_ENABLE_TELEMETRY_X="", **env,
    )  # fmt: skip
    lines = set(done.stdout.splitlines())
    always = {
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1",
        "CLAUDE_CODE_DISABLE_OFFICIAL_MARKETPLACE_AUTOINSTALL=1",
        "ANTHROPIC_AUTH_TOKEN=bl_secret",
        "args: -p x",
    }

    assert always | has <= lines
    names = {line.partition("=")[0] for line in lines}
    assert set() == names & (lacks | {"ANTHROPIC_API_KEY"})


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "codex",
            r"^-c analytics\.enabled=false .*-c features\.plugins=false "
            r"-c features\.apps=false -c chatgpt_base_url=\"http://127\.0\.0\.1:9/\" "
            r"-c model_provider=\"bailee\" -c model_providers\.bailee={.*"
            r"base_url = \"http://127\.0\.0\.1:8787/openai/v1\".*env_key = \"OPENAI_API_KEY\"} x$",
        ),
        ("aider", r"^--no-analytics --no-check-update x$"),
        ("opencode", r"^x$"),
        ("other", r"^x$"),
    ],
)
def test_each_agent_gets_its_own_switches(ann: Person, name: str, expected: str) -> None:
    """In its own words, before the person's arguments, and never a key among them."""
    program = ann.program(name, 'echo "$*"; env >&2\n')
    done = ann.run("run", "--", program, "x", BAILEE_API_KEY="bl_secret")

    assert re.search(expected, done.stdout.strip()), done.stdout
    assert "bl_secret" not in done.stdout
    own = {
        "opencode": 'OPENCODE_CONFIG_CONTENT={"autoupdate": false',
        "aider": "AIDER_ANALYTICS=false",
    }
    assert own.get(name, "DO_NOT_TRACK=1") in done.stderr


@pytest.mark.row("G4", "S6")
@pytest.mark.parametrize(
    ("name", "told"), [("codex", "an account of ChatGPT"), ("gemini", "sign-in with Google")]
)
def test_a_sign_in_that_is_led_elsewhere_is_told_of(ann: Person, name: str, told: str) -> None:
    """Without a key of bailee's the agent's own sign-in counts; of one that belongs to another
    address a person hears before, and Gemini CLI is held to a key. With one, and directly, nothing.
    """
    program = ann.program(name, "true")
    shown = ("run", "--dry-run")
    without = ann.run(*shown, "--", program)
    assert told in without.stderr
    assert (name == "gemini") == ('"enforcedType": "gemini-api-key"' in without.stdout)
    assert told not in ann.run(*shown, "--", program, BAILEE_API_KEY="bl_secret").stderr
    direct = ann.run(*shown, "--direct", "--", program)
    assert told not in direct.stderr
    assert "enforcedType" not in direct.stdout


def test_settings_that_hold_for_an_agent_go_on_holding(
    ann: Person, request: pytest.FixtureRequest
) -> None:
    """What a company's settings file for Gemini CLI says counts beneath what is set here; one that
    can't be read stops the run rather than being replaced.
    """
    if not is_roots_alone(CACHE):
        pytest.skip("only root can write what Gemini CLI heeds")
    program = ann.program("gemini", 'cat "$GEMINI_CLI_SYSTEM_SETTINGS_PATH"')
    managed = ann.home / "managed.json"
    managed.write_text('{"privacy": {"usageStatisticsEnabled": true, "x": 1}, "tools": {"y": 2}}')
    data = Path(tempfile.mkdtemp(prefix="data-", dir=CACHE))
    request.addfinalizer(lambda: shutil.rmtree(data))
    named = {"GEMINI_CLI_SYSTEM_SETTINGS_PATH": str(managed), "XDG_DATA_HOME": str(data)}
    made = json.loads(ann.run("run", "--", program, **named).stdout)

    assert ({"usageStatisticsEnabled": False, "x": 1}, {"y": 2}) == (made["privacy"], made["tools"])

    managed.write_text("{")
    refused = ann.run("run", "--", program, **named)
    assert (2, "") == (refused.returncode, refused.stdout)
    assert str(managed) in refused.stderr


@pytest.mark.row("S5", "D3")
def test_what_gemini_cli_does_not_heed_is_seen_to_without_it(ann: Person) -> None:
    """It heeds a settings file for the machine where that is root's alone, which one below a folder
    that everybody may write to is for nobody. Then none is named to it, its vendor's hosts are
    refused by a proxy, and it is not started with a sign-in that nothing would be recorded of.
    """
    ask = "curl -sS -o /dev/null -w '%{http_connect} ' --max-time 9 https://$host; "
    program = ann.program(
        "gemini",
        'echo "${GEMINI_CLI_SYSTEM_SETTINGS_PATH-none}"; for host in play.googleapis.com '
        f"us-central1-aiplatform.googleapis.com localhost:9; do {ask} done",
    )
    key = {"BAILEE_API_KEY": "bl_secret"}
    refused = ann.run("run", "--", program, **key)
    assert (2, "") == (refused.returncode, refused.stdout)
    assert '{"security": {"auth": {"selectedType": "gemini-api-key"}}}' in refused.stderr

    own = ann.home / ".gemini/settings.json"
    own.parent.mkdir()
    own.write_text('{"security": {"auth": {"selectedType": "gemini-api-key"}}}')
    assert "none\n403 403 502 " == ann.run("run", "--", program, **key).stdout
    own.unlink()
    assert "none\n403 " in ann.run("run", "--direct", "--", program).stdout


def test_a_list_that_an_agent_has_is_kept(ann: Person) -> None:
    """What aider would fetch: its own copy, if it has one, counts as new; else there is a stand-in
    under which it takes what it came with.
    """
    prices = ann.home / ".aider/caches/model_prices_and_context_window.json"
    program = ann.program("aider", "true")
    ann.run("run", "--", program)
    assert '{"": {}}' == prices.read_text()

    prices.write_text('{"m": {"max_tokens": 1}}')
    os.utime(prices, (0, 0))
    ann.run("run", "--", program)
    assert '{"m": {"max_tokens": 1}}' == prices.read_text()
    assert time.time() - prices.stat().st_mtime < 86400


def test_its_exit_status_and_signals_are_the_agents(ann: Person) -> None:
    """The status is passed on; a TERM reaches the agent, which may end as it likes."""
    assert 7 == ann.run("run", "--", ann.program("aider", "exit 7")).returncode
    assert 2 == ann.run("run", "--", "no-such-program").returncode

    program = ann.program("slow", "trap 'echo ended; exit 3' TERM\necho up\nsleep 30 & wait\n")
    process = subprocess.Popen(
        [sys.executable, "-m", "bailee", "run", "--", program],
        env=ann.environment(), cwd=ann.project, stdout=subprocess.PIPE, text=True,
        stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert "up\n" == process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    assert "ended\n" == process.stdout.readline()
    assert 3 == process.wait(20)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # what it left behind
    process.stdout.close()


@pytest.mark.row("S7")
def test_what_goes_round_the_proxy_is_seen(ann: Person) -> None:
    """A program that ignores the proxy's variables: its connections are in the report."""
    python = shutil.which("python3") or sys.executable
    script = ann.home / "round.py"
    script.write_text(
        "import socket, time\n"
        "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        "s.connect(('192.0.2.1', 53))\n"  # connects without sending anything
        "time.sleep(1)\n"
    )
    done = ann.run("run", "--report", str(ann.report), "--", python, str(script))

    assert 0 == done.returncode
    report = json.loads(ann.report.read_text())
    (seen,) = [one for one in report["hosts"] if one["host"] == "192.0.2.1:53"]
    assert (True, False) == (seen["round_proxy"], seen["promised"])
    assert not report["kept"]
    assert "NOT PROMISED" in done.stderr


# -- retention ------------------------------------------------------------------------------------


@pytest.mark.row("R3")
def test_an_agents_files_are_announced_then_forgotten_by_record_time(ann: Person) -> None:
    """A dry run shows, the first run announces, the second deletes: transcripts by their last
    record though the file was touched, history record by record, unsent telemetry, copies of code.
    """
    now = datetime.now(UTC)
    old, new = (now - timedelta(days=40)).isoformat(), (now - timedelta(days=2)).isoformat()
    slug = ".claude/projects/-home-ann-orchard"
    gone = [
        ann.write(f"{slug}/11111111-aaaa.jsonl", {"type": "user", "timestamp": old}, {"type": "s"}),
        ann.write(f"{slug}/11111111-aaaa/subagents/a.jsonl", {"timestamp": old}),
        ann.write(".claude/file-history/11111111-aaaa/f@v1", {"code": 1}),
        ann.write(".claude/telemetry/1p_failed_events.x.json", {"event": {}, "timestamp": old}),
    ]
    stays = [
        ann.write(f"{slug}/22222222-bbbb.jsonl", {"timestamp": old}, {"timestamp": new}),
        ann.write(".claude/file-history/22222222-bbbb/f@v1", {"code": 1}),
        ann.write(".claude/settings.json", {}),
    ]
    history = ann.write(
        ".claude/history.jsonl",
        {"display": "quince", "timestamp": int((now.timestamp() - 40 * 86400) * 1000)},
        {"display": "pear", "timestamp": int(now.timestamp() * 1000)},
    )
    # The other way round: an old file time does not forget what has new records.
    os.utime(stays[0], (0, 0))
    program = ann.program("claude", "true")

    shown = ann.run("run", "--dry-run", "--", program).stdout
    first = ann.run("run", "--", program).stderr
    assert all(path.exists() for path in gone)
    assert "quince" in history.read_text()
    second = ann.run("run", "--", program).stderr

    assert str(gone[0]) in shown
    assert f"{history} (1 records)" in shown
    assert "will be deleted at the next run" in first
    assert "deleted" in second
    assert [] == [path for path in gone if path.exists()]
    assert [] == [path for path in stays if not path.exists()]
    assert ["pear"] == [json.loads(line)["display"] for line in history.read_text().splitlines()]


@pytest.mark.row("R3")
def test_local_list_clean_delete(ann: Person) -> None:
    """The person's own commands over bailee's transcripts, with the days of their settings."""
    from bailee.client.local_key import machine_key
    from bailee.client.transcripts import LocalTranscripts

    data = ann.home / ".local/share/bailee/client"

    def store(days_ago: int) -> LocalTranscripts:
        at = datetime.now(UTC) - timedelta(days=days_ago)
        return LocalTranscripts(
            data / "transcripts", lambda: machine_key(data, lambda: None), days=30, clock=lambda: at
        )

    said = {"type": "prompt", "content": [{"type": "text", "text": "count the pears"}]}
    store(24).append("old", said)
    store(1).append("new", said)

    listed = ann.run("local", "list").stdout
    days = '{"cleanupPeriodDays": 7}'
    short = json.loads(ann.run("local", "list", "--json", "--settings", days).stdout)
    dry = json.loads(ann.run("local", "clean", "--dry-run", "--json", "--settings", days).stdout)
    kept = {path.name for path in (data / "transcripts").iterdir()}
    cleaned = json.loads(ann.run("local", "clean", "--json", "--settings", days).stdout)
    deleted = ann.run("local", "delete", "new")

    assert "count the pears" in listed
    assert "forgotten in 5 days" in listed
    assert ["new"] == [one["session"] for one in short]
    assert ["old"] == [one["what"] for one in dry["past"]] == [o["what"] for o in cleaned["past"]]
    assert {"old.log", "old.key", "new.log", "new.key"} == kept
    assert 0 == deleted.returncode
    assert [] == list((data / "transcripts").iterdir())
    assert 2 == ann.run("local", "delete", "new").returncode


def test_a_wrong_number_of_days_deletes_nothing(ann: Person) -> None:
    """A typing error keeps nothing new, and costs nothing that was kept."""
    done = ann.run("local", "clean", "--json", "--settings", '{"cleanupPeriodDays": "0"}')

    assert "cleanupPeriodDays" in done.stderr
    assert {"days": 30, "dry_run": False, "past": []} == json.loads(done.stdout)


@pytest.mark.row("R3", "S6")
def test_a_clones_days_delete_nothing_of_others(ann: Person) -> None:
    """`cleanupPeriodDays: 0` that came with a clone: the run that tells of it deletes nothing, at
    its end neither; from the next on what was done there goes with the run, and nothing else does.
    """
    now = datetime.now(UTC).isoformat()
    slug = ".claude/projects"
    mine = ann.write(f"{slug}/mine/1.jsonl", {"timestamp": now, "cwd": str(ann.home / "mine")})
    here = {"timestamp": now, "cwd": str(ann.project)}
    cloned = ann.write(f"{slug}/orchard/2.jsonl", here)
    (ann.project / ".bailee").mkdir()
    (ann.project / ".bailee/settings.json").write_text('{"cleanupPeriodDays": 0}')
    line = json.dumps(here)
    program = ann.program("claude", f"echo '{line}' > $HOME/{slug}/orchard/$1.jsonl")

    first = ann.run("run", "--", program, "3").stderr
    assert "will be deleted at the next run" in first
    assert cloned.exists()
    assert cloned.with_name("3.jsonl").exists()
    second = ann.run("run", "--", program, "4").stderr

    assert "deleted" in second
    assert [] == list(cloned.parent.iterdir())
    assert mine.exists()


@pytest.mark.row("O7")
def test_an_agents_session_is_kept_exported_and_released(ann: Person) -> None:
    """`list` says when it goes; kept, it stays past its time; the act can be taken back."""
    now = datetime.now(UTC)
    near = (now - timedelta(days=26)).isoformat()
    path = ann.write(".claude/projects/o/1-a.jsonl", {"timestamp": near, "text": "quince"})
    of = ("--of", "claude")

    assert "forgotten in 3 days" in ann.run("local", "list", *of).stdout
    assert "quince" in ann.run("local", "export", "1-a", *of).stdout
    until = (now + timedelta(days=90)).date()
    kept = ann.run("local", "keep", "1-a", *of, "--until", str(until))
    assert f"through {until}, by retain.local-transcript-kept" in kept.stdout, kept.stderr
    assert f"kept by you through {until}" in ann.run("local", "list", "--of", "all").stdout
    path.write_text(path.read_text().replace(near, (now - timedelta(days=40)).isoformat()))
    assert [] == json.loads(ann.run("local", "clean", *of, "--json").stdout)["past"]
    assert 0 == ann.run("local", "release", "1-a", *of).returncode
    assert 2 == ann.run("local", "release", "1-a", *of).returncode
    assert 1 == len(json.loads(ann.run("local", "clean", *of, "--json").stdout)["past"])
    for wrong in (("keep", "none"), ("keep", "1-a", "--until", "soon"), ("export", "none", *of)):
        assert 2 == ann.run("local", *wrong).returncode


@pytest.mark.row("R3")
def test_a_clock_in_doubt_is_asked_about_at_the_terminal(ann: Person) -> None:
    """A run deletes nothing by it, and goes on; whoever is there can say that it is right, and
    elsewhere a command does.
    """
    old = (datetime.now(UTC) - timedelta(days=40)).isoformat()
    path = ann.write(".claude/projects/o/1-a.jsonl", {"timestamp": old})
    program = ann.program("claude", "echo it-ran")
    ann.run("run", "--", program)
    mark = ann.home / ".local/share/bailee/client/clock.json"
    noted = json.loads(mark.read_text())
    noted["wall"] = (datetime.now(UTC) - timedelta(days=3650)).isoformat()
    mark.write_text(json.dumps(noted))

    said = ann.run("run", "--", program)
    assert ("it-ran\n", 0) == (said.stdout, said.returncode)
    assert "3650 days ahead" in said.stderr
    refused = ann.run("local", "clean", "--of", "claude")
    assert (2, True) == (refused.returncode, path.exists())

    for answer, there in (("n", True), ("y", False)):
        screen = Screen(
            "run", "--", program, folder=ann.project, environment=ann.environment(), columns=200
        )
        screen.wait(r"\[y/N\]")
        screen.type(f"{answer}\r")
        screen.wait("it-ran")
        assert 0 == screen.end()
        assert there == path.exists()


SURROUNDED = (
    ("run", "--dry-run", "--", "claude"),
    ("run", "--", "claude"),
    ("local", "list", "--of", "all"),
    ("local", "clean", "--of", "all"),
    ("flows", "--json"),
    ("outbox",),
    ("policy", "explain", "send", "flow=metrics", "provider=api"),
    ("sessions", "list"),
    ("metrics", "list"),
)


@pytest.mark.parametrize("command", SURROUNDED, ids=" ".join)
def test_no_surroundings_make_a_traceback_or_delete_anything(
    ann: Person, command: tuple[str, ...], tmp_path: Path
) -> None:
    """No home, a folder that is gone, a full output, an argument that is no text, a name that is
    none: a word and an exit status, and what is not past its time is there.
    """
    ann.program("claude", "true")
    here = ann.write(".claude/projects/o/1.jsonl", {"timestamp": datetime.now(UTC).isoformat()})
    odd = ann.home / os.fsdecode(b"\xff\xfe")
    (odd / ".git").mkdir(parents=True)
    gone = tmp_path / "gone"
    path = f"{ann.home / 'bin'}:{os.environ['PATH']}"
    program = [sys.executable, "-m", "bailee", *command]
    cases = {
        "home that is none": f"export HOME=here; exec {_quoted(program)}",
        "folder gone": f"mkdir {gone}; cd {gone}; rmdir {gone}; exec {_quoted(program)}",
        "full output": f"exec {_quoted(program)} > /dev/full",
        "closed output": f"exec {_quoted(program)} >&-",
        "poor encoding": f"export PYTHONIOENCODING=ascii; exec {_quoted(program)}",
        "odd folder": f"cd {_quoted([str(odd)])}; exec {_quoted(program)}",
        "odd argument": f"exec {_quoted([*program, os.fsdecode(bytes([0xFF]))])}",
    }
    for name, script in cases.items():
        done = subprocess.run(
            ["/bin/bash", "-c", os.fsencode(script)], cwd=ann.project,
            env=ann.environment(PATH=path, BAILEE_HOME=str(tmp_path / "server")),
            stdin=subprocess.DEVNULL, capture_output=True, timeout=120, check=False,
        )  # fmt: skip
        said = done.stderr.decode("utf-8", "replace")
        assert "Traceback" not in said, (name, said)
        assert "Exception ignored" not in said, (name, said)
        assert done.returncode in {0, 2, 6}, (name, done.returncode, said)
        assert here.exists(), name


def _quoted(words: list[str]) -> str:
    return " ".join("'" + word.replace("'", "'\\''") + "'" for word in words)


@pytest.mark.row("P1")
@pytest.mark.parametrize("left", [[], ["docs.example"]])
def test_what_a_policy_document_leaves_of_pages_and_servers_is_handed_on(
    ann: Person, left: list[str]
) -> None:
    """Where nothing is left the agent is told so; what it can't be told is said with its clause."""
    settings = json.dumps({"bounds": {
        "bound.pages": {"of": "web_pages", "only": left, "en": "Our pages alone."},
        "bound.servers": {"of": "mcp_servers", "only": left, "en": "Our servers alone."},
    }})  # fmt: skip
    notes = {}
    for agent, pages, servers in (
        ("claude", '"deny": ["WebFetch"]', "--strict-mcp-config"),
        ("opencode", '"webfetch": "deny"', None),
    ):
        shown = ann.run("run", "--settings", settings, "--dry-run", "--", agent)
        assert (not left) == (pages in shown.stdout)
        assert servers is None or (not left) == (servers in shown.stdout)
        notes[agent] = re.findall(r"\((bound\.\w+)\)", shown.stderr)
    both = ["bound.pages", "bound.servers"] if left else []
    assert {"claude": both, "opencode": both or ["bound.servers"]} == notes


@pytest.mark.row("P1")
@pytest.mark.parametrize(
    ("language", "needed", "vendor"),
    [
        ("C.UTF-8", "Needed for the way to the gateway", "sends that vendor nothing"),
        ("zh_CN.UTF-8", "用于连接网关", "不会主动向其厂商发送任何内容"),
    ],
)
def test_a_dry_run_says_of_each_variable_why_it_is_set(
    ann: Person, language: str, needed: str, vendor: str
) -> None:
    """By the texts of clauses with their ids, in the person's language, or what it is for."""
    shown = ann.run(
        "run", "--dry-run", "--", "claude",
        BAILEE_API_KEY="bl_x", LANG=language, DISABLE_BUG_COMMAND="1",
    )  # fmt: skip
    why: dict[str, str] = {}
    reasons: list[str] = []
    lines = shown.stdout.splitlines()
    for before, line in zip(["", *lines], lines, strict=False):
        if line.startswith("# "):
            reasons = [*(reasons if before.startswith("# ") else []), line]
        elif line.startswith("unset ") or re.match(r"[A-Z_]+=", line):
            why[line.removeprefix("unset ").partition("=")[0]] = " ".join(reasons)
    assert needed in why["ANTHROPIC_BASE_URL"] and needed in why["ANTHROPIC_AUTH_TOKEN"]
    assert vendor in why["DISABLE_AUTOUPDATER"]
    assert "(state.vendors-get-nothing)" in why["DISABLE_AUTOUPDATER"]
    assert "(state.telemetry-encryption)" in why["OTEL_LOG_USER_PROMPTS"]
    assert "(send." in why["CLAUDE_CODE_ENABLE_TELEMETRY"]
    assert "DISABLE_BUG_COMMAND" in why["DISABLE_BUG_COMMAND"]
    assert all(why.values())

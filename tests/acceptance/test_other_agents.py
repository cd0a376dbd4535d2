"""The real Codex, Gemini CLI, opencode and aider under `bailee run`, and what Claude Code leaves:
unmodified, with an empty environment, a home of their own and a dummy key, in front of a model that
answers on loopback.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from coding_agents import AGENTS, CACHE

from bailee.client import foreign
from bailee.client.cleaning_plan import CleaningPlan
from bailee.client.foreign_places import AgentPlace, groups
from bailee.client.lifetimes import Lifetimes
from bailee.testing.other_apis import Calls, Says
from bailee.testing.upstream import ScriptedUpstream, Text, ToolUse, Turn
from support.clients import processes
from support.clients.programs import Bailee, clean_environment

PROMPT = "How many quincequince trees?"


@dataclass
class Run:
    """One agent's first question in a new home, and what came of it."""

    agent: str
    home: Path
    done: subprocess.CompletedProcess[str]
    report: dict[str, Any]
    sessions: list[dict[str, Any]]
    asked: list[str]
    program: Path
    environment: dict[str, str] = field(repr=False)
    shown: str = field(repr=False)
    key: str = field(repr=False)
    credentials: set[str] = field(repr=False)
    given: frozenset[Path]
    told: list[dict[str, Any]] = field(repr=False)
    forked: list[str] = field(repr=False)

    @property
    def project(self) -> Path:
        """Where it worked."""
        return self.home / "orchard"

    def holding(self) -> list[str]:
        """Files under the home in which the prompt stands."""
        word = PROMPT.split()[2].encode()
        return [
            str(path.relative_to(self.home))
            for path in self.home.rglob("*")
            if path.is_file() and word in path.read_bytes()
        ]

    def places(self) -> list[AgentPlace]:
        """Where it keeps what."""
        return groups(self.agent, self.home, self.project, self.environment)

    def tidied(self, at: datetime) -> CleaningPlan:
        """Local retention, as it is at a moment; the plan that was carried out."""
        made = foreign.plan(self.agent, self.places(), Lifetimes(30), at)
        foreign.carry_out(made)
        return made


def left_by(
    places: list[AgentPlace], home: Path, word: bytes, given: frozenset[Path]
) -> tuple[list[str], list[str]]:
    """Files that an agent left in no place of the list; and those that are listed as holding no
    word of a conversation, and hold one.
    """
    forgotten, stays = set[Path](), set[Path]()
    for place in places:
        for group in place.kinds:
            for path in place.folder.glob(group.pattern):
                forgotten.update((path, *path.rglob("*")))
                forgotten.update(path.parent.glob(f"{path.name}-*"))  # a database's log
        for one in place.stays:
            stays.update(path for path in place.folder.glob(one.pattern) if path.is_file())
    own = home / ".local/share/bailee"
    left = [
        path
        for path in home.rglob("*")
        if path.is_file() and path not in given and own not in path.parents
    ]
    unknown = [str(path.relative_to(home)) for path in left if path not in forgotten | stays]
    holding = [path for path in left if path in stays - forgotten and word in path.read_bytes()]
    return sorted(unknown), [str(path.relative_to(home)) for path in holding]


AGAIN = "And the pearpear trees?"
ASKED = "Count the medlars in the file."
COUNTED = "Nine medlars."
BESIDES = "And what of the plumplum trees?"


@dataclass(frozen=True)
class Asks:
    """How an agent is asked without a terminal, at first and when it takes up its last session;
    what it needs besides a key is what its vendor says. `read`: the call that reads a file with
    its own tool, where it has one. `path`: what its requests ask of the upstream. `agent`: where it
    has agents that it waits for, the call that begins one, and by what that one ends. `begins`: how
    many more conversations there are, after it has compacted its history; `compacts`: by which
    settings it does, in a file of the project's, and what its requests for a summary ask. `fork`:
    how another conversation is begun out of the last one, whose id stands for `ID`.
    """

    first: list[str]
    again: list[str]
    path: str
    channel: str
    read: Calls | None = None
    agent: tuple[Turn, ...] = ()
    begins: int = 0
    compacts: tuple[str, str, str] | None = None
    fork: tuple[str, ...] = ()
    more: dict[str, str] = field(default_factory=dict)


_AIDER = ["--model", "openai/gpt-x", "--no-gitignore", "--yes-always", "--no-show-release-notes",
          "--no-show-model-warnings"]  # fmt: skip
_CODEX = ["exec", "-m", "gpt-5.5", "--skip-git-repo-check"]
_GEMINI = ["-m", "gemini-2.5-flash", "--approval-mode", "yolo"]
COMMANDS = {
    "opencode": Asks(
        ["run", "-m", "openai/gpt-5.5", PROMPT],
        ["run", "-m", "openai/gpt-5.5", "--continue", AGAIN],
        "/v1/responses",
        "openai",
        Calls("read", {"filePath": "orchard.txt"}),
        (
            Calls("task", {"description": "c", "prompt": ASKED, "subagent_type": "general"}),
            Says(COUNTED),
        ),
        fork=("run", "-m", "openai/gpt-5.5", "--continue", "--fork", BESIDES),
    ),
    "codex": Asks(
        [*_CODEX, PROMPT],
        [*_CODEX, "-c", "model_auto_compact_token_limit=1", "resume", "--last", AGAIN],
        "/v1/responses",
        "openai",
        Calls("exec_command", {"cmd": "cat orchard.txt"}),
        begins=1,
        fork=(*_CODEX, "fork", "ID", BESIDES),
    ),
    "gemini": Asks(
        [*_GEMINI, "-p", PROMPT],
        [*_GEMINI, "--resume", "latest", "-p", AGAIN],
        "/v1beta/models/gemini-2.5-flash:streamGenerateContent",
        "google",
        Calls("read_file", {"file_path": "orchard.txt"}),
        (
            Calls("invoke_agent", {"agent_name": "generalist", "prompt": ASKED}),
            Calls("complete_task", {"result": {"response": COUNTED}}),
        ),
        begins=1,
        compacts=(
            ".gemini/settings.json",
            '{"model": {"compressionThreshold": 0.0001}}',
            "/v1beta/models/gemini-2.5-flash:generateContent",
        ),
        more={"GEMINI_CLI_TRUST_WORKSPACE": "true"},
    ),
    "aider": Asks(
        [*_AIDER, "--message", PROMPT],
        [*_AIDER, "--restore-chat-history", "--message", AGAIN],
        "/v1/chat/completions",
        "openai",
    ),
}


@pytest.fixture(scope="module", params=list(COMMANDS))
def run(request: pytest.FixtureRequest) -> Iterator[Run]:
    """Every agent in turn, asked one thing once for all tests."""
    name = request.param
    agent = AGENTS[name]
    program = agent.fetch() if agent.quick else agent.fetched()
    if program is None:
        pytest.skip(
            f"{name} could not be had from npm"
            if agent.quick
            else f"{name} takes long to fetch, and is not there: tools/coding_agents.py"
        )
    # Not below /tmp: some of them refuse settings in a place that everybody can write to.
    CACHE.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="home-", dir=CACHE))
    try:
        yield _asked(name, program, folder)
    finally:
        shutil.rmtree(folder)


def _asked(name: str, program: Path, folder: Path) -> Run:
    home, report = folder / "ann", folder / "report.json"
    subprocess.run(["git", "init", "-q", str(home / "orchard")], check=True)
    (home / "orchard/orchard.txt").write_text("seven pear trees\n")
    asks = COMMANDS[name]
    script = [*([] if asks.read is None else [asks.read]), *asks.agent, Says("Seven.")]
    (home / "tmp").mkdir()
    given = frozenset(home.rglob("*"))
    bailee = Bailee(folder)
    # opencode asks for a title without tools, Gemini CLI for a summary.
    asides = name in ("opencode", "gemini")
    with ScriptedUpstream(
        script, tools_only=asides, aside=Says("Trees"), after=Says("Eight.")
    ) as model:
        try:
            ready = bailee.up("--upstream", model.url, "--upstream-key-env", "KEY",
                              env={"KEY": "sk-the-operators"})  # fmt: skip
            environment = clean_environment(
                home, SHELL="/bin/bash", BAILEE_URL=ready["gateway"], BAILEE_API_KEY=ready["key"],
                TMPDIR=str(home / "tmp"), **asks.more,
            )  # fmt: skip
            done = []
            for arguments in (asks.first, asks.again):
                done.append(processes.run(
                    *("run", "--only-promised", "--report", str(report), "--", str(program)),
                    *arguments,
                    env=environment,
                    folder=home / "orchard",
                    timeout=180,
                ))  # fmt: skip
                assert 0 == done[-1].returncode, done[-1].stderr
                if asks.compacts is not None:
                    settings = home / "orchard" / asks.compacts[0]
                    settings.parent.mkdir(exist_ok=True)
                    settings.write_text(asks.compacts[1])
                    given |= {settings}
            sessions = bailee.json("sessions", "list")
            told = [bailee.json("sessions", "show", one["id"]) for one in sessions]
            shown = "".join(bailee.run("sessions", "show", one["id"]).stdout for one in sessions)
            said = json.loads(report.read_text())
            forked: list[str] = []
            if asks.fork:
                last = [sessions[0]["id"] if one == "ID" else one for one in asks.fork]
                fork = processes.run(
                    *("run", "--only-promised", "--", str(program), *last),
                    env=environment,
                    folder=home / "orchard",
                    timeout=180,
                )
                assert 0 == fork.returncode, fork.stderr
                forked = [
                    bailee.run("sessions", "show", one["id"], "--all").stdout
                    for one in bailee.sessions(2)
                ]
        finally:
            bailee.close()
    asked = [request.path for request in model.requests if PROMPT.encode() in request.body]
    assert not any(ready["key"].encode() in request.raw for request in model.requests)
    assert not any(b"x-bailee" in request.raw.lower() for request in model.requests)
    credentials = {
        value
        for request in model.requests
        for key, value in request.headers
        if key.lower() in ("authorization", "x-api-key", "x-goog-api-key")
    }
    return Run(
        name, home, done[0], said, sessions, asked, program, environment, shown, ready["key"],
        credentials, given, told, forked,
    )  # fmt: skip


@pytest.mark.row("S5", "D3", "S7")
def test_it_answers_and_contacts_loopback_alone(run: Run) -> None:
    """With what `bailee run` sets, the program works and asks for no host of anybody's: not its
    vendor's, no registry, no list of models or prices.
    """
    assert "Seven." in run.done.stdout
    hosts = {one["host"].rpartition(":")[0] for one in run.report["hosts"]}
    assert {"127.0.0.1"} == hosts, run.report
    assert run.report["kept"]


@pytest.mark.row("S5", "D3")
def test_gemini_cli_is_held_where_it_heeds_no_settings(tmp_path: Path) -> None:
    """Of a home below a folder that everybody may write to, and of everybody but root, it heeds no
    settings file for the machine. Its statistics, on then, reach nobody, and it answers.
    """
    program = AGENTS["gemini"].fetch()
    if program is None:
        pytest.skip("gemini could not be had from npm")
    home, report = tmp_path / "ann", tmp_path / "report.json"
    (home / ".gemini").mkdir(parents=True)
    settings = {"security": {"auth": {"selectedType": "gemini-api-key"}}}
    (home / ".gemini/settings.json").write_text(json.dumps(settings))
    bailee = Bailee(tmp_path)
    with ScriptedUpstream([Says("Seven.")], tools_only=True, aside=Says("Trees")) as model:
        try:
            ready = bailee.up(
                "--upstream",
                model.url,
                "--upstream-key-env",
                "KEY",
                env={"KEY": "sk-the-operators"},
            )
            done = processes.run(
                *("run", "--watch-egress", "--report", str(report), "--", str(program)),
                *COMMANDS["gemini"].first,
                env=clean_environment(
                    home, SHELL="/bin/bash", BAILEE_URL=ready["gateway"],
                    BAILEE_API_KEY=ready["key"], **COMMANDS["gemini"].more,
                ),
                folder=home,
                timeout=180,
            )  # fmt: skip
        finally:
            bailee.close()
    assert "Seven." in done.stdout, done.stderr
    others = [one for one in json.loads(report.read_text())["hosts"] if not one["promised"]]
    assert {"play.googleapis.com:443"} == {one["host"] for one in others}
    assert all(one["connections"] == one["refused"] > 0 for one in others)


@pytest.mark.row("D3", "G4", "R1")
def test_what_it_says_and_does_is_one_session(run: Run) -> None:
    """Both questions, the tool that it called, what that gave and both answers are shown, in one
    session by its own API's channel, though the second question came from another process; the
    upstream got the operator's key alone, in its own form.
    """
    asks = COMMANDS[run.agent]
    assert {asks.path, *(() if asks.compacts is None else asks.compacts[2:])} == {*run.asked}
    (session,) = run.sessions
    assert asks.channel == session["channel"]
    assert "retain.commercial" == session["retention"]["clause"]
    expected = [PROMPT, "Seven.", AGAIN, "Eight."]
    if asks.read is not None:
        expected += [f"tool_use {asks.read.name}", "seven pear trees"]
    assert [] == [one for one in expected if one not in run.shown], run.shown[-3000:]
    form = "sk-the-operators" if asks.channel == "google" else "Bearer sk-the-operators"
    assert {form} == run.credentials


@pytest.mark.row("G3", "G4")
def test_a_fork_is_a_session_that_has_what_was_before(run: Run) -> None:
    """Of its own, with the question that began it; the one that it came from has nothing of that.
    Of a history that was compacted it has what was asked. Gemini CLI and aider fork none.
    """
    assert 2 * bool(COMMANDS[run.agent].fork) == len(run.forked)
    assert [BESIDES in one for one in run.forked].count(True) == bool(run.forked)
    for one in run.forked:
        assert [] == [said for said in (PROMPT, AGAIN) if said not in one]


@pytest.mark.row("G3", "G4")
def test_what_branches_off_is_where_it_began(run: Run) -> None:
    """An agent stands after the call that began it, whether the client names it or not; a history
    that was compacted is another conversation, after all that was said before. And a client that
    sends an answer back otherwise than it came has said nothing twice.
    """
    asks = COMMANDS[run.agent]
    (told,) = run.told
    assert asks.begins == len(told["begins"])
    agents = [one for one in told["branches"] if one["kind"] == "agent"]
    assert bool(asks.agent) == bool(agents)
    for one in agents:
        assert COUNTED in json.dumps(one["messages"])
        assert ASKED in json.dumps(told["messages"][one["at"] - 1])
    kinds = {one["kind"] for one in told["branches"]}
    # aider says in other words what was said; Gemini CLI says first what the folder has.
    anew = {"rewritten"} if run.agent in ("aider", "gemini") else set()
    assert kinds <= {"agent", "title", "aside"} | anew


@pytest.mark.row("R3")
def test_every_file_that_it_leaves_is_in_the_list(run: Run) -> None:
    """What it left in an empty environment is forgotten on time, or is known to hold no word of a
    conversation: a file that is neither is one that nobody thought of.
    """
    unknown, wrong = left_by(run.places(), run.home, PROMPT.split()[2].encode(), run.given)

    assert [] == unknown
    assert [] == wrong


@pytest.mark.row("R3")
def test_after_its_days_no_file_of_its_has_the_prompt(run: Run) -> None:
    """By record time, databases included: on the 29th day all is there, on the 31st the prompt
    is in no file under the home, and the program still works.
    """
    now = datetime.now(UTC)
    before = run.holding()
    early = run.tidied(now + timedelta(days=29))

    assert before
    assert () == early.past
    assert set(before) == set(run.holding())

    run.tidied(now + timedelta(days=31))

    assert [] == run.holding()
    again = {"opencode": ["session", "list"], "codex": ["--version"]}.get(run.agent, ["--version"])
    done = subprocess.run(
        [str(run.program), *again], cwd=run.project, env=run.environment,
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert 0 == done.returncode, done.stderr
    assert "ses_" not in done.stdout


@pytest.mark.row("R3")
def test_what_claude_code_leaves_is_in_the_list_and_goes(claude: Path) -> None:
    """With commands in the background, a long output, an edit and a list of tasks: every file that
    it left is known, and after its days no file has a word of it.
    """
    CACHE.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="home-", dir=CACHE))
    try:
        home, project = folder / "ann", folder / "ann/orchard"
        (home / "tmp").mkdir(parents=True)
        project.mkdir()
        trees = project / "orchard.txt"
        trees.write_text("seven pear trees\n")
        given = frozenset(home.rglob("*"))
        turns = [
            ToolUse("Bash", {"command": "echo quincequince", "run_in_background": True}),
            ToolUse("Bash", {"command": "seq 1 20000; echo quincequince"}),
            ToolUse("Read", {"file_path": str(trees)}),
            ToolUse("Edit", {"file_path": str(trees), "old_string": "seven", "new_string": "six"}),
            ToolUse("TaskCreate", {"subject": "quincequince", "description": "count"}),
            Text("Seven."),
        ]
        with ScriptedUpstream(turns) as model:
            environment = clean_environment(
                home, SHELL="/bin/bash", ANTHROPIC_BASE_URL=model.url, ANTHROPIC_AUTH_TOKEN="x",
                TMPDIR=str(home / "tmp"), CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC="1",
                CLAUDE_CODE_DISABLE_OFFICIAL_MARKETPLACE_AUTOINSTALL="1", DISABLE_AUTOUPDATER="1",
            )  # fmt: skip
            done = subprocess.run(
                [str(claude), "-p", PROMPT, "--allowedTools", "Bash Read Edit TaskCreate"],
                cwd=project, env=environment, stdin=subprocess.DEVNULL, capture_output=True,
                text=True, timeout=120, check=False,
            )  # fmt: skip
        assert "Seven." in done.stdout, done.stderr
        places = groups("claude", home, project, environment)
        given |= {trees}
        unknown, wrong = left_by(places, home, b"quincequince", given)
        assert ([], []) == (unknown, wrong)

        def held() -> set[str]:
            return {
                str(path.relative_to(home))
                for path in home.rglob("*")
                if path.is_file() and b"quincequince" in path.read_bytes()
            }

        now = datetime.now(UTC)
        assert {".claude", "tmp"} == {name.partition("/")[0] for name in held()}
        early = foreign.plan("claude", places, Lifetimes(30), now + timedelta(days=29))
        assert () == early.past
        foreign.carry_out(foreign.plan("claude", places, Lifetimes(30), now + timedelta(days=31)))
        assert set() == held()
    finally:
        shutil.rmtree(folder)

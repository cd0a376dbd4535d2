"""Names are text: in every command's output, on every page, in the lines of a running server.

A name with all that a terminal obeys, an eye is misled by and a page would run is put into every
place that holds one: straight into the database for what is refused today at the door and may stand
in an older home, and as a client writes it for what clients name. Then every command and every page
is asked to show it. Commands and routes are counted from the program itself: a new one fails here
until it is in the table.
"""

from __future__ import annotations

import json
import re
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from bailee.cli import of, whole
from bailee.console import Parts
from bailee.console.site import Site
from bailee.policy import load
from bailee.policy.diagram import Configuration
from bailee.shown import is_plain
from bailee.testing.tampering import rewrite
from bailee.testing.upstream import ScriptedUpstream
from support.browsers.browsing import Visitor
from support.clients import processes
from support.clients.programs import Bailee, clean_environment
from support.clients.terminal import Screen

NASTY = (
    "\x1b]0;own\x07\x1b[2K[/x][bold]:bomb:ci\r\n12:00:00  forged\x9b31m\u202e\u200b<b onclick=x>\"'"
)
FORGED = re.compile(r"(?m)^\s*12:00:00  forged")
PASSWORD = "seven pear trees in a row"

SHOWS: dict[str, list[str]] = {
    "key list": [], "key show": ["--key", "{key}"], "key revoke": ["{spare}"],
    "key create": ["--account", "{account}", "--name", "plain"],
    "person list": [], "person show": ["{person}"], "person sign-ins": ["{person}"],
    "organisation list": [], "organisation show": ["{organisation}"],
    "organisation policy show": ["{organisation}"],
    "organisation member add": ["{organisation}", "{other}"],
    "organisation member role": ["{organisation}", "{other}", "member"],
    "organisation member remove": ["{organisation}", "{other}"],
    "organisation partner join": ["{organisation}", "--confirm", NASTY, "--key", "{key}"],
    "organisation partner leave": ["{organisation}", "--key", "{key}"],
    "privacy show": ["--key", "{key}"], "privacy history": ["--key", "{key}"],
    "privacy exports": ["--key", "{key}"], "training exports": [], "person trainer": ["{person}"],
    "account list": [], "account show": ["{account}"],
    "account allow": ["{account}", "--unrecorded-routes"],
    "account forbid": ["{account}", "--unrecorded-routes"],
    "account limit": ["{account}", "--stored-mb", "0"],
    "account residency": ["{account}", "eu"],
    "sessions list": [], "sessions show": ["{session}", "--all"],
    "sessions raw": ["{session}"], "sessions going": [],
    "sessions search": ["hello", "--key", "{key}"],
    "hold place": ["--session", "{session}", "--reason", "matter 7"],
    "hold list": [], "hold release": ["{hold}"],
    "clock show": [],
    "feedback list": [], "feedback show": ["{report}"],
    "feedback draft": ["{report}", "--repository", "a/b"],
    "feedback link": ["{report}", "https://github.com/a/b/issues/1"],
    "feedback close": ["{report}"], "feedback reopen": ["{report}"],
    "errors list": [], "metrics list": [], "metrics summary": [], "metrics dropped": [],
    "metrics destinations": [], "metrics fields": [], "survey results": [],
    "retention report": [], "retention moves": [], "retention receipts": [], "retention run": [],
    "retention shred": [],
    "requests list": [],
    "receipts list": [], "receipts key": [], "audit list": [], "audit show": ["1"],
    "audit checkpoint": [], "audit witness": [], "audit stream status": [], "audit verify": [],
    "audit prove": ["1"],
    "config show": [], "verify": [], "promises": [], "status": [], "backup list": [],
    "usage": ["--by", "person", "--by", "model"], "limits list": [], "limits models": [],
    "limits requests": [],
    "cloud list": [], "cloud git list": ["--account", "{account}"],
    "cloud network list": ["--account", "{account}"],
    "flows list": [], "flows receipts": [], "outbox list": [], "local list": [],
    "policy check": [], "policy show": [], "policy history": [],
    "sign-in": [], "sessions delete": ["{session}"],
}  # fmt: skip
"""Commands that show what somebody named, and some that could one day; in this order."""
OF_SEVERAL_LINES = {"sessions show", "feedback show", "feedback draft"}
"""What was said, not what something is called: it has lines of its own."""
NOT_HERE = {
    "up": "its lines are looked at below", "serve gateway": "its own settings",
    "demo": "names nothing", "code": "tests of its terminal",
    "run": "an agent's own output", "outbox show": "exact bytes, tests of the outbox",
    "outbox send": "acts", "flows off": "acts", "flows on": "acts", "local export": "a file",
    "local clean": "acts", "local delete": "acts",
    "local keep": "an id and a day", "local release": "an id", "local clock": "a time",
    "policy decide": "JSON in ASCII", "policy explain": "the document's words",
    "policy diff": "two documents", "policy try": "numbers",
    "policy activate": "numbers", "policy held": "a reason", "policy page": "a document",
    "policy settings": "keys and clauses", "doctor": "keys, files and clauses",
    "setup claude": "what was just typed", "login": "a code, and what was just typed",
    "logout": "what was just typed", "token": "a token", "person sign-out": "ids",
    "person auditor": "an id", "requests open": "an id", "requests show": "as `list`",
    "requests inventory": "counts", "requests hold": "ids", "requests export": "a file",
    "requests erase": "ids", "requests answer": "an id", "requests extend": "an id",
    "requests close": "an id", "requests letter": "words of ours, and an email",
    "person create": "an id and a key", "person password": "an id", "person export": "a file",
    "person erase": "an id", "person import": "in test_import.py",
    "receipts verify": "a file", "receipts show": "ids",
    "receipts proof": "ids", "audit erasure": "kinds, places and counts",
    "hold read": "as `sessions export`", "organisation create": "ids",
    "organisation provider": "what was just typed",
    "organisation provider-only": "an id and a number",
    "organisation key-days": "an id and numbers",
    "organisation policy explain": "ids, and a document's words, on lines of ours",
    "organisation policy diff": "as `policy diff`", "organisation policy set": "ids and numbers",
    "organisation policy remove": "as `set`",
    "organisation groups show": "a provider's names, on lines of ours",
    "organisation groups set": "as `show`", "organisation groups try": "what was just typed",
    "organisation scim add": "ids, and a token of ours", "organisation scim list": "ids",
    "organisation scim remove": "ids",
    "organisation service-account add": "what was just typed",
    "organisation service-account list": "as `add`, on lines of ours",
    "organisation service-account remove": "ids", "privacy allow": "as `show`",
    "privacy refuse": "as `show`", "sessions export": "in a terminal, below",
    "metrics query": "declared fields alone", "errors show": "declared fields alone",
    "errors resolve": "an id", "errors mute": "an id", "errors reopen": "an id",
    "sessions keep": "an id and a day", "sessions release": "as `keep`",
    "feedback withdraw": "an id", "feedback file": "an address",
    "cloud start": "needs machines", "cloud show": "needs machines",
    "cloud attach": "needs machines",
    "cloud send": "needs machines", "cloud diff": "needs machines", "cloud stop": "needs machines",
    "cloud logs": "needs machines", "cloud delete": "needs machines",
    "cloud teleport": "needs machines", "cloud runner": "needs machines", "cloud git add": "an id",
    "cloud git remove": "an id", "cloud image build": "hours", "cloud image list": "digests",
    "cloud network allow": "an entry of plain characters", "cloud network deny": "as `allow`",
    "cloud network remove": "as `allow`", "keyring rotate": "numbers", "clock confirm": "a time",
    "witness": "keys, and names in known-logs that have no control characters",
    "keyring move": "a driver",
    "backup create": "folders that were just typed", "backup verify": "paths and ids",
    "training export": "folders that were just typed, and counts",
    "training verify": "paths and ids", "training withdrawals": "ids and paths",
    "limits set": "an id and an amount", "limits remove": "what was just typed",
    "limits allow": "what was just typed", "limits grant": "an id, and an email",
    "limits deny": "as `grant`",
    "backup end": "an id", "backup restore": "folders that were just typed, and ids",
    "home accept-older": "names of folders", "home salvage": "names of tables, and ids",
}  # fmt: skip


@dataclass(frozen=True)
class Home:
    """A running server over a home with nasty names, and what stands for a command's arguments."""

    bailee: Bailee
    output: Path
    console: str
    names: dict[str, str]
    person: Visitor
    operator: Visitor

    def run(self, *arguments: str) -> tuple[int, str]:
        """A command in this process: its status and all that it wrote. Built is what `bailee`
        builds for it: all commands take ten times as long as most of them do.
        """
        environment = {
            "BAILEE_HOME": str(self.bailee.home),
            "HOME": str(self.bailee.home.parent),
            "COLUMNS": "200",  # A narrow terminal folds a name over two lines.
        }
        done = CliRunner().invoke(of(arguments[0]), list(arguments), env=environment)
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done.exit_code, done.output


def _send(url: str, content: object, key: str) -> Any:
    request = urllib.request.Request(
        url, json.dumps(content).encode(), {"content-type": "application/json", "x-api-key": key}
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.loads(response.read())


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """See `Home`."""
    folder = tmp_path_factory.mktemp("names")
    bailee = Bailee(folder)
    mia = bailee.json("person", "create", "--email", "mia@x.example", "--plan", "pro")
    other = bailee.json("person", "create", "--email", "otto@x.example", "--plan", "pro")
    acme = bailee.json("organisation", "create", "Acme", "--plan", "team", "--owner", mia["person"])
    spare = bailee.json("key", "create", "--organisation", acme["organisation"])
    tables = ("api_keys", "accounts", "organisations")
    rewrite(bailee.home, *(f"UPDATE {table} SET name = :nasty" for table in tables), nasty=NASTY)
    names = {
        "key": mia["key"], "person": mia["person"], "other": other["person"],
        "organisation": acme["organisation"], "spare": spare["key_id"], "account": acme["account"],
    }  # fmt: skip
    with ScriptedUpstream(tools_only=False) as upstream:
        output = folder / "output"
        with output.open("w") as file:
            process = processes.start(
                *("up", "--gateway", "127.0.0.1:0", "--console", "127.0.0.1:0"),
                *("--ingest", "127.0.0.1:0", "--upstream", upstream.url),
                env=clean_environment(folder, BAILEE_HOME=str(bailee.home)),
                stdout=file,
                stderr=file,
            )
        try:
            yield _visited(bailee, output, names)
        finally:
            process.terminate()
            process.wait(timeout=60)


def _visited(bailee: Bailee, output: Path, names: dict[str, str]) -> Home:
    deadline = time.monotonic() + 120
    while "Each exchange" not in output.read_text():
        assert time.monotonic() < deadline, output.read_text()
        time.sleep(0.1)
    said = output.read_text()
    gateway, link, ingest = (
        re.search(rf"(?m)^  {name} +(http\S+)", said)[1]  # type: ignore[index]
        for name in ("gateway", "console", "ingest")
    )
    console = link.partition("/sign-in")[0]
    content = [{"type": "text", "text": NASTY}, {"type": NASTY, "text": NASTY}]
    _send(
        gateway + "/v1/messages",
        {
            "model": NASTY, "max_tokens": 9, "metadata": {"user_id": NASTY},
            "messages": [{"role": "user", "content": content}],
        },
        names["key"],
    )  # fmt: skip
    report = {"description": NASTY, "version": NASTY, NASTY: NASTY}
    sent = _send(ingest + "/api/claude_cli_feedback", {"content": json.dumps(report)}, names["key"])
    names["report"] = sent["feedback_id"]
    operator, person = Visitor(console), Visitor(console, user_agent="x\x9b31m\x85")
    operator.get(link)
    found = Home(bailee, output, console, names, person, operator)
    names["session"] = json.loads(found.run("sessions", "list", "--json")[1])[0]["id"]
    environment = {"BAILEE_HOME": str(bailee.home)}
    typed = f"{PASSWORD}\n{PASSWORD}\n"
    CliRunner().invoke(
        of("person"), ["person", "password", "--key", names["key"]], typed, env=environment
    )
    signed = person.submit("/sign-in", "/sign-in", {"email": "mia@x.example", "password": PASSWORD})
    assert 200 == signed.status
    return found


def commands(group: typer.Typer, before: tuple[str, ...] = ()) -> Iterator[str]:
    """Every command's words."""
    for command in group.registered_commands:
        name = command.name or str(getattr(command.callback, "__name__", "?")).replace("_", "-")
        yield " ".join([*before, name])
    for below in group.registered_groups:
        assert below.typer_instance is not None
        name = below.name or str(below.typer_instance.info.name)
        yield from commands(below.typer_instance, (*before, name))


def test_every_command_is_in_the_tables() -> None:
    """A new one is tried with nasty names, or says why it can show none."""
    assert set(commands(whole())) == {*SHOWS, *NOT_HERE}


def obeyed(text: str) -> list[str]:
    """What of an output a terminal would obey, or an eye be misled by."""
    rest = text.replace("\n", "").replace("\t", "")
    return [] if is_plain(rest) else [repr(rest[:200])]


def wrong(text: str) -> list[str]:
    """That, and lines that nobody but a name wrote."""
    return obeyed(text) + FORGED.findall(text)


@pytest.mark.row("G1")
def test_no_command_lets_a_name_out_as_anything_but_text(home: Home) -> None:
    """All end with a status of theirs and no traceback; the name is there, as escapes."""
    seen, problems = set(), {}
    for command, arguments in SHOWS.items():
        status, text = home.run(*command.split(), *(a.format(**home.names) for a in arguments))
        if command == "hold place":
            home.names["hold"] = text.split()[0]
        if r"\x1b]0;own\x07" in text:
            seen.add(command)
        found = obeyed(text) if command in OF_SEVERAL_LINES else wrong(text)
        if found or status != 0:
            problems[command] = (status, found, text[-300:])

    assert {} == problems
    assert {
        "key list", "person show", "organisation list", "organisation show", "sessions show",
        "feedback show", "feedback draft", "organisation partner join",
    } <= seen  # fmt: skip


@pytest.mark.row("G1")
def test_the_servers_own_lines_show_names_as_text(home: Home) -> None:
    """A line for each exchange, with the key's name in it, and no line that a name made."""
    deadline = time.monotonic() + 30
    while "POST /v1/messages" not in home.output.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    text = home.output.read_bytes().decode()

    assert [] == wrong(text)
    assert r"\x1b]0;own\x07" in text


@pytest.mark.row("G1")
def test_no_page_lets_a_name_out_as_anything_but_text(home: Home) -> None:
    """Every page there is, as a person and as the operator."""
    nothing: Any = SimpleNamespace(policy=load(), registry=None)
    running = Configuration("http://127.0.0.1:1", False, (), "folder", "file")
    site = Site(Parts(nothing, running, nothing))
    given = {
        **home.names, "measure": "no.such.measure", "issue": "no-such-issue",
        "reference": "no-such-receipt", "exchange": "0", "side": "request",
        "request": "no-such-request", "language": "en", "form": "html",
    }  # fmt: skip
    seen, problems = set(), {}
    for entry in site.entries:
        if entry.method != "GET" or entry.path.startswith(("/api/", "/ledger/")):
            continue
        for who in (home.person, home.operator):
            answer = who.get(entry.path.format(**given))
            text = answer.text.replace("\u200c", "").replace("\u200d", "")
            a_file = answer.headers.get("content-type", "").startswith("text/csv")
            if a_file:  # a line ends as RFC 4180 says, and markup in a cell is what it is
                text = text.removeprefix("\ufeff").replace("\r\n", "\n")
            if r"\x1b]0;own\x07" in text:
                seen.add(entry.path)
            if answer.status >= 500 or obeyed(text) or ("<b onclick" in text and not a_file):
                problems[entry.path] = (answer.status, obeyed(text))

    assert {} == problems
    assert {"/organisations/{organisation}", "/admin/organisations", "/settings/account"} <= seen


def test_a_terminal_is_told_nothing_by_a_name(home: Home) -> None:
    """With a real one behind it: what it was sent, and what is on its screen."""
    environment = clean_environment(home.bailee.home.parent, BAILEE_HOME=str(home.bailee.home))
    arguments = ("person", "show", home.names["person"])
    screen = Screen(*arguments, folder=home.bailee.home.parent, environment=environment)
    screen.wait("consent|key ")
    screen.end()

    assert [] == wrong(screen.text)
    assert r"\x1b]0;own" in screen.text
    assert b"\x1b]0;own" not in screen.raw

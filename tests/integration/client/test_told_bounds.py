"""What is kept of what a server says of web pages, MCP servers and other agents, whatever it
answers.
"""

from __future__ import annotations

import http.server
import json
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bailee.client.bounds_question import BoundsQuestion
from bailee.client.compiled_question import compiled_by
from bailee.client.machine import ClientMachine
from bailee.client.setting_keys import TOLD_BOUNDS
from bailee.client.told_bounds import MOST, server_of
from bailee.managed import ManagedAgent, ManagedSettings
from bailee.policy.bounds import VENDOR

pytestmark = pytest.mark.row("P1", "S6")

NONE = {"bound.servers": {"of": "mcp_servers", "only": [], "en": "None."}}


@dataclass
class Server:
    """A server: what it answers with which status, and what it was asked by whom."""

    url: str = ""
    status: int = 200
    body: bytes = b""
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    goes_on: threading.Event = field(default_factory=threading.Event)

    def says(self, bounds: object, **more: object) -> None:
        """It has a document from now on."""
        self.status, self.body = 200, json.dumps({"settings": {"bounds": bounds, **more}}).encode()


@pytest.fixture
def server() -> Iterator[Server]:
    """One that has a document without bounds, and answers at once."""
    made = Server()
    made.says({})
    made.goes_on.set()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            got = (self.headers.get(one, "") for one in ("authorization", "if-none-match"))
            made.asked.append((self.path, *got))
            made.goes_on.wait(30)
            self.send_response(made.status)
            self.send_header("etag", '"one"')
            self.send_header("content-length", str(len(made.body)))
            self.end_headers()
            self.wfile.write(made.body)

        def log_message(self, *_: object) -> None:
            pass

    listening = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listening.handle_error = lambda *_: None  # type: ignore[method-assign]
    made.url = f"http://127.0.0.1:{listening.server_port}"
    thread = threading.Thread(target=listening.serve_forever)
    thread.start()
    yield made
    made.goes_on.set()
    listening.shutdown()
    listening.server_close()
    thread.join()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A person's home, where nothing is set."""
    for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "BAILEE_MANAGED_SETTINGS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def machine(home: Path, server: Server, **more: str) -> ClientMachine:
    """The machine with a key of the server's."""
    held = {"BAILEE_URL": server.url, "BAILEE_API_KEY": "bl_one", **more}
    return ClientMachine.open(home, environment=held)


def asked(here: ClientMachine) -> list[str]:
    """The clauses that hold once the server was asked, to the end of its answer."""
    question = BoundsQuestion(here)
    question.over.wait(30)
    return [one.clause for one in question.afresh().settings.bounds]


def held(here: ClientMachine) -> list[str]:
    """The clauses that hold without a question."""
    return [one.clause for one in here.afresh().settings.bounds]


def test_what_it_said_last_holds_until_it_says_something_else(home: Path, server: Server) -> None:
    """Asked with the key and the ETag; no other status and no page of somebody else's changes it.
    Another address is another server. Where nothing was kept, a document without bounds is not.
    """
    here = machine(home, server)
    assert [] == asked(here)
    assert not (here.data / TOLD_BOUNDS).exists()

    server.says(NONE)
    assert ["bound.servers"] == asked(here)
    for status, body in (
        (304, b""), (401, b"{}"), (404, b"{}"), (500, b""), (200, b"<html>"), (200, b"{}"),
        (200, b"[" * 100_000), (200, b'{"settings": []}'),
    ):  # fmt: skip
        server.status, server.body = status, body
        assert ["bound.servers"] == asked(here)
    assert ("/managed/bailee", "Bearer bl_one", '"one"') == server.asked[-1]
    assert [] == asked(machine(home, server, BAILEE_URL="http://127.0.0.1:9"))
    assert ["bound.servers"] == held(machine(home, server))

    (kept,) = (here.data / TOLD_BOUNDS).iterdir()
    assert 0o600 == kept.stat().st_mode & 0o777
    assert "bl_one" not in kept.name + kept.read_text()
    server.says({})
    assert [] == asked(here) == held(here)


def stated(here: ClientMachine, *, heard: bool = True) -> dict[str, str] | None:
    """What the document states once the server was asked, in words, and then without a question."""
    question = BoundsQuestion(here)
    question.over.wait(30)
    assert heard == question.heard
    found = []
    for one in (question.afresh(), here.afresh()):
        told = one.settings.told
        said = None if told is None else {name: text["en"] for name, text in told.texts.items()}
        found.append(said)
    assert found[0] == found[1]
    return found[0]


def test_what_it_states_of_agents_holds_until_it_states_something_else(
    home: Path, server: Server
) -> None:
    """Without bounds, too; while it is away, as it said last. Of what is kept and not understood
    nothing is known, nor of a server that does not say it.
    """
    here = machine(home, server)
    assert None is stated(here)
    server.says({}, statements={VENDOR: {"en": "None."}}, document="a" * 64, more="secret")
    assert {VENDOR: "None."} == stated(here)
    (kept,) = (here.data / TOLD_BOUNDS).iterdir()
    assert {"etag", "bounds", "statements", "document"} == json.loads(kept.read_bytes()).keys()
    told = here.afresh().settings.told
    assert told is not None and (server.url, "a" * 12) == (told.place, told.document)
    for status, body, heard in ((304, b"", True), (500, b"", False), (200, b"<html>", False)):
        server.status, server.body = status, body
        assert {VENDOR: "None."} == stated(here, heard=heard)
    assert None is machine(home, server, BAILEE_API_KEY="bl_two").settings.told
    for wrong in (b"{", b'{"bounds": {}, "statements": 3}', b'{"bounds": {}}'):
        kept.write_bytes(wrong)
        assert None is here.afresh().settings.told
    server.says({}, statements={})
    assert {} == stated(here)
    server.says({})
    assert None is stated(here)


def test_each_key_has_its_own_and_no_other_key_is_sent(home: Path, server: Server) -> None:
    """Nor is anything asked without one."""
    server.says(NONE)
    assert ["bound.servers"] == asked(machine(home, server))
    assert [] == held(machine(home, server, BAILEE_API_KEY="bl_two"))
    count = len(server.asked)
    for key in ("", "sk-mine"):
        mine = machine(home, server, BAILEE_API_KEY=key, ANTHROPIC_API_KEY="sk-mine")
        assert [] == asked(mine)
    assert count == len(server.asked)


def test_what_is_kept_and_is_not_understood_leaves_nothing(home: Path, server: Server) -> None:
    """Until the server says something else. Of many servers and keys the newest stay."""
    server.says({"bound.new": {"of": "screens", "only": []}})
    here = machine(home, server)
    assert ["settings", "settings"] == asked(here)
    (kept,) = (here.data / TOLD_BOUNDS).iterdir()
    for wrong in (b"", b"{", b'{"bounds": 3}', b"\xff", b"[" * 100_000):
        kept.write_bytes(wrong)
        assert ["settings", "settings"] == held(here)
    for number in range(MOST + 5):
        (kept.parent / f"{number}").write_bytes(b"{}")
        os.utime(kept.parent / f"{number}", (number, number))
    server.says(NONE)
    assert ["bound.servers"] == asked(here)
    assert MOST == len(list(kept.parent.iterdir()))
    assert kept.exists()


def test_what_can_not_be_kept_holds_for_the_session(home: Path, server: Server) -> None:
    """As it would on a full disk: here a file lies in the place of the folder."""
    server.says(NONE)
    here = machine(home, server)
    here.data.mkdir(parents=True)
    (here.data / TOLD_BOUNDS).write_text("")
    assert ["bound.servers"] == asked(here)
    server.says({}, statements={VENDOR: {"en": "None."}})
    question = BoundsQuestion(here)
    question.over.wait(30)
    told = question.afresh().settings.told
    assert told is not None and "None." == told.text(VENDOR, "zh")


def test_who_is_slow_keeps_nobody_waiting_and_is_heard_later(home: Path, server: Server) -> None:
    """A server that does not answer is passed over; what it says then holds from there on."""
    server.says(NONE)
    server.goes_on.clear()
    question = BoundsQuestion(machine(home, server))
    assert () == question.afresh().settings.bounds
    server.goes_on.set()
    question.over.wait(30)
    assert ["bound.servers"] == [one.clause for one in question.afresh().settings.bounds]


GOOD = {"key": ["env", "DO_NOT_TRACK"], "value": "1", "clause": "send.x"}


def compiled(here: ClientMachine, *agents: ManagedAgent) -> list[ManagedSettings] | None:
    """What these agents are told by the server's document, where it says so."""
    server = server_of(here.settings, here.data)
    assert server is not None
    made = compiled_by(here, server, agents, provider="api", gateway="https://b.example/?a&b")
    return None if made is None else [made[one] for one in agents]


@pytest.mark.row("O3")
def test_what_agents_must_obey_is_asked_with_the_key_for_each(home: Path, server: Server) -> None:
    """With all that they are compiled from; nothing is kept."""
    server.says({}, document="d\x1b1", compiled=[GOOD, {**GOOD, "value": None}])
    here = machine(home, server)
    made = compiled(here, ManagedAgent.CODEX, ManagedAgent.BAILEE)
    assert made is not None
    assert [("codex", "d1"), ("bailee", "d1")] == [(one.agent, one.document) for one in made]
    assert [("env.DO_NOT_TRACK", "1", "send.x"), ("env.DO_NOT_TRACK", None, "send.x")] == [
        (one.name, one.value, one.clause) for one in made[0].file.values
    ]
    asked = "provider=api&gateway=https%3A%2F%2Fb.example%2F%3Fa%26b"
    assert [
        (f"/managed/bailee?for={agent}&{asked}", "Bearer bl_one", "")
        for agent in ("codex", "bailee")
    ] == server.asked
    assert not (here.data / TOLD_BOUNDS).exists()


@pytest.mark.row("O3")
@pytest.mark.parametrize(
    "said",
    [
        {}, {"compiled": {}}, {"compiled": [3]}, {"compiled": [{**GOOD, "key": []}]},
        {"compiled": [{**GOOD, "key": ["a", 3]}]}, {"compiled": [{**GOOD, "clause": ""}]},
        {"compiled": [{"key": ["a"], "clause": "c"}]}, {"compiled": [GOOD] * 1001},
    ],
)  # fmt: skip
def test_of_an_answer_that_is_not_understood_nothing_is_taken(
    home: Path, server: Server, said: dict[str, object]
) -> None:
    """As of a server that does not know the question, or is none."""
    here = machine(home, server)
    server.says({}, **said)
    assert None is compiled(here, ManagedAgent.CODEX)


@pytest.mark.row("O3")
def test_of_no_answer_nothing_is_taken(home: Path, server: Server) -> None:
    """Nor of a refusal, or of what is no JSON."""
    here = machine(home, server)
    for status, body in ((404, b"{}"), (401, b"{}"), (200, b"<html>"), (200, b"[" * 100_000)):
        server.status, server.body = status, body
        assert None is compiled(here, ManagedAgent.CODEX)
    assert None is compiled(machine(home, server, BAILEE_URL="http://127.0.0.1:9"), *ManagedAgent)

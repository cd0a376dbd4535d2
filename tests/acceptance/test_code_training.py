"""`bailee code` asks who has not chosen about training, once per start, and is never in the way."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from bailee.policy import load
from bailee.policy.document import Language
from bailee.testing.upstream import ScriptedUpstream
from support.clients import processes
from support.clients.programs import SILENT, Bailee, clean_environment
from support.clients.terminal import Opens

Serve = Callable[..., Bailee]
QUESTION = "May what you do here improve models?"
LAST_ANSWER = r"3 l  \S"


def person(bailee: Bailee, plan: str = "pro") -> str:
    """A person who has not chosen; their key."""
    made = bailee.json("person", "create", "--email", f"{plan}@example.org", "--plan", plan)
    return str(made["key"])


def at(bailee: Bailee, key: str) -> dict[str, str]:
    """The environment of a client that is pointed at the service."""
    return {
        "ANTHROPIC_BASE_URL": bailee.ready["gateway"],
        "ANTHROPIC_AUTH_TOKEN": key,
        "BAILEE_CONSOLE_URL": bailee.ready["console_api"],
    }


def history(bailee: Bailee, key: str) -> list[dict[str, Any]]:
    """The person's consent records."""
    records: list[dict[str, Any]] = bailee.json("privacy", "history", "--key", key)
    return records


def words(language: Language) -> set[str]:
    """What the policy says of both answers."""
    clauses = {c.id: c for some in load().document.clauses.values() for c in some}
    return {
        clauses[f"{action}.consumer-{choice}"].text.of(language)
        for action in ("train", "retain")
        for choice in ("allowed", "refused")
    }


@pytest.mark.row("T3")
@pytest.mark.parametrize(
    ("locale", "language", "key", "choice"),
    [("C.UTF-8", "en", "a", "allowed"), ("zh_CN.UTF-8", "zh", "d", "refused")],
)
def test_an_answer_is_recorded_with_the_notice_that_was_seen(
    served: Serve, opens: Opens, locale: str, language: Language, key: str, choice: str
) -> None:
    """The policy's own words in the locale's language, an answer, a consent record; and who has
    answered is left in peace at the next start.
    """
    bailee = served()
    theirs = person(bailee)
    screen = opens(until=LAST_ANSWER, columns=250, LANG=locale, **at(bailee, theirs))
    shown = screen.text.replace(" ", "")
    assert set() == {text for text in words(language) if text.replace(" ", "") not in shown}
    assert [] == history(bailee, theirs)
    screen.type(key)
    screen.wait(f"train.consumer-{choice}[)）]")
    screen.submit("hello")
    screen.wait("Done")

    (record,) = history(bailee, theirs)
    assert ("none", choice, language, "api") == (
        record["old"],
        record["new"],
        record["notice"]["language"],
        record["source"],
    )
    again = opens(columns=160, LANG=locale, **at(bailee, theirs))
    assert "3 l" not in again.text


@pytest.mark.row("T3")
@pytest.mark.parametrize("answer", ["l", "\x03"])
def test_later_chooses_nothing(served: Serve, opens: Opens, answer: str) -> None:
    """Enter chooses nothing, later and Ctrl-C leave it open and say what holds; it is asked once
    per start, before the first line is sent.
    """
    bailee = served()
    theirs = person(bailee)
    screen = opens("hello", until=LAST_ANSWER, **at(bailee, theirs))
    screen.type("\r\r")
    screen.read(0.3)
    assert "Nothing is chosen" not in screen.text
    assert "Done" not in screen.text
    screen.type(answer)
    screen.wait("training is not allowed until you allow it")
    screen.wait("Done")
    screen.submit("/clear")
    shown = screen.wait("A new session")

    assert 1 == shown.count(QUESTION)
    assert [] == history(bailee, theirs)
    assert QUESTION in opens(until=LAST_ANSWER, **at(bailee, theirs)).text


@pytest.mark.row("T3")
def test_on_a_commercial_plan_nobody_is_asked(served: Serve, opens: Opens) -> None:
    """The first prompt comes, and no question before it or the second."""
    bailee = served()
    screen = opens(**at(bailee, bailee.ready["key"]))
    screen.submit("hello")
    screen.wait("Done")
    screen.wait(lambda text: text.rstrip().count("\n>") >= 2)

    assert QUESTION not in screen.text


@pytest.mark.row("T3")
def test_without_a_person_nobody_is_asked(served: Serve, root: Path) -> None:
    """`-p` answers and says nothing of it."""
    bailee = served()
    theirs = person(bailee)
    env = clean_environment(root.parent / "person", **at(bailee, theirs), **SILENT)
    done = processes.run("code", "-p", "hello", env=env, folder=root)
    done.check_returncode()

    assert ("Done.", "") == (done.stdout.strip(), done.stderr)
    assert [] == history(bailee, theirs)


class Faulty(BaseHTTPRequestHandler):
    """A console that says to ask once `open_` is set, and takes no answer."""

    open_: threading.Event

    def do_GET(self) -> None:
        """Says to ask, when it may."""
        self.open_.wait(30)
        self._answer(200, {"plan": "pro", "choice": "none", "ask": {"effect": "ask"}})

    def do_PUT(self) -> None:
        """Fails."""
        self.rfile.read(int(self.headers["content-length"]))
        self._answer(503, {})

    def log_message(self, *_: object) -> None:
        """Says nothing."""

    def _answer(self, status: int, body: object) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@pytest.fixture
def faulty() -> Iterator[tuple[str, threading.Event]]:
    """The address of a console that is slow and does not record, and what lets it answer."""
    opened = threading.Event()
    server = ThreadingHTTPServer(
        ("127.0.0.1", 0), type("Handler", (Faulty,), {"open_": opened, "daemon_threads": True})
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", opened
    opened.set()
    server.shutdown()
    server.server_close()


@pytest.mark.row("T3")
def test_a_slow_console_is_not_waited_for(
    opens: Opens, faulty: tuple[str, threading.Event]
) -> None:
    """The first prompt comes without it, and the question before a later one."""
    address, opened = faulty
    screen = opens(BAILEE_CONSOLE_URL=address)
    assert QUESTION not in screen.text
    opened.set()
    shown = ""
    for _ in range(9):  # when it has answered nobody sees: the turn may be over before
        if QUESTION not in shown:
            screen.submit("hello")
            shown = screen.wait(rf"(?m)^>$|{LAST_ANSWER}")

    assert shown.index("Done") < shown.index(QUESTION)


@pytest.mark.row("T3")
def test_an_answer_that_is_not_recorded_is_said(
    opens: Opens, faulty: tuple[str, threading.Event]
) -> None:
    """An error, where to choose instead, and the prompt."""
    address, opened = faulty
    opened.set()
    screen = opens(until=LAST_ANSWER, columns=160, BAILEE_CONSOLE_URL=address)
    screen.type("a")
    screen.wait("error: your choice was not confirmed: the console answered with status 503")
    screen.wait(f"hint: choose at {address}/settings/privacy")
    screen.submit("hello")
    shown = screen.wait("Done")

    assert "Recorded" not in shown


def test_no_console_is_not_mentioned(opens: Opens, upstream: ScriptedUpstream) -> None:
    """Where none answers, or something that is no console, the prompt is there as ever."""
    for address in ("http://127.0.0.1:9", upstream.url, "nonsense"):
        shown = opens(BAILEE_CONSOLE_URL=address).text
        assert "error" not in shown
        assert QUESTION not in shown

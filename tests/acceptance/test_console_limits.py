"""What strangers can't do to console and ingest, and to the gateway beside them."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from support.browsers.browsing import Visitor
from support.clients.programs import Bailee, message
from support.servers.slow_provider import SlowProvider

Serve = Callable[..., Bailee]


def port_of(address: str) -> int:
    """The port of an address."""
    port = urlsplit(address).port
    assert port is not None
    return port


def descriptors(bailee: Bailee) -> int:
    """How many the server has open."""
    return len(list(Path(f"/proc/{bailee.ready['pid']}/fd").iterdir()))


def resident(bailee: Bailee) -> int:
    """Its memory, in bytes."""
    status = Path(f"/proc/{bailee.ready['pid']}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024


def held(port: int, sent: bytes, number: int) -> list[socket.socket]:
    """So many connections that have sent something; fewer, where they are refused."""
    made = []
    for _ in range(number):
        with contextlib.suppress(OSError):
            connection = socket.create_connection(("127.0.0.1", port), 10)
            made.append(connection)
            connection.settimeout(2)
            connection.sendall(sent)
    return made


@pytest.mark.row("G2")
@pytest.mark.parametrize("listener", ["console_api", "ingest"])
def test_half_open_heads_leave_room_for_everybody_else(served: Serve, listener: str) -> None:
    """A thousand of them at console or ingest, of a process that may have a thousand descriptors:
    the gateway goes on, and so do the pages.
    """
    bailee = served(descriptors=1024)
    address = bailee.ready[listener]
    port = port_of(address["otlp"] if isinstance(address, dict) else address)
    before, files = Visitor(bailee.ready["console"]), descriptors(bailee)

    connections = held(port, b"GET / HTTP/1.1\r\nHost: x\r\nX: ", 1000)
    answer = message(bailee.ready, "hello")
    page = before.get("/data-usage").status
    open_now = descriptors(bailee)
    for one in connections:
        one.close()

    assert "message" == answer["type"]
    assert 200 == page
    assert open_now - files < 400


@pytest.mark.row("G2")
def test_a_strangers_large_body_is_not_read(served: Serve) -> None:
    """Who may not use an address that takes a megabyte is told so before any of it is read; a body
    over what an address takes is refused by its declared length.
    """
    bailee = served()
    host, port = urlsplit(bailee.ready["console"]).netloc, port_of(bailee.ready["console"])

    def head(path: str, length: int) -> bytes:
        return f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n\r\n".encode()

    answers = {}
    asked = {"/policy/difference": 999_999, "/cloud": 999_999, "/sign-in": 10_001}
    for path, length in asked.items():
        with socket.create_connection(("127.0.0.1", port), 20) as connection:
            connection.sendall(head(path, length))
            answers[path] = connection.recv(12)
    first = resident(bailee)
    bodies = [held(port, head("/sign-in", 9_999) + b"x" * 9_000, 200) for _ in range(3)]
    grown = resident(bailee) - first
    for one in (one for many in bodies for one in many):
        one.close()

    assert {
        "/policy/difference": b"HTTP/1.1 401",
        "/cloud": b"HTTP/1.1 401",
        "/sign-in": b"HTTP/1.1 413",
    } == answers
    assert grown < 100 << 20


def test_a_client_that_goes_away_is_no_defect(served: Serve) -> None:
    """In the middle of a body, at pages, at the API and at the ingest: no error is recorded, and
    nothing is said.
    """
    bailee = served()
    ready = bailee.ready
    host = urlsplit(ready["console"]).netloc
    places = [
        (ready["console"], "POST", "/sign-in"),
        (ready["console"], "PUT", "/api/v1/privacy/training"),
        (ready["ingest"]["otlp"], "POST", "/v1/metrics"),
        (ready["ingest"]["otlp"], "POST", "/api/1/envelope/"),
        (ready["ingest"]["otlp"], "POST", "/v1/feedback/reports"),
    ]
    for address, method, path in places:
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
            f"x-api-key: {ready['key']}\r\nContent-Length: 100\r\n\r\nabc"
        )
        with socket.create_connection(("127.0.0.1", port_of(address)), 20) as connection:
            connection.sendall(head.encode())
            time.sleep(0.2)
    Visitor(ready["console"]).get("/data-usage")

    assert [] == bailee.json("errors", "list")
    assert 0 == bailee.stop()  # which checks that nothing was written to stderr


@pytest.mark.row("G2")
def test_a_slow_provider_holds_up_nobody_else(served: Serve) -> None:
    """Forty sign-ins through it at once: all are told that it is slow, few connections are made to
    it, other pages are answered meanwhile, and the server ends when it is told to.
    """
    bailee = served()
    with SlowProvider() as slow:
        made = bailee.json("organisation", "create", "Orchard", "--plan", "team")
        bailee.run(
            *("organisation", "provider", made["organisation"]),
            *("--domain", "orchard.example", "--issuer", slow.issuer, "--client-id", "c"),
        )
        console = bailee.ready["console"]
        answers: list[int] = []

        visitors = [Visitor(console) for _ in range(40)]
        forms = [(visitor, visitor.token("/sign-in")) for visitor in visitors]

        def sign_in(visitor: Visitor, token: str) -> None:
            fields = {"email": "ada@orchard.example"}
            answers.append(visitor.post("/sign-in/organisation", fields, token).status)

        threads = [threading.Thread(target=sign_in, args=form) for form in forms]
        for thread in threads:
            thread.start()
        while not slow.asked:
            time.sleep(0.05)
        page = Visitor(console).get("/data-usage").status
        for thread in threads:
            thread.join()

        assert 200 == page
        assert [504] * 40 == answers
        assert slow.asked < 20
        assert 0 == bailee.stop()

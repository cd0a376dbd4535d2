"""What is asked of a home, by whoever may ask: over the control socket and the HTTP API."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator

import pytest

from bailee.errors import BaileeError
from bailee.home.control import reachable
from bailee.home.layout import Home
from bailee.operations import codec
from bailee.operations.table import OPERATIONS
from support.attacks.attacked import House

from .test_shares import at

pytestmark = pytest.mark.row("G1", "G2")

NO_REQUESTS = {
    "nothing": b"",
    "an empty line": b"\n",
    "a list": b"[]\n",
    "a number": b"1\n",
    "no JSON": b'{"operation":\n',
    "no Unicode": b"\xff\n",
    "half an emoji": b'{"operation":"\\ud800"}\n',
    "deep": b"[" * 500_000 + b"\n",
    "a long number": b'{"operation":"sessions.list","arguments":{"limit":' + b"9" * 5000 + b"}}\n",
    "a number in digits": b'{"operation":"audit.proof","arguments":{"id":"' + b"9" * 19 + b'"}}\n',
    "no name": b'{"operation":[],"arguments":[]}\n',
    "longer than a line may be": b"x" * ((1 << 20) + 1),
}


def told(house: House, sent: bytes) -> bytes:
    """What the control socket answers."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(20)
        connection.connect(reachable(Home(house.bailee.home).control_socket))
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        parts = []
        while part := connection.recv(65536):
            parts.append(part)
    return b"".join(parts)


def odd() -> Iterator[bytes]:
    """Every operation's every argument, as half an emoji, as a number of 65 bits, and deep."""
    deep: object = "x"
    for _ in range(900):
        deep = [deep]
    for name, function in OPERATIONS.items():
        for argument in codec.parameters(function).__struct_fields__:
            for value in ("\ud800", 1 << 64, deep):
                request = {"operation": name, "arguments": {argument: value}}
                yield json.dumps(request).encode() + b"\n"


def test_what_is_no_request_is_told_so(house: House) -> None:
    """Whatever comes over the control socket is answered with an error, and the next one served."""
    with house.within():
        for name, sent in NO_REQUESTS.items():
            answer = told(house, sent)
            assert answer.startswith(b'{"error":{"code":"') and b'"internal"' not in answer, name


def test_no_argument_is_a_defect(house: House) -> None:
    """What nothing can hold is refused, of whatever operation it is an argument."""
    with house.within(cpu=20.0, loop=8.0):
        for sent in odd():
            answer = told(house, sent)
            assert answer.startswith(b'{"error":{"code":"invalid_request"'), (sent[:99], answer)


def test_keys_without_end(house: House) -> None:
    """Of a hundred and one keys of a person a hundred are made; another person's are still made."""
    for email in ("many@keys.example", "one@keys.example"):
        house.ask("person.create", email=email, plan="pro")
    made = 0
    with house.within(cpu=20.0, loop=8.0), pytest.raises(BaileeError, match="may be no more"):
        for _ in range(101):
            house.ask("key.create", person="many@keys.example", name="one")
            made += 1
    assert 90 < made <= 100
    house.ask("key.create", person="one@keys.example", name="one")


def test_many_accounts_leave_the_ingest_to_others(house: House) -> None:
    """Six accounts with sixty requests each, whose bodies don't come, take all the places that
    there are: they are told to wait, and who has none of them is served.
    """
    keys = [house.ask("key.create", plan="team", name=f"a{n}")["key"] for n in range(6)]
    refused, kind = [], "content-type: application/json"
    with house.within():
        for key in keys:
            head = at(house, "ingest", "POST", "/v1/metrics", "content-length: 9", kind, key=key)
            house.open(head, 60, "ingest")
        lines = (kind, "content-length: 0", "connection: close")
        for key in (*keys, house.neighbours):
            asked = at(house, "ingest", "POST", "/v1/metrics", *lines, key=key)
            refused.append(house.say(asked, "ingest").split(b" ")[1])
    assert b"429" in refused[:-1] and b"503" not in refused
    assert refused[-1] not in (b"429", b"503")

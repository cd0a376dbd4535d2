"""Connections and room that are taken without anything being sent: others are served as ever."""

from __future__ import annotations

import pytest

from support.attacks.attacked import House

pytestmark = pytest.mark.row("G1", "G2")
DOORS = ("gateway", "console", "ingest")
PLACES = {"gateway": "/v1/messages", "console": "/sign-in", "ingest": "/v1/metrics"}


@pytest.mark.parametrize(
    "said", ["transfer-encoding: chunked", f"content-length: {32 << 20}"], ids=["chunked", "length"]
)
def test_bodies_that_are_announced_and_do_not_come(house: House, said: str) -> None:
    """A hundred requests of one key without their bodies take no room from anybody."""
    with house.within():
        house.open(house.head(said), 100)


def test_bodies_that_come_slowly(house: House) -> None:
    """Forty bodies of one key, a byte at a time, don't either."""
    with house.within():
        slow = house.open(house.head("transfer-encoding: chunked"), 40)
        for _ in range(3):
            for connection in slow:
                connection.sendall(b"1\r\nx\r\n")
            house.say(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")


@pytest.mark.parametrize("door", DOORS)
def test_heads_that_never_end(house: House, door: str) -> None:
    """Three thousand half-open heads at one door shut none: every other address is still served."""
    with house.within(memory=160):
        house.open(f"POST {PLACES[door]} HTTP/1.1\r\nHost: h\r\n".encode(), 3_000, door)
        for other in DOORS:
            if other != door:
                answer = house.say(
                    f"GET {PLACES[other]} HTTP/1.1\r\nHost: {house.host(other)}\r\n"
                    "Connection: close\r\n\r\n".encode(), other
                )  # fmt: skip
                assert answer.startswith(b"HTTP/1.1 ")


@pytest.mark.parametrize("door", DOORS)
def test_connections_that_say_nothing(house: House, door: str) -> None:
    """Nor do connections on which nothing comes at all."""
    with house.within(memory=128):
        house.open(b"", 2_000, door)


@pytest.mark.parametrize(
    ("door", "path", "kind"),
    [
        ("console", "/sign-in", "application/x-www-form-urlencoded"),
        ("ingest", "/api/1/envelope/", "text/plain"),
        ("ingest", "/v1/metrics", "application/json"),
    ],
    ids=["sign-in", "envelope", "metrics"],
)  # fmt: skip
def test_bodies_of_nobody(house: House, door: str, path: str, kind: str) -> None:
    """Two hundred unfinished bodies without a key are not kept in memory."""
    sent = b"x" * (1 << 20)
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {house.host(door)}\r\ncontent-type: {kind}\r\n"
        f"content-length: {len(sent) + 1}\r\n\r\n"
    )
    with house.within(memory=64, cpu=6.0):
        house.open(head.encode() + sent, 200, door)


def test_uploads_that_break_off(house: House) -> None:
    """A body that ends with its connection is nobody's error: no issue is made of it."""
    head = f"POST /v1/metrics HTTP/1.1\r\nHost: {house.host('ingest')}\r\nx-api-key: {house.key}"
    with house.within():
        for lines in ("content-length: 1000", "transfer-encoding: chunked"):
            house.open(f"{head}\r\n{lines}\r\n\r\n3\r\nxyz".encode(), 20, "ingest")
            house.let_go()
    assert [] == house.bailee.json("errors", "list")


def test_answers_that_nobody_reads(house: House) -> None:
    """Two hundred questions whose answers are left standing keep nobody from theirs."""
    body = b'{"model":"m","max_tokens":9,"messages":[]}'
    with house.within(descriptors=256):  # connections to the model are kept for a while
        house.open(house.head(f"content-length: {len(body)}") + body, 200)

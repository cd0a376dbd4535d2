"""Where one request ends and the next begins, and what stands in its head, is read in one way."""

from __future__ import annotations

import re

import pytest

from support.attacks.attacked import House

pytestmark = pytest.mark.row("G1", "G2")
BODY = b'{"resourceMetrics":[]}'
CHUNKED = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)
PLACES = {"console": "/api/v1/keys", "ingest": "/v1/metrics"}
LENGTH = b"content-length: %d" % len(BODY)
CODED = b"transfer-encoding: chunked"
MORE = b"x-api-key: other\r\nx-forwarded-for: 192.0.2.1\r\nsec-fetch-site: same-origin\r\n"

# What a head's lines are, the body, and the first line's end: no case is to be served.
TWO_WAYS = {
    "a length and a coding": ([LENGTH, CODED], CHUNKED, b"1.1"),
    "a length twice": ([LENGTH, LENGTH], BODY, b"1.1"),
    "two codings": ([b"transfer-encoding: gzip, chunked"], CHUNKED, b"1.1"),
    "a coding twice": ([CODED, CODED], CHUNKED, b"1.1"),
    "a coding in HTTP/1.0": ([CODED], CHUNKED, b"1.0"),
    "fields after the body": ([CODED], CHUNKED[:-2] + MORE + b"\r\n", b"1.1"),
    "a second host": ([b"host: other", LENGTH], BODY, b"1.1"),
    "a second key": ([b"x-api-key: other", LENGTH], BODY, b"1.1"),
    "a key of another kind": ([b"authorization: Bearer bl_other", LENGTH], BODY, b"1.1"),
    "a second kind of body": ([b"content-encoding: gzip", b"content-encoding: identity", LENGTH],
                              BODY, b"1.1"),
    "chunks without CR": ([CODED], CHUNKED.replace(b"\r\n", b"\n"), b"1.1"),
    "a version that is none": ([LENGTH], BODY, b"1.9"),
}  # fmt: skip


def asked(
    house: House, door: str, lines: list[bytes], body: bytes, version: bytes = b"1.1", to: str = ""
) -> bytes:
    """A request with the attacker's key for a door, and behind it another for what is not there."""
    host, kind = house.host(door).encode(), b"content-type: application/json"
    first = b"POST %s%s HTTP/%s" % (to.encode(), PLACES[door].encode(), version)
    given = [first, b"Host: " + host, b"x-api-key: " + house.key.encode(), kind]
    behind = b"GET /behind HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n" % host
    return b"\r\n".join([*given, *lines, b"", b""]) + body + behind


@pytest.mark.parametrize("door", PLACES)
def test_what_can_be_read_in_two_ways_is_served_in_none(house: House, door: str) -> None:
    """Each is refused, and mostly with it the connection: nothing behind it is an answer to it."""
    with house.within():
        for what, (lines, body, version) in TWO_WAYS.items():
            answer = house.say(asked(house, door, lines, body, version), door)
            first = answer.partition(b" ")[2][:3]
            assert first == (b"401" if what == "a key of another kind" else b"400"), what
        elsewhere = asked(house, door, [LENGTH], BODY, to="http://other.example")
        assert house.say(elsewhere, door).startswith(b"HTTP/1.1 400 ")
        plain = house.say(asked(house, door, [LENGTH], BODY), door)
        assert 2 == len(re.findall(rb"HTTP/1\.1 [0-9]{3} ", plain))
        assert not plain.startswith(b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain")


@pytest.mark.parametrize("door", PLACES)
@pytest.mark.parametrize(
    "around",
    [b"1;" + b"a" * (64 << 20), CHUNKED[:-2] + b"a: b\r\n" * (8 << 20)],
    ids=["an extension", "fields"],
)
def test_what_is_around_a_body_has_an_end(house: House, door: str, around: bytes) -> None:
    """What belongs to no body, 64 MB of it, is neither kept nor read to its end."""
    sent = asked(house, door, [CODED], around)
    with house.within(memory=48, cpu=2.0, loop=1.0):
        assert house.say(sent, door)[9:12] in (b"400", b"")


def test_cookies_that_are_all_escapes(house: House) -> None:
    """A head of 60 kB of them costs no more than another, whoever sends it."""
    for escape in (b'\\"', b"\\0", b"; =", b"="):
        head = b"GET /sign-in HTTP/1.1\r\nHost: " + house.host("console").encode()
        said = b'bailee_session="' + escape * (60_000 // len(escape)) + b'"'
        with house.within(cpu=1.0, loop=0.5):
            sent = b"\r\n".join([head, b"cookie: " + said, b"connection: close", b"", b""])
            assert house.say(sent, "console").startswith(b"HTTP/1.1 200 ")

"""One account, with as many keys as it likes, leaves console and ingest to others."""

from __future__ import annotations

import gzip
import json

import pytest

from support.attacks.attacked import House
from support.attacks.bombs import PACKERS, unfolding

pytestmark = pytest.mark.row("G1", "G2")
ERRORS = b"{}\n" + b'{"type":"event"}\n{"exception":{"values":[{"type":"E"}]}}\n' * 100


def at(house: House, door: str, method: str, path: str, *lines: str, key: str = "") -> bytes:
    """A request's head for a door, with a key; the attacker's, if none is given."""
    given = [f"{method} {path} HTTP/1.1", f"Host: {house.host(door)}"]
    return "\r\n".join([*given, f"x-api-key: {key or house.key}", *lines, "", ""]).encode()


def test_one_person_leaves_the_console_to_others(house: House) -> None:
    """Forty requests of a key without their bodies, and its next is told to wait; another key's is
    answered, and so is a stranger's.
    """
    waiting = at(house, "console", "POST", "/api/v1/keys", "content-length: 9")
    asked = at(house, "console", "GET", "/api/v1/key", "connection: close")
    others = at(
        house, "console", "GET", "/api/v1/key", "connection: close", key=house.neighbours
    )  # fmt: skip
    with house.within():
        house.open(waiting, 40, "console")
        refused, answered = house.say(asked, "console"), house.say(others, "console")
    assert refused.startswith(b"HTTP/1.1 429 ") and b"retry-after: 1" in refused
    assert answered.startswith(b"HTTP/1.1 200 ")


def test_changes_without_end(house: House) -> None:
    """A thousand changes over the API, one after the other: most are refused before anything is
    done or written.
    """
    one = at(house, "console", "POST", "/api/v1/keys", "content-length: 2") + b"{}"
    with house.within(cpu=8.0, loop=4.0):
        said = house.say(one * 1000, "console")
    assert 100 < said.count(b"HTTP/1.1 429 ")


def test_errors_without_end(house: House) -> None:
    """Of eleven thousand errors of one account ten thousand are taken a day; from then on it is
    refused before a body is read.
    """
    sentry = f"Sentry sentry_key={house.key}"
    with house.within(cpu=20.0, loop=8.0):
        statuses = [
            house.post(ERRORS, "/api/1/envelope/", "ingest", x_sentry_auth=sentry)[0]
            for _ in range(110)
        ]
    assert [200] * 100 + [429] * 10 == statuses


def test_versions_without_end(house: House) -> None:
    """Two hundred ratings of as many made-up versions are dropped after the first few, and cost
    little.
    """
    rating = {
        "body": {"stringValue": "claude_code.feedback_survey"},
        "attributes": [{"key": "response", "value": {"stringValue": "good"}}],
    }
    with house.within():
        for n in range(200):
            version = [{"key": "service.version", "value": {"stringValue": f"1.{n}"}}]
            logs = {"resource": {"attributes": version}, "scopeLogs": [{"logRecords": [rating]}]}
            body = gzip.compress(json.dumps({"resourceLogs": [logs]}).encode())
            house.post(body, "/v1/logs", "ingest", content_encoding="gzip")


@pytest.mark.parametrize("coding", PACKERS)
def test_reports_that_unfold_without_end(house: House, coding: str) -> None:
    """A report is unfolded no further than its bound, whatever it is packed with."""
    with house.within():
        house.post(unfolding(coding), "/api/claude_cli_feedback", "ingest", content_encoding=coding)


@pytest.mark.parametrize(
    "codings",
    [
        *("gzip, gzip", "gzip,br", "identity, gzip", "gzip;q=1", "gzip\tbr"),
        ", ".join(["gzip"] * 50),
    ],
)
def test_codings_within_codings(house: House, codings: str) -> None:
    """A bomb within a coding is no request here: nothing is unfolded twice."""
    with house.within():
        house.post(gzip.compress(unfolding("gzip")), content_encoding=codings)
        packed = gzip.compress(unfolding("gzip"))
        assert 400 == house.post(packed, "/v1/logs", "ingest", content_encoding=codings)[0]


@pytest.mark.parametrize(
    ("door", "path"),
    [
        ("console", "/api/v1/keys/"), ("console", "/api/v1//keys"), ("console", "/sign-in/"),
        ("ingest", "/v1/metrics/"), ("ingest", "/api/1/envelope"), ("ingest", "//v1/metrics"),
        ("ingest", "/api/claude_cli_feedback/"), ("gateway", "/v1/messages/"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_no_door_sends_anybody_elsewhere(house: House, door: str, path: str, method: str) -> None:
    """Another spelling of a path is nothing that is there: no redirect, along which a client would
    carry its key.
    """
    sent = at(house, door, method, path, "content-length: 0", "connection: close")
    answer = house.say(sent, door)
    assert answer.split(b" ")[1] in (b"400", b"404", b"405"), answer
    assert b"\nlocation:" not in answer.lower()


LOG = [
    ("GET", "/ledger/checkpoint"),
    ("HEAD", "/ledger/checkpoint"),
    ("GET", "/ledger/checkpoint", "range: bytes=" + ",".join(["0-1"] * 500)),
    ("GET", "/ledger/tile/63/x999/x999/x999/x999/x999/x999/999.p/255"),
    ("GET", "/ledger/tile/0/" + "x999/" * 6000 + "999"),
    ("GET", "/ledger/" + "%2e%2e/" * 6000),
    ("GET", "/ledger//etc/passwd"),
    ("POST", "/ledger/checkpoint", "content-length: 0"),
]


def test_the_log_is_read_without_end(house: House) -> None:
    """However it is asked for, by forty at once, of whom nobody is asked who they are: each is
    answered or told to wait, nothing breaks, and a person's own pages are served beside them.
    """
    own = at(house, "console", "GET", "/api/v1/key", "connection: close", key=house.neighbours)
    with house.within(cpu=8.0, loop=4.0):
        for method, path, *lines in LOG:
            sent = at(house, "console", method, path, *lines, "connection: close", key="nobody")
            house.open(sent, 40, "console")
            status = int(house.say(sent, "console").split(b" ")[1])
            assert status in (200, 400, 404, 405, 414, 429, 431), (path[:40], status)
            assert house.say(own, "console").startswith(b"HTTP/1.1 200 ")

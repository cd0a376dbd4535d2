"""What is too large, too much, too deep or no report at all is refused, and repeats nothing."""

from __future__ import annotations

import gzip
import http.client
import json
import threading
import zlib
from dataclasses import replace
from typing import Any

import pytest

from bailee.feedback.parts import LARGEST
from bailee.feedback.receiver import REPORTS
from bailee.feedback.reports import DATA_CLASS
from bailee.ingest.door import DoorLimits
from bailee.ingest.quotas import Rate
from bailee.ingest.shares import ReceivedCounts, Share
from support.servers.feedback_site import REPORT, Site, body

ZIPPED = {"content_encoding": "gzip"}
PATIENT = {"limits": replace(REPORTS, bytes_per_account=Rate(1, 1 << 40))}
SMALL = {"limits": DoorLimits(body=4000, plain=20_000, requests_per_account=Rate(0.1, 100))}

DEEP = json.dumps({"content": '{"transcript": ' + "[" * 1000 + "]" * 1000 + "}"}).encode()
# Three million lists, in the text within the text, where the outer one has them as \\u005b.
MANY = gzip.compress(b'{"content":"{\\"transcript\\":[' + b"\\u005b]," * 3_000_000 + b'1]}"}')
LARGE = gzip.compress(body({"transcript": "quince" * 6_000_000}))


def report(site: Site, raw: bytes, who: str = "ada", **headers: str) -> tuple[int, Any, Any]:
    """Status, headers and body of what a report gets."""
    sent = {"x_api_key": site.keys[who]} | headers
    return site.call("POST", "/api/claude_cli_feedback", raw, **sent)


REFUSED: tuple[tuple[bytes, dict[str, str], int], ...] = (
    (b"", {}, 400),
    (b"{", {}, 400),
    (b"7", {}, 400),
    (b"{}", {}, 400),
    (b'{"content": 7}', {}, 400),
    (b'{"content": {"description": "quince"}}', {}, 400),
    (b'{"content": "quince"}', {}, 400),
    (b'{"content": "[]"}', {}, 400),
    (body({}), {}, 400),
    (body({"description": "  ", "transcript": [], "errors": None}), {}, 400),
    (b"[" * 100_000, {}, 400),
    (json.dumps({"content": "[" * 100_000}).encode(), {}, 400),
    (DEEP, {}, 400),
    (b"\xff\xfe quince", {}, 400),
    (body({"description": "quince " * 10_000}), {}, 413),
    (body({"environment": {"x": "quince " * 10_000}}), {}, 413),
    (body({"errors": ["quince " * 200_000]}), {}, 413),
    (LARGE, ZIPPED, 413),
    (MANY, ZIPPED, 413),
    (gzip.compress(b'{"content":"{}","x":[' + b"[]," * 3_000_000 + b"1]}"), ZIPPED, 413),
    (body(REPORT), {"content_encoding": "gzip"}, 400),
    (body(REPORT), {"content_encoding": "quince"}, 400),
    (body(REPORT), {"idempotency_key": "q" * 300}, 400),
    (body(REPORT), {"x_api_key": "quince"}, 401),
)


@pytest.mark.parametrize("site", [PATIENT], indirect=True)
def test_what_is_no_report_is_refused(site: Site) -> None:
    """With a status that says why; nothing of it is in the answer, and nothing is kept."""
    for number, (raw, headers, status) in enumerate(REFUSED):
        answered, _, answer = report(site, raw, **headers)
        assert (number, status) == (number, answered)
        assert "quince" not in json.dumps(answer)
    assert [] == site.listed()


def test_a_large_part_is_taken_up_to_its_size(site: Site) -> None:
    """A description of its very limit; one byte more is refused by name."""
    room = LARGEST["description"] - len('o""')
    assert 200 == report(site, body({"description": "x" * room}))[0]
    status, _, answer = report(site, body({"description": "x" * (room + 1)}))

    assert 413 == status
    assert "description" in answer["error"]["message"]


@pytest.mark.parametrize("site", [SMALL], indirect=True)
def test_a_bomb_costs_no_more_than_it_may(site: Site) -> None:
    """Beyond what may be sent, and beyond what may be unpacked: 413, compressed or not."""
    assert 413 == report(site, body({"description": "x" * 5000}))[0]
    bomb = zlib.compress(b"x" * 10_000_000)
    assert 413 == report(site, bomb[:4000], content_encoding="deflate")[0]
    assert 413 == report(site, gzip.compress(bytes(3_000_000)), content_encoding="gzip")[0]
    assert 200 == report(site, body(REPORT))[0]


@pytest.mark.parametrize(
    "site", [{"limits": DoorLimits(waiting=1, together=1, seconds=60.0)}], indirect=True
)
def test_what_all_have_under_way_is_bounded(site: Site) -> None:
    """One that takes its time has the place, a second the one for who has little: a third sender is
    asked to wait, and then taken.
    """
    slow = []
    for who in ("ada", "bob"):
        connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=30)
        connection.putrequest("POST", "/api/claude_cli_feedback")
        connection.putheader("x-api-key", site.keys[who])
        connection.putheader("content-length", "10")
        connection.endheaders()
        slow.append(connection)
    waiting = threading.Event()
    for _ in range(500):
        status, headers, _ = report(site, body(REPORT), "zed")
        if status == 503:
            break
        waiting.wait(0.02)

    assert (503, "1") == (status, headers["retry-after"])
    for connection in slow:
        connection.send(b"{} quince ")
        assert 400 == connection.getresponse().status
        connection.close()
    assert 200 == report(site, body(REPORT), "zed")[0]


HELD = {"limits": DoorLimits(plain=1 << 20, bytes_per_account=Rate(1000, 2 << 20))}


@pytest.mark.parametrize("site", [HELD], indirect=True)
def test_a_bomb_is_paid_for_by_who_sent_it(site: Site) -> None:
    """What it would come to counts against the quota, not what was sent; another's is as it was."""
    bomb = gzip.compress(bytes(3_000_000))

    statuses = [report(site, bomb, content_encoding="gzip")[0] for _ in range(4)]

    assert [413, 413, 429, 429] == statuses
    assert 200 == report(site, body(REPORT), "bob")[0]


FEW = {"limits": DoorLimits(requests_per_account=Rate(0.1, 2), failures_per_address=Rate(0.1, 2))}


@pytest.mark.parametrize("site", [FEW], indirect=True)
def test_a_flood_of_one_sender_costs_no_other(site: Site) -> None:
    """After a burst: 429 with Retry-After; another's report is taken. Keys share their account's
    quota, however many there are.
    """
    statuses = [report(site, body(REPORT))[0] for _ in range(4)]
    _, headers, _ = report(site, body(REPORT))
    for number in range(3):
        made = site.ask("key.create", person="ada@example.org", name="k", ingest=True)
        site.keys[str(number)] = made["key"]

    assert [200, 200, 429, 429] == statuses
    assert headers["retry-after"].isdecimal()
    assert 200 == report(site, body(REPORT), "bob")[0]
    assert [429, 429, 429] == [report(site, body(REPORT), str(n))[0] for n in range(3)]


@pytest.mark.parametrize("site", [FEW], indirect=True)
def test_guessing_keys_is_held_back_by_address(site: Site) -> None:
    """A few wrong ones are told so; then the address has to wait."""
    statuses = [report(site, body(REPORT), x_api_key="bl_wrong")[0] for _ in range(4)]

    assert [401, 401, 429, 429] == statuses
    assert 200 == report(site, body(REPORT))[0]


@pytest.mark.row("F4", "G1")
@pytest.mark.parametrize("site", [{"share": Share(items=2)}], indirect=True)
def test_an_account_sends_so_many_reports_a_day(site: Site) -> None:
    """Then 429 until the next day, with any key of it, also for who withdraws theirs, and after a
    restart; another's is taken.
    """
    sent = [report(site, body(REPORT), who)[0] for who in ("ada", "sends", "ada")]
    for one in site.listed():
        site.ask("feedback.withdraw", id=one["id"])
    status, headers, answer = report(site, body(REPORT))

    assert ([200, 200, 429], 429) == (sent, status)
    assert int(headers["retry-after"]) <= 24 * 3600
    now = site.node.clock()
    assert 2 == ReceivedCounts(site.node.data, DATA_CLASS, now, dict).of(site.adas, now).items
    assert "operator" in answer["error"]["message"]
    assert 200 == report(site, body(REPORT), "bob")[0]


@pytest.mark.row("F4", "G1")
@pytest.mark.parametrize("site", [{"share": Share(bytes=1)}], indirect=True)
def test_reports_of_an_account_take_so_much_disk(site: Site) -> None:
    """Over it: 429; what was withdrawn lets in once a sweep has seen it."""
    assert [200, 429] == [report(site, body(REPORT))[0] for _ in range(2)]
    (one,) = site.listed()
    site.ask("feedback.withdraw", id=one["id"])
    site.node.sweeping.sweep(site.node.clock())

    assert 200 == report(site, body(REPORT))[0]

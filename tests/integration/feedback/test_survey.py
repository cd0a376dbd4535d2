"""The survey's counts: what is counted, what is refused, and what is nowhere."""

from __future__ import annotations

import http.client
import json
from datetime import timedelta

import pytest
from sqlalchemy import select

from bailee.db.feedback import survey_counts
from bailee.ingest.door import DoorLimits
from bailee.ingest.quotas import Rate
from support.servers.feedback_site import Site


def counts(site: Site) -> dict[tuple[str, str], int]:
    """What is in the table, by version and answer."""
    with site.node.data.connect() as connection:
        rows = connection.execute(select(survey_counts)).all()
    return {(row.version, row.answer): row.count for row in rows}


@pytest.mark.row("F3")
def test_an_answer_is_one_more_in_a_count(site: Site) -> None:
    """By day and version of the client, and there is nothing else in the row."""
    for answer in ("1", "2", "2", "3", "dismissed"):
        assert 200 == site.answers({"rating": answer}, user_agent="bailee/1.2.3")
    assert 200 == site.answers({"rating": "2"}, user_agent="quince/1.2.3 quince")
    assert 200 == site.answers({"rating": "2"}, user_agent="bailee/1.2.3-quince")

    assert {
        ("bailee/1.2.3", "1"): 1,
        ("bailee/1.2.3", "2"): 3,
        ("bailee/1.2.3", "3"): 1,
        ("bailee/1.2.3", "dismissed"): 1,
        ("other", "2"): 1,
    } == counts(site)
    assert ["day", "version", "answer", "count"] == [c.name for c in survey_counts.columns]
    assert [] == site.files(b"quince")


REFUSED = (
    b"",
    b"1",
    b'"1"',
    b"[]",
    b"{}",
    b'[["rating","1"]]',
    b'{"rating":1}',
    b'{"rating":"4"}',
    b'{"rating":"1 "}',
    b'{"rating":null}',
    b'{"rating":["1"]}',
    b'{"rating":"1","session":"quince"}',
    b'{"rating":"1","rating":"1"}',
    b'{"rating":"1"}{"rating":"1"}',
    b'{"Rating":"1"}',
    b"\xff",
    b"[" * 60,
    b'{"rating":"1"' + b" " * 60 + b"}",
)
UNNEEDED = {
    "Authorization": "Bearer quince",
    "X-Api-Key": "quince",
    "Cookie": "quince=1",
    "Traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "X-Claude-Code-Session-Id": "quince",
    "Idempotency-Key": "quince",
    "Referer": "https://quince.example/",
    "Content-Encoding": "gzip",
    "X-Quince": "1",
}


@pytest.mark.row("F3")
def test_anything_but_an_answer_is_refused(site: Site) -> None:
    """Whatever else is in the body, an answer beside it too: 4xx, and nothing is counted."""
    statuses = [site.answers(content) for content in REFUSED]

    assert [400] * (len(REFUSED) - 1) + [413] == statuses
    assert {} == counts(site)


@pytest.mark.row("F3")
def test_a_header_that_is_not_needed_is_refused(site: Site) -> None:
    """What identifies, and what nobody has heard of: 400, nothing counted, nothing repeated."""
    for name, value in UNNEEDED.items():
        status, _, answer = site.call("POST", "/api/v1/survey", b'{"rating":"1"}', **{name: value})
        assert (name, 400) == (name, status)
        assert "quince" not in json.dumps(answer).lower()
    assert {} == counts(site)


@pytest.mark.row("F3")
def test_a_query_is_refused_and_a_proxys_word_about_itself_is_not_read(site: Site) -> None:
    """`?session=` is no answer; `X-Forwarded-For` passes and is in no file."""
    query = site.call("POST", "/api/v1/survey?session=quince", b'{"rating":"1"}')
    forwarded = site.answers({"rating": "1"}, x_forwarded_for="203.0.113.77", via="1.1 quince")

    assert (400, 200) == (query[0], forwarded)
    assert {("other", "1"): 1} == counts(site)
    assert [] == site.files(b"203.0.113.77", b"quince")


@pytest.mark.row("F3")
def test_the_clients_own_answer_is_one(site: Site) -> None:
    """The very bytes and headers that our sender sends are taken."""
    import httpx2

    from bailee.client.payloads import rating
    from bailee.outbound.network import Network

    made = rating("3", site.node.survey.answers)
    address = f"http://127.0.0.1:{site.port}"
    with Network({}).client(address, "the console", 10) as client:
        answer = client.post(
            address + made.path, content=made.body, headers={"content-type": made.content_type}
        )

    assert isinstance(answer, httpx2.Response)
    assert 200 == answer.status_code
    ((version, answered),) = counts(site)
    assert version.startswith("bailee/")
    assert "3" == answered


@pytest.mark.row("F3")
def test_a_rating_by_opentelemetry_feeds_the_same_count(site: Site) -> None:
    """Claude Code's event: response and version count, the rest is dropped; a batch of many counts
    as few, so that one request can't fill the survey.
    """
    rest = {"session.id": "quince", "user.id": "quince", "event.name": "feedback_survey"}

    def send(responses: list[str]) -> int:
        records = [
            {
                "body": {"stringValue": "claude_code.feedback_survey"},
                "attributes": [
                    {"key": key, "value": {"stringValue": value}}
                    for key, value in (rest | {"response": response}).items()
                ],
            }
            for response in responses
        ]
        about = {"service.name": "claude-code", "service.version": "2.1.330", "quince": "quince"}
        resource = [{"key": k, "value": {"stringValue": v}} for k, v in about.items()]
        logs = {"resource": {"attributes": resource}, "scopeLogs": [{"logRecords": records}]}
        return site.call(
            "POST",
            "/v1/logs",
            json.dumps({"resourceLogs": [logs]}).encode(),
            authorization=f"Bearer {site.keys['sends']}",
        )[0]

    assert 200 == send(["bad", "fine", "good", "good", "dismissed", "quince"])
    of = "claude-code/2.1.330"
    expected = {(of, "1"): 1, (of, "2"): 1, (of, "3"): 2, (of, "dismissed"): 1}
    assert expected == counts(site)
    assert 200 == send(["good"] * 500)
    assert 12 == counts(site)[of, "3"]
    assert [] == site.files(b"quince")


@pytest.mark.row("F3", "R5")
def test_made_up_versions_are_a_hundred_at_the_most(site: Site) -> None:
    """Of a day: whoever makes up more is counted as "other", and the versions that are there go on
    being counted.
    """
    survey, day = site.node.survey, site.node.clock().date()
    for number in range(130):
        survey.add("1", f"claude-code/{number}", day)
    survey.add("1", "claude-code/0", day)

    counts = {one.version: one.count for one in survey.all(site.node.clock())}
    assert 101 == len(counts)
    assert (2, 30) == (counts["claude-code/0"], counts["other"])


def test_a_days_count_goes_when_its_day_is_past_the_period(site: Site) -> None:
    """Five years by the policy's clause; the day before it is there."""
    site.answers({"rating": "1"})
    before, after = site.clock() + timedelta(days=1825), site.clock() + timedelta(days=1827)

    site.node.sweep(before)
    assert 1 == sum(counts(site).values())
    assert [] == site.ask("survey.results", now=after.isoformat())["weeks"]
    assert 1 == site.node.sweep(after).gone["survey"]["survey_days"]
    assert {} == counts(site)


@pytest.mark.row("F3")
def test_small_counts_are_not_shown_and_large_ones_are(site: Site) -> None:
    """One who answered 3 is not to be seen, nor to be worked out from the sums."""
    for answer, times in (("1", 7), ("2", 9), ("3", 1)):
        for _ in range(times):
            site.node.survey.add(answer, "bailee/1.2.3", site.clock().date())

    (week,) = site.ask("survey.results")["weeks"]

    assert "2025-12-29" == week["week"]
    assert None is week["counts"]["3"]
    assert 17 == week["total"]
    assert [9] == [count for count in week["counts"].values() if count]  # 7 would give it away


FEW = {"answers": DoorLimits(requests_per_address=Rate(0.1, 3))}


@pytest.mark.row("F3")
@pytest.mark.parametrize("site", [FEW], indirect=True)
def test_a_flood_of_answers_is_held_back_by_address(site: Site) -> None:
    """After a burst: 429 with Retry-After, and reports go on."""
    statuses = [site.answers({"rating": "1"}) for _ in range(5)]
    _, headers, _ = site.call("POST", "/api/v1/survey", b'{"rating":"1"}')

    assert [200, 200, 200, 429, 429] == statuses
    assert headers["retry-after"].isdecimal()
    assert 3 == sum(counts(site).values())
    assert site.send()["feedback_id"]


def test_a_body_that_does_not_come_is_given_up(site: Site) -> None:
    """A length that is over what an answer has is refused before it is read."""
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=30)
    connection.putrequest("POST", "/api/v1/survey")
    connection.putheader("content-length", "100000000")
    connection.endheaders()

    assert 413 == connection.getresponse().status
    connection.close()

"""What is too much is refused cheaply, and who sends it pays alone."""

from __future__ import annotations

import base64
import gzip
import http.client
import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from bailee.ingest.door import DoorLimits
from bailee.ingest.quotas import Rate
from support.clients.node_modules import module
from support.clients.programs import clean_environment
from support.homes.telemetry_bench import Bench, Site

SMALL = DoorLimits(body=2000, plain=5000, seconds=1.0)


def counter(times: int = 1) -> bytes:
    """A request with so many points."""
    point = {"asInt": "1", "attributes": [{"key": "command", "value": {"stringValue": "up"}}]}
    metric = {
        "name": "bailee.command.count",
        "sum": {"aggregationTemporality": 1, "isMonotonic": True, "dataPoints": [point] * times},
    }
    return json.dumps({"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric]}]}]}).encode()


@pytest.mark.parametrize("site", [SMALL], indirect=True)
@pytest.mark.parametrize(
    ("path", "body", "headers", "status"),
    [
        ("/v1/metrics", b" " * 2001, {}, 413),
        ("/v1/metrics", gzip.compress(bytes(1 << 20)), {"content_encoding": "gzip"}, 413),
        ("/v1/metrics", b"not gzip", {"content_encoding": "gzip"}, 400),
        ("/v1/metrics", counter(), {"content_encoding": "rot13"}, 400),
        ("/v1/metrics", b"{", {}, 400),
        ("/v1/metrics", b"[" * 1999, {}, 400),
        ("/v1/metrics", b"\xff\xff", {"content_type": "application/x-protobuf"}, 400),
        ("/v1/metrics", b"x", {"content_type": "text/plain"}, 415),
        ("/v1/logs", b'{"resourceLogs": 7}', {}, 400),
        ("/v1/traces", b'{"resourceSpans": [7]}', {}, 400),
        ("/api/1/envelope/", b"", {"x_sentry_auth": "Sentry sentry_key=ada"}, 400),
        (
            "/api/1/envelope/",
            b'{}\n{"type":"event","length":99}\n{}',
            {"x_sentry_auth": "Sentry sentry_key=ada"},
            400,
        ),
        ("/api/1/store/", b"7", {"x_sentry_auth": "Sentry sentry_key=ada"}, 400),
        ("/v1/log_event", b'{"events": {}}', {"statsig_api_key": "secret-ada"}, 400),
        ("/api/event_logging/v2/batch", b'{"events": [1]}', {}, 400),
        ("/v1/nothing", b"", {}, 404),
    ],
)  # fmt: skip
def test_what_is_wrong_or_too_large_is_refused(
    site: Site, path: str, body: bytes, headers: dict[str, str], status: int
) -> None:
    """With a status that the protocol's client understands; none of the body is in the answer."""
    answered, _, content = site.post(path, body, **headers)

    assert status == answered
    assert body == b"" or len(body) < 4 or body not in content


@pytest.mark.parametrize("site", [SMALL], indirect=True)
def test_a_chunked_body_is_counted_as_it_comes(site: Site) -> None:
    """Without a length, too: it is cut off at the limit. And a body that stays away is given up."""
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=30)
    headers = {"authorization": "Bearer ada", "content-type": "application/json"}
    connection.request("POST", "/v1/metrics", iter([b" " * 1500] * 3), headers, encode_chunked=True)
    assert 413 == connection.getresponse().status
    connection.close()

    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=30)
    connection.putrequest("POST", "/v1/metrics")
    for name, value in {**headers, "content-length": "10"}.items():
        connection.putheader(name, value)
    connection.endheaders()
    assert 408 == connection.getresponse().status
    connection.close()


def test_chunked_requests_are_taken(site: Site, bench: Bench) -> None:
    """As Claude Code sends them."""
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=30)
    body = counter(3)
    pieces = iter([body[i : i + 50] for i in range(0, len(body), 50)])
    headers = {"authorization": "Bearer ada", "content-type": "application/json"}
    connection.request("POST", "/v1/metrics", pieces, headers, encode_chunked=True)

    assert 200 == connection.getresponse().status
    assert "bailee.command.count" in {
        row.name for row in bench.telemetry.metrics.names(bench.clock())
    }
    connection.close()


OPENING = b'{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"bailee.command.count","sum":'
POINTS = b'{"isMonotonic":true,"aggregationTemporality":1,"dataPoints":['


def points(number: int) -> bytes:
    """A request with so many empty points, which are three bytes each."""
    return OPENING + POINTS + b",".join([b"{}"] * number) + b"]}}]}]}]}"


@pytest.mark.parametrize(
    ("path", "body", "headers"),
    [
        ("/v1/metrics", points(50_001), {}),
        ("/v1/metrics", points(1_000_000), {}),
        ("/v1/logs", b'{"resourceLogs":[' + b"{}," * 60_000 + b"{}]}", {}),
        ("/v1/traces", b"\x0a\x00" * 60_000, {"content_type": "application/x-protobuf"}),
        ("/v1/log_event", b'{"events":[' + b"{}," * 60_000 + b"{}]}",
         {"statsig_api_key": "secret-ada"}),
        ("/api/event_logging/v2/batch", b'{"events":[' + b"[]," * 500_000 + b"{}]}", {}),
        ("/api/1/envelope/", b'{}\n{"type":"event"}\n[' + b"{}," * 500_000 + b"{}]",
         {"x_sentry_auth": "Sentry sentry_key=ada"}),
    ],
    ids=["points", "objects", "resources", "protobuf", "statsig", "batch", "event"],
)  # fmt: skip
def test_more_parts_than_one_request_may_have_are_refused(
    site: Site, bench: Bench, path: str, body: bytes, headers: dict[str, str]
) -> None:
    """Whatever their size, packed small: 413, and nothing of it is kept. What fits is taken."""
    packed = gzip.compress(body)

    assert 413 == site.post(path, packed, content_encoding="gzip", **headers)[0]
    assert len(packed) < 50_000
    assert [] == bench.files_of("journal")
    assert 200 == site.post("/v1/metrics", counter(1000))[0]


@pytest.mark.parametrize(
    ("dress", "query"),
    [
        (bytes, ""),
        (gzip.compress, "&gz=1"),
        (lambda body: base64.b64encode(body)[::-1], "&se=1"),
    ],
    ids=["plain", "gz", "se"],
)
def test_statsigs_client_in_a_browser_is_read_in_each_of_its_ways(
    site: Site, bench: Bench, dress: Any, query: str
) -> None:
    """`/v1/rgstr`, the key in the address, the body as text that may be packed or turned around;
    what is said to be and is not is refused.
    """
    body = json.dumps({"events": [{"eventName": "bailee.command", "value": 7}]}).encode()
    path = f"/v1/rgstr?k=client-ada{query}"

    status, _, _ = site.post(path, dress(body), content_type="text/plain;charset=UTF-8")

    assert 202 == status
    assert 7 == bench.commands()["sum"]
    if query:
        assert 400 == site.post(path, b"quince!")[0]


FEW = DoorLimits(
    requests_per_account=Rate(0.1, 3),
    bytes_per_account=Rate(1000, 1_000_000),
    failures_per_address=Rate(0.1, 2),
)


@pytest.mark.parametrize("site", [FEW], indirect=True)
def test_a_flood_of_one_key_is_held_back_and_costs_no_other(site: Site) -> None:
    """After its burst: 429 with Retry-After, in Sentry's own header too; another key goes on."""
    statuses = [site.post("/v1/metrics", counter())[0] for _ in range(5)]
    status, headers, _ = site.post(
        "/api/1/envelope/", b"{}\n", x_sentry_auth="Sentry sentry_key=ada"
    )

    assert [200, 200, 200, 429, 429] == statuses
    assert 429 == status
    assert headers["retry-after"].isdecimal()
    assert f"{headers['retry-after']}::organization" == headers["x-sentry-rate-limits"]
    assert 200 == site.post("/v1/metrics", counter(), key="bob")[0]


@pytest.mark.parametrize("site", [FEW], indirect=True)
def test_what_a_body_is_when_unpacked_counts(site: Site) -> None:
    """A few kilobytes that are three megabytes use up a quota of one."""
    packed = gzip.compress(counter() + b" " * 3_000_000)

    assert 200 == site.post("/v1/metrics", packed, content_encoding="gzip")[0]
    assert 429 == site.post("/v1/metrics", counter())[0]
    assert 200 == site.post("/v1/metrics", counter(), key="bob")[0]


def test_who_sends_little_does_not_wait_for_who_sends_much(site: Site) -> None:
    """One key has ten heavy requests waiting; another's is taken after one, not after all."""
    heavy = points(15_000).replace(b"{}", b'{"asInt":1}')
    done: list[int] = []
    senders = [
        threading.Thread(target=lambda: done.append(site.post("/v1/metrics", heavy)[0]))
        for _ in range(10)
    ]
    for sender in senders:
        sender.start()
    _until(lambda: site.asked, 10)
    assert 200 == site.post("/v1/metrics", counter(), key="bob")[0]
    before = len(done)
    for sender in senders:
        sender.join()

    assert [200] * 10 == done
    assert before < 8


SENTRY_PYTHON = """
import os, sentry_sdk
sentry_sdk.init(os.environ["DSN"], default_integrations=False)
for number in range(10):
    sentry_sdk.capture_message(f"number {number}")
    sentry_sdk.flush(10)
"""
SENTRY_NODE = """
const Sentry = require(process.env.MODULE);
Sentry.init({dsn: process.env.DSN, defaultIntegrations: false});
(async () => {
  for (let number = 0; number < 10; number++) {
    Sentry.captureMessage('number ' + number);
    await Sentry.flush(10000);
  }
})();
"""


@pytest.mark.parametrize("site", [FEW], indirect=True)
@pytest.mark.parametrize("language", ["python", "javascript"])
def test_real_sdks_obey_the_rate_limit(site: Site, language: str, tmp_path: Path) -> None:
    """Three events are taken, the fourth is told to wait, and the other six are not even sent."""
    program, env = [sys.executable, "-c", SENTRY_PYTHON], {}
    if language == "javascript":
        program = ["node", "-e", SENTRY_NODE]
        env = {"MODULE": str(module("@sentry/node", "10.78.0"))}
    done = subprocess.run(
        program,
        env=clean_environment(tmp_path, DSN=f"http://ada@127.0.0.1:{site.port}/1", **env),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )

    assert (0, 4) == (done.returncode, site.asked), done.stderr


def test_what_a_client_threw_away_itself_is_counted(site: Site, bench: Bench) -> None:
    """Sentry's client reports."""
    report = {"discarded_events": [{"reason": "ratelimit_backoff", "category": "error",
                                    "quantity": 6}]}  # fmt: skip
    body = b'{}\n{"type":"client_report"}\n' + json.dumps(report).encode()

    assert 200 == site.post("/api/1/envelope/", body, x_sentry_auth="Sentry sentry_key=ada")[0]

    (count,) = bench.telemetry.dropped.all()
    assert ("other", "not sent by the client", 6) == (count.field, count.reason, count.count)


@pytest.mark.parametrize("site", [FEW], indirect=True)
def test_guessing_keys_is_held_back_by_address(site: Site) -> None:
    """A few wrong keys are told so; then the address has to wait. Who has a key goes on."""
    statuses = [site.post("/v1/metrics", counter(), key="mallory")[0] for _ in range(4)]

    assert [401, 401, 429, 429] == statuses
    assert 200 == site.post("/v1/metrics", counter())[0]


@pytest.mark.parametrize("site", [DoorLimits(waiting=2, seconds=2.0)], indirect=True)
def test_slow_requests_of_one_key_take_no_place_from_another(site: Site) -> None:
    """Two that never end fill that key's places; a third is refused, another key's is taken."""
    slow = []
    for _ in range(2):
        connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=30)
        connection.putrequest("POST", "/v1/metrics")
        for name, value in (("authorization", "Bearer ada"), ("content-length", "10")):
            connection.putheader(name, value)
        connection.putheader("content-type", "application/json")
        connection.endheaders()
        slow.append(connection)
    refused = _until(lambda: site.post("/v1/metrics", counter())[0], 429)

    assert 429 == refused
    assert 200 == site.post("/v1/metrics", counter(), key="bob")[0]
    for connection in slow:
        assert 408 == connection.getresponse().status
        connection.close()
    assert 200 == site.post("/v1/metrics", counter())[0]


def _until(ask: Any, wanted: object) -> object:
    found = None
    waiting = threading.Event()
    for _ in range(50):
        found = ask()
        if found == wanted:
            break
        waiting.wait(0.02)
    return found


def test_a_sender_on_terms_of_zero_days_is_answered_and_nothing_is_kept(
    site: Site, bench: Bench
) -> None:
    """The answer is a success; no file is made."""
    assert 200 == site.post("/v1/metrics", counter(), key="nothing")[0]

    assert [] == bench.files_of("journal")
    assert [] == bench.telemetry.metrics.names(bench.clock())


def test_a_survey_rating_by_otlp_goes_to_the_survey_alone(site: Site, bench: Bench) -> None:
    """`claude_code.feedback_survey`: rating and version are handed on, no figure is kept."""
    attributes = [
        {"key": "response", "value": {"stringValue": "good"}},
        {"key": "session.id", "value": {"stringValue": "quince"}},
    ]
    record = {"body": {"stringValue": "claude_code.feedback_survey"}, "attributes": attributes}
    version = {"key": "service.version", "value": {"stringValue": "2.1.197"}}
    body = {
        "resourceLogs": [
            {"resource": {"attributes": [version]}, "scopeLogs": [{"logRecords": [record]}]}
        ]
    }

    assert 200 == site.post("/v1/logs", json.dumps(body).encode())[0]

    assert [("good", "2.1.197")] == bench.ratings
    assert [] == bench.files_of("journal")


def test_ratings_of_one_account_are_no_flood(site: Site, bench: Bench) -> None:
    """After a burst they are dropped, and said to be, while figures go on being taken."""
    record = {
        "body": {"stringValue": "claude_code.feedback_survey"},
        "attributes": [{"key": "response", "value": {"stringValue": "good"}}],
    }
    body = json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [record] * 10}]}]}).encode()
    answers = [json.loads(site.post("/v1/logs", body)[2]) for _ in range(7)]

    assert 60 == len(bench.ratings)
    assert [{}] * 6 == answers[:6]
    assert "10" == answers[6]["partialSuccess"]["rejectedLogRecords"]
    assert 200 == site.post("/v1/metrics", counter())[0]


def test_what_was_not_taken_is_said_in_the_answer(site: Site) -> None:
    """Partial success, in JSON and in protobuf, as the protocol has it."""
    from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as service

    body = counter(2).replace(b"bailee.command.count", b"quince.count")
    _, _, in_json = site.post("/v1/metrics", body)
    request = service.ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add()
    metric.name = "quince.count"
    metric.sum.data_points.add().as_int = 1
    _, _, in_proto = site.post(
        "/v1/metrics", request.SerializeToString(), content_type="application/x-protobuf"
    )

    assert "2" == json.loads(in_json)["partialSuccess"]["rejectedDataPoints"]
    answer = service.ExportMetricsServiceResponse.FromString(in_proto)
    assert 1 == answer.partial_success.rejected_data_points
    assert b"quince" not in in_json + in_proto


def test_one_bad_part_does_not_refuse_the_others(site: Site, bench: Bench) -> None:
    """In each protocol: what is not what it should be is counted, and said; the rest is taken."""
    mixed = json.loads(counter())
    mixed["resourceMetrics"] += [7, {"scopeMetrics": {}}]
    summary = {"name": "bailee.start.duration", "summary": {"dataPoints": [{"sum": 1}] * 3}}
    mixed["resourceMetrics"][0]["scopeMetrics"][0]["metrics"] += ["quince", summary]
    said = json.loads(site.post("/v1/metrics", json.dumps(mixed).encode())[2])
    assert "6" == said["partialSuccess"]["rejectedDataPoints"]

    rated = {"eventName": "claude_code.feedback_survey", "metadata": {"response": "good"}}
    events = {"events": [1, rated]}
    status, _, answer = site.post(
        "/v1/log_event", json.dumps(events).encode(), statsig_api_key="secret-ada"
    )
    assert (202, 1) == (status, json.loads(answer)["rejected_count"])

    key = {"x_sentry_auth": "Sentry sentry_key=ada"}
    envelope = b'{}\n{"type":"event"}\n{"level":"error"}\n{"type":"event"}\n[quince]\n'
    assert 200 == site.post("/api/1/envelope/", envelope, **key)[0]
    assert 1 == len(bench.telemetry.errors.issues(bench.clock()))
    assert "bailee.command.count" in {
        row.name for row in bench.telemetry.metrics.names(bench.clock())
    }


def test_a_sentry_key_is_found_where_clients_put_it(site: Site) -> None:
    """In the address, either header, or the envelope's own first line alone; an unknown one, and
    one inside of what is packed, let nobody in.
    """
    item = b'{"type":"event"}\n{"level":"error"}\n'
    given = "Sentry sentry_version=7, sentry_key=ada"
    plain: dict[str, str] = {"authorization": ""}
    assert 200 == site.post("/api/1/envelope/?sentry_key=ada", b"{}\n" + item, **plain)[0]
    assert 200 == site.post("/api/1/envelope/", b"{}\n" + item, authorization=given)[0]
    assert 200 == site.post("/api/1/store/", b"{}", authorization=given)[0]
    for name, status in (("ada", 200), ("quince", 401)):
        head = json.dumps({"dsn": f"https://{name}@errors.example.org/1"}).encode()
        assert status == site.post("/api/1/envelope/", head + b"\n" + item, **plain)[0]
    packed = gzip.compress(b'{"dsn":"https://ada@errors.example.org/1"}\n' + item)
    assert 401 == site.post("/api/1/envelope/", packed, content_encoding="gzip", **plain)[0]
    assert 401 == site.post("/api/1/envelope/", b"quince", **plain)[0]

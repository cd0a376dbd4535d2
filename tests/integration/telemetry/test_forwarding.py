"""Passing on: after the guard, in the receiver's own protocol, durable until it was taken."""

from __future__ import annotations

import asyncio
import gzip
import json
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from bailee.admission.together import PARTS
from bailee.errors import InputError
from bailee.telemetry import outward, sentry
from bailee.telemetry.destinations import destination
from bailee.telemetry.forwarding import Forwarder
from bailee.telemetry.ingest import DoorLimits
from bailee.telemetry.records import ERROR, METRIC, CaughtError, StackFrame, as_json, figure
from bailee.telemetry.telemetry import Taken
from support.homes.telemetry_bench import PERIODS, Bench, Site


@dataclass
class Receiver:
    """An address that takes anything, answering as it is told."""

    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    got: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    more: threading.Condition = field(default_factory=threading.Condition)
    url: str = ""

    def wait(self, requests: int) -> list[tuple[str, dict[str, str], bytes]]:
        """What came, once so many requests did."""
        with self.more:
            assert self.more.wait_for(lambda: len(self.got) >= requests, 30), self.got
            return list(self.got)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """On a port of 127.0.0.1."""
    made = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            headers = {name.lower(): value for name, value in self.headers.items()}
            with made.more:
                status, said = made.answers.pop(0) if made.answers else (200, {})
                made.got.append((self.path, headers, body))
                made.more.notify_all()
            self.send_response(status)
            for name, value in said.items():
                self.send_header(name, value)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield made
    server.shutdown()
    server.server_close()


def opened(path: Path, metrics: str = "none", errors: str = "none") -> Bench:
    """A telemetry that passes on."""
    bench = Bench(path)
    bench.destinations = {
        METRIC: destination(METRIC, metrics, "m", "Bearer token"),
        ERROR: destination(ERROR, errors, "e", "Bearer token"),
    }
    bench.open()
    return bench


def keep(bench: Bench, errors: int = 1) -> None:
    """One figure of each kind, and some errors."""
    at = int(bench.clock().timestamp() * 1000)
    about = {"service.name": "bailee-code", "service.version": "1.2.3"}
    figures = [
        figure(at, "bailee.command.count", "counter", 3, {"command": "up"} | about),
        figure(at, "bailee.sessions.open", "gauge", 7, dict(about)),
        figure(at, "bailee.command", "event", 5, {"command": "up", "duration_ms": 5.0} | about),
        figure(at, "claude_code.tool", "span", 9, {"tool_name": "Bash"} | about),
        figure(at, "bailee.request.duration", "histogram", 30, dict(about), count=2,
               buckets=([10.0, 20.0], [0, 2, 0])),
    ]  # fmt: skip
    raised = [
        CaughtError(at, f"{number:016x}", "ValueError", "error", "python", "bailee-code@1.2.3",
                    "production", False, [StackFrame("bailee.config", "load", 7, True)],
                    dict(about))
        for number in range(errors)
    ]  # fmt: skip
    taken = Taken(figures=figures, errors=raised)
    bench.telemetry.prepare(taken, PERIODS)
    bench.telemetry.keep_now(taken)


@pytest.mark.row("S1", "S2")
def test_a_collector_gets_metrics_and_errors_as_otlp(tmp_path: Path, receiver: Receiver) -> None:
    """Figures as metrics, events and errors as logs, spans as spans; the resource apart from the
    points; and with destinations elsewhere, nothing is in the own store.
    """
    bench = opened(tmp_path, f"otlp:{receiver.url}/base", f"otlp:{receiver.url}")
    keep(bench)
    got = receiver.wait(4)
    bench.close()

    by_path: dict[str, list[bytes]] = {}
    for path, headers, body in got:
        assert ("Bearer token", "application/x-protobuf") == (
            headers["authorization"],
            headers["content-type"],
        )
        by_path.setdefault(path, []).append(body)
    (body,) = by_path["/base/v1/metrics"]
    (resource,) = ExportMetricsServiceRequest.FromString(body).resource_metrics
    assert {"service.name", "service.version"} == {a.key for a in resource.resource.attributes}
    made = {metric.name: metric for metric in resource.scope_metrics[0].metrics}
    assert 3 == made["bailee.command.count"].sum.data_points[0].as_double
    assert 7 == made["bailee.sessions.open"].gauge.data_points[0].as_double
    took = made["bailee.request.duration"].histogram.data_points[0]
    assert (2, [0, 2, 0]) == (took.count, list(took.bucket_counts))
    (body,) = by_path["/base/v1/logs"]
    events = ExportLogsServiceRequest.FromString(body).resource_logs[0].scope_logs[0].log_records
    assert ["bailee.command"] == [event.event_name for event in events]
    (body,) = by_path["/base/v1/traces"]
    (span,) = ExportTraceServiceRequest.FromString(body).resource_spans[0].scope_spans[0].spans
    assert ("claude_code.tool", 9_000_000) == (
        span.name,
        span.end_time_unix_nano - span.start_time_unix_nano,
    )
    (body,) = by_path["/v1/logs"]
    (error,) = ExportLogsServiceRequest.FromString(body).resource_logs[0].scope_logs[0].log_records
    about = {a.key: a.value.string_value for a in error.attributes}
    assert ("ValueError", "bailee.config.load") == (
        about["exception.type"],
        about["code.function.name"],
    )
    assert [] == bench.files_of("journal")


@pytest.mark.row("S2")
def test_a_dsn_gets_each_error_as_an_envelope(tmp_path: Path, receiver: Receiver) -> None:
    """With the DSN's key, and the issue as fingerprint; here it is kept as well."""
    dsn = receiver.url.replace("://", "://publickey@") + "/base/42"
    bench = opened(tmp_path, errors=f"store sentry:{dsn}")
    keep(bench, errors=2)
    got = receiver.wait(2)
    bench.telemetry.settle()
    issues = bench.telemetry.errors.issues(bench.clock())
    bench.close()

    assert {"/base/api/42/envelope/"} == {path for path, _, _ in got}
    assert all("sentry_key=publickey" in headers["x-sentry-auth"] for _, headers, _ in got)
    ((kind, item),) = sentry.read_envelope(got[0][2]).items
    event = json.loads(item)
    assert ("event", "ValueError", "bailee-code@1.2.3") == (
        kind,
        event["exception"]["values"][0]["type"],
        event["release"],
    )
    assert [f"{0:016x}"] == event["fingerprint"]
    assert "publickey" not in bench.destinations[ERROR].shown
    assert 2 == len(issues)


@pytest.mark.row("S1", "S2")
def test_another_bailee_takes_what_is_passed_on(tmp_path: Path) -> None:
    """Over its ingest and through its own guard: figures, events and errors are there again."""
    (tmp_path / "there").mkdir()
    (tmp_path / "here").mkdir()
    there = Bench(tmp_path / "there")
    there.open()
    site = Site(there, DoorLimits())
    url = f"http://127.0.0.1:{site.port}"
    bench = Bench(tmp_path / "here")
    bench.destinations = {
        METRIC: destination(METRIC, f"otlp:{url}", "m", "Bearer ada"),
        ERROR: destination(ERROR, f"sentry:http://ada@127.0.0.1:{site.port}/1", "e"),
    }
    bench.open()
    keep(bench)
    delivered = threading.Event()
    for _ in range(600):
        if 6 == sum(one.state.delivered for one in bench.telemetry.forwarders.values()):
            break
        delivered.wait(0.05)
    there.telemetry.settle()

    names = {row.name: row for row in there.telemetry.metrics.names(there.clock())}
    (issue,) = there.telemetry.errors.issues(there.clock())
    bench.close()
    site.close()
    there.close()

    assert {
        "bailee.command.count", "bailee.sessions.open", "bailee.command", "bailee.request.duration",
        "claude_code.tool",
    } == names.keys()  # fmt: skip
    assert ("ValueError", "bailee.config.load") == (issue.type, issue.where)


def test_what_is_not_taken_is_tried_again_and_what_is_refused_is_let_go(
    tmp_path: Path, receiver: Receiver
) -> None:
    """503, then 429, then success: the same bytes three times. A 400 is final, and in the audit
    record.
    """
    receiver.answers = [(503, {}), (429, {"retry-after": "1"}), (200, {}), (400, {})]
    bench = opened(tmp_path, errors=f"otlp:{receiver.url}")
    keep(bench)
    bodies = [body for _, _, body in receiver.wait(3)]
    keep(bench)
    receiver.wait(4)
    bench.close()

    state = bench.telemetry.forwarders[ERROR].state
    assert 1 == len(set(bodies))
    assert (1, 1, None) == (state.delivered, state.refused, state.failing_since)
    assert ("telemetry.refused", ERROR) in bench.leaves


def test_what_waits_is_encrypted_and_survives_the_process(
    tmp_path: Path, receiver: Receiver
) -> None:
    """Nobody listens; the process ends; the next one delivers. No file has a readable word."""
    bench = opened(tmp_path, errors="otlp:http://127.0.0.1:9")
    keep(bench)
    bench.close()
    files = [path for path in (tmp_path / "telemetry" / "onward").rglob("*") if path.is_file()]
    content = b"".join(path.read_bytes() for path in files)
    again = opened(tmp_path, errors=f"otlp:{receiver.url}")
    got = receiver.wait(1)
    again.close()

    assert b"ValueError" in got[0][2]
    assert files
    assert b"ValueError" not in content
    assert b"bailee" not in content


def test_what_was_answered_is_delivered_after_a_crash(tmp_path: Path, receiver: Receiver) -> None:
    """The disk as it was the moment after the answer: its next process delivers it."""
    (tmp_path / "before").mkdir()
    bench = opened(tmp_path / "before", errors="otlp:http://127.0.0.1:9")
    keep(bench)
    shutil.copytree(tmp_path / "before", tmp_path / "after")
    bench.close()
    again = opened(tmp_path / "after", errors=f"otlp:{receiver.url}")
    got = receiver.wait(1)
    again.close()

    assert b"ValueError" in got[0][2]


def test_what_is_not_delivered_in_its_time_never_is(tmp_path: Path, receiver: Receiver) -> None:
    """Past the period its key and its file are gone."""
    bench = opened(tmp_path, errors="otlp:http://127.0.0.1:9")
    keep(bench)
    bench.close()
    bench.clock.advance(timedelta(days=30))
    bench.destinations = {ERROR: destination(ERROR, f"otlp:{receiver.url}", "e")}
    bench.open()
    bench.telemetry.sweep(bench.clock())
    bench.close()

    folder = tmp_path / "telemetry" / "onward"
    assert [] == [path for path in folder.rglob("*") if path.is_file()]
    assert [] == receiver.got


def test_a_file_that_breaks_the_sending_holds_up_no_other(bench: Bench) -> None:
    """It stays, encrypted, for the next start; what comes after it is delivered."""
    sent: list[outward.OutwardRequest] = []
    more = threading.Event()

    def post(request: outward.OutwardRequest) -> tuple[int, str | None]:
        sent.append(request)
        if len(sent) == 1:
            raise RuntimeError("a defect")
        more.set()
        return 200, None

    address = destination(ERROR, "otlp:http://127.0.0.1:9", "e").address
    assert address is not None
    left: list[int] = []
    forwarder = Forwarder(
        ERROR, address, bench.path / "onward", keyring=bench.keyring, clock=bench.clock,
        common=frozenset(), record=lambda *_: None, post=post, left=left.append,
    )  # fmt: skip
    row = [CaughtError(1, "0" * 16, "ValueError", "error", "python", None, None, None, [], {})]
    forwarder.append_now([(ERROR, "P30D", as_json(row))])
    for _ in range(600):
        if sent:
            break
        more.wait(0.05)
    forwarder.append_now([(ERROR, "P30D", as_json(row))])
    assert more.wait(30)
    forwarder.close()

    assert 1 == forwarder.state.delivered
    assert [len(one.body) for one in sent] == left  # what failed too
    assert forwarder.waiting > 0


@pytest.mark.row("S1", "S2", "P1")
def test_what_may_be_passed_on_no_more_is_not_sent_and_what_waits_is_removed(
    tmp_path: Path, receiver: Receiver
) -> None:
    """Another document holds: what is tried again is tried no more, what comes stays here alone,
    and that is on record. Where it may be passed on again, what comes then is.
    """
    receiver.answers = [(503, {"retry-after": "1"})]
    bench = opened(tmp_path, f"store otlp:{receiver.url}")
    keep(bench)
    receiver.wait(1)
    bench.places[METRIC] = ("store",)
    keep(bench)
    shown = bench.telemetry.destination(METRIC).shown
    forwarder = bench.telemetry.forwarders[METRIC]
    for _ in range(600):
        if not forwarder.waiting:
            break
        threading.Event().wait(0.05)
    let_go = [one for one in bench.leaves if one[0] == "telemetry.undelivered"]
    so_far = len(receiver.wait(1))
    bench.places.clear()
    keep(bench)
    last = len(receiver.wait(4))
    kept = bench.commands()
    bench.close()
    assert ("store", [("telemetry.undelivered", "metric")]) == (shown, let_go)
    assert (1, 4, 3) == (so_far, last, kept["count"])


@pytest.mark.row("S1", "S2", "P1")
def test_a_sweep_removes_what_may_be_passed_on_no_more(tmp_path: Path, receiver: Receiver) -> None:
    """While the address has asked for minutes of patience, and at a start with what an earlier
    process left: nothing of it is sent.
    """
    receiver.answers = [(503, {"retry-after": "300"})]
    bench = opened(tmp_path, f"otlp:{receiver.url}")
    keep(bench)
    receiver.wait(1)
    bench.places[METRIC] = ()
    bench.telemetry.sweep(bench.clock())
    gone = bench.telemetry.forwarders[METRIC].waiting
    bench.places.clear()
    keep(bench)
    bench.close()
    bench.places[METRIC] = ()
    bench.open()
    bench.telemetry.sweep(bench.clock())
    left = [*(bench.folder / "onward" / METRIC).iterdir()]
    bench.close()
    assert (0, []) == (gone, left)
    assert 1 == len(receiver.got)


@pytest.mark.row("G1")
def test_who_fills_what_waits_keeps_nobody_else_out(bench: Bench) -> None:
    """The address is down: one account's rows take all the room there is, and it is told to come
    later; another's are taken. What is delivered then makes room again.
    """
    down = threading.Event()
    down.set()

    def post(_request: outward.OutwardRequest) -> tuple[int, str | None]:
        return (0, None) if down.is_set() else (200, None)

    address = destination(ERROR, "otlp:http://127.0.0.1:9", "e").address
    assert address is not None
    row = [CaughtError(1, "0" * 16, "ValueError", "error", "python", None, None, None, [], {})]
    rows = as_json(row)
    forwarder = Forwarder(
        ERROR, address, bench.path / "onward", keyring=bench.keyring, clock=bench.clock, pause=0.01,
        common=frozenset(), record=lambda *_: None, post=post, most_waiting=len(rows) * PARTS,
    )  # fmt: skip

    async def taken(sender: str, times: int = 1) -> str:
        try:
            await forwarder.append([(ERROR, "P30D", as_json(row * times))], sender)
        except InputError as error:
            return error.code
        return "taken"

    async def run() -> list[str]:
        said = [await taken("hog", PARTS - 30)]
        while await taken("hog") == "taken":
            pass
        said += [await taken(one) for one in ("bob", "cy", "dan", "hog")]
        down.clear()
        last = ""
        for _ in range(600):  # what is delivered first may be anybody's
            last = await taken("hog")
            if last == "taken":
                break
            await asyncio.sleep(0.05)
        return [*said, last]

    said = asyncio.run(run())
    forwarder.close()
    assert ["taken", "taken", "taken", "taken", "over_share", "taken"] == said


@pytest.mark.row("S1", "S2", "P1")
def test_what_its_sender_lets_go_nowhere_else_is_not_passed_on(
    tmp_path: Path, receiver: Receiver
) -> None:
    """Of one sender it stays here, of another it is passed on alone, of a third neither; what is
    passed on was all of another's.
    """
    bench = opened(tmp_path, f"store otlp:{receiver.url}")
    at = int(bench.clock().timestamp() * 1000)
    for command, places in (("verify", ("store",)), ("doctor", ("onward",)), ("backup", ())):
        row = figure(at, "bailee.command.count", "counter", 1, {"command": command})
        taken = Taken(figures=[row])
        bench.telemetry.prepare(taken, PERIODS, {METRIC: places})
        bench.telemetry.keep_now(taken)
    ((_, _, body),) = receiver.wait(1)
    kept = bench.query("bailee.command.count", by=("command",))
    bench.close()
    assert ["verify"] == [one["group"]["command"] for one in kept]
    assert (True, False, False) == tuple(one in body for one in (b"doctor", b"verify", b"backup"))

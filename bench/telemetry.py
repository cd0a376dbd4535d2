"""Telemetry: errors stored a second, metric points a second over HTTP, questions to a million.

The server is bailee's own ingest on a new home in a process of its own, its disk synced as always;
the sender is this process. An error event counts when its answer is there: it is on disk then.
Bugsink, which takes Sentry events too, is fetched (`peers`) and measured beside it. It
keeps the whole of an event, which is another service: the figures compare what
a machine can take, and bailee is quicker above all because it keeps so much less.
"""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as service

from bailee import config
from bailee.app import measuring
from bailee.home import Home, HomeLock
from bailee.node.node import Node
from bailee.telemetry.queries import Between
from bailee.telemetry.records import ERROR, METRIC, CaughtError, StackFrame, figure
from bailee.telemetry.telemetry import Taken
from bench import peers
from bench.result import Unavailable

CACHE = Path(__file__).parents[1] / ".cache"
Line = tuple[str, str, str]
SECONDS = float(os.environ.get("BENCH_SECONDS", "6"))
SERVER = """
import asyncio, sys
from pathlib import Path
from bailee import config
from bailee.app import telemetry
from bailee.node.node import Node
from bailee.console import Listener, bind
from bailee.home import Home, HomeLock
from bailee.ingest.door import DoorLimits
from bailee.telemetry.ingest import Ingest
from bailee.ingest.quotas import Rate
import uvloop

async def main():
    home = Home(Path(sys.argv[1]))
    home.make()
    settings = config.load(home.settings_file, {}, {})
    with HomeLock(home), Node.open(home, settings=settings, environment={}) as node:
        key = node.accounts.create(plan="api", name="bench")[2]
        much = Rate(1e12, 1e12)
        limits = DoorLimits(bytes_per_account=much, requests_per_account=much,
                        requests_per_address=much, waiting=1000)
        ingest = Ingest(node.telemetry, telemetry.TelemetryPolicyAccess(node), limits=limits)
        listening = bind("127.0.0.1", 0, "ingest")
        listener = Listener(ingest.app, listening, None)
        await listener.start()
        print(listening.getsockname()[1], key, flush=True)
        await asyncio.to_thread(sys.stdin.read)
        await listener.close()
        ingest.close()
uvloop.run(main())
"""


def event(number: int) -> bytes:
    """An event of the size that the SDK sends, as an envelope."""
    frames = [
        {
            "module": "bailee.policy.period" if n == 19 else f"app.part{n}",
            "function": "parse" if n == 19 else f"step{n}",
            "abs_path": f"/srv/app/part{n}.py",
            "filename": f"part{n}.py",
            "lineno": n + number % 7,
            "in_app": True,
            "context_line": "    return parse(text)",
            "pre_context": ["    line of code that stands before it"] * 5,
            "post_context": ["    line of code that comes after it"] * 5,
            "vars": {"text": "'a value'", "n": "3"},
        }
        for n in range(20)
    ]
    item = orjson.dumps(
        {
            "event_id": f"{number:032x}",
            "timestamp": datetime.now(UTC).isoformat(),
            "level": "error",
            "platform": "python",
            "release": "bailee@1.2.3",
            "environment": "production",
            "exception": {
                "values": [
                    {
                        "type": "ValueError",
                        "value": f"number {number}",
                        "mechanism": {"type": "generic", "handled": False},
                        "stacktrace": {"frames": frames},
                    }
                ]
            },
            "contexts": {"runtime": {"name": "CPython", "version": "3.11.2"}},
            "sdk": {"name": "sentry.python", "version": "2.20.0"},
        }
    )
    head = orjson.dumps({"event_id": f"{number:032x}"})
    return head + b'\n{"type":"event","length":%d}\n' % len(item) + item + b"\n"


def points(count: int) -> bytes:
    """A request with `count` points of a counter."""
    request = service.ExportMetricsServiceRequest()
    resource = request.resource_metrics.add()
    _attribute(resource.resource.attributes, "service.name", "claude-code")
    _attribute(resource.resource.attributes, "host.name", "somewhere")
    metric = resource.scope_metrics.add().metrics.add()
    metric.name = "claude_code.token.usage"
    metric.sum.is_monotonic = True
    metric.sum.aggregation_temporality = 1
    for number in range(count):
        point = metric.sum.data_points.add()
        point.as_int = number
        _attribute(point.attributes, "model", "claude-sonnet-4-5")
        _attribute(point.attributes, "type", ("input", "output", "cacheRead")[number % 3])
        _attribute(point.attributes, "session.id", "0b1c2d3e")
    return request.SerializeToString()


def _attribute(attributes: object, key: str, value: str) -> None:
    attribute = attributes.add()  # type: ignore[attr-defined]
    attribute.key = key
    attribute.value.string_value = value


@contextmanager
def served() -> Iterator[tuple[int, str]]:
    """Port and key of a server on a new home."""
    with tempfile.TemporaryDirectory(prefix="bailee-bench-") as folder:
        process = subprocess.Popen(
            [sys.executable, "-c", SERVER, folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stdout is not None
            port, key = process.stdout.readline().split()
            yield int(port), key
        finally:
            process.communicate()


def rate(port: int, path: str, headers: dict[str, str], bodies: list[bytes], threads: int) -> float:
    """Requests a second, each answered with success, from some connections at once."""
    done = [0] * threads
    deadline = time.perf_counter() + SECONDS

    def send(thread: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        number = thread
        while time.perf_counter() < deadline:
            connection.request("POST", path, bodies[number % len(bodies)], headers)
            response = connection.getresponse()
            response.read()
            assert response.status == 200, response.status
            done[thread] += 1
            number += threads
        connection.close()

    began = time.perf_counter()
    senders = [threading.Thread(target=send, args=(n,)) for n in range(threads)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    return sum(done) / (time.perf_counter() - began)


def over_http() -> list[Line]:
    """Errors and points a second, from socket to disk."""
    events = [event(n) for n in range(2000)]
    with served() as (port, key):
        sentry = {"x-sentry-auth": f"Sentry sentry_version=7, sentry_key={key}"}
        errors = rate(port, "/api/1/envelope/", sentry, events, 16)
        otlp = {"authorization": f"Bearer {key}", "content-type": "application/x-protobuf"}
        batch = 1000
        metrics = rate(port, "/v1/metrics", otlp, [points(batch)], 4) * batch
    what = f"error events of {len(events[0])} B, fully stored"
    return [
        (what, f"{errors:,.0f} a second", against(errors)),
        (f"metric points, {batch} a request, over HTTP", f"{metrics:,.0f} a second", ""),
    ]


def against(errors: float) -> str:
    """What Bugsink does with such events in the same run, where it is to be had."""
    try:
        programs = peers.package("bugsink") / "bin"
    except Unavailable as lack:
        return f"Bugsink: not there: {lack}"
    with tempfile.TemporaryDirectory(prefix="bailee-bench-") as folder:
        theirs = _bugsink(programs, Path(folder))
    return (
        f"{peers.version('bugsink')}: {theirs:,.0f} a second; {errors / theirs:.1f} times as many"
    )


def _bugsink(programs: Path, folder: Path) -> float:
    """Events a second, each stored before its answer: Bugsink without its queue, on SQLite, with as
    many workers as there are cores.
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    def run(*command: str) -> str:
        done = subprocess.run(
            [str(programs / command[0]), *command[1:]],
            cwd=folder,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    run("bugsink-create-conf", "--template=local", "--host=127.0.0.1", f"--port={port}")
    limits = [
        f"MAX_EVENTS_{scope}PER_{span}"
        for scope in ("", "PER_PROJECT_")
        for span in ("5_MINUTES", "HOUR", "MONTH")
    ]
    with (folder / "bugsink_conf.py").open("a") as settings:
        settings.writelines(f'BUGSINK["{limit}"] = 10**9\n' for limit in limits)
    run("bugsink-manage", "migrate")
    run("bugsink-manage", "migrate", "snappea", "--database=snappea")
    said = run(
        "bugsink-manage",
        "shell",
        "-c",
        "from projects.models import Project\n"
        "p = Project.objects.create(name='bench', retention_max_event_count=10**9)\n"
        "print(p.id, p.sentry_key)",
    )
    project, key = said.split()[-2:]
    server = subprocess.Popen(
        [str(programs / "gunicorn"), "bugsink.wsgi", f"--bind=127.0.0.1:{port}",
         f"--workers={os.cpu_count()}", "--threads=8", "--log-level=critical"],
        cwd=folder,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "bugsink_conf", "PYTHONPATH": str(folder)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        _listening(port)
        sentry = {
            "x-sentry-auth": f"Sentry sentry_version=7, sentry_key={key}",
            "content-type": "application/x-sentry-envelope",
        }
        path = f"/api/{project}/envelope/"
        answered = rate(port, path, sentry, [event(n) for n in range(20_000)], 16)
        stored = run(
            "bugsink-manage",
            "shell",
            "-c",
            "from events.models import Event\nprint(Event.objects.count())",
        )
        return min(answered, int(stored.split()[-1]) / SECONDS)
    finally:
        server.terminate()
        server.wait()


def _listening(port: int) -> None:
    for _ in range(300):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise Unavailable("Bugsink did not start")


def questions() -> list[Line]:
    """How long questions to a million figures and two hundred thousand errors take, from disk."""
    lines: list[Line] = []
    with tempfile.TemporaryDirectory(prefix="bailee-bench-") as folder:
        home = Home(Path(folder))
        home.make()
        settings = config.load(home.settings_file, {}, {})
        with HomeLock(home), Node.open(home, settings=settings, environment={}) as node:
            began = time.perf_counter()
            _fill(node, 1_000_000, 200_000)
            lines.append(
                (
                    "1.2 million rows written and compacted",
                    f"{time.perf_counter() - began:.1f} s",
                    "",
                )
            )
            disk = sum(p.stat().st_size for p in home.vault.rglob("*") if p.is_file())
            lines.append(("on disk, encrypted", f"{disk / 1e6:.0f} MB", ""))
            now = node.clock()
            between = Between(now - timedelta(days=2), now + timedelta(minutes=1))
            metrics, errors = node.telemetry.metrics, node.telemetry.errors
            name = "claude_code.api_request"
            asked = {
                "percentiles of 1,000,000": lambda: metrics.query(name, between, now),
                "the same by model": lambda: metrics.query(name, between, now, by=["model"]),
                "the same by hour and model": lambda: metrics.query(
                    name, between, now, by=["model"], step=timedelta(hours=1)
                ),
                "issues of 200,000 errors": lambda: errors.issues(now),
                "the page of metrics": lambda: node.telemetry.summaries.summary(
                    between, timedelta(minutes=30), now, latency=name
                ),
                "percentiles of 130,000 histograms by channel": lambda: metrics.query(
                    "bailee.exchange.duration", between, now, by=["provider"]
                ),
            }
            for what, ask in asked.items():
                ask()
                took = min(_timed(ask) for _ in range(3))
                lines.append((what, f"{took * 1000:.0f} ms", "aim: within 1,000 ms"))
    return lines


def _timed(ask: object) -> float:
    assert callable(ask)
    began = time.perf_counter()
    ask()
    return time.perf_counter() - began


def _fill(node: Node, figures: int, errors: int) -> None:
    now = int(node.clock().timestamp() * 1000)
    models = ("claude-sonnet-4-5", "claude-opus-4-1", "claude-haiku-4-5", "other")
    step = 20_000
    for start in range(0, figures, step):
        rows = [
            figure(
                now - (n * 37) % 86_400_000,
                "claude_code.api_request",
                "event",
                float(n * 7919 % 10_007),
                {"model": models[n % 4], "duration_ms": float(n * 7919 % 10_007),
                 "input_tokens": n % 5000, "service.name": "claude-code",
                 "service.version": f"2.1.{n % 20}"},
            )
            for n in range(start, start + step)
        ]  # fmt: skip
        _keep(node, Taken(figures=rows))
    # A month of the server's own measuring: three ways of ending each minute.
    for start in range(0, 130_000, step):
        rows = [
            figure(
                now - (n * 37) % 86_400_000,
                measuring.MEASURE,
                "histogram",
                900.0,
                {"provider": ("api", "bedrock", "vertex")[n % 3], "outcome": "ok"},
                count=9,
                buckets=(list(measuring.BOUNDS), [n % 2] * (len(measuring.BOUNDS) + 1)),
            )
            for n in range(start, min(130_000, start + step))
        ]
        _keep(node, Taken(figures=rows))
    for start in range(0, errors, step):
        raised = [
            CaughtError(now - n * 13 % 86_400_000, f"{n % 40:016x}", "ValueError", "error",
             "python", f"bailee@1.2.{n % 9}", "production", False,
             [StackFrame("bailee.policy.period", "parse", n % 40, True)], {})
            for n in range(start, start + step)
        ]  # fmt: skip
        _keep(node, Taken(errors=raised))
    node.telemetry.sweep(node.clock())


def _keep(node: Node, taken: Taken) -> None:
    node.telemetry.prepare(taken, {METRIC: "P30D", ERROR: "P30D"})
    node.telemetry.keep_now(taken)


def main() -> list[Line]:
    """Both parts."""
    return over_http() + questions()

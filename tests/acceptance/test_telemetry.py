"""Unmodified SDKs send metrics and errors to a running server: what arrives is what is declared,
and nothing else that they sent is in any file.

Each SDK is the real one, in a process of its own, with a planted word in every place that the
protocol has for content. They talk to 127.0.0.1 only.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from bailee.testing.upstream import ScriptedUpstream
from support.browsers.browsing import Visitor
from support.clients.node_modules import module
from support.clients.programs import Bailee, clean_environment

SENTRY_NODE = "10.78.0"

OTLP = """
import os
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry._logs import LogRecord
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

url, headers = os.environ["URL"], {"authorization": "Bearer " + os.environ["KEY"]}
zipped = {"compression": Compression.Gzip, "headers": headers}
resource = Resource({"service.name": "bailee", "service.version": "1.2.3",
    "host.name": "quince-box", "process.command_args": ["run", "quince"], "user.name": "quince"})

reader = PeriodicExportingMetricReader(OTLPMetricExporter(url + "/v1/metrics", **zipped))
metrics = MeterProvider([reader], resource=resource)
meter = metrics.get_meter("quince.scope", "quince")
used = meter.create_counter("bailee.command.count", description="quince")
used.add(2, {"command": "up", "cwd": "/home/quince", "outcome": "ok"})
metrics.force_flush()
used.add(3, {"command": "up", "outcome": "ok"})
used.add(1, {"command": "quince", "outcome": "error"})
meter.create_counter("quince.count").add(1)
took = meter.create_histogram("bailee.request.duration")
for number in range(1, 101):
    took.record(number, {"model": "claude-sonnet-4-5", "prompt": "quince"})
metrics.shutdown()

logs = LoggerProvider(resource=resource)
logs.add_log_record_processor(SimpleLogRecordProcessor(OTLPLogExporter(url + "/v1/logs", **zipped)))
logger = logs.get_logger("quince")
for number in (100, 200, 300):
    logger.emit(LogRecord(event_name="bailee.command", body="quince wrote this",
        attributes={"command": "run", "duration_ms": number, "file_path": "/home/quince/x.py",
                    "nested": {"quince": ["quince"]}}))
logs.shutdown()

spans = TracerProvider(resource=resource)
spans.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(url + "/v1/traces", **zipped)))
with spans.get_tracer("quince").start_as_current_span("claude_code.tool") as span:
    span.set_attribute("tool_name", "Bash")
    span.set_attribute("full_command", "cat quince")
    span.add_event("quince", {"quince": "quince"})
spans.shutdown()
"""

SENTRY = """
import os, sys
sys.argv.append("--quince")
import sentry_sdk
sentry_sdk.init(os.environ["DSN"], release="bailee@1.2.3", environment="production",
                send_default_pii=True, server_name="quince-box",
                auto_enabling_integrations="ALL" in os.environ)
sentry_sdk.set_user({"id": "quince", "email": "quince@example.com"})
sentry_sdk.set_tag("quince", "quince")
sentry_sdk.set_context("quince", {"quince": "quince"})
sentry_sdk.add_breadcrumb(message="quince")
def quince_function(secret):
    from bailee.policy.period import parse
    return parse(secret)
for _ in range(2):
    try:
        quince_function("quince")
    except Exception as error:
        sentry_sdk.capture_exception(error)
sentry_sdk.capture_message("quince happened")
sentry_sdk.flush(10)
"""

NODE = """
const Sentry = require(process.env.MODULE);
Sentry.init({dsn: process.env.DSN, release: 'claude-code@2.1.197', serverName: 'quince-box'});
Sentry.setUser({id: 'quince'}); Sentry.setTag('quince', 'quince');
class QuinceError extends Error { get name() { return 'QuinceError'; } }
function quinceFunction(secret) { throw new TypeError('quince ' + secret); }
try { quinceFunction('quince'); } catch (error) { Sentry.captureException(error); }
try { throw new QuinceError('quince'); } catch (error) { Sentry.captureException(error); }
Sentry.flush(10000).then(done => process.exit(done ? 0 : 1));
"""

STATSIG = """
import os
from statsig import StatsigEvent, StatsigOptions, StatsigUser, statsig
options = StatsigOptions(api=os.environ["URL"], init_timeout=10, disable_diagnostics=True)
statsig.initialize("secret-" + os.environ["KEY"], options)
user = StatsigUser("quince", email="quince@example.com")
statsig.log_event(StatsigEvent(user, "bailee.command", value=120.0,
    metadata={"command": "doctor", "cwd": "/home/quince"}))
statsig.log_event(StatsigEvent(user, "quince.event", metadata={"quince": "quince"}))
statsig.shutdown()
"""

STATSIG_CORE = """
import os
from statsig_python_core import Statsig, StatsigOptions, StatsigUser
options, url = StatsigOptions(), os.environ["URL"]
options.log_event_url = url + "/log_event"
options.specs_url = url + "/download_config_specs"
options.id_lists_url = url + "/get_id_lists"
client = Statsig("secret-" + os.environ["KEY"], options)
client.initialize().wait()
client.log_event(StatsigUser("quince"), "bailee.command", 80.0,
                 {"command": "doctor", "prompt": "quince"})
client.flush_events().wait()
client.shutdown().wait()
"""


STATSIG_NODE = """
const statsig = require(process.env.MODULE);
(async () => {
  const options = {api: process.env.URL, disableDiagnostics: true, initTimeoutMs: 10000};
  await statsig.initialize('secret-' + process.env.KEY, options);
  const user = {userID: 'quince', email: 'quince@example.com'};
  statsig.logEvent(user, 'bailee.command', 120, {command: 'doctor', cwd: '/home/quince'});
  statsig.logEvent(user, 'quince.event', null, {quince: 'quince'});
  await statsig.flush();
  await statsig.shutdownAsync();
})().catch(error => { console.error(error); process.exit(1); });
"""

STATSIG_BROWSER = """
const { StatsigClient } = require(process.env.MODULE);
const url = process.env.URL;
const networkConfig = {initializeUrl: url + '/initialize', logEventUrl: url + '/rgstr'};
const user = {userID: 'quince', email: 'quince@example.com'};
(async () => {
  const options = {networkConfig, loggingEnabled: 'always'};
  const client = new StatsigClient('client-' + process.env.KEY, user, options);
  await client.initializeAsync();
  client.logEvent('bailee.command', 120, {command: 'doctor', cwd: '/home/quince'});
  client.logEvent('quince.event', null, {quince: 'quince'});
  await client.flush();
  await client.shutdown();
})().catch(error => { console.error(error); process.exit(1); });
"""


class Served(Bailee):
    """A server that takes telemetry, and programs that send it."""

    def sends(self, program: list[str], **env: str) -> None:
        """Run a client to its end."""
        ingest = self.ready["ingest"]
        given = {"KEY": ingest["key"], "DSN": ingest["sentry_dsn"], "URL": ingest["otlp"]}
        done = subprocess.run(
            program,
            env=clean_environment(self._user, **(given | env)),
            cwd=self._user,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert 0 == done.returncode, done.stderr

    def python(self, script: str, **env: str) -> None:
        """Run a client that is written in Python."""
        self.sends([sys.executable, "-c", script], **env)

    def figures(self, name: str, *arguments: str) -> list[dict[str, Any]]:
        """The rows of a query."""
        rows: list[dict[str, Any]] = self.json("metrics", "query", name, *arguments)["rows"]
        return rows


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """A server on a new home."""
    made = Served(tmp_path)
    with ScriptedUpstream(tools_only=False) as model:
        made.up("--upstream", model.url, "--test-clock")
        yield made
        made.close()


def _leaves_nothing(served: Served) -> None:
    """Stop the server, and find the planted word in no file of its home."""
    served.stop()
    assert [] == served.holds(b"quince", b"Quince")


@pytest.mark.row("S1")
def test_opentelemetry_metrics_logs_and_spans_arrive_and_their_content_does_not(
    served: Served,
) -> None:
    """The OpenTelemetry SDK, gzip: cumulative sums are added up once, percentiles are there, names
    of a person's own become "other" or nothing.
    """
    served.python(OTLP)

    used = served.figures("bailee.command.count", "--by", "command")
    assert {"up": 5.0, "other": 1.0} == {row["group"]["command"]: row["sum"] for row in used}
    (took,) = served.figures("bailee.request.duration", "--by", "model")
    assert ("claude-sonnet-4-5", 100, 5050.0) == (
        took["group"]["model"],
        took["count"],
        took["sum"],
    )
    assert 40 < took["p50"] < 60
    (ran,) = served.figures("bailee.command", "--by", "service.version")
    assert (3, 600.0, "1.2.3") == (ran["count"], ran["sum"], ran["group"]["service.version"])
    (tool,) = served.figures("claude_code.tool", "--by", "tool_name", "--by", "outcome")
    assert {"tool_name": "Bash", "outcome": "ok"} == tool["group"]
    dropped = {(row["field"], row["why"]) for row in served.json("metrics", "dropped")}
    assert {("host.name", "name of a machine"), ("cwd", "a path"), ("other", None)} <= dropped
    _leaves_nothing(served)


@pytest.mark.row("S2")
def test_the_python_sdk_of_sentry_reports_an_issue_without_its_content(served: Served) -> None:
    """Two events of one stack are one issue, with our own function and line, its release and its
    count; messages, variables, source, arguments, host and user stay outside.
    """
    served.python(SENTRY, ALL="of its integrations: five seconds to import what they are for")

    issues = {issue["type"]: issue for issue in served.json("errors", "list")}
    raised = issues["InputError"]
    assert {"InputError", "(message)"} == issues.keys()
    assert (2, "bailee.policy.period.parse") == (raised["count"], raised["where"])
    assert (["bailee@1.2.3"], "open") == (raised["releases"], raised["state"])
    shown = served.json("errors", "show", raised["id"])
    assert ["bailee.policy.period", "parse", True] == [
        shown["frames"][-1][key] for key in ("module", "function", "ours")
    ]
    assert {"bailee@1.2.3": 2} == shown["by"]["release"]
    assert "source code" in {row["why"] for row in served.json("metrics", "dropped")}
    _leaves_nothing(served)


@pytest.mark.row("S2")
def test_the_javascript_sdk_of_sentry_reports_too(served: Served) -> None:
    """Items without length: the type if it is a known one, the lines, the release; a class of the
    person's own is "other".
    """
    served.sends(["node", "-e", NODE], MODULE=str(module("@sentry/node", SENTRY_NODE)))

    issues = {issue["type"]: issue for issue in served.json("errors", "list")}
    assert {"TypeError", "other"} == issues.keys()
    assert ["claude-code@2.1.197"] == issues["TypeError"]["releases"]
    _leaves_nothing(served)


@pytest.mark.row("S1")
def test_both_sdks_of_statsig_start_and_log(served: Served) -> None:
    """They get their stubs, start, and their declared events arrive; users and metadata of their
    own do not.
    """
    url = served.ready["ingest"]["statsig"]
    served.python(STATSIG, URL=url)
    served.python(STATSIG_CORE, URL=url)

    (ran,) = served.figures("bailee.command", "--by", "command")

    assert ("doctor", 2, 200.0) == (ran["group"]["command"], ran["count"], ran["sum"])
    _leaves_nothing(served)


@pytest.mark.row("S1")
def test_the_javascript_sdks_of_statsig_start_and_log(served: Served) -> None:
    """The same from node and from what runs in browsers, which has addresses of its own."""
    url = served.ready["ingest"]["statsig"]
    for script, package, version in (
        (STATSIG_NODE, "statsig-node", "6.5.2"),
        (STATSIG_BROWSER, "@statsig/js-client", "3.33.5"),
    ):
        served.sends(["node", "-e", script], MODULE=str(module(package, version)), URL=url)

    ran = served.figures("bailee.command", "--by", "telemetry.sdk.name")

    assert {"statsig-node": (1, 120.0), "javascript-client": (1, 120.0)} == {
        row["group"]["telemetry.sdk.name"]: (row["count"], row["sum"]) for row in ran
    }
    _leaves_nothing(served)


@pytest.mark.row("S1")
def test_a_redirected_agents_event_batch_is_taken(served: Served) -> None:
    """`/api/event_logging/v2/batch`: the declared part of declared events."""
    event = {
        "event_type": "internal",
        "event_data": {
            "event_name": "tengu_api_request",
            "model": "claude-sonnet-4-5",
            "duration_ms": 250,
            "session_id": "quince",
            "email": "quince@example.com",
            "env": {"platform": "linux", "version": "2.1.197", "cwd": "/quince"},
        },
    }
    answer = _post(served, "/api/event_logging/v2/batch", {"events": [event, {"quince": 1}]})

    (row,) = served.figures("claude_code.api_request", "--by", "service.version")

    assert (1, 1) == (answer["accepted_count"], answer["rejected_count"])
    assert (1, 250.0, "2.1.197") == (row["count"], row["sum"], row["group"]["service.version"])
    _leaves_nothing(served)


def _post(served: Served, path: str, body: object, key: str | None = None) -> Any:
    request = urllib.request.Request(
        served.ready["ingest"]["otlp"] + path,
        json.dumps(body).encode(),
        {
            "authorization": f"Bearer {key or served.ready['key']}",
            "content-type": "application/json",
        },
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.loads(response.read())


def _counter(value: int, **attributes: str) -> dict[str, Any]:
    point = {
        "asInt": str(value),
        "attributes": [{"key": k, "value": {"stringValue": v}} for k, v in attributes.items()],
    }
    metric = {
        "name": "bailee.command.count",
        "sum": {"aggregationTemporality": 1, "isMonotonic": True, "dataPoints": [point]},
    }
    return {"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric]}]}]}


@pytest.mark.row("S1", "S2")
def test_what_was_answered_with_success_survives_kill_9(served: Served) -> None:
    """Each request that got its 200 is there after the server was killed the moment after."""
    for _ in range(20):
        _post(served, "/v1/metrics", _counter(1, command="up", outcome="ok"))
    _kill(served)

    assert 20.0 == served.figures("bailee.command.count")[0]["sum"]
    served.up("--upstream", "http://127.0.0.1:9")
    assert 20.0 == served.figures("bailee.command.count")[0]["sum"]


def _kill(served: Served) -> None:
    assert served._process is not None
    process, served._process = served._process, None
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)


@pytest.mark.row("S1", "S2", "R5")
def test_metrics_and_errors_are_gone_after_their_time(served: Served) -> None:
    """For 29 days they are there; past the period they are in no answer, at once; and after the
    sweep their files and keys are gone, with an entry in the audit record.
    """
    _post(served, "/v1/metrics", _counter(7, command="up"))
    served.python(SENTRY)
    almost = (datetime.now(UTC) + timedelta(days=29) - timedelta(hours=24)).isoformat()
    past = (datetime.now(UTC) + timedelta(days=30, hours=1)).isoformat()

    def counts(now: str) -> tuple[int, int]:
        found = served.json("metrics", "list", now=now), served.json("errors", "list", now=now)
        return len(found[0]), len(found[1])

    assert (1, 2) == counts(almost)
    served.json("retention", "run", now=almost)
    assert (1, 2) == counts(almost)
    assert (0, 0) == counts(past)
    swept = served.json("retention", "run", now=past)
    assert 2 == swept["telemetry"]["shelves"]
    folder = served.home / "vault" / "telemetry"
    assert [] == [path for path in folder.rglob("*") if path.is_file()]
    assert (0, 0) == counts(almost)
    expired = served.json("audit", "list", "--kind", "telemetry.expired")
    assert {"metric", "error_event"} == {leaf["subject"].partition(":")[0] for leaf in expired}

    # What comes afterwards is kept again.
    _post(served, "/v1/metrics", _counter(5, command="up"))
    assert 5.0 == served.figures("bailee.command.count")[0]["sum"]


@pytest.mark.row("S2")
def test_an_issue_is_resolved_muted_and_opens_again_when_it_returns(served: Served) -> None:
    """Resolved, it stays so until an event comes after; muted, it stays muted."""
    served.python(SENTRY)
    ids = {issue["type"]: issue["id"] for issue in served.json("errors", "list")}
    served.json("errors", "resolve", ids["InputError"])
    served.json("errors", "mute", ids["(message)"])

    def states() -> dict[str, tuple[str, bool]]:
        return {i["type"]: (i["state"], i["regressed"]) for i in served.json("errors", "list")}

    assert {"InputError": ("resolved", False), "(message)": ("muted", False)} == states()
    served.python(SENTRY)
    assert {"InputError": ("open", True), "(message)": ("muted", False)} == states()
    changes = served.json("audit", "list", "--kind", "error_issue.changed")
    assert ["resolved", "muted"] == [leaf["body"]["state"] for leaf in changes]


@pytest.mark.row("S2")
def test_an_operators_address_is_told_of_new_and_returning_errors(tmp_path: Path) -> None:
    """`telemetry.webhook`: one POST for each new issue and for its return, none for what is known;
    what it says is what the guard let through.
    """
    told: list[dict[str, Any]] = []

    class Listening(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Listening)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    served = Served(tmp_path)
    try:
        hook = f"http://127.0.0.1:{server.server_address[1]}/hook"
        served.up("--upstream", "http://127.0.0.1:9", env={"BAILEE_TELEMETRY_WEBHOOK": hook})
        served.python(SENTRY)
        ids = {issue["type"]: issue["id"] for issue in served.json("errors", "list")}
        served.json("errors", "resolve", ids["InputError"])
        served.python(SENTRY)
        served.json("errors", "list")
        served.stop()
    finally:
        served.close()
        server.shutdown()
        server.server_close()

    assert [
        ("error_issue.new", "InputError", "bailee.policy.period.parse"),
        ("error_issue.new", "(message)", None),
        ("error_issue.regression", "InputError", "bailee.policy.period.parse"),
    ] == [(alert["event"], alert["type"], alert["where"]) for alert in told]
    assert "quince" not in json.dumps(told)


@pytest.mark.row("S1", "S2")
def test_what_the_operator_has_go_elsewhere_arrives_there(served: Served, tmp_path: Path) -> None:
    """Metrics to another server by OTLP and kept here as well; errors to a DSN alone: after this
    server's guard, through the other's, and nothing that was planted on the way.
    """
    there = served.ready["ingest"]
    (tmp_path / "between").mkdir()
    between = Served(tmp_path / "between")
    key = served.ready["key"]
    try:
        between.up(
            *("--upstream", "http://127.0.0.1:9"),
            env={
                "BAILEE_TELEMETRY_METRICS": f"store otlp:{there['otlp']}",
                "BAILEE_TELEMETRY_ERRORS": f"sentry:{there['sentry_dsn']}",
                "BAILEE_TELEMETRY_OTLP_AUTHORIZATION_ENV": "FOR_THERE",
                "FOR_THERE": f"Bearer {key}",
            },
        )
        between.python(OTLP)
        between.python(SENTRY)
        points = sum(row["points"] for row in between.json("metrics", "list"))
        shown = _delivered(between, points, 3)
        here = between.figures("bailee.command.count", "--by", "command")
        assert [] == between.json("errors", "list")
        operator = Visitor(between.ready["console"])
        operator.get(between.ready["sign_in"])
        assert "Errors are not kept here now" in operator.get("/admin/errors").text
        assert "passed on to 127.0.0.1" in operator.get("/data-usage").text
        between.stop()
        assert [] == between.holds(b"quince")
    finally:
        between.close()

    assert {"up": 5.0, "other": 1.0} == {row["group"]["command"]: row["sum"] for row in here}
    assert here == served.figures("bailee.command.count", "--by", "command")
    (took,) = served.figures("bailee.request.duration", "--by", "model")
    assert (100, 5050.0) == (took["count"], took["sum"])
    issues = {issue["type"]: issue for issue in served.json("errors", "list")}
    assert (2, "bailee.policy.period.parse") == (
        issues["InputError"]["count"],
        issues["InputError"]["where"],
    )
    assert key not in json.dumps(shown)
    assert [f"store otlp:{there['otlp']}", f"sentry:{there['otlp']}"] == [f["to"] for f in shown]
    _leaves_nothing(served)


def _delivered(between: Served, *expected: int) -> list[dict[str, Any]]:
    """Where things go, once so many metrics and errors have got there."""
    pause = threading.Event()
    for _ in range(60):
        shown: list[dict[str, Any]] = between.json("metrics", "destinations")
        if expected == tuple(flow["delivered"] for flow in shown):
            break
        pause.wait(0.5)
    return shown


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("BAILEE_TELEMETRY_METRICS", "sentry:https://quince@s.example.com/1"),
        ("BAILEE_TELEMETRY_ERRORS", "sentry:http://quince@s.example.com/1"),
        ("BAILEE_TELEMETRY_OTLP_AUTHORIZATION_ENV", "NOT_SET_QUINCE"),
        ("BAILEE_TELEMETRY_OWN", "maybe"),
    ],
)
def test_a_destination_that_is_none_stops_the_start(
    tmp_path: Path, variable: str, value: str
) -> None:
    """With the setting's name; a key that is in it is not repeated."""
    process = Served(tmp_path).spawn("--upstream", "http://127.0.0.1:9", env={variable: value})
    _, errors = process.communicate(timeout=60)

    assert 2 == process.returncode
    assert "telemetry." in errors or "NOT_SET_QUINCE" in errors
    assert "quince@" not in errors


def test_without_a_key_nothing_is_taken(served: Served) -> None:
    """An unknown key gets 401 in each protocol, and nothing is counted."""
    for path in ("/v1/metrics", "/api/1/envelope/", "/v1/log_event", "/api/event_logging/v2/batch"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            _post(served, path, {}, key="bl_0000000000_" + "0" * 48)
        assert 401 == refused.value.code

    assert [] == served.json("metrics", "list")


@pytest.mark.row("S1", "R2")
def test_who_sent_it_is_in_no_file_of_telemetry(served: Served) -> None:
    """The key that opened the door is neither in the journal nor in its answers; an installation's
    id is replaced by a digest.
    """
    installation = os.urandom(16).hex()
    _post(served, "/v1/metrics", _counter(1, **{"bailee.installation.id": installation}))

    (row,) = served.figures("bailee.command.count", "--by", "bailee.installation.id")

    assert installation != row["group"]["bailee.installation.id"]
    assert 16 == len(row["group"]["bailee.installation.id"])
    assert "acc_" not in json.dumps(row)
    served.stop()
    assert [] == served.holds(installation.encode())

"""A running server as those see it who watch it: health, figures, streams, and its end."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import signal
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from bailee.testing.upstream import AssistantMessage, ScriptedUpstream
from support.clients.programs import Bailee, message
from support.servers.trace_collector import TraceCollector

pytestmark = pytest.mark.row("O5")

Serve = Callable[..., Bailee]


def get(url: str, timeout: float = 30) -> tuple[int, str]:
    """What an address answers: the status, and the text."""
    try:
        with urllib.request.urlopen(url, timeout=timeout) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def until(there: Callable[[], object]) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + 60
    while not there():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_health_and_figures_hold_no_content(shared: Bailee) -> None:
    """On a listener of its own, which knows nothing else; what was said and by whom is nowhere."""
    message(shared.ready, "what about zebras", session="5e551011-32a5-4d0c-8f0b-0d7c3d1c1a11")
    at = shared.ready["health"]
    assert (200, '{"alive":true}') == get(f"{at}/healthz")
    assert (200, True) == ((found := get(f"{at}/readyz"))[0], json.loads(found[1])["ready"])
    assert [404, 404] == [get(f"{at}{path}")[0] for path in ("/", "/v1/messages")]
    status, text = get(f"{at}/metrics")
    assert 200 == status
    requests = 'bailee_requests_total{channel="api",outcome="complete",status="2xx"} '
    assert re.search(f"^{re.escape(requests)}[1-9]", text, re.M)
    accounts = {one["account"] for one in shared.json("account", "list")}
    keys = {one["key_id"] for one in shared.json("key", "list")}
    for content in ("zebra", "5e551011", shared.ready["key"], str(shared.home), *accounts, *keys):
        assert content not in text
    assert accounts
    assert keys


def test_a_crowd_at_the_health_listener_hurts_nobody(shared: Bailee) -> None:
    """A thousand connections, and scrapers that never read: the gateway answers, and whoever comes
    next is served.
    """
    at = urlsplit(shared.ready["health"])
    with contextlib.ExitStack() as crowd:
        for number in range(1000):
            sock = crowd.enter_context(socket.socket())
            sock.settimeout(5)
            with contextlib.suppress(OSError):
                sock.connect((at.hostname or "", at.port or 0))
                if number % 2:
                    sock.sendall(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n" * 20)
        assert message(shared.ready, "hello")
        until(lambda: 200 == _status(f"{shared.ready['health']}/readyz"))
    assert 200 == get(f"{shared.ready['health']}/metrics")[0]


def _status(url: str) -> int:
    with contextlib.suppress(OSError, http.client.HTTPException):
        return get(url, 5)[0]
    return 0


def test_a_request_is_a_span_of_its_clients_trace_without_content(
    served: Serve, trace_collector: TraceCollector
) -> None:
    """Of the gateway, of the console and of a refusal: routes, never what a client wrote."""
    bailee = served(env={"BAILEE_TRACING_OTLP": trace_collector.url})
    above = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    ready = bailee.ready
    secret = ready["key"]

    def ask(url: str, key: str, body: bytes | None) -> int:
        fields = {"x-api-key": key, "traceparent": above, "content-type": "application/json"}
        try:
            with urllib.request.urlopen(urllib.request.Request(url, body, fields)) as answer:
                answer.read()
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    said = {"model": "quokka", "max_tokens": 5, "messages": [{"role": "user", "content": "zebra"}]}
    model = f"{ready['gateway']}/v1/messages"
    assert 200 == ask(model, secret, json.dumps(said).encode())
    assert 401 == ask(model, "bl_none", json.dumps(said).encode())
    sessions = f"{urlsplit(ready['console']).scheme}://{urlsplit(ready['console_api']).netloc}"
    assert 404 == ask(f"{sessions}/api/v1/sessions/zebra", secret, None)
    bailee.stop()  # what waits is sent then
    spans = list(trace_collector.spans)
    assert {"0af7651916cd43dd8448eb211c80319c"} == {one.trace_id.hex() for one in spans}
    assert {"b7ad6b7169203331"} == {one.parent_span_id.hex() for one in spans}
    found = {}
    for one in spans:
        values = {of.key: of.value.string_value or of.value.int_value for of in one.attributes}
        found[one.name, values["http.response.status_code"]] = values["bailee.listener"]
    assert {
        ("POST /v1/messages", 200): "gateway",
        ("POST /v1/messages", 401): "gateway",
        ("GET /api/v1/sessions/{id}", 404): "console",
    } == found
    for content in ("zebra", "quokka", secret, "bl_none"):
        assert content not in "".join(map(str, spans))


def test_told_to_stop_it_lets_streams_end_and_begins_nothing(
    served: Serve, upstream: ScriptedUpstream
) -> None:
    """It says at once that it is not ready and why; a new request is told to come again; the
    stream that is under way comes whole, and so is its record.
    """
    said = [{"type": "text", "text": f"word {number} "} for number in range(30)]
    upstream.then(AssistantMessage(tuple(said), pause=0.03))
    bailee = served()
    stream = _streaming(bailee)
    first = stream.read1(200)
    assert b"message_start" in first
    process = bailee._process
    assert process is not None
    process.send_signal(signal.SIGTERM)
    until(lambda: 503 == get(f"{bailee.ready['health']}/readyz")[0])
    told = json.loads(get(f"{bailee.ready['health']}/readyz")[1])
    assert ["draining"] == told["reasons"]
    assert told["words"]["draining"]
    with pytest.raises(urllib.error.HTTPError) as refused:
        message(bailee.ready, "more")
    assert (503, "2", "close") == (
        refused.value.code, refused.value.headers["retry-after"],
        refused.value.headers["connection"],
    )  # fmt: skip
    assert "overloaded_error" == json.loads(refused.value.read())["error"]["type"]
    rest = stream.read()
    assert b"message_stop" in rest
    _, errors = process.communicate(timeout=60)
    assert (0, "") == (process.wait(), errors)
    bailee._process = None
    (session,) = bailee.json("sessions", "list")
    assert "word 29" in bailee.run("sessions", "show", session["id"]).stdout


def test_a_second_signal_waits_for_nothing(served: Serve, upstream: ScriptedUpstream) -> None:
    """Whoever is in a hurry says so twice."""
    upstream.then(AssistantMessage(({"type": "text", "text": "x"},) * 2000, pause=0.1))
    bailee = served(env={"BAILEE_GATEWAY_DRAIN_SECONDS": "3600"})
    stream = _streaming(bailee)
    stream.read1(200)
    process = bailee._process
    assert process is not None
    process.send_signal(signal.SIGTERM)
    until(lambda: 503 == _status(f"{bailee.ready['health']}/readyz"))
    assert 0 == bailee.end()[0]


def _streaming(bailee: Bailee) -> http.client.HTTPResponse:
    at = urlsplit(bailee.ready["gateway"])
    connection = http.client.HTTPConnection(at.hostname or "", at.port, timeout=60)
    body = {"model": "m", "max_tokens": 9, "stream": True, "messages": []}
    fields = {"x-api-key": bailee.ready["key"], "content-type": "application/json"}
    connection.request("POST", "/v1/messages", json.dumps(body), fields)
    return connection.getresponse()


def test_the_record_is_delivered_across_a_kill(bailee: Bailee, tmp_path: Path) -> None:
    """A file gets every leaf, in order, at least once; what the server says is JSON; the status
    tells how far it is, with a server and without.
    """
    where = tmp_path / "audit.jsonl"
    bailee.home.mkdir(mode=0o700)
    settings = bailee.home / "bailee.toml"
    settings.touch(mode=0o600)
    settings.write_text(
        f'[audit]\nfile = "{where}"\nsyslog = "tcp://127.0.0.1:1"\n[log]\nformat = "json"\n'
    )
    with ScriptedUpstream(tools_only=False) as upstream:
        bailee.up("--upstream", upstream.url)
        for _ in range(3):
            bailee.run("key", "create", "--plan", "api")
        until(lambda: where.exists() and len(where.read_text().splitlines()) >= 6)

        def standing() -> dict[str, dict[str, object]]:
            return {one["sink"]: one for one in bailee.json("audit", "stream", "status")}

        until(lambda: 0 == standing()["file"]["waiting"])
        away = standing()["syslog"]
        assert "it can't be reached (ConnectionRefusedError)" == away["problem"]
        assert (0, True) == (away["next"], int(str(away["waiting"])) >= 6)
        _, errors = bailee.end(signal.SIGKILL)
        assert {"time", "level", "logger", "message"} == {*json.loads(errors.splitlines()[0])}
        bailee.up("--upstream", upstream.url)
        bailee.run("key", "create", "--plan", "api")
        last = max(one["leaf"] or 0 for one in bailee.json("audit", "list"))
        leaves: list[int] = []

        def there() -> bool:
            lines = where.read_text().splitlines()
            leaves[:] = [json.loads(one)["metadata"]["sequence"] for one in lines]
            return last in leaves

        until(there)
        bailee.end()
    assert [*range(max(leaves) + 1)] == [*dict.fromkeys(leaves)]
    left = {one["sink"]: one["next"] for one in bailee.json("audit", "stream", "status")}
    assert left["file"] > last


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("BAILEE_AUDIT_HTTP", "https://169.254.169.254/", "credentials"),
        ("BAILEE_AUDIT_HTTP", "http://siem.example.org/", "plain HTTP"),
        ("BAILEE_AUDIT_WEBHOOK", "https://h.example.org/", "webhook_kinds"),
        ("BAILEE_LOG_FORMAT", "xml", "log.format"),
        ("BAILEE_HEALTH_LISTEN", "0.0.0.0:0", "0.0.0.0"),
    ],
)
def test_a_setting_that_is_wrong_stops_a_start(
    bailee: Bailee, name: str, value: str, words: str
) -> None:
    """By name, with what to do; nothing is listened at."""
    process = bailee.spawn("--upstream", "http://127.0.0.1:1", env={name: value})
    said, errors = process.communicate(timeout=60)
    assert (2, "") == (process.wait(), said)
    assert words in errors

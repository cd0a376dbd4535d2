"""What was used is counted, priced, told and limited: real processes, and a scripted upstream.

Rows: O2.
"""

from __future__ import annotations

import csv
import io
import json
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from google.protobuf import json_format
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)

from bailee.testing.upstream import Exactly, Reply, ScriptedUpstream, Text
from support.browsers.browsing import Visitor
from support.clients.programs import Bailee, clean_environment
from support.servers.metrics_collector import Collector

HAIKU = "claude-haiku-4-5-20251001"
USED = {"input_tokens": 1000, "output_tokens": 2000}  # 0.011 USD on the shipped list


class Answer(NamedTuple):
    """An answer's status, header fields and body."""

    status: int
    headers: dict[str, str]
    body: str


def ask(ready: dict[str, Any], key: str, model: str = HAIKU, **more: Any) -> Answer:
    """One request of a conversation."""
    body = {"model": model, "max_tokens": 100, "messages": [{"role": "user", "content": "pears"}]}
    request = urllib.request.Request(
        ready["gateway"] + "/v1/messages",
        json.dumps(body | more).encode(),
        {"x-api-key": key, "content-type": "application/json", "user-agent": "claude-cli/2.1.332"},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return Answer(response.status, dict(response.headers), response.read().decode())
    except urllib.error.HTTPError as error:
        return Answer(error.code, dict(error.headers), error.read().decode())


class Place(NamedTuple):
    """A server over an upstream that always answers; a person's key, and one of zero retention."""

    bailee: Bailee
    upstream: ScriptedUpstream
    ready: dict[str, Any]
    person: str
    key: str
    zero: str


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """One for all."""
    bailee = Bailee(tmp_path_factory.mktemp("usage"))
    answer = Text("plums", usage=USED)
    with ScriptedUpstream(tools_only=False, after=answer, aside=answer) as upstream:
        bailee.declare(upstream.url)
        ready = bailee.up("--plan", "api", env={"BAILEE_USAGE_ASK_AT": "https://a.b"})
        made = bailee.json("person", "create", "--email", "ann@example.com", "--plan", "pro")
        person = made["person"]
        key = made["key"]
        account = bailee.json("account", "list")[0]["account"]
        zero = bailee.json(
            "key", "create", "--account", account, "--name", "z", "--zero-retention"
        )["key"]
        yield Place(bailee, upstream, ready, person, key, zero)
        bailee.close()


def counted(place: Place, *by: str) -> list[dict[str, str]]:
    """What `bailee usage --csv` says."""
    named = [word for one in by for word in ("--by", one)]
    done = place.bailee.run("usage", *named, "--csv")
    assert (0, "") == (done.returncode, done.stderr)
    return list(csv.DictReader(io.StringIO(done.stdout)))


def test_what_is_used_is_counted_and_priced_without_content(place: Place) -> None:
    """Of a stream and a document, of a zero-retention key too; an unknown model has no cost, and
    its name, which may be anything that a client wrote, is written for no key of zero retention.
    """
    before = {row["key"]: int(row["requests"]) for row in counted(place, "key")}
    assert 200 == ask(place.ready, place.key).status
    assert 200 == ask(place.ready, place.key, stream=True).status
    assert 200 == ask(place.ready, place.zero, stream=True).status
    assert 200 == ask(place.ready, place.zero, model="unheard").status
    rows = {(row["person"], row["model"]): row for row in counted(place, "person", "model")}
    hers, zero, unheard = (
        rows[one]
        for one in ((place.person, "claude-haiku-4-5"), ("", "claude-haiku-4-5"), ("", "other"))
    )
    assert ("2", "2000", "4000", "22000", "0") == tuple(
        hers[name] for name in
        ("requests", "input_tokens", "output_tokens", "cost_micro_usd", "unpriced")
    )  # fmt: skip
    assert ("1", "11000") == (zero["requests"], zero["cost_micro_usd"])
    assert ("1", "0", "1") == (unheard["requests"], unheard["cost_micro_usd"], unheard["unpriced"])
    shown = place.bailee.run("usage", "--by", "client").stdout
    assert "claude-code" in shown and "+ ?" in shown and "the price is not known" in shown
    assert {} == before


def test_a_limit_warns_and_refuses_in_the_client_s_shape(place: Place) -> None:
    """What was used before it counts; a refusal that is repeated is counted once; then it goes."""
    upstream = len(place.upstream.conversations)
    done = place.bailee.run(
        "limits", "set", "--of", place.person, "--money", "0.04", "--per", "day"
    )
    assert done.stdout.startswith(f"person:{place.person}:money:day: $0.02 of $0.04 used.")
    first, second, third, again = (ask(place.ready, place.key) for _ in range(4))
    status, unified = "anthropic-ratelimit-unified-status", "anthropic-ratelimit-unified-overage-"
    assert ("allowed", "allowed_warning") == (first.headers[status], second.headers[status])
    assert "0.75" == second.headers[f"{unified}surpassed-threshold"]
    assert (429, 429) == (third.status, again.status)
    assert ("rejected", "false") == (third.headers[status], third.headers["x-should-retry"])
    assert ("daily", "org_spend_cap_reached") == (
        third.headers[f"{unified}period"], third.headers[f"{unified}disabled-reason"],
    )  # fmt: skip
    error = json.loads(third.body)["error"]
    assert "billing_error" == error["type"]
    assert error["message"].startswith("bailee: spend limit reached \u00b7 resets ")
    assert error["message"].endswith("ask for more at https://a.b")
    assert upstream + 2 == len(place.upstream.conversations)
    assert (
        "1" == next(r for r in counted(place, "person") if r["person"] == place.person)["refused"]
    )
    assert 200 == ask(place.ready, place.zero).status  # nobody else's
    place.bailee.run("limits", "remove", f"person:{place.person}:money:day")
    assert 200 == ask(place.ready, place.key).status


def test_a_list_of_models_goes_by_the_model(place: Place) -> None:
    """A dated id is its model; another is refused as 403, so that the client keeps our sentence."""
    allowed = place.bailee.json("limits", "allow", "pro", "claude-haiku-4-5", "claude-sonnet-*")
    assert [["claude-haiku-4-5", "claude-sonnet-*"]] == [one["models"] for one in allowed]
    upstream = len(place.upstream.conversations)
    assert 200 == ask(place.ready, place.key, HAIKU).status
    assert 200 == ask(place.ready, place.key, "claude-sonnet-4-5").status
    refused = ask(place.ready, place.key, "claude-opus-4-7-20260101")
    assert (403, "permission_error") == (refused.status, json.loads(refused.body)["error"]["type"])
    assert "claude-opus-4-7 is not among those" in refused.body
    assert (
        403 == ask(place.ready, place.key, HAIKU, fallbacks=[{"model": "claude-opus-4-7"}]).status
    )
    assert 200 == ask(place.ready, place.zero, "claude-opus-4-7").status  # on another plan
    assert upstream + 3 == len(place.upstream.conversations)
    place.bailee.run("limits", "allow", "pro")


def test_pages_show_a_person_theirs_and_the_operator_all(place: Place) -> None:
    """In both languages."""
    operator = Visitor(place.ready["console"])
    operator.get(place.ready["sign_in"].removeprefix(place.ready["console"]))
    everybody = operator.get("/usage?by=person").text
    assert place.person in everybody and "In all:" in everybody
    assert "\u5404\u9879" not in everybody and "retain.usage-count" in everybody
    chinese = operator.get("/usage?by=model&lang=zh").text
    assert "\u7528\u91cf" in chinese and "claude-haiku-4-5" in chinese


def test_what_was_used_is_told_as_opentelemetry_metrics(place: Place) -> None:
    """As the protocol's own reader takes it: sums from the first moment on, by person and model,
    and nothing of what was said.
    """
    assert 200 == ask(place.ready, place.key).status
    rows = {(row["person"], row["model"]): row for row in counted(place, "person", "model")}
    done = place.bailee.run("usage", "--by", "person", "--by", "model", "--otlp")
    told = json_format.Parse(done.stdout, ExportMetricsServiceRequest())
    (resource,) = told.resource_metrics
    metrics = {one.name: one for one in resource.scope_metrics[0].metrics}
    found = {
        tuple(pair.value.string_value for pair in point.attributes): point
        for point in metrics["bailee.usage.tokens"].sum.data_points
    }
    hers = rows[place.person, "claude-haiku-4-5"]
    requests = metrics["bailee.usage.requests"].sum
    two = place.bailee.run("usage", "--otlp", "--csv")

    assert {"user.id", "gen_ai.request.model", "gen_ai.token.type"} == {
        pair.key for point in found.values() for pair in point.attributes
    }
    assert int(hers["output_tokens"]) == found[place.person, "claude-haiku-4-5", "output"].as_int
    assert sum(int(row["requests"]) for row in rows.values()) == sum(
        point.as_int for point in requests.data_points
    )
    assert (True, 2) == (requests.is_monotonic, requests.aggregation_temporality)
    cost = sum(point.as_double for point in metrics["bailee.usage.cost"].sum.data_points)
    assert cost == pytest.approx(sum(int(r["cost_micro_usd"]) for r in rows.values()) / 1e6)
    assert all(
        0 < point.start_time_unix_nano < point.time_unix_nano for point in requests.data_points
    )
    assert "pears" not in done.stdout
    assert 2 == two.returncode


def test_the_real_client_says_in_its_own_words_that_a_limit_is_reached(
    place: Place, claude: Path, tmp_path: Path
) -> None:
    """`claude -p` shows our sentence, and does not go on trying."""
    assert "used" in place.bailee.run(
        "limits", "set", "--of", place.person, "--tokens", "1", "--per", "month"
    ).stdout  # fmt: skip
    place.bailee.run("limits", "set", "--of", place.person, "--money", "0.01", "--per", "month")
    user, project = tmp_path / "user", tmp_path / "project"
    user.mkdir()
    project.mkdir()
    upstream = len(place.upstream.conversations)
    done = subprocess.run(
        [str(claude), "-p", "How many pears?", "--output-format", "json"],
        cwd=project,
        env=clean_environment(
            user,
            ANTHROPIC_BASE_URL=place.ready["gateway"],
            ANTHROPIC_AUTH_TOKEN=place.key,
            CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC="1",
        ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    said = json.loads(done.stdout)["result"]
    assert 1 == done.returncode
    assert "limit reached" in said and "ask for more at https://a.b" in said
    assert "temporarily" not in said
    assert upstream == len(place.upstream.conversations)


def test_a_server_sends_what_is_used_to_a_collector(tmp_path: Path) -> None:
    """From its start on, what was used before it on that day too."""
    bailee, collector = Bailee(tmp_path), Collector()
    answer = Text("plums", usage=USED)
    try:
        with ScriptedUpstream(tools_only=False, after=answer, aside=answer) as upstream:
            bailee.declare(upstream.url)
            ready = bailee.up("--plan", "api")
            assert 200 == ask(ready, ready["key"]).status
            bailee.stop()
            bailee.up("--plan", "api", env={"BAILEE_USAGE_OTLP": collector.url})
            assert collector.came.wait(90)
    finally:
        bailee.close()
        collector.close()
    assert [("claude-haiku-4-5", 1)] == [
        (named["gen_ai.request.model"], requests) for named, _, requests in collector.sums()
    ]
    assert ["/v1/metrics"] == [path for path, _, _ in collector.asked]


@pytest.mark.row("O2")
def test_a_batch_is_counted_by_its_results(place: Place) -> None:
    """Whoever fetches them through the gateway gets them as they are; each counts once, at half the
    price, by their key; and nothing else of the batch does.
    """
    line = {
        "custom_id": "one",
        "result": {
            "type": "succeeded",
            "message": {"type": "message", "role": "assistant", "model": HAIKU, "usage": USED},
        },
    }
    body = 2 * (json.dumps(line).encode() + b"\n")
    made = place.bailee.json("person", "create", "--email", "bo@x.example", "--plan", "team")
    key = made["key"]
    place.bailee.run("account", "allow", made["account"], "--unrecorded-routes")

    def send(path: str, answer: bytes, data: bytes | None = None) -> bytes:
        head = (("content-type", "application/x-jsonl"),)
        place.upstream.then(Exactly(Reply(200, head, (answer[:90], answer[90:]))))
        fields = {"x-api-key": key, "content-type": "application/json"}
        request = urllib.request.Request(place.ready["gateway"] + path, data, fields)
        with urllib.request.urlopen(request, timeout=30) as response:
            return bytes(response.read())

    send("/v1/messages/batches", b'{"id": "msgbatch_01"}' * 9, b'{"requests": []}')
    for _ in range(2):
        assert body == send("/v1/messages/batches/msgbatch_01/results", body)
    found = place.bailee.json("usage", "--by", "channel", "--of", made["person"])["rows"]
    assert [("api/batch", 2, 4000, 11_000)] == [
        (row["group"]["channel"], row["requests"], row["output_tokens"], row["cost_micro_usd"])
        for row in found
    ]


@pytest.mark.row("O2")
def test_a_batch_is_made_within_limits_and_lists(place: Place) -> None:
    """What is refused says why in the client's shape, and nothing of it goes upstream; what passes
    arrives byte for byte.
    """
    made = place.bailee.json("person", "create", "--email", "cy@x.example", "--plan", "team")
    place.bailee.run("account", "allow", made["account"], "--unrecorded-routes")
    place.bailee.json("limits", "allow", "team", "claude-haiku-4-5")
    place.bailee.run("limits", "set", "--of", made["person"], "--tokens", "1", "--per", "day")

    def make(path: str, body: bytes) -> tuple[int, dict[str, str]]:
        fields = {"x-api-key": made["key"], "content-type": "application/json"}
        request = urllib.request.Request(place.ready["gateway"] + path, body, fields)
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return response.status, {}
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())["error"]

    def batch(*models: str) -> bytes:
        asks = [{"custom_id": one, "params": {"model": one, "messages": []}} for one in models]
        return json.dumps({"requests": asks}, indent=3).encode()

    messages = "/v1/messages/batches"
    before = len(place.upstream.requests)
    other = make(messages, batch(HAIKU, "claude-opus-4-7"))
    unread = make(messages, b'{"requests": [{"custom_id": "a", "params": {}}]}')
    assert (403, 403) == (other[0], unread[0])
    assert "permission_error" == other[1]["type"]
    assert "claude-opus-4-7 is not among those that this plan may ask" in other[1]["message"]
    assert "can't be told" in unread[1]["message"]
    assert before == len(place.upstream.requests)

    place.upstream.then(Exactly(Reply(200, (), (b'{"id": "msgbatch_02"}',))))
    assert (200, {}) == make(messages, batch(HAIKU))
    assert [batch(HAIKU)] == [one.body for one in place.upstream.requests[before:]]

    assert 200 == ask(place.ready, made["key"]).status  # which uses more than is left
    status, said = make(messages, batch(HAIKU))
    assert (429, "billing_error") == (status, said["type"])
    assert said["message"].startswith("bailee: token limit reached \u00b7 resets ")
    assert before + 2 == len(place.upstream.requests)
    place.bailee.run("limits", "allow", "team")

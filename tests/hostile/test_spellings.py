"""Requests spelled so that they pass unseen, or run errands on the operator's credential."""

from __future__ import annotations

import pytest

from support.attacks.attacked import House

pytestmark = pytest.mark.row("G1", "D2")

BODY = b'{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"quince"}]}'
MODEL = "arn:aws:bedrock:eu-central-1:1:inference-profile/eu.claude"
VERTEX = "/vertex/v1/projects/p/locations/l/publishers/anthropic/models/claude"
UNSEEN = [
    "/v1/messages;v=1", "/v1/Messages", "/V1/messages", "/v1/messages/", "//v1/messages",
    "/v1//messages", "/v1/%6dessages", "/v1/messages%2f", "/v1/messages%00", "/v1/messages%20",
    "/v1/messages%3fx", "/v1/complete", "/v1/chat/completions", "/v1/messages/batches",
    "/v1beta/models/m:generateContent", "/v1/models/m:generateContent",
    f"/bedrock/model/{MODEL}/invoke", "/bedrock/model/m/%69nvoke", "/bedrock/model/m/invoke/",
    "/bedrock//model/m/invoke", "/bedrock/anthropic/v1/messages", "/bedrock/v1/messages",
    "/bedrock/model/m/Invoke", "/bedrock/model/m/invoke;x", "/bedrock/async-invoke",
    "/bedrock/model/m/converse%2dstream",
    f"{VERTEX}%3AstreamRawPredict", f"{VERTEX}:RawPredict", f"{VERTEX}:rawPredict/",
    f"{VERTEX}:generateContent", f"{VERTEX}:predict", f"{VERTEX}:rawPredict;x",
    "/v1/./messages", "/v1/x/../messages", "/v1/%2e/messages", "/v1/%256dessages",
    "/v1/%c1%adessages", "/v1/%EF%BD%8Dessages", "/v1/messages+", "/v1/messages#x",
    "/v1;x/messages",
    "http://other.example/v1/messages", "https:/v1/messages", "*",
    f"{VERTEX}%3arawPredict", f"/vertex/{VERTEX.removeprefix('/vertex')}:rawPredict",
]  # fmt: skip
ERRANDS = [
    ("GET", "/v1/files"), ("GET", "/v1/files/f1/content"), ("DELETE", "/v1/files/f1"),
    ("POST", "/v1/files"), ("GET", "/v1/messages/batches"), ("GET", "/v1/messages/batches/b1"),
    ("GET", "/v1/messages/batches/b1/results"), ("DELETE", "/v1/messages/batches/b1"),
    ("POST", "/v1/messages/batches/b1/cancel"), ("GET", "/v1/organizations/me"),
    ("POST", "/v1/metrics"), ("POST", "/v1/logs"), ("POST", "/v1/traces"), ("GET", "/v1/skills"),
    ("POST", "/v1/environments"), ("GET", "/v1/sessions"), ("OPTIONS", "/v1/messages"),
    ("GET", "/bedrock/model/m/invoke"), ("POST", "/bedrock/guardrail/g/version/1/apply"),
    ("GET", "/bedrock/async-invoke"), ("GET", "/bedrock/foundation-models"),
    ("POST", "/vertex/v1/projects/p/locations/l/customJobs"),
    ("GET", "/vertex/v1/projects/p/locations/l/endpoints"),
    ("POST", "/vertex/v1/projects/p/locations/l/endpoints/e:rawPredict"),
    ("POST", "/vertex/v1/projects/p/locations/l/publishers/google/models/m:predict"),
    ("GET", "/v1/chat/completions"), ("DELETE", "/v1/responses/r1"),
    ("GET", "/v1/responses/r1/input_items"), ("POST", "/openai/v1/files"),
    ("POST", "/gemini/v1beta/interactions"), ("GET", "/gemini/v1beta/files"),
    ("DELETE", "/vertex/v1/projects/p/locations/l/models/m"),
    ("POST", f"{VERTEX}:fetchPredictOperation"),
]  # fmt: skip


def test_no_spelling_passes_unrecorded(house: House) -> None:
    """However a conversation's path is spelled: it is recorded, or refused and goes nowhere."""
    kept = house.exchanges()
    seen = len(house.upstream.requests)
    answered = [path for path in UNSEEN if house.post(BODY, path)[0] < 400]
    went = house.upstream.requests[seen:]
    assert house.exchanges() - kept == len(answered) == len(went), answered


def test_no_errand_is_run_on_the_operators_credential(house: House) -> None:
    """What is not on the list of verbs reaches no upstream."""
    seen = len(house.upstream.requests)
    for method, path in ERRANDS:
        house.say(house.head("content-length: 0", "connection: close", method=method, path=path))
    assert [] == sorted({f"{one.method} {one.target}" for one in house.upstream.requests[seen:]})


@pytest.mark.parametrize(
    "lines",
    [
        ["Host: other"], ["content-length: 5", "content-length: 6"],
        ["content-length: 5", "transfer-encoding: chunked"], ["transfer-encoding: xchunked"],
        ["transfer-encoding: chunked", "transfer-encoding: chunked"], ["content-length: +5"],
        ["content-length : 5"], [" folded: x"], ["x-api-key: bl_other"], ["content-length: 5, 5"],
        ["content-length: 0x4b"], ["content-length: -1"], ["content-length: 7_5"],
        ["content-length:\r\n 75"], ["transfer-encoding: gzip, chunked"], ["x-a: b\rc"],
        ["x-a: b\0c"],
        ["transfer-encoding: \x0bchunked"], ["transfer-encoding: identity"], ["expect: 200-ok"],
        ["x-original-url: /v1/files"], ["x-http-method-override: DELETE"],
    ],
    ids=" | ".join,
)  # fmt: skip
def test_what_two_readers_read_differently_is_refused(house: House, lines: list[str]) -> None:
    """Two hosts, lengths or keys, a length beside a coding: 400 or 401, and nothing goes on."""
    seen = len(house.upstream.requests)
    body = BODY.decode()
    given = [*lines, "connection: close"]
    if not any("length" in line or "transfer-" in line for line in lines):
        given.append(f"content-length: {len(body)}")
    answer = house.say(house.head(*given) + BODY, seconds=5)
    assert answer.split(b" ")[1] in (b"400", b"401"), answer
    assert seen == len(house.upstream.requests)


def test_what_is_sent_ahead_is_each_recorded_once(house: House) -> None:
    """Fifty requests in one piece, of HTTP/1.1, are fifty questions and fifty records."""
    one = house.head(f"content-length: {len(BODY)}") + BODY
    kept, seen = house.exchanges(), len(house.upstream.requests)
    answered = house.say(one * 50, seconds=10).count(b"HTTP/1.1 200")
    assert (50, 50, 50) == (answered, len(house.upstream.requests) - seen, house.exchanges() - kept)


@pytest.mark.parametrize(
    "lines",
    [
        ["connection: upgrade", "upgrade: websocket", "sec-websocket-version: 13"],
        ["connection: upgrade, http2-settings", "upgrade: h2c", "http2-settings: AAMAAABk"],
        ["connection: x-api-key, content-length"],
    ],
    ids=["websocket", "h2c", "names of fields"],
)  # fmt: skip
def test_nobody_changes_the_protocol(house: House, lines: list[str]) -> None:
    """Who asks for another protocol is answered in this one and recorded; the upstream is not asked
    for it, and gets no key of ours.
    """
    kept = house.exchanges()
    answer = house.say(house.head(*lines, f"content-length: {len(BODY)}") + BODY, seconds=5)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert kept + 1 == house.exchanges()
    sent = {name.lower(): value for name, value in house.upstream.requests[-1].headers}
    assert not {"upgrade", "http2-settings"} & set(sent)
    assert house.key not in sent.values()


def test_a_conversation_is_seen(house: House) -> None:
    """That the way of counting can tell: a plain one counts."""
    kept = house.exchanges()
    assert 200 == house.post(BODY)[0]
    assert kept + 1 == house.exchanges()

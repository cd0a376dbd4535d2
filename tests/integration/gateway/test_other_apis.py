"""OpenAI's and Google's APIs through a real gateway: bytes, keys, ends, errors, WebSocket."""

from __future__ import annotations

import gzip
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from coding_agents import AGENTS
from tests.integration.gateway.conftest import Raw
from tests.integration.gateway.test_conformance import ANSWERS, BODIES, ERRORS, FROM_AGENT, passing

from bailee.api import Api
from bailee.testing.other_apis import Says
from bailee.testing.recording import FaultyRecording, MemoryRecording
from bailee.testing.upstream import Exactly, Received, Reply, ScriptedUpstream, Turn
from bailee.vault.exchange import Outcome
from support.clients.programs import clean_environment

pytestmark = pytest.mark.row("D3", "G4")

GEMINI = "/gemini/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse"
# What is asked for: path, channel, API, and the field in which the operator's key goes.
ASKED: dict[str, tuple[str, str, Api, str]] = {
    "responses": ("/openai/v1/responses", "openai", Api.RESPONSES, "authorization"),
    "responses, plain": ("/v1/responses", "openai", Api.RESPONSES, "authorization"),
    "chat": ("/v1/chat/completions", "openai", Api.CHAT, "authorization"),
    "gemini": (GEMINI, "google", Api.GEMINI, "x-goog-api-key"),
    "azure": ("/azure/openai/v1/responses", "azure", Api.RESPONSES, "api-key"),
    "foundry": ("/foundry/v1/messages?beta=true", "foundry", Api.MESSAGES, "x-api-key"),
}
WHICH = pytest.mark.parametrize("name", ASKED)
ODD = b'{ "stream" : true,\n"b":2, "b" : 3 ,"s":"\\u00e9\\ud800","from_2031":[1e400,{}]} '
CREDENTIALS = ("authorization", "x-api-key", "x-goog-api-key", "api-key", "x-bailee-key")
# From the end's event on, in each API's stream.
ENDS = {
    Api.RESPONSES: b"event: response.completed",
    Api.CHAT: b'data: {"id": "chat_1", "object": "chat.completion.chunk", "created": 1, "model": '
    b'"scripted-model", "choices": [{"index": 0, "delta": {}',
    Api.GEMINI: b'"finishReason"',
}


def stream_of(path: str) -> bytes:
    """What the scripted model answers there."""
    asked = Received("POST", path, b"", b"", ODD, (), 0)
    return b"".join(one for one in Says("Seven.").reply(asked).parts if isinstance(one, bytes))


@WHICH
@pytest.mark.parametrize("key", ["bl_keep", "bl_zero"])
def test_bytes_pass_both_ways_unchanged(
    serve: Any, post: Callable[..., bytes], name: str, key: str
) -> None:
    """The request's body and other fields, the answer's head and body: as they came. The client's
    key, in whichever field, ends here; the operator's goes up in the form of that service.
    """
    path, channel, api, form = ASKED[name]
    with ScriptedUpstream(tools_only=False, after=Says("Seven.")) as upstream:
        serving = serve(upstream)
        given = f"Authorization: Bearer {key}\r\napi-key: {key}\r\nX-Odd:no space\r\n"
        given += f"x-goog-api-key: {key}\r\nx-bailee-session: s-1\r\nOpenAI-Project: theirs\r\n"
        answer = serving.connect().send(post(ODD, path=path, key=key, extra=given)).answer()
        (request,) = upstream.requests
        prefix = {"foundry": "/foundry", "azure": "/azure"}.get(name, "")
        expected = path.removeprefix(prefix or "/openai").removeprefix("/gemini")
        assert (expected, ODD) == (request.target, request.body)
        assert (200, stream_of(expected), True) == (answer.status, answer.body, answer.complete)
        sent = {n.lower(): v for n, v in request.headers if n.lower() in CREDENTIALS}
        bearer = "Bearer " if form == "authorization" else ""
        assert {form: f"{bearer}sk-upstream"} == sent
        assert "no space" == request.header("x-odd")
        assert request.header("x-bailee-session") is None
        # Who pays is the operator's to say, where a client's field could say it.
        assert (form == "authorization") == (request.header("openai-project") is None)
        kept = [(one.channel, one.api, one.request, one.answer) for one in
                serving.recording.exchanges]  # fmt: skip
        expected_record = (channel, api, ODD, answer.body)
        assert ([expected_record] if key == "bl_keep" else []) == kept
        assert key not in repr(serving.recording.exchanges)


PLAIN = ("/v1/responses", "/v1/chat/completions", "/v1beta/models/m:streamGenerateContent?alt=sse")


@pytest.mark.parametrize("path", PLAIN)
def test_what_holds_for_messages_holds_for_each_api(
    serve: Any, post: Callable[..., bytes], path: str
) -> None:
    """Each body and each answer of the conformance suite, errors among them, with the fields that a
    client sends: the same with the gateway as without it.
    """
    turns: list[Turn] = [*map(Exactly, ANSWERS.values()), *ERRORS.values()]
    bodies = [*BODIES.values()]
    hop = {"connection", "transfer-encoding"}
    with ScriptedUpstream([turn for turn in turns for _ in "12"], tools_only=False) as upstream:
        serving = serve(upstream)
        for number, _ in enumerate(turns):
            body = bodies[number % len(bodies)]
            request = post(body, path=path, extra=FROM_AGENT)
            answers = []
            for connection in (Raw(upstream.port), serving.connect()):
                one = connection.send(request).answer()
                fields = [(n, v) for n, v in one.fields if n.lower() not in hop]
                answers.append((one.status, one.reason, one.body, one.complete, fields))
            assert answers[0] == answers[1]
            direct, through = upstream.requests[-2:]
            sent = [one for one in passing(through) if one[0].lower() not in CREDENTIALS]
            assert passing(direct) == sent
            assert (path, body, direct.method) == (through.target, through.body, through.method)
    assert len(turns) == len(serving.recording.exchanges)


@WHICH
def test_the_end_waits_for_the_record(serve: Any, post: Callable[..., bytes], name: str) -> None:
    """All before it comes at once, and the end with what follows only when it is durable."""
    path, _, api, _ = ASKED[name]
    if api is Api.MESSAGES:
        path = path.partition("?")[0]
    recording = MemoryRecording(manual=True)
    whole = stream_of(path)
    with ScriptedUpstream(tools_only=False, after=Says("Seven.")) as upstream:
        serving = serve(upstream, recording=recording)
        client = serving.connect().send(post(ODD, path=path))
        serving.wait(lambda: recording.pending == 1)
        early = client.quiet()
        end = ENDS.get(api, b"event: message_stop")
        assert end in whole
        assert end not in early
        if api is not Api.GEMINI:
            assert b"Seven." in early
        serving.on_loop(recording.settle)
        answer = client.answer()
        assert (whole, True) == (answer.body, answer.complete)


@WHICH
@pytest.mark.parametrize("coding", ["", "gzip"])
def test_a_recorder_that_fails_leaves_no_end(
    serve: Any, post: Callable[..., bytes], name: str, coding: str
) -> None:
    """The client has no end of the answer, and an error in its own API's shape where one can be
    written.
    """
    path, _, api, _ = ASKED[name]
    whole = stream_of(path.partition("?")[0])
    fields = (
        ("content-type", "text/event-stream"),
        *([("content-encoding", coding)] * bool(coding)),
    )
    sent = gzip.compress(whole) if coding else whole
    reply = Reply(200, fields, (sent,), "chunked")
    with ScriptedUpstream(tools_only=False, after=Exactly(reply)) as upstream:
        serving = serve(upstream, recording=FaultyRecording())
        answer = serving.connect().send(post(ODD, path=path)).answer()
    assert ENDS.get(api, b"event: message_stop") not in answer.body
    assert sent not in answer.body
    if coding:
        assert (503, True) == (answer.status, answer.complete) or not answer.complete
        return
    if answer.status == 503:  # nothing had gone on
        said = json.loads(answer.body)
    else:
        assert (api is Api.RESPONSES) == answer.complete  # its last event is the one that failed
        data = answer.body.rpartition(b"data: ")[2]
        said = json.loads(data)
        assert b"[DONE]" not in answer.body
    _check_shape(said, api, in_stream=answer.status == 200)


def _check_shape(said: Any, api: Api, *, in_stream: bool) -> None:
    if api is Api.RESPONSES and in_stream:
        assert ("response.failed", "failed") == (said["type"], said["response"]["status"])
        said = said["response"]
    error = said["error"]
    assert error["message"].startswith("bailee: ")
    if api is Api.GEMINI:
        assert {"code", "message", "status", "details"} == set(error)
    elif api is Api.MESSAGES:
        assert "error" == said["type"]
    else:
        assert "code" in error


REFUSED: dict[str, tuple[str, int, str, str]] = {
    # what: key, status, OpenAI's code, Google's status
    "unknown key": ("bl_nobody", 401, "invalid_api_key", "UNAUTHENTICATED"),
    "a look-alike": ("bl_keep", 400, "invalid_request", "INVALID_ARGUMENT"),
    "an errand": ("bl_keep", 403, "policy_denied", "PERMISSION_DENIED"),
    "nothing recorded": ("bl_keep", 503, "not_recorded", "UNAVAILABLE"),
}
OTHER_PATHS = {
    ("a look-alike", "openai"): "/openai/v1/Responses",
    ("a look-alike", "google"): "/gemini/v1beta/models/m:GenerateContent",
    ("an errand", "openai"): "/openai/v1/files",
    ("an errand", "google"): "/gemini/v1beta/models/m:embedContent",
}


@pytest.mark.parametrize("what", REFUSED)
@pytest.mark.parametrize("name", ["responses", "chat", "gemini"])
def test_an_error_of_ours_has_the_shape_of_its_api(
    serve: Any, post: Callable[..., bytes], name: str, what: str
) -> None:
    """401, 400, 403, 503 as documents; nothing goes upstream."""
    key, status, code, google = REFUSED[what]
    path, channel, api, _ = ASKED[name]
    path = OTHER_PATHS.get((what, channel), path)
    recording = FaultyRecording(known=True) if what == "nothing recorded" else MemoryRecording()
    with ScriptedUpstream() as upstream:
        serving = serve(upstream, recording=recording)
        answer = serving.connect().send(post(ODD, path=path, key=key)).answer()
        assert (status, []) == (answer.status, upstream.requests)
    said = json.loads(answer.body)
    _check_shape(said, api, in_stream=False)
    if api is Api.GEMINI:
        assert (status, google) == (said["error"]["code"], said["error"]["status"])
    else:
        assert code == said["error"]["code"]
        assert answer.field("request-id") == answer.field("x-request-id")


@pytest.mark.row("G2")
def test_a_websocket_is_refused_at_once(serve: Any) -> None:
    """To who may ask with 426, at which clients go on over HTTP; to others with 401. On the same
    connection the request itself is then answered.
    """
    with ScriptedUpstream(tools_only=False, after=Says("Seven.")) as upstream:
        serving = serve(upstream)
        client = serving.connect()
        for key, status in (("bl_nobody", 401), ("bl_keep", 426)):
            head = (
                f"GET /v1/responses HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer {key}\r\n"
                "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            )
            answer = client.send(head.encode()).answer()
            assert status == answer.status
            assert "error" in json.loads(answer.body)
        assert "HTTP/1.1" == answer.field("upgrade")
        assert [] == upstream.requests
        head = "POST /v1/responses HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer bl_keep\r\n"
        client.send(f"{head}Content-Length: {len(ODD)}\r\n\r\n".encode() + ODD)
        assert 200 == client.answer().status


def test_two_keys_of_ours_in_two_fields_are_refused(serve: Any, post: Callable[..., bytes]) -> None:
    """Nobody can say whose request it is."""
    with ScriptedUpstream() as upstream:
        serving = serve(upstream)
        for other in ("x-goog-api-key", "api-key"):
            client = serving.connect()
            answer = client.send(post(ODD, path=GEMINI, extra=f"{other}: bl_else\r\n")).answer()
            assert 400 == answer.status
        assert [] == upstream.requests


def test_an_own_credential_goes_as_it_came(serve: Any, post: Callable[..., bytes]) -> None:
    """Beside x-bailee-key: the client's own key for Google, on the policy's terms."""
    with ScriptedUpstream(tools_only=False, after=Says("Seven.")) as upstream:
        serving = serve(upstream)
        head = f"POST {GEMINI} HTTP/1.1\r\nHost: g\r\nx-bailee-key: bl_keep\r\n"
        head += f"x-goog-api-key: own\r\nContent-Length: {len(ODD)}\r\n\r\n"
        assert 200 == serving.connect().send(head.encode() + ODD).answer().status
        (request,) = upstream.requests
        assert "own" == request.header("x-goog-api-key")
        assert b"bl_keep" not in request.raw
        (kept,) = serving.recording.exchanges
        assert Outcome.COMPLETE is kept.outcome
        assert "own" not in [value for _, value in kept.request_headers]


def test_codex_is_not_done_when_nothing_is_recorded(serve: Any, tmp_path: Path) -> None:
    """The real client, which is done at the last event and does not wait for the stream to close:
    with a recorder it says the answer and ends well; with one that fails it does not.
    """
    program = AGENTS["codex"].fetch()
    if program is None:
        pytest.skip("codex could not be had from npm")
    ended = {}
    for name, recording in (("sound", MemoryRecording()), ("failing", FaultyRecording())):
        home = tmp_path / name
        home.mkdir()
        with ScriptedUpstream(tools_only=False, after=Says("Seven.")) as upstream:
            port = serve(upstream, recording=recording).port
            provider = f'name="g", base_url="http://127.0.0.1:{port}/v1", wire_api="responses", '
            provider += 'supports_websockets=false, env_key="KEY", '
            provider += "stream_max_retries=0, request_max_retries=0"
            ended[name] = subprocess.run(
                [
                    *(str(program), "exec", "-m", "gpt-5.5", "--skip-git-repo-check"),
                    *("-c", 'model_provider="g"', "-c", f"model_providers.g={{{provider}}}"),
                    *("-c", "analytics.enabled=false", "-c", "features.plugins=false"),
                    *("-c", "features.apps=false", "How many trees?"),
                ],
                env=clean_environment(home, KEY="bl_keep"),
                cwd=home,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
    assert (0, "Seven.\n") == (ended["sound"].returncode, ended["sound"].stdout)
    assert 0 != ended["failing"].returncode
    assert "" == ended["failing"].stdout
    assert "bailee: " in ended["failing"].stderr

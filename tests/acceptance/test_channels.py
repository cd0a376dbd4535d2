"""Bedrock- and Vertex-style paths through a running server: credentials, channel, transcript."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest

from bailee.testing.upstream import ScriptedUpstream, Text
from support.clients.programs import Bailee

BODY = {
    "anthropic_version": "bedrock-2023-05-31",
    "max_tokens": 9,
    "messages": [{"role": "user", "content": "which way?"}],
}


def _post(bailee: Bailee, path: str) -> bytes:
    request = urllib.request.Request(
        bailee.ready["gateway"] + path,
        json.dumps(BODY).encode(),
        {"authorization": f"Bearer {bailee.ready['key']}", "content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        answer: bytes = response.read()
    return answer


@pytest.mark.row("D3")
@pytest.mark.parametrize(
    "action", ["invoke", "invoke-with-response-stream"], ids=["whole", "stream"]
)
def test_bedrock_is_signed_and_recorded(
    bailee: Bailee, upstream: ScriptedUpstream, action: str
) -> None:
    """The service gets a signature made with the operator's AWS credentials, never the client's
    key; the session is kept as channel `bedrock`, its transcript complete.
    """
    upstream.then(Text("down the rock"))
    bailee.up(
        "--upstream", upstream.url, "--bedrock", upstream.url,
        env={
            "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "not-a-real-secret",
            "AWS_REGION": "eu-central-1",
        },
    )  # fmt: skip

    _post(bailee, f"/bedrock/model/anthropic.claude-x/{action}")

    (seen,) = upstream.conversations
    assert f"/model/anthropic.claude-x/{action}" == seen.target
    signature = seen.header("authorization") or ""
    assert signature.startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")
    assert "/eu-central-1/bedrock/aws4_request" in signature
    assert bailee.ready["key"].encode() not in seen.raw
    assert "bedrock" == _only(bailee)["channel"]
    assert "down the rock" == _answer(bailee)


@pytest.mark.row("D3")
@pytest.mark.parametrize("verb", ["rawPredict", "streamRawPredict"])
def test_vertex_is_authorised_and_recorded(
    bailee: Bailee, upstream: ScriptedUpstream, verb: str
) -> None:
    """The same on Vertex with a client's own credential passed through: it reaches the service and
    no file.
    """
    upstream.then(Text("past the vertex"))
    bailee.up("--upstream", upstream.url, "--vertex", upstream.url)
    path = f"/projects/p/locations/l/publishers/anthropic/models/claude-x:{verb}"
    request = urllib.request.Request(
        bailee.ready["gateway"] + "/vertex" + path,
        json.dumps(BODY).encode(),
        {"x-bailee-key": bailee.ready["key"], "authorization": "Bearer ya29.the-clients-own"},
    )

    urllib.request.urlopen(request, timeout=30).read()

    (seen,) = upstream.conversations
    assert path == seen.target
    assert "Bearer ya29.the-clients-own" == seen.header("authorization")
    assert bailee.ready["key"].encode() not in seen.raw
    assert "vertex" == _only(bailee)["channel"]
    assert "past the vertex" == _answer(bailee)
    bailee.stop()
    assert [] == bailee.holds(b"ya29.the-clients-own")


def test_a_channel_without_an_upstream_says_so(
    served: Callable[..., Bailee], upstream: ScriptedUpstream
) -> None:
    """404 in the API's shape, with what to set."""
    bailee = served()

    with pytest.raises(urllib.error.HTTPError) as refused:
        _post(bailee, "/bedrock/model/x/invoke")

    assert 404 == refused.value.code
    assert "No bedrock upstream" in json.loads(refused.value.read())["error"]["message"]


def _only(bailee: Bailee) -> dict[str, Any]:
    (session,) = bailee.sessions()
    found: dict[str, Any] = session
    return found


def _answer(bailee: Bailee) -> str:
    shown = bailee.json("sessions", "show", _only(bailee)["id"])
    assert BODY["messages"] == shown["messages"][:-1]
    return str(shown["messages"][-1]["content"][0]["text"])

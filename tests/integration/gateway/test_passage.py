"""What goes upstream, and with whose credential: on a real gateway before a scripted upstream."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anthropic
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.session import Session
from sdk_verbs import Verb, filled, verbs
from tests.integration.gateway.conftest import REFUSED

from bailee.gateway.credentials import Bedrock
from bailee.gateway.origins import Origins
from bailee.gateway.settings import GatewayLimits
from bailee.gateway.way_out import way_out
from bailee.testing.upstream import ScriptedUpstream, Text

pytestmark = pytest.mark.row("G2")

MIB = 1024 * 1024
HELLO: Any = [{"role": "user", "content": "hello"}]
ARN = "arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.anthropic.claude-x-v1:0"
PAGE = "https://app.example.com"
ERRANDS = [
    ("GET", "/v1/files"),
    ("DELETE", "/v1/files/file_1"),
    ("POST", "/v1/messages/batches"),
    ("POST", "/v1/embeddings"),
    ("POST", "/v1/complete"),
    ("GET", "/v1/organizations/api_keys"),
    ("POST", "/vertex/v1/projects/p/locations/l/customJobs"),
    ("POST", "/vertex/v1/projects/p/locations/l/endpoints/1:predict"),
    ("POST", "/vertex/v1/projects/p/locations/l/publishers/google/models/g:predict"),
    ("POST", "/bedrock/async-invoke"),
    ("GET", "/bedrock/inference-profiles"),
]


def request(method: str, path: str, *fields: str, body: bytes = b"") -> bytes:
    """A request with these header fields."""
    lines = [f"{method} {path} HTTP/1.1", "Host: g", *fields, f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


@pytest.mark.parametrize("key", ["bl_keep", "bl_zero"])
@pytest.mark.parametrize(("method", "path"), ERRANDS)
def test_the_operators_credential_does_no_errands(
    serve: Any, method: str, path: str, key: str
) -> None:
    """403, a hint for whoever must act, and nothing reaches the upstream; the summary names the
    clause.
    """
    with ScriptedUpstream() as upstream:
        serving = serve(upstream)
        answer = serving.connect().send(request(method, path, f"x-api-key: {key}")).answer(method)
        said = json.loads(answer.body)["error"]
        assert (403, "permission_error") == (answer.status, said["type"])
        assert "test.other" in said["message"]
        assert all(one in said["message"] for one in REFUSED)
        summary = serving.summary()
        assert ("refused", "test.other", "policy_denied") == (
            summary.not_kept,
            summary.clause,
            summary.error,
        )
        assert [] == upstream.requests


@pytest.mark.parametrize(("method", "path"), ERRANDS)
def test_with_a_credential_of_its_own_a_client_does_its_own_errands(
    serve: Any, method: str, path: str
) -> None:
    """They reach the upstream with it, and no record is made."""
    with ScriptedUpstream() as upstream:
        serving = serve(upstream)
        fields = ("x-bailee-key: bl_keep", "Authorization: Bearer own")
        serving.connect().send(request(method, path, *fields)).answer(method)
        (seen,) = upstream.requests
        assert ("Bearer own", None) == (seen.header("authorization"), seen.header("x-bailee-key"))
        summary = serving.summary()
        assert ("unrecorded_route", "test.other") == (summary.not_kept, summary.clause)
        assert [] == serving.recording.exchanges


@pytest.mark.parametrize(
    "verb",
    [one for one in verbs() if one.source == "anthropic SDK"],
    ids=lambda verb: f"{verb.method} {verb.path}",
)
def test_of_the_sdks_requests_the_upstream_sees_what_is_lent(serve: Any, verb: Verb) -> None:
    """On the operator's credential: messages, counting, models, and not one request more."""
    lent = {"/v1/messages", "/v1/messages/count_tokens", "/v1/models", "/v1/models/{model_id}"}
    with ScriptedUpstream() as upstream:
        serving = serve(upstream)
        sent = request(verb.method, filled(verb.path), "x-api-key: bl_keep", body=b"{}")
        serving.connect().send(sent).answer(verb.method)
        assert (verb.path in lent) == (len(upstream.requests) == 1)
        assert (verb.path == "/v1/messages") == (len(serving.recording.exchanges) == 1)


@pytest.mark.parametrize(
    ("own", "said"),
    [
        ((), "there is none"),
        (("x-api-key: bl_keep",), "it is a bailee key"),
        (("Authorization: Bearer bl_zero",), "it is a bailee key"),
        (("Authorization: bearer  bl_zero",), "it is a bailee key"),
    ],
)
@pytest.mark.parametrize("path", ["/v1/messages", "/v1/files"])
def test_an_own_credential_that_is_none_is_refused(
    serve: Any, own: tuple[str, ...], said: str, path: str
) -> None:
    """Beside x-bailee-key: nothing goes upstream without a credential, and no bailee key does."""
    with ScriptedUpstream() as upstream:
        serving = serve(upstream)
        sent = request("POST", path, "x-bailee-key: bl_keep", *own, body=b"{}")
        answer = serving.connect().send(sent).answer()
        assert 401 == answer.status
        assert said in json.loads(answer.body)["error"]["message"]
        assert [] == upstream.requests


def test_over_the_operators_certificate_nobodys_credential_is_their_own(
    serve: Any, tmp_path: Path
) -> None:
    """An upstream that the gateway proves itself to by a certificate knows the operator, whatever
    else is sent: errands are refused there.
    """
    certified = way_out(client_cert=tmp_path / "unused-over-http.pem")
    with ScriptedUpstream() as upstream:
        serving = serve(upstream, settings={"way_out": certified})
        fields = ("x-bailee-key: bl_keep", "Authorization: Bearer anything")
        refused = serving.connect().send(request("GET", "/v1/files", *fields)).answer("GET")
        assert 403 == refused.status
        assert [] == upstream.requests
        passed = serving.connect().send(request("POST", "/v1/messages", *fields, body=b"{}"))
        assert 200 == passed.answer().status


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/v1/messages/count_tokens"), ("GET", "/v1/models"), *ERRANDS],
)
@pytest.mark.parametrize("own", [True, False])
def test_a_cloud_sessions_key_opens_conversations_alone(
    serve: Any, method: str, path: str, own: bool
) -> None:
    """Nothing else goes upstream with it, with whatever credential code in the machine brings."""
    fields = ["x-bailee-key: bl_cloud", "x-api-key: sk-own"] if own else ["x-api-key: bl_cloud"]
    with ScriptedUpstream() as upstream:
        serving = serve(upstream)
        refused = serving.connect().send(request(method, path, *fields)).answer(method)
        assert 403 == refused.status
        message = json.loads(refused.body)["error"]["message"]
        assert all(one in message for one in REFUSED)
        assert [] == upstream.requests
        asked = serving.connect().send(request("POST", "/v1/messages", *fields, body=b"{}"))
        assert 200 == asked.answer().status
        assert 1 == len(serving.recording.exchanges)


@pytest.mark.parametrize("name", ["metrics", "logs", "traces"])
@pytest.mark.parametrize("own", [True, False])
def test_telemetry_is_told_where_it_belongs(serve: Any, name: str, own: bool) -> None:
    """It reaches no upstream, with whatever credential."""
    fields = ["x-api-key: bl_keep"]
    if own:
        fields = ["x-api-key: sk-own", "x-bailee-key: bl_keep"]
    with ScriptedUpstream() as upstream:
        serving = serve(upstream)
        sent = request("POST", f"/v1/{name}", *fields, body=b"{}")
        answer = serving.connect().send(sent).answer()
        assert 404 == answer.status
        assert "ingest" in json.loads(answer.body)["error"]["message"]
        assert [] == upstream.requests


def test_a_base_url_with_a_slash_at_its_end_is_told_so(serve: Any) -> None:
    """An SDK's user reads what to change."""
    with ScriptedUpstream() as upstream:
        serving = serve(upstream)
        sent = request("POST", "//v1/messages", "x-api-key: bl_keep", body=b"{}")
        answer = serving.connect().send(sent).answer()
        assert 400 == answer.status
        assert "must end without a slash" in json.loads(answer.body)["error"]["message"]


@pytest.mark.parametrize(
    "field",
    [
        "X-HTTP-Method-Override: DELETE",
        "x-http-method: PUT",
        "X-Method-Override: DELETE",
        "X-Original-URL: /v1/files",
        "x-rewrite-url: /v1/files",
    ],
)
def test_a_field_that_gives_another_request_is_refused(serve: Any, field: str) -> None:
    """An upstream could take a message for an errand."""
    with ScriptedUpstream() as upstream:
        serving = serve(upstream)
        sent = request("POST", "/v1/messages", "x-api-key: bl_keep", field, body=b"{}")
        assert 400 == serving.connect().send(sent).answer().status
        assert [] == upstream.requests


def test_googles_key_field_ends_at_the_gateway(serve: Any) -> None:
    """Beside the operator's credential no credential of the client's goes along."""
    with ScriptedUpstream() as upstream:
        serving = serve(upstream)
        fields = ("x-api-key: bl_keep", "x-goog-api-key: somebodys")
        serving.connect().send(request("POST", "/v1/messages", *fields, body=b"{}")).answer()
        (seen,) = upstream.requests
        assert None is seen.header("x-goog-api-key")
        assert b"somebodys" not in repr(serving.recording.exchanges).encode()


# What SDKs send


def test_a_client_with_a_subscription_of_its_own(serve: Any) -> None:
    """As a coding agent does that has signed in to its vendor: its bearer goes to the upstream,
    x-bailee-key says whose terms hold, and the conversation is kept.
    """
    with ScriptedUpstream([Text("mine")], tools_only=False) as upstream:
        serving = serve(upstream)
        client = anthropic.Anthropic(
            base_url=serving.url,
            auth_token="oauth-own",
            default_headers={"x-bailee-key": "bl_keep", "anthropic-beta": "oauth-2025-04-20"},
            max_retries=0,
        )
        said = client.beta.messages.create(model="m", max_tokens=9, messages=HELLO)
        assert "mine" == said.content[0].text  # type: ignore[union-attr]
        (seen,) = upstream.requests
        assert ("Bearer oauth-own", None) == (
            seen.header("authorization"),
            seen.header("x-api-key"),
        )
        assert b"bl_keep" not in seen.raw
        (kept,) = serving.recording.exchanges
        assert "acc_1" == kept.owner
        assert "oauth-own" not in repr(kept)


@pytest.mark.parametrize(
    "model", ["anthropic.claude-x-v1:0", ARN, ARN.replace("inference", "application-inference")]
)
def test_bedrocks_ids_as_the_anthropic_sdk_sends_them(serve: Any, model: str) -> None:
    """With colons as they are, an ARN's slash escaped: recorded, and upstream as they were sent."""
    with ScriptedUpstream([Text("one")], tools_only=False) as upstream:
        serving = serve(upstream)
        client = anthropic.AnthropicBedrock(
            base_url=f"{serving.url}/bedrock", aws_region="eu-west-1", api_key="bl_keep",
            max_retries=0,
        )  # fmt: skip
        client.messages.create(model=model, max_tokens=9, messages=HELLO)
        assert f"/model/{model.replace('/', '%2F')}/invoke" == upstream.requests[0].target
        assert 1 == len(serving.recording.exchanges)


@pytest.mark.parametrize("model", ["anthropic.claude-x-v1:0", ARN])
def test_bedrocks_ids_as_the_aws_sdk_sends_them(serve: Any, model: str) -> None:
    """With colons escaped too: recorded, for all four verbs."""
    with ScriptedUpstream(tools_only=False) as upstream:
        serving = serve(upstream)
        client = Session().create_client(
            "bedrock-runtime",
            region_name="eu-west-1",
            endpoint_url=f"{serving.url}/bedrock",
            config=Config(signature_version=UNSIGNED, retries={"total_max_attempts": 1}),
        )
        client.meta.events.register(
            "before-send.bedrock-runtime",
            lambda request, **_: request.headers.update({"x-api-key": "bl_keep"}),
        )
        body = json.dumps({"messages": HELLO, "max_tokens": 9}).encode()
        client.invoke_model(modelId=model, body=body)
        client.invoke_model_with_response_stream(modelId=model, body=body)
        said = [{"role": "user", "content": [{"text": "hello"}]}]
        for converse in (client.converse, client.converse_stream):
            converse(modelId=model, messages=said)
        spelled = model.replace(":", "%3A").replace("/", "%2F")
        assert [
            f"/model/{spelled}/{verb}"
            for verb in ("invoke", "invoke-with-response-stream", "converse", "converse-stream")
        ] == [one.target for one in upstream.requests]
        serving.wait(lambda: len(serving.recording.exchanges) == 4)


@pytest.mark.parametrize("base", ["/vertex", "/vertex/v1"])
def test_vertex_as_the_anthropic_sdk_sends_it(serve: Any, base: str) -> None:
    """Whole, streamed, and counting: the first two are recorded."""
    with ScriptedUpstream([Text("one"), Text("two")], tools_only=False) as upstream:
        serving = serve(upstream)
        client = anthropic.AnthropicVertex(
            base_url=serving.url + base, region="us-east5", project_id="example.com:my-project",
            access_token="bl_keep", max_retries=0,
        )  # fmt: skip
        model = "claude-sonnet-4-5@20250929"
        client.messages.create(model=model, max_tokens=9, messages=HELLO)
        with client.messages.stream(model=model, max_tokens=9, messages=HELLO) as stream:
            assert "two" == "".join(stream.text_stream)
        client.messages.count_tokens(model=model, messages=HELLO)
        assert [f"{model}:rawPredict", f"{model}:streamRawPredict", "count-tokens:rawPredict"] == [
            one.path.rpartition("/")[2] for one in upstream.requests
        ]
        assert 2 == len(serving.recording.exchanges)


# How large


def test_a_request_over_the_limit_is_told_which_setting_holds_it(
    serve: Any, post: Callable[..., bytes]
) -> None:
    """413 names gateway.max_request_mb; a larger limit lets it pass."""
    body = b"x" * (33 * MIB)
    with ScriptedUpstream() as upstream:
        answer = serve(upstream).connect().send(post(body)).answer()
        assert 413 == answer.status
        assert "gateway.max_request_mb" in json.loads(answer.body)["error"]["message"]
        wider = serve(upstream, limits=GatewayLimits(max_body=40 * MIB, ping=0))
        assert 200 == wider.connect().send(post(body)).answer().status


@pytest.mark.parametrize("chunked", [False, True])
def test_an_upload_on_an_own_credential_has_a_limit_of_its_own(serve: Any, chunked: bool) -> None:
    """It is never held, so it may be larger than what is recorded; past its limit it is refused."""
    limits = GatewayLimits(max_body=MIB, max_upload=3 * MIB, ping=0)
    own = ("x-api-key: sk-own", "x-bailee-key: bl_keep")

    def upload(path: str, size: int, fields: tuple[str, ...]) -> bytes:
        if not chunked:
            return request("POST", path, *fields, body=b"x" * size)
        head = "\r\n".join(
            [f"POST {path} HTTP/1.1", "Host: g", *fields, "Transfer-Encoding: chunked"]
        )
        return head.encode() + b"\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (size, b"x" * size)

    with ScriptedUpstream() as upstream:
        serving = serve(upstream, limits=limits)
        serving.connect().send(upload("/v1/files", 2 * MIB, own)).answer()
        assert [2 * MIB] == [len(one.body) for one in upstream.requests]
        for path, size, fields in (
            ("/v1/files", 4 * MIB, own),
            ("/v1/messages", 2 * MIB, own),
            ("/v1/messages", 2 * MIB, ("x-api-key: bl_keep",)),
        ):
            refused = serving.connect().send(upload(path, size, fields)).answer()
            assert 413 == refused.status
            assert "gateway.max_upload_mb" in json.loads(refused.body)["error"]["message"]
        assert [] == [one for one in upstream.requests if len(one.body) > 3 * MIB]


# Browsers

ASKS = (
    f"Origin: {PAGE}",
    "Access-Control-Request-Method: POST",
    "Access-Control-Request-Headers: x-api-key, anthropic-dangerous-direct-browser-access",
)


def test_a_browser_is_refused_unless_its_page_is_named(serve: Any) -> None:
    """The answer says which setting would let it; nothing goes upstream, no key is asked for."""
    with ScriptedUpstream() as upstream:
        for origins in (Origins(), Origins(["https://other.example.com"])):
            serving = serve(upstream, origins=origins)
            answer = serving.connect().send(request("OPTIONS", "/v1/messages", *ASKS)).answer()
            assert 403 == answer.status
            assert "gateway.origins" in json.loads(answer.body)["error"]["message"]
            assert None is answer.field("access-control-allow-origin")
        assert [] == upstream.requests


def test_a_named_page_may_call_from_a_browser(serve: Any) -> None:
    """Its preflight is answered here; answers, errors and refusals can be read by the page, and say
    one thing about origins although the upstream says another.
    """
    with ScriptedUpstream([Text("one")], tools_only=False) as upstream:
        serving = serve(upstream, origins=Origins([PAGE]))
        client = serving.connect()
        asked = client.send(request("OPTIONS", "/v1/messages", *ASKS)).answer("HEAD")
        assert (204, PAGE) == (asked.status, asked.field("access-control-allow-origin"))
        assert "x-api-key" in (asked.field("access-control-allow-headers") or "")
        assert [] == upstream.requests
        for path, key, status in (
            ("/v1/messages", "bl_keep", 200),
            ("/v1/messages", "bl_no", 401),
            ("/v1/files", "bl_keep", 403),
            ("/v1/messages/", "bl_keep", 400),
        ):
            fields = (f"x-api-key: {key}", f"Origin: {PAGE}")
            answer = serving.connect().send(request("POST", path, *fields, body=b"{}")).answer()
            assert status == answer.status
            told = [v for n, v in answer.fields if n.lower() == "access-control-allow-origin"]
            assert [PAGE] == told
        elsewhere = ("x-api-key: bl_keep", "Origin: https://evil.example.com")
        answer = serving.connect().send(request("POST", "/v1/messages", *elsewhere, body=b"{}"))
        assert None is answer.answer().field("access-control-allow-origin")


def test_a_signed_upstream_gets_no_errand_signed(serve: Any, monkeypatch: Any) -> None:
    """Bedrock's async-invoke goes out with nobody's signature."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-a-real-secret")
    with ScriptedUpstream() as upstream:
        serving = serve(upstream, settings={"credential": Bedrock("eu-central-1")})
        sent = request("POST", "/bedrock/async-invoke", "x-api-key: bl_keep", body=b"{}")
        assert 403 == serving.connect().send(sent).answer().status
        assert [] == upstream.requests

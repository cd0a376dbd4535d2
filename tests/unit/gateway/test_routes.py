"""Which request goes where, and that there is one way to spell it."""

from __future__ import annotations

import time
from urllib.parse import unquote

import pytest
import routes_page
from hypothesis import given
from hypothesis import strategies as st
from sdk_verbs import Verb, filled, verbs

from bailee.api import Api
from bailee.gateway.routes import (
    BESIDE,
    CHANNELS,
    KNOWN,
    OTHERS,
    AnsweredHere,
    BesideRoute,
    GatewayRoute,
    KnownRoute,
    RefusedRoute,
    recorded_target,
    route,
)

BEDROCK = b"/bedrock/model/eu.claude%3A0/"
VERTEX = b"/vertex/projects/p/locations/l/publishers/anthropic/models/"
ARN = b"arn:aws:bedrock:eu-west-1:123456789012:inference-profile"


@pytest.mark.parametrize(
    ("target", "channel", "goes_to", "kind"),
    [
        (b"/v1/messages?beta=true", "api", b"/v1/messages?beta=true", "conversation"),
        (b"/v1/messages?x=/../y", "api", b"/v1/messages?x=/../y", "conversation"),
        (b"http://h/v1/messages", "api", b"/v1/messages", "conversation"),
        (b"/v1/messages/count_tokens", "api", b"/v1/messages/count_tokens", "counting"),
        (b"/v1/messages/batches", "api", b"/v1/messages/batches", "other"),
        (b"/v1/complete", "api", b"/v1/complete", "other"),
        (BEDROCK + b"invoke", "bedrock", BEDROCK[8:] + b"invoke", "conversation"),
        (
            BEDROCK + b"converse-stream",
            "bedrock",
            BEDROCK[8:] + b"converse-stream",
            "conversation",
        ),
        (BEDROCK + b"count-tokens", "bedrock", BEDROCK[8:] + b"count-tokens", "counting"),
        (
            b"/bedrock/model/" + ARN + b"%2Feu.anthropic.claude-x-v1:0/invoke",
            "bedrock",
            b"/model/" + ARN + b"%2Feu.anthropic.claude-x-v1:0/invoke",
            "conversation",
        ),
        (
            VERTEX + b"c@1:rawPredict?alt=sse",
            "vertex",
            VERTEX[7:] + b"c@1:rawPredict?alt=sse",
            "conversation",
        ),
        (b"/vertex/v1" + VERTEX[7:] + b"c:streamRawPredict", "vertex", b"/v1" + VERTEX[7:]
         + b"c:streamRawPredict", "conversation"),
        (
            VERTEX + b"count-tokens:rawPredict",
            "vertex",
            VERTEX[7:] + b"count-tokens:rawPredict",
            "counting",
        ),
        (b"/bedrock/async-invoke", "bedrock", b"/async-invoke", "other"),
        (b"/vertex/v1/projects/p/locations/l/customJobs", "vertex",
         b"/v1/projects/p/locations/l/customJobs", "other"),
    ],
)  # fmt: skip
def test_where_a_post_goes(target: bytes, channel: str, goes_to: bytes, kind: str) -> None:
    """The path decides, the query goes along, and conversations are recorded."""
    found = route(b"POST", target)
    assert isinstance(found, GatewayRoute)
    assert (channel, goes_to, kind) == (found.channel, found.target, found.kind)
    assert (kind == "conversation") == found.recorded


@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
@pytest.mark.parametrize("target", [b"/", b"/api/hello", b"/?x", b"/healthz", b"/readyz"])
def test_greetings_are_answered(method: bytes, target: bytes) -> None:
    """Without going anywhere."""
    assert isinstance(route(method, target), AnsweredHere)


MISSPELLED = {
    b"//v1/messages": "base URL must end without a slash",
    b"//": "base URL must end without a slash",
    b"/v1//messages": "two slashes",
    b"/v1/messages/": "ends with a slash",
    b"/v1/messages;v=1": "parameters",
    b"/v1;x/messages": "parameters",
    b"/v1/%6dessages": "escape",
    b"/v1/messages%2fbatches": "escape",
    b"/v1%2Fmessages": "escape",
    b"/v1/messages%20": "escape",
    b"/v1/messages%00": "escape",
    b"/v1/files/a%25b": "escape",
    b"/v1/..": "dot segments",
    b"/v1/./x": "dot segments",
    b"/v1/%2E./x": "dot segments",
    b"/v1/x%2f..%2fy": "dot segments",
    b"/v1/a\\..\\b": "backslash",
    b"/v1\\messages": "backslash",
    b"/v1/messages#x": "fragment",
    b"/v1/messages?x#y": "fragment",
    b"/v1/mess{}ages": "character that no API uses",
    BEDROCK + b"%69nvoke": "escape",
    BEDROCK + b"invoke/": "ends with a slash",
    b"/bedrock/model/a%2F..%2Fb/invoke": "dot segments",
    b"/bedrock/model/a%2fb/invoke": "escape",
    b"/bedrock/model/a%3ab/invoke": "escape",
    b"/bedrock/model/%2Fb/invoke": "escape",
    b"/bedrock/model/a%252Fb/invoke": "escape",
    VERTEX + b"c%3AstreamRawPredict": "escape",
    VERTEX + b"c%401:rawPredict": "escape",
}


@pytest.mark.row("G2")
@pytest.mark.parametrize("target", MISSPELLED)
@pytest.mark.parametrize("method", [b"POST", b"GET"])
def test_what_two_could_read_differently_is_refused_with_its_reason(
    method: bytes, target: bytes
) -> None:
    """400, and what is wrong with the path; it is never mended."""
    found = route(method, target)
    assert isinstance(found, RefusedRoute)
    assert "invalid_request" == found.error.code
    assert MISSPELLED[target] in f"{found.error.message} {found.error.hint}"


@pytest.mark.row("G2")
@pytest.mark.parametrize(
    "target",
    [
        b"/v1/Messages",
        b"/v1/messages.json",
        b"/v1/messages:",
        b"/v1/v1/messages",
        b"/v1/threads/t/messages",
        b"/bedrock/anthropic/v1/messages",
        b"/bedrock/v1/messages",
        b"/bedrock/Model/x/Invoke",
        b"/bedrock/model/x/Converse",
        b"/bedrock/model/" + ARN + b"/eu.claude/invoke",
        b"/bedrock/model/" + ARN + b"/eu.claude/converse-stream",
        b"/vertex/v1/publishers/anthropic/models/c:rawPredict",
        b"/vertex/v1/projects/p/locations/l/endpoints/1:rawPredict",
        VERTEX + b"c:RawPredict",
        VERTEX.replace(b"anthropic", b"Anthropic") + b"c:streamrawpredict",
    ],
)
def test_what_looks_like_a_conversation_and_is_none_goes_nowhere(target: bytes) -> None:
    """A tolerant upstream could take it for one that nobody records."""
    found = route(b"POST", target)
    assert isinstance(found, RefusedRoute)
    assert "looks like a conversation" in found.error.message


@st.composite
def respelled(draw: st.DrawFn) -> bytes:
    """The path of a known conversation, spelled as a tolerant upstream still understands it."""
    posted = [one for one in KNOWN if one.kind == "conversation" and b"POST" in one.methods]
    known = draw(st.sampled_from(posted))
    path = known.example.partition("?")[0]
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(1, len(path) - 1))
        how = draw(st.sampled_from(["escape", "case", "slash", "params", "last", "back", "dot"]))
        character = path[at]
        path = {
            "escape": f"{path[:at]}%{ord(character):02x}{path[at + 1 :]}",
            "case": path[:at] + character.swapcase() + path[at + 1 :],
            "slash": path.replace("/", "//", 2),
            "params": path + ";v=1",
            "last": path + "/",
            "back": path[:at] + path[at:].replace("/", "\\", 1),
            "dot": path[:at] + path[at:].replace("/", "/./", 1),
        }[how]
    return path.encode()


def plain(path: bytes) -> str:
    """A path as the most tolerant upstream reads it."""
    text = path.decode("ascii")
    while (decoded := unquote(text)) != text:
        text = decoded
    segments = [one.partition(";")[0] for one in text.replace("\\", "/").split("/")]
    return "/" + "/".join(one for one in segments if one not in ("", ".")).lower()


@pytest.mark.row("G2")
@given(respelled())
def test_no_spelling_of_a_conversation_passes_as_something_else(target: bytes) -> None:
    """It is recorded, or it is refused."""
    examples = {plain(one.example.partition("?")[0].encode()) for one in KNOWN
                if one.kind == "conversation" and b"POST" in one.methods}  # fmt: skip
    found = route(b"POST", target)
    if isinstance(found, GatewayRoute) and not found.recorded:
        assert plain(target) not in examples


@pytest.mark.row("G2")
@pytest.mark.parametrize("known", KNOWN, ids=lambda known: known.label)
def test_each_known_request_is_routed_as_it_says(known: KnownRoute) -> None:
    """By its example, each of its methods, and no other."""
    for method in (b"GET", b"HEAD", b"POST", b"PUT", b"DELETE"):
        found = route(method, known.example.encode())
        if known.deletes and method == b"DELETE":
            assert isinstance(found, GatewayRoute)
            assert (known.channel, "other") == (found.channel, found.kind)
            continue
        assert known.label == found.label
        if method in known.methods:
            assert isinstance(found, GatewayRoute)
            assert (known.channel, known.kind) == (found.channel, found.kind)
            assert (known.api, known.pings) == (found.api, found.pings)
        else:
            assert isinstance(found, RefusedRoute)
            assert "method_not_allowed" == found.error.code


@pytest.mark.row("G2")
@pytest.mark.parametrize("name", ["metrics", "logs", "traces"])
def test_a_signed_in_clients_telemetry_is_answered_beside_the_gateway(name: str) -> None:
    """It knows one address. What answers there has no upstream."""
    assert BesideRoute(f"/v1/{name}") == route(b"POST", f"/v1/{name}".encode())


@pytest.mark.parametrize("path", sorted(BESIDE))
def test_what_is_answered_beside_has_its_methods(path: str) -> None:
    """Every other is refused, with those that are."""
    for method in (b"GET", b"HEAD", b"POST", b"PUT", b"DELETE"):
        found = route(method, path.encode() + b"?x=1")
        if method in BESIDE[path]:
            assert BesideRoute(path) == found
        else:
            assert isinstance(found, RefusedRoute)
            assert "method_not_allowed" == found.error.code


@pytest.mark.row("G2")
@pytest.mark.parametrize("channel", ["/bedrock", "/vertex", "/openai", "/gemini", "/azure"])
@pytest.mark.parametrize("name", ["metrics", "logs", "traces"])
def test_telemetry_goes_to_no_upstream(channel: str, name: str) -> None:
    """Whatever it would prove itself with; the ingest's setting is named."""
    found = route(b"POST", f"{channel}/v1/{name}".encode())
    assert isinstance(found, RefusedRoute)
    assert "not_found" == found.error.code
    assert "ingest.listen" in (found.error.hint or "")


@pytest.mark.row("G2", "G4")
@pytest.mark.parametrize(
    ("method", "target", "channel", "goes_to", "api", "kind"),
    [
        ("POST", "/v1/responses", "openai", "/v1/responses", Api.RESPONSES, "conversation"),
        ("POST", "/openai/v1/responses", "openai", "/v1/responses", Api.RESPONSES, "conversation"),
        ("GET", "/v1/responses/r_1?stream=true", "openai", "/v1/responses/r_1?stream=true",
         Api.RESPONSES, "conversation"),
        ("DELETE", "/v1/responses/r_1", "openai", "/v1/responses/r_1", Api.RESPONSES, "other"),
        ("GET", "/v1/responses/r_1/input_items", "openai", "/v1/responses/r_1/input_items",
         Api.RESPONSES, "other"),
        ("POST", "/openai/v1/chat/completions", "openai", "/v1/chat/completions", Api.CHAT,
         "conversation"),
        ("GET", "/openai/v1/models", "openai", "/v1/models", Api.RESPONSES, "models"),
        ("GET", "/v1/models/m", "api", "/v1/models/m", Api.MESSAGES, "models"),
        ("POST", "/v1/models/m:generateContent", "google", "/v1/models/m:generateContent",
         Api.GEMINI, "conversation"),
        ("POST", "/gemini/v1beta/models/m:streamGenerateContent?alt=sse", "google",
         "/v1beta/models/m:streamGenerateContent?alt=sse", Api.GEMINI, "conversation"),
        ("POST", "/gemini/v1beta/models/m:countTokens", "google", "/v1beta/models/m:countTokens",
         Api.GEMINI, "counting"),
        ("POST", "/gemini/v1beta/models/m:embedContent", "google", "/v1beta/models/m:embedContent",
         Api.GEMINI, "other"),
        ("POST", "/vertex/v1beta1/publishers/google/models/m:generateContent", "vertex",
         "/v1beta1/publishers/google/models/m:generateContent", Api.GEMINI, "conversation"),
        ("POST", "/azure/openai/deployments/d/chat/completions?api-version=1", "azure",
         "/openai/deployments/d/chat/completions?api-version=1", Api.CHAT, "conversation"),
        ("POST", "/foundry/v1/messages?beta=true", "foundry", "/v1/messages?beta=true",
         Api.MESSAGES, "conversation"),
    ],
)  # fmt: skip
def test_where_a_request_of_another_api_goes(
    method: str, target: str, channel: str, goes_to: str, api: Api, kind: str
) -> None:
    """By whose service it is; the prefix is left out; the API is the path's."""
    found = route(method.encode(), target.encode())
    assert isinstance(found, GatewayRoute)
    assert (channel, goes_to.encode(), api, kind) == (
        found.channel, found.target, found.api, found.kind,
    )  # fmt: skip


@pytest.mark.row("G2")
@pytest.mark.parametrize(
    "target",
    [
        "/openai/v1/Responses", "/v1/Responses/r_1", "/v1/responses.json",
        "/v1/chat/completions:", "/v1/completions", "/openai/v1/Chat/completions",
        "/gemini/v1beta/models/m:GenerateContent", "/gemini/v1beta/models/m:generatecontent",
        "/gemini/v1internal:streamGenerateContent", "/openai/responses", "/azure/v1/responses",
        "/vertex/v1/publishers/Google/models/m:generateContent", "/foundry/anthropic/v1/messages",
    ],
)  # fmt: skip
def test_what_looks_like_one_of_another_api_goes_nowhere(target: str) -> None:
    """As with the Messages API."""
    found = route(b"POST", target.encode())
    assert isinstance(found, RefusedRoute)
    assert "looks like a conversation" in found.error.message


@pytest.mark.row("G2")
@pytest.mark.parametrize("name", ["key", "%6bey", "KEY", "access_token", "%24key"])
def test_a_key_in_the_address_goes_nowhere(name: str) -> None:
    """Google's services take one there, and an address goes on as it came."""
    for path in ("/gemini/v1beta/models/m:generateContent", "/v1beta/files",
                 "/vertex/v1/publishers/google/models/m:generateContent"):  # fmt: skip
        found = route(b"POST", f"{path}?alt=sse&{name}=bl_x".encode())
        assert isinstance(found, RefusedRoute)
        assert (found.api, "x-goog-api-key" in (found.error.hint or "")) == (Api.GEMINI, True)
        assert "bl_x" not in f"{found.error.message}{found.error.hint}{found.label}"


@pytest.mark.row("G2", "G4")
def test_a_websocket_is_routed_as_its_conversation() -> None:
    """So that who may not ask gets 401, and who may gets 426; elsewhere it is a GET."""
    for path, known in (("/v1/responses", True), ("/v1/messages", True), ("/v1/files", False)):
        found = route(b"GET", path.encode(), websocket=True)
        assert isinstance(found, GatewayRoute)
        assert known == found.recorded


CONVERSATIONS = {
    "GET /v1/responses/{response_id}",
    "POST /v1/responses",
    "POST /v1/chat/completions",
    *(
        f"POST {prefix}/{path}"
        for prefix in ("/openai/v1", "/azure/openai/v1")
        for path in ("responses", "responses/compact", "chat/completions")
    ),
    "GET /openai/v1/responses/{response_id}",
    "POST /azure/openai/deployments/{deployment}/chat/completions",
    "POST /foundry/v1/messages",
    *(
        f"POST {path}/{{model}}:{verb}"
        for path in (
            "/gemini/v1beta/models",
            "/vertex/v1/projects/{project}/locations/{location}/publishers/google/models",
        )
        for verb in ("generateContent", "streamGenerateContent")
    ),
    "POST /bedrock/model/{modelId}/converse",
    "POST /bedrock/model/{modelId}/converse-stream",
    "POST /bedrock/model/{modelId}/invoke",
    "POST /bedrock/model/{modelId}/invoke-with-response-stream",
    "POST /v1/messages",
    "POST /vertex/v1/projects/{project}/locations/{location}/publishers/anthropic/models/"
    "{model}:rawPredict",
    "POST /vertex/v1/projects/{project}/locations/{location}/publishers/anthropic/models/"
    "{model}:streamRawPredict",
}
LENT = {
    "POST /openai/v1/responses/input_tokens",
    "POST /azure/openai/v1/responses/input_tokens",
    "POST /foundry/v1/messages/count_tokens",
    "GET /openai/v1/models",
    "GET /openai/v1/models/{model}",
    "GET /gemini/v1beta/models/{n}",
    "POST /gemini/v1beta/models/{model}:countTokens",
    "POST /vertex/v1/projects/{project}/locations/{location}/publishers/google/models/"
    "{model}:countTokens",
    "POST /v1/messages/count_tokens",
    "GET /v1/models",
    "GET /v1/models/{model_id}",
    "POST /bedrock/model/{modelId}/count-tokens",
    "POST /vertex/v1/projects/{project}/locations/{location}/publishers/anthropic/models/"
    "count-tokens:rawPredict",
}


@pytest.mark.row("G2")
@pytest.mark.parametrize("verb", verbs(), ids=lambda verb: f"{verb.method} {verb.path}")
def test_every_request_of_every_sdk_is_recorded_refused_or_passes_by_a_clause(verb: Verb) -> None:
    """On the operator's credential only conversations, counting and models pass. The SDKs are read
    as they are installed: a request that is new in one is here too.
    """
    asked = f"{verb.method} {verb.path}"
    found = route(verb.method.encode(), filled(verb.path).encode())
    if isinstance(found, RefusedRoute | BesideRoute):
        assert asked not in CONVERSATIONS | LENT
        return
    assert isinstance(found, GatewayRoute)
    assert (asked in CONVERSATIONS) == found.recorded
    decision = routes_page.decided(found.kind, "operator's")
    assert (asked in CONVERSATIONS | LENT) == (decision.effect == "allow")
    assert decision.clause.startswith("pass.")


def test_the_sdks_were_read() -> None:
    """The conversations are among what was found there, and so is a lot else."""
    found = {f"{verb.method} {verb.path}" for verb in verbs()}
    assert found >= CONVERSATIONS | LENT
    assert found >= {"POST /v1/files", "DELETE /v1/files/{file_id}", "POST /v1/messages/batches"}
    assert found >= {"POST /bedrock/async-invoke", "GET /v1/messages/batches"}


@given(
    st.sampled_from([b"GET", b"POST", b"CANARY"]),
    st.from_regex(rb"(/(v1|bedrock|vertex|x)?/?)?[!-~]{0,30}", fullmatch=True),
)
def test_labels_hold_nothing_that_a_client_wrote(method: bytes, target: bytes) -> None:
    """A label is one of a small set, whatever the path."""
    found = route(method, target)
    own = {"*", "/", "/api/hello", "/healthz", "/readyz"}
    assert found.label in {*own, *OTHERS.values(), *(k.label for k in KNOWN)}
    if isinstance(found, RefusedRoute):
        assert b"CANARY" not in repr(found.error.api_body()).encode()


def test_each_channel_is_one_that_the_policy_knows() -> None:
    """No request goes by a channel that no clause could name."""
    assert set(CHANNELS) == set(OTHERS) == {known.channel for known in KNOWN}


@pytest.mark.parametrize(
    "piece",
    [b"/messages", b":rawPredict", b"%2F", b"/v1", b"a:", b"%3A", b"/.", b"..", b"//", b"/v1/logs"],
)
def test_a_long_path_costs_what_its_length_does(piece: bytes) -> None:
    """Sixteen times the path takes no more than some sixteen times as long, not its square."""

    def seconds(times: int) -> float:
        target = b"/bedrock/model/" + piece * times + b"/x"
        best = []
        for _ in range(5):
            began = time.process_time()
            route(b"POST", target)
            best.append(time.process_time() - began)
        return min(best)

    few, many = 400, 6400
    assert seconds(many) < max(seconds(few), 1e-4) * (many // few) * 8


@pytest.mark.parametrize(
    ("target", "recorded"),
    [
        (b"/v1/messages?beta=true", "/v1/messages?beta=true"),
        (b"/v1/messages?key=secret&beta=true&access_token=x", "/v1/messages?beta=true"),
        (b"/v1/messages?key=secret", "/v1/messages"),
        (b"/v1/messages", "/v1/messages"),
    ],
)
def test_a_record_holds_no_credential_of_the_query(target: bytes, recorded: str) -> None:
    """Only parameters that are known to carry none."""
    assert recorded == recorded_target(target)

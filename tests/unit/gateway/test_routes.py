"""Which request goes where."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailee.gateway.routes import Answered, Refused, Route, recorded_target, route

BEDROCK = b"/bedrock/model/eu.claude%3A0/"
VERTEX = b"/vertex/projects/p/locations/l/publishers/anthropic/models/"


@pytest.mark.parametrize(
    ("target", "channel", "goes_to", "recorded"),
    [
        (b"/v1/messages?beta=true", "api", b"/v1/messages?beta=true", True),
        (b"/v1/messages?x=/../y", "api", b"/v1/messages?x=/../y", True),
        (b"http://h/v1/messages", "api", b"/v1/messages", True),
        (b"/v1//messages/", "api", b"/v1//messages/", True),
        (b"/v1/%6dessages", "api", b"/v1/%6dessages", True),
        (b"/v1/messages/count_tokens", "api", b"/v1/messages/count_tokens", False),
        (b"/v1/messages/batches", "api", b"/v1/messages/batches", False),
        (b"/v1/complete", "api", b"/v1/complete", False),
        (BEDROCK + b"invoke", "bedrock", BEDROCK[8:] + b"invoke", True),
        (BEDROCK + b"converse-stream", "bedrock", BEDROCK[8:] + b"converse-stream", True),
        (BEDROCK + b"count-tokens", "bedrock", BEDROCK[8:] + b"count-tokens", False),
        (
            VERTEX + b"c@1:rawPredict?alt=sse",
            "vertex",
            VERTEX[7:] + b"c@1:rawPredict?alt=sse",
            True,
        ),
        (VERTEX + b"c:streamRawPredict", "vertex", VERTEX[7:] + b"c:streamRawPredict", True),
        (
            VERTEX + b"count-tokens:rawPredict",
            "vertex",
            VERTEX[7:] + b"count-tokens:rawPredict",
            False,
        ),
    ],
)
def test_where_a_post_goes(target: bytes, channel: str, goes_to: bytes, recorded: bool) -> None:
    """The path decides, the query goes along, and conversations are recorded."""
    found = route(b"POST", target)
    assert isinstance(found, Route)
    assert (channel, goes_to, recorded) == (found.channel, found.target, found.recorded)


@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
@pytest.mark.parametrize("target", [b"/", b"/api/hello", b"/?x", b"//"])
def test_greetings_are_answered(method: bytes, target: bytes) -> None:
    """Without going anywhere."""
    assert isinstance(route(method, target), Answered)


@pytest.mark.parametrize(
    "target",
    [
        b"/v1/..",
        b"/v1/./x",
        b"/v1/%2E./x",
        b"/v1/x%2f..%2fy",
        b"/v1/a\\..\\b",
        b"/v1/messages#x",
        b"*",
        b"h:443",
    ],
)
def test_paths_that_could_mean_two_things_are_refused(target: bytes) -> None:
    """Dot segments and fragments, encoded or not."""
    found = route(b"POST", target)
    assert isinstance(found, Refused)
    assert "invalid_request" == found.error.code


@given(
    st.sampled_from([b"GET", b"POST", b"CANARY"]),
    st.from_regex(rb"(/(v1|bedrock|vertex|x)?/?)?[!-~]{0,30}", fullmatch=True),
)
def test_labels_hold_nothing_that_a_client_wrote(method: bytes, target: bytes) -> None:
    """A label is one of a small set, whatever the path."""
    found = route(method, target)
    assert found.label in LABELS
    if isinstance(found, Refused):
        assert b"CANARY" not in repr(found.error.api_body()).encode()


LABELS = {
    "*",
    "/",
    "/api/hello",
    "/v1/messages",
    "/v1/messages/count_tokens",
    "/v1/models",
    "/v1/models/*",
    "/v1/*",
    "/bedrock/*",
    "/vertex/*",
    *(f"/bedrock/model/*/{verb}" for verb in ("invoke", "converse")),
    "/vertex/*/models/*:rawPredict",
}


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

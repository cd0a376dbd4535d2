"""A batch goes up once whoever holds to limits lets it: a real gateway, a scripted upstream."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from tests.integration.gateway.conftest import QUICK, Serving

from bailee.apis.metering import Metered
from bailee.errors import PolicyDenied
from bailee.testing.upstream import ScriptedUpstream
from bailee.usage.asking import UsageAsker, WholeRequest
from bailee.usage.client_shapes import LimitRefusal

pytestmark = pytest.mark.row("O2")
BATCH = b'{ "requests" : [ {"custom_id":"a", "params":{"model":"m"}} ] }\n'
OWN = ("x-bailee-key: bl_keep", "Authorization: Bearer own")


@dataclass
class Asked:
    """Whoever says whether requests may go on; what they were asked."""

    governed: bool = True
    refuses: bool = False
    requests: list[WholeRequest] = field(default_factory=list)

    def governs(self, asker: UsageAsker) -> bool:
        """See `Governor.governs`."""
        return self.governed

    async def admit(self, request: WholeRequest) -> bytes | LimitRefusal:
        """See `Governor.admit`."""
        self.requests.append(request)
        if self.refuses:
            return LimitRefusal(PolicyDenied("Not this one.", code="model_not_allowed"))
        return b"x-told: yes\r\n"

    def settle(self, request_id: str, metered: Metered | None) -> None:
        """See `Governor.settle`."""


def send(serving: Serving, path: str, body: bytes = BATCH) -> Any:
    """What comes of a POST on a credential of the client's own, its body in two chunks."""
    half = len(body) // 2
    pieces = [one for one in (body[:half], body[half:]) if one]
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(one), one) for one in pieces) + b"0\r\n\r\n"
    lines = [f"POST {path} HTTP/1.1", "Host: g", *OWN, "Transfer-Encoding: chunked", "", ""]
    return serving.connect().send("\r\n".join(lines).encode() + chunks).answer()


def look(serving: Serving, path: str) -> Any:
    """What comes of a GET."""
    lines = [f"GET {path} HTTP/1.1", "Host: g", *OWN, "", ""]
    return serving.connect().send("\r\n".join(lines).encode()).answer("GET")


def test_a_batch_is_there_whole_first_and_goes_on_as_it_came(serve: Any) -> None:
    """To look at it, to cancel it and what is no batch is asked of nobody."""
    asked = Asked()
    with ScriptedUpstream() as upstream:
        serving = serve(upstream)
        serving.gateway.governor = asked
        told = send(serving, "/v1/messages/batches?beta=true")
        empty = send(serving, "/openai/v1/batches", b"")
        for path in ("/v1/messages/batches", "/v1/messages/batches/b/results"):
            assert None is look(serving, path).field("x-told")
        for path in ("/v1/messages/batches/b/cancel", "/v1/files"):
            assert None is send(serving, path).field("x-told")
        assert ["yes", "yes"] == [one.field("x-told") for one in (told, empty)]
        assert [("/v1/messages/batches?beta=true", BATCH, True), ("/v1/batches", b"", True)] == [
            (one.target, one.body, one.own) for one in asked.requests
        ]
        assert [BATCH, b""] == [one.body for one in upstream.requests[:2]]
        assert 6 == len(upstream.requests)


def test_nothing_of_a_batch_that_is_refused_goes_up(serve: Any) -> None:
    """The client reads why, in its API's shape."""
    with ScriptedUpstream() as upstream:
        serving = serve(upstream)
        serving.gateway.governor = Asked(refuses=True)
        answer = send(serving, "/v1/messages/batches")
        assert (403, "permission_error") == (
            answer.status,
            json.loads(answer.body)["error"]["type"],
        )
        assert "Not this one." in json.loads(answer.body)["error"]["message"]
        assert "model_not_allowed" == serving.summary().error
        assert [] == upstream.requests


@pytest.mark.parametrize("governed", [True, False])
def test_what_has_to_be_held_is_no_longer_than_any_request(serve: Any, governed: bool) -> None:
    """Who is under no limit and no list sends a longer one on their own credential, which nobody
    holds or reads.
    """
    limits = replace(QUICK, max_body=1000, max_upload=100_000)
    asked = Asked(governed)
    with ScriptedUpstream() as upstream:
        serving = serve(upstream, limits=limits)
        serving.gateway.governor = asked
        answer = send(serving, "/v1/messages/batches", b"x" * 2000)
        assert governed == (413 == answer.status)
        assert ([] if governed else [b"x" * 2000]) == [one.body for one in upstream.requests]
        assert [] == asked.requests

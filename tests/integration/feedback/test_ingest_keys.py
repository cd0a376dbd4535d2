"""Keys that open the ingest and nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bailee.app.access import GatewayPolicyAccess
from bailee.errors import InputError
from support.servers.feedback_site import Site


def metrics(site: Site, key: str) -> int:
    """The status that a batch of metrics gets."""
    return site.call(
        "POST", "/v1/metrics", b'{"resourceMetrics": []}', authorization=f"Bearer {key}"
    )[0]


@pytest.mark.row("S1", "S2")
def test_a_key_that_sends_opens_the_ingest_and_nothing_else(site: Site) -> None:
    """Metrics, and no model; no choice, no session, no export, no key, no report is its to see."""
    key = site.keys["sends"]
    gateway = GatewayPolicyAccess(site.node.accounts, site.node.holding)

    assert 200 == metrics(site, key)
    assert None is gateway.authenticate(key.encode())
    assert None is not gateway.authenticate(site.keys["ada"].encode())
    asked: list[tuple[str, dict[str, Any]]] = [
        ("privacy.show", {}),
        ("privacy.choose", {"choice": "allowed"}),
        ("sessions.list", {}),
        ("person.export", {}),
        ("person.erase", {}),
        ("key.create", {"person": site.ada, "name": "x"}),
        ("feedback.list", {}),
    ]
    for operation, arguments in asked:
        with pytest.raises(InputError) as refused:
            site.ask(operation, key=key, **arguments)
        assert "authentication" == refused.value.code


def test_it_is_kept_as_a_digest_survives_a_start_and_is_revoked(site: Site) -> None:
    """Its text is in no file; after a start it is still one that only sends; revoked, at once."""
    key = site.keys["sends"]
    assert [] == site.files(key.encode(), key[14:].encode())
    site.close()
    site.open()
    site.listen()
    (of,) = [one for one in site.ask("key.list") if one["scope"] == "ingest"]

    assert 200 == metrics(site, key)
    assert None is GatewayPolicyAccess(site.node.accounts, site.node.holding).authenticate(
        key.encode()
    )
    site.ask("key.revoke", key_id=of["key_id"])
    assert 401 == metrics(site, key)
    (entry,) = [
        e for e in site.ask("audit.list", subject=of["key_id"]) if e["kind"] == "key.created"
    ]
    assert "ingest" == entry["body"]["scope"]


def test_it_is_of_an_account_that_is_there(site: Site) -> None:
    """No account comes with it; of nobody's account the operator makes one, and nobody else."""
    with pytest.raises(InputError):
        site.ask("key.create", plan="api", name="x", ingest=True)
    account = site.node.accounts.authenticate(site.keys["zed"].encode())
    assert account is not None
    made = site.ask("key.create", account=account[1].account_id, name="x", ingest=True)

    assert ("ingest", account[1].account_id) == (made["scope"], made["account"])
    assert 200 == metrics(site, made["key"])
    with pytest.raises(InputError):
        site.ask(
            "key.create", account=account[1].account_id, name="x", key=site.keys["bob"], ingest=True
        )


def test_the_addresses_are_given_with_such_a_key() -> None:
    """In a DSN and beside the address; without one at hand, a word in its place."""
    from bailee.app.telemetry import addresses

    given = addresses("http://127.0.0.1:1", "bl_x")
    assert given == {
        "otlp": "http://127.0.0.1:1",
        "key": "bl_x",
        "sentry_dsn": "http://bl_x@127.0.0.1:1/1",
        "statsig": "http://127.0.0.1:1/v1",
    }
    assert "KEY" in json.dumps(addresses("http://127.0.0.1:1", None))

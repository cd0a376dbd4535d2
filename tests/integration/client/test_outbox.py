"""The outbox and its sender against real servers, a real squid and a proxy that opens TLS."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from bailee.client.declared import Declared
from bailee.client.local_key import machine_key
from bailee.client.outbox import Outbox
from bailee.client.payloads import Payload, rating, report
from bailee.client.sdk_errors import error
from bailee.client.sdk_metrics import metrics
from bailee.client.sender import SendOutcome, plan, send
from bailee.client.settings import ClientSettings, from_environment, merge
from bailee.errors import BaileeError, InputError
from bailee.policy import load
from bailee.testing import FakeClock
from support.servers.corporate_network import (
    Receiver,
    opening_proxy,
    receiver,
    squid,
    squid_with_password,
)

POLICY = load()
START = datetime(2026, 3, 1, 12, tzinfo=UTC)
PAYLOAD = Payload("metrics", "/v1/metrics", "application/json", b'{"pears":7}')


def under(**environment: str) -> ClientSettings:
    """Settings of an environment."""
    return merge(
        [from_environment(environment)],
        switches=frozenset(POLICY.document.switches),
        private=frozenset(),
        most_days=30,
    )


@pytest.fixture
def clock() -> FakeClock:
    """A clock that the test moves."""
    return FakeClock(START)


@pytest.fixture
def box(tmp_path: Path, clock: FakeClock) -> Outbox:
    """An empty outbox."""
    return Outbox(tmp_path / "outbox", lambda: machine_key(tmp_path, lambda: None), clock=clock)


@pytest.fixture
def server() -> Iterator[Receiver]:
    """A receiver without TLS."""
    with receiver() as made:
        yield made


Sending = Callable[..., list[SendOutcome]]


@pytest.fixture
def sending(box: Outbox, clock: FakeClock) -> Sending:
    """Sends what is pending under an environment."""

    def send_(credential: str | None = None, **environment: str) -> list[SendOutcome]:
        return send(box, POLICY, lambda: under(**environment), credential=credential, clock=clock)

    return send_


@pytest.mark.row("S7")
def test_what_arrives_is_what_the_outbox_shows(
    box: Outbox, server: Receiver, sending: Sending, tmp_path: Path
) -> None:
    """The same bytes, headers that say nothing of anyone; on disk sealed, and the owner's."""
    item = box.put(PAYLOAD)
    (outcome,) = sending(credential="bl_secret", BAILEE_INGEST_URL=server.url())

    (got,) = server.received
    assert ("sent", "r1") == (outcome.became, outcome.item.answer)
    assert ("/v1/metrics", box.body(item)) == (got.path, got.body)
    assert {"host", "accept", "accept-encoding", "connection", "user-agent", "content-type",
            "content-length", "x-api-key"} == set(got.headers)  # fmt: skip
    assert got.headers["user-agent"].startswith("bailee/")
    for path in tmp_path.rglob("*"):
        assert 0 == path.stat().st_mode & 0o077
        assert path.is_dir() or b"pears" not in path.read_bytes()
    assert [] == sending(BAILEE_INGEST_URL=server.url())


@pytest.mark.row("S5", "S7")
@pytest.mark.parametrize("flow", ["metrics", "errors", "bug_report", "survey"])
def test_what_was_turned_off_since_is_deleted_unsent(
    box: Outbox, server: Receiver, sending: Sending, flow: str
) -> None:
    """The switches at the time of sending count; it is said what was deleted, and why."""
    box.put(Payload(flow, "/x", "application/json", b"{}"))
    off = {"BAILEE_INGEST_URL": server.url(), "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "0"}

    (planned,) = plan(box, POLICY, under(**off), START)
    (outcome,) = sending(**off)

    assert ("deleted", "deleted") == (planned.became, outcome.became)
    assert "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC" in outcome.why
    assert ([], []) == (server.received, box.items())


@pytest.mark.row("S5")
def test_a_switch_set_while_sending_holds_for_the_rest(
    box: Outbox, server: Receiver, clock: FakeClock
) -> None:
    """Settings are read anew for each payload: what comes after the change does not leave."""
    for _ in range(3):
        box.put(PAYLOAD)
    url = {"BAILEE_INGEST_URL": server.url()}
    off = under(**url, DISABLE_TELEMETRY="1")
    answers = iter([under(**url), under(**url), off, off])

    became = [one.became for one in send(box, POLICY, lambda: next(answers), clock=clock)]

    assert ["sent", "deleted", "deleted"] == became
    assert 1 == len(server.received)


def test_all_but_a_rating_carry_the_key(
    box: Outbox, server: Receiver, sending: Sending, tmp_path: Path
) -> None:
    """The ingest knows its senders by their key; a rating has none; no file has it."""
    for flow in ("metrics", "errors", "survey", "bug_report"):
        box.put(Payload(flow, f"/{flow}", "application/json", b"{}"))
    sending(credential="bl_secret", BAILEE_INGEST_URL=server.url())

    assert {"/metrics": True, "/errors": True, "/bug_report": True, "/survey": False} == {
        got.path: "bl_secret" in str(got.headers) for got in server.received
    }
    assert not [p for p in tmp_path.rglob("*.item") if b"bl_secret" in p.read_bytes()]


def test_it_tries_again_when_the_server_is_not_well(
    box: Outbox, server: Receiver, sending: Sending, clock: FakeClock
) -> None:
    """Waits as told, then twice as long each time; a refusal is final; nothing waits for ever."""
    server.answers += [(503, {"retry-after": "120"}, b""), (500, {}, b""), (200, {}, b"{}")]
    box.put(PAYLOAD)
    url = server.url()
    assert ["waiting"] == [o.became for o in sending(BAILEE_INGEST_URL=url)]
    clock.advance(timedelta(seconds=119))
    assert ["waiting"] == [o.became for o in sending(BAILEE_INGEST_URL=url)]
    assert 1 == len(server.received)
    clock.advance(timedelta(seconds=1))
    assert ["waiting"] == [o.became for o in sending(BAILEE_INGEST_URL=url)]
    clock.advance(timedelta(minutes=2))
    assert ["sent"] == [o.became for o in sending(BAILEE_INGEST_URL=url)]
    assert 3 == len(server.received)

    server.answers.append((400, {}, b"no"))
    box.put(PAYLOAD)
    assert ["refused"] == [o.became for o in sending(BAILEE_INGEST_URL=url)]
    assert [] == sending(BAILEE_INGEST_URL=url)

    box.put(PAYLOAD)
    clock.advance(timedelta(days=7))
    assert ["deleted"] == [o.became for o in sending(BAILEE_INGEST_URL="http://127.0.0.1:9")]


def test_nobody_there_is_no_error(box: Outbox, sending: Sending) -> None:
    """An address that takes no connection: it stays pending."""
    box.put(PAYLOAD)
    (outcome,) = sending(BAILEE_INGEST_URL="http://127.0.0.1:9")

    assert ("waiting", "pending") == (outcome.became, box.items()[0].state)


def test_what_is_forgotten_locally_is_forgotten_here(
    box: Outbox, clock: FakeClock, tmp_path: Path
) -> None:
    """By the day it was made, sent or not."""
    box.put(PAYLOAD)
    clock.advance(timedelta(days=29))
    box.put(PAYLOAD)
    clock.advance(timedelta(days=1))

    assert (1, 1) == (box.forget(30), len(box.items()))
    assert 1 == len(list((tmp_path / "outbox").glob("2026-*")))


def test_only_one_process_sends(box: Outbox, server: Receiver, sending: Sending) -> None:
    """While one sends another sends nothing, so nothing goes twice."""
    box.put(PAYLOAD)
    with box.sending() as mine:
        assert mine
        assert [] == sending(BAILEE_INGEST_URL=server.url())
    assert ["sent"] == [o.became for o in sending(BAILEE_INGEST_URL=server.url())]


def test_a_changed_item_is_not_sent(box: Outbox, sending: Sending, tmp_path: Path) -> None:
    """Bytes that are not those that were put in do not leave."""
    box.put(PAYLOAD)
    (path,) = tmp_path.rglob("*.item")
    path.write_bytes(path.read_bytes()[:-1] + b"x")

    with pytest.raises(BaileeError):
        sending(BAILEE_INGEST_URL="http://127.0.0.1:9")


# -- corporate networks --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """A company's own certificate authority."""
    return trustme.CA()


def _server_context(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    return context


@pytest.fixture
def authority_file(authority: trustme.CA, tmp_path: Path) -> str:
    """The authority's certificate as a PEM file."""
    path = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(path)
    return str(path)


@pytest.mark.row("D2", "D1")
@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"])
def test_through_squid_to_a_server_of_the_companys_authority(
    box: Outbox, sending: Sending, authority: trustme.CA, authority_file: str, tmp_path: Path,
    variable: str,
) -> None:  # fmt: skip
    """HTTPS_PROXY leads through squid's tunnel; the server is trusted through the named file."""
    with (
        receiver(_server_context(authority, "bailee.example")) as far,
        squid() as proxy,
    ):
        box.put(PAYLOAD)
        url = far.url("https", "bailee.example")  # a name that squid alone can resolve
        through = {"HTTPS_PROXY": f"http://127.0.0.1:{proxy.port}", "BAILEE_INGEST_URL": url}
        assert ["waiting"] == [o.became for o in sending(**through)]  # not trusted
        assert [] == far.received

        (item,) = box.items()
        box.change(item, next_attempt=None)
        assert ["sent"] == [o.became for o in sending(**through, **{variable: authority_file})]

    assert b'{"pears":7}' == far.received[0].body
    assert f"CONNECT bailee.example:{far.port}" in "\n".join(proxy.lines)


@pytest.mark.row("D2")
def test_squid_that_asks_for_a_password(
    box: Outbox, sending: Sending, authority: trustme.CA, authority_file: str, tmp_path: Path
) -> None:
    """Without the password 407 and nothing arrives; with it in the proxy's address it does."""
    with (
        receiver(_server_context(authority, "bailee.example")) as far,
        squid_with_password("ann", "pears") as proxy,
    ):
        item = box.put(PAYLOAD)
        known: dict[str, Any] = {
            "BAILEE_INGEST_URL": far.url("https", "bailee.example"), "SSL_CERT_FILE": authority_file
        }  # fmt: skip
        (refused,) = sending(**known, HTTPS_PROXY=f"http://127.0.0.1:{proxy.port}")
        assert "waiting" == refused.became
        box.change(item, next_attempt=None)
        (sent,) = sending(**known, HTTPS_PROXY=f"http://ann:pears@127.0.0.1:{proxy.port}")
        assert "sent" == sent.became

    assert 1 == len(far.received)
    assert any("/407 " in line for line in proxy.lines)
    assert " ann " in proxy.lines[-1]


@pytest.mark.row("D2")
def test_no_proxy_goes_round_it(
    box: Outbox, sending: Sending, authority: trustme.CA, authority_file: str, tmp_path: Path
) -> None:
    """A host in NO_PROXY is reached straight; loopback always is."""
    with receiver(_server_context(authority, "localhost")) as far:
        box.put(PAYLOAD)
        nowhere = "http://127.0.0.1:9"
        (outcome,) = sending(
            HTTPS_PROXY=nowhere,
            BAILEE_INGEST_URL=far.url("https", "localhost"),
            SSL_CERT_FILE=authority_file,
        )
        assert "sent" == outcome.became


@pytest.mark.row("D2")
def test_a_client_certificate_is_shown(
    box: Outbox, sending: Sending, authority: trustme.CA, authority_file: str, tmp_path: Path
) -> None:
    """A server that demands one gets it; without it nothing arrives."""
    context = _server_context(authority, "localhost")
    context.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(context)
    mine = authority.issue_cert("ann@bailee.example")
    certificate, key = tmp_path / "ann.pem", tmp_path / "ann.key"
    mine.cert_chain_pems[0].write_to_path(certificate)
    mine.private_key_pem.write_to_path(key)
    with receiver(context) as far:
        item = box.put(PAYLOAD)
        known = {
            "BAILEE_INGEST_URL": far.url("https", "localhost"),
            "SSL_CERT_FILE": authority_file,
        }
        assert ["waiting"] == [o.became for o in sending(**known)]
        box.change(item, next_attempt=None)
        (outcome,) = sending(
            **known, BAILEE_CLIENT_CERT=str(certificate), BAILEE_CLIENT_KEY=str(key)
        )
        assert "sent" == outcome.became
    assert 1 == len(far.received)


@pytest.mark.row("D2")
def test_through_a_proxy_that_opens_tls(
    box: Outbox, sending: Sending, authority: trustme.CA, authority_file: str, tmp_path: Path
) -> None:
    """A company's proxy answers in the server's name with a certificate of its own authority:
    refused while the authority is unknown, trusted once it is named.
    """
    public = trustme.CA()  # the server's, which the client never sees
    with (
        receiver(_server_context(public, "bailee.example")) as far,
        opening_proxy(authority, public) as proxy,
    ):
        item = box.put(PAYLOAD)
        through = {
            "HTTPS_PROXY": f"http://127.0.0.1:{proxy.port}",
            "BAILEE_INGEST_URL": far.url("https", "bailee.example"),
        }
        assert ["waiting"] == [o.became for o in sending(**through)]
        assert [] == far.received
        box.change(item, next_attempt=None)
        assert ["sent"] == [o.became for o in sending(**through, SSL_CERT_FILE=authority_file)]
    assert b'{"pears":7}' == far.received[0].body


# -- what is made is what is declared -------------------------------------------------------------


def test_a_rating_is_one_field() -> None:
    """The number, and nothing to join it to anyone."""
    assert b'{"rating":"2"}' == rating("2", POLICY.document.survey.answers).body
    with pytest.raises(InputError):
        rating("4", POLICY.document.survey.answers)


def test_metrics_and_errors_are_what_their_protocols_say() -> None:
    """Delta sums and histograms with buckets that add up; an envelope whose length is right."""
    import json

    registry, day = Declared(), date(2026, 3, 1)
    named = {"service.name": "bailee-code", "service.version": "0.1.0"}
    about = registry.about(named, today=day)
    measured = [
        registry.metric("bailee.session.count", 1, {"start_type": "fresh"}, today=day),
        registry.metric("bailee.session.count", 1, {"start_type": "fresh"}, today=day),
        *(registry.metric("bailee.request.duration", ms, {}, today=day) for ms in (5, 400, 1e6)),
    ]
    made = metrics(measured, about, since=START, until=START + timedelta(minutes=1))
    (resource,) = json.loads(made.body)["resourceMetrics"]
    count, duration = resource["scopeMetrics"][0]["metrics"]

    assert "2" == count["sum"]["dataPoints"][0]["asInt"]
    (point,) = duration["histogram"]["dataPoints"]
    assert 3 == sum(map(int, point["bucketCounts"]))
    assert len(point["explicitBounds"]) + 1 == len(point["bucketCounts"])

    event = registry.error(
        "bailee.error", {"exception": "KeyError", "handled": False},
        [{"module": "bailee.agent.turns", "function": "run", "line": 7}], today=day,
    )  # fmt: skip
    envelope = error(event, about, at=START, event_id="0" * 32).body
    head, item, content = envelope.rstrip(b"\n").split(b"\n")
    assert json.loads(item)["length"] == len(content)
    assert "0" * 32 == json.loads(head)["event_id"] == json.loads(content)["event_id"]


def test_a_report_is_json_within_json() -> None:
    """The shape that redirected clients send."""
    import json

    outer = json.loads(report({"description": '梨 "x"'}).body)
    assert {"description": '梨 "x"'} == json.loads(outer["content"])

"""`bailee outbox` as a person types it: what there is, by day, and the very bytes that leave."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bailee.client.local_key import machine_key
from bailee.client.outbox import Outbox
from bailee.client.payloads import Payload
from bailee.testing.upstream import ScriptedUpstream
from support.clients.programs import clean_environment

NOW = datetime.now(UTC)
BODIES = {
    "metrics": b'{"resourceMetrics": [], "caf\xc3\xa9": 1}\n',
    "errors": b'{"event_id":"1"}\n{"type":"event"}\n{}\n',
}


class Ann:
    """A person with two payloads in the outbox: yesterday's metrics, today's errors."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.data = home / ".local/share/bailee/client"
        self.ids = [
            self._put("metrics", "/v1/metrics", NOW - timedelta(days=1)),
            self._put("errors", "/api/1/envelope/", NOW),
        ]

    def _put(self, flow: str, path: str, at: datetime) -> str:
        box = Outbox(
            self.data / "outbox", lambda: machine_key(self.data, lambda: None), clock=lambda: at
        )
        return box.put(Payload(flow, path, "application/json", BODIES[flow])).id

    def run(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[bytes]:
        """`bailee outbox`, to its end."""
        return subprocess.run(
            [sys.executable, "-m", "bailee", "outbox", *arguments],
            cwd=self.home, env=clean_environment(self.home, **env), capture_output=True,
            timeout=60, check=False,
        )  # fmt: skip


@pytest.fixture
def ann(tmp_path: Path) -> Ann:
    """See `Ann`."""
    return Ann(tmp_path)


@pytest.mark.row("S7")
def test_every_payload_is_listed_by_day_with_its_exact_bytes(ann: Ann) -> None:
    """Two days, apart from one another; `show --raw` is the body and nothing else;
    `show` has its digest and can't act on a terminal.
    """
    listed = ann.run().stdout.decode()
    days = [str(at.date()) for at in (NOW - timedelta(days=1), NOW)]
    assert all(listed.count(day) >= 1 for day in days)
    assert all(listed.count(id_) == 1 for id_ in ann.ids)
    first, second = sorted((listed.index(days[0]), listed.index(days[1])))
    assert 1 == sum(first < listed.index(id_) < second for id_ in ann.ids)

    for id_, flow in zip(ann.ids, BODIES, strict=True):
        assert BODIES[flow] == ann.run("show", id_, "--raw").stdout
        assert BODIES[flow].decode() == json.loads(ann.run("show", id_, "--json").stdout)["body"]


@pytest.mark.row("S7")
def test_offline_sends_and_deletes_nothing(ann: Ann) -> None:
    """It says what would become of each, under the switches that hold, and does none of it."""
    with ScriptedUpstream() as far:
        env = {"BAILEE_INGEST_URL": far.url, "DISABLE_TELEMETRY": "1"}
        for command in ((), ("send",)):
            said = json.loads(ann.run(*command, "--offline", "--json", **env).stdout)
            became = {one["flow"]: one["would_be"] for one in said}
            assert {"metrics": "deleted", "errors": "sent"} == became
    assert [] == far.requests
    assert 2 == len(json.loads(ann.run("list", "--json").stdout))


@pytest.mark.row("S7")
def test_what_leaves_is_what_was_shown(ann: Ann) -> None:
    """Sent are the bytes that `show` showed, to the address of the flow; what was turned off since
    is not sent, and is gone.
    """
    with ScriptedUpstream() as far:
        env = {"BAILEE_INGEST_URL": far.url, "DISABLE_TELEMETRY": "1"}
        done = json.loads(ann.run("send", "--json", **env).stdout)
    assert {"metrics": "deleted", "errors": "sent"} == {o["flow"]: o["became"] for o in done}
    assert [("/api/1/envelope/", BODIES["errors"])] == [(r.path, r.body) for r in far.requests]
    (kept,) = json.loads(ann.run("--json").stdout)
    assert ("errors", "sent") == (kept["flow"], kept["state"])

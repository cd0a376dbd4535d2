"""Telemetry in a folder of its own, with the time in the test's hands; and its listener."""

from __future__ import annotations

import asyncio
import http.client
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bailee.console import Listener, bind
from bailee.db.migrate import upgrade
from bailee.ingest.door import DoorLimits
from bailee.ingest.shares import Share
from bailee.keyring import FileRoot, Keyring
from bailee.policy.bounds import PLACES
from bailee.registry import load
from bailee.telemetry.destinations import Destination
from bailee.telemetry.ingest import Ingest, TelemetrySender
from bailee.telemetry.issues import Issue
from bailee.telemetry.queries import Between
from bailee.telemetry.records import ERROR, METRIC, CaughtError, DataClass, figure
from bailee.telemetry.telemetry import Taken, Telemetry
from bailee.testing import FakeClock
from bailee.vault.files import Files
from support.homes.databases import opened

PERIODS = {METRIC: "P30D", ERROR: "P30D"}


@dataclass
class Bench:
    """A home's telemetry, and the means to use and reopen it. `places`: where a class may go, by
    the policy document; anywhere, if nothing is said.
    """

    path: Path
    clock: FakeClock = field(
        default_factory=lambda: FakeClock(datetime(2026, 11, 23, 12, tzinfo=UTC))
    )
    files: Files | None = None
    leaves: list[tuple[str, str]] = field(default_factory=list)
    alerts: list[tuple[str, str]] = field(default_factory=list)
    ratings: list[tuple[str, str | None]] = field(default_factory=list)
    destinations: dict[DataClass, Destination] = field(default_factory=dict)
    places: dict[DataClass, tuple[str, ...]] = field(default_factory=dict)
    telemetry: Telemetry = field(init=False)

    @property
    def folder(self) -> Path:
        """Where the files are."""
        return self.path / "telemetry"

    def open(self) -> Telemetry:
        """Open everything, as a process does that starts."""
        self.engine = opened(self.path / "data.db")
        upgrade(self.engine, "data")
        self.keys = opened(self.path / "keyring.db")
        upgrade(self.keys, "keys")
        self.keyring = Keyring.open(self.keys, FileRoot(self.path / "root.json"), self.clock)
        self.telemetry = Telemetry(
            self.engine,
            self.folder,
            keyring=self.keyring,
            clock=self.clock,
            registry=load(),
            record=lambda kind, subject, _body: self.leaves.append((kind, subject)),
            alert=self._alert,
            survey=lambda rating, version, _at: self.ratings.append((rating, version)),
            places=lambda data_class: self.places.get(data_class, PLACES),
            files=self.files,
            file_bytes=20_000,
        )
        self.telemetry.pass_on(self.destinations)
        self.telemetry.recover()
        return self.telemetry

    def _alert(self, kind: str, issue: Issue, _row: CaughtError) -> None:
        self.alerts.append((kind, issue.id))

    def close(self) -> None:
        """Close everything, as a process does that ends."""
        self.telemetry.close()
        self.engine.dispose()
        self.keys.dispose()

    def keep(self, *values: float, errors: tuple[str, ...] = (), periods: Any = None) -> None:
        """Keep an event for each value and an error for each issue id."""
        at = int(self.clock().timestamp() * 1000)
        rows = [
            figure(at, "bailee.command", "event", value, {"command": "up", "duration_ms": value})
            for value in values
        ]
        raised = [
            CaughtError(
                at, issue, "ValueError", "error", "python", "bailee@1.2.3", None, True, [], {}
            )
            for issue in errors
        ]
        taken = Taken(figures=rows, errors=raised)
        self.telemetry.prepare(taken, PERIODS if periods is None else periods)
        self.telemetry.keep_now(taken)

    def commands(self, now: datetime | None = None) -> dict[str, Any]:
        """The one row of all commands."""
        at = now or self.clock()
        between = Between(at - timedelta(days=40), at + timedelta(minutes=1))
        rows = self.telemetry.metrics.query("bailee.command", between, at).rows
        return rows[0] if rows else {"count": 0}

    def query(self, name: str, **asked: Any) -> list[dict[str, Any]]:
        """The rows of a measure, of the last day."""
        now = self.clock()
        between = Between(now - timedelta(days=1), now + timedelta(minutes=1))
        return self.telemetry.metrics.query(name, between, now, **asked).rows

    def files_of(self, folder: str) -> list[Path]:
        """The files of `journal` or `days`."""
        return sorted(path for path in (self.folder / folder).iterdir())


class Site:
    """The ingest on a port of 127.0.0.1, on a thread of its own."""

    def __init__(
        self, bench: Bench, limits: DoorLimits, shares: Mapping[DataClass, Share] | None = None
    ) -> None:
        self.asked = 0
        self.loop = asyncio.new_event_loop()
        known = shares or {}
        self.ingest = Ingest(
            bench.telemetry, self, limits=limits, shares=lambda one, _: known.get(one, Share())
        )
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()
        listening = bind("127.0.0.1", 0, "ingest")
        self.port = listening.getsockname()[1]
        self._listener = Listener(self.ingest.app, listening, None)
        self._do(self._listener.start())

    def sender(self, key: bytes) -> TelemetrySender | None:
        """Keys are names here; one of them keeps nothing. Each request asks once."""
        self.asked += 1
        periods = {} if key == b"nothing" else PERIODS
        return (
            TelemetrySender(key.decode(), periods) if key in (b"ada", b"bob", b"nothing") else None
        )

    def close(self) -> None:
        """Stop."""
        self._do(self._listener.close())
        self.ingest.close()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    def post(
        self, path: str, body: bytes, key: str = "ada", **headers: str
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        """Status, headers and body of an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        sent = {"authorization": f"Bearer {key}", "content-type": "application/json"} | given
        connection.request("POST", path, body, sent)
        response = connection.getresponse()
        content = response.read()
        connection.close()
        return response.status, response.headers, content

    def _do(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(20)

"""Telemetry of one home: what is received is held to the registry, kept for its time, and found.

`take` is pure work on a request's bytes, for a thread; `keep` makes its rows durable. Between the
two nothing is written: what the guard dropped has been nowhere.

Rows: S1, S2.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final

from sqlalchemy import Engine

from bailee.clock import Clock
from bailee.damage import Damaged
from bailee.errors import BaileeError, InputError
from bailee.ingest.bodies import check_objects
from bailee.ingest.shares import ReceivedCounts, Share, Standing, sent_today
from bailee.keyring import Keyring
from bailee.lasting import Lasting
from bailee.policy.bounds import ONWARD, PLACES
from bailee.registry import OTHER, Guard, Refusals, Registry
from bailee.registry.guard import WRONG_VALUE
from bailee.telemetry import otlp_json, sentry, statsig
from bailee.telemetry.days import Days, ShelfHolding
from bailee.telemetry.destinations import Destination, within
from bailee.telemetry.dropped import DroppedCounts
from bailee.telemetry.error_queries import ErrorQueries
from bailee.telemetry.forwarding import Forwarder
from bailee.telemetry.issues import Alert, Issues
from bailee.telemetry.journal import Batch, Journal
from bailee.telemetry.otlp import (
    MOST_ITEMS,
    DecodingBudget,
    LogRecord,
    OtlpEncoding,
    Reader,
    Streams,
    TooMany,
)
from bailee.telemetry.queries import MetricQueries
from bailee.telemetry.records import ERROR, METRIC, CaughtError, DataClass, Figure, Row, as_json
from bailee.telemetry.shelves import Shelf
from bailee.telemetry.summary import Summaries
from bailee.telemetry.symbols import installed
from bailee.vault.files import Files

_INSTALLATION = "bailee.installation.id"
_MOST_ERRORS = 100
_MOST_RATINGS = 10  # a client has one or two in a batch
NOT_AN_ERROR = "not an error"
NOT_SENT = "not sent by the client"

Periods = Mapping[DataClass, str | None]
"""How long a sender's metrics and errors are kept; None: not at all."""

Places = Mapping[DataClass, Collection[str]]
"""Where a sender's metrics and errors may go, of `bounds.PLACES`."""

Survey = Callable[[str, str | None, datetime], None]
"""Told a rating (bad, fine, good, dismissed) and the client's version; nothing else is known."""


@dataclass(slots=True)
class Taken:
    """What of one request may be kept; `rejected`: how many of its parts may not. `places`: where
    alone its sender's terms let a class go, of `bounds.PLACES`; anywhere, if nothing is said.
    """

    figures: list[Figure] = field(default_factory=list)
    errors: list[CaughtError] = field(default_factory=list)
    ratings: list[tuple[str, str | None]] = field(default_factory=list)
    rejected: int = 0
    event_id: str | None = None
    batches: list[Batch] = field(default_factory=list)
    places: Places = field(default_factory=dict)

    @property
    def accepted(self) -> int:
        """How many are kept or counted."""
        return len(self.figures) + len(self.errors) + len(self.ratings)


class Telemetry:
    """The metrics and errors of one home. They are nobody's, and go by the day: swept, and neither
    held nor erased.

    A home's wiring makes it and closes it. `keep` and `over` are called on the ingest's event loop,
    the rest from any other thread; OTLP and named events are read by one at a time. It owns the
    journal's and the forwarders' threads, and the worker that turns closed files into days. It
    never asks who sent: terms come with what is taken.
    """

    name: Final = "telemetry"

    def __init__(
        self,
        engine: Engine,
        folder: Path,
        *,
        keyring: Keyring,
        clock: Clock,
        registry: Registry,
        record: Callable[[str, str, dict[str, str | int]], object],
        alert: Alert = lambda *_: None,
        survey: Survey = lambda *_: None,
        left: Callable[[int], object] = lambda _: None,
        places: Callable[[DataClass], Collection[str]] = lambda _: PLACES,
        files: Files | None = None,
        file_bytes: int = 8 << 20,
    ) -> None:
        """Open telemetry in `folder`, indexed in `engine` (migrated). Then call `recover`.
        `places`: where the policy document lets a class go now, of `bounds.PLACES`; `left`:
        see `Forwarder`.
        """
        self._keyring = keyring
        self._clock = clock
        self.registry = registry
        self.survey = survey
        self._places = places
        self._worker = ThreadPoolExecutor(1, "telemetry-files")
        self._stopping = False
        self._days = Days(engine, folder, keyring, registry, record=record, files=files)
        self.issues = Issues(engine, alert)
        self.dropped = DroppedCounts(engine)
        self._journal = Journal(
            self._days.journal_folder,
            keyring,
            clock,
            self._closed,
            files=files,
            file_bytes=file_bytes,
        )
        self.destinations: dict[DataClass, Destination] = dict.fromkeys(
            (METRIC, ERROR), Destination()
        )
        self.forwarders: dict[DataClass, Forwarder] = {}
        self._open_forwarder = partial(
            Forwarder,
            folder=folder / "onward",
            keyring=keyring,
            clock=clock,
            common=registry.common,
            record=record,
            left=left,
            files=files,
        )
        self._streams = Streams(int(clock().timestamp() * 1e9))
        self._guard = Guard(registry, clock().date())
        self._issue_key = keyring.secret("telemetry/issues")
        self._lock = threading.Lock()  # while OTLP or named events are read: `_streams` are theirs
        self.metrics = MetricQueries(self._days, registry)
        self.summaries = Summaries(self._days, self.metrics, registry)
        self.errors = ErrorQueries(self._days, self.issues)
        now = clock()
        today = sent_today(engine, now)
        self.received: Final[Mapping[DataClass, ReceivedCounts]] = {
            name: ReceivedCounts(engine, name, now, partial(self._days.resting, name), today)
            for name in (METRIC, ERROR)
        }

    def pass_on(self, destinations: Mapping[DataClass, Destination]) -> None:
        """Have what is taken from now on go to these destinations, not into the own store alone.
        Called once, before anything is taken.
        """
        self.destinations |= destinations
        for data_class, to in self.destinations.items():
            if to.address is not None:
                goes_on = partial(self._goes_on, data_class)
                self.forwarders[data_class] = self._open_forwarder(
                    data_class, to.address, goes_on=goes_on
                )

    def destination(self, data_class: DataClass) -> Destination:
        """Where a class goes now: where it was said to, as far as the policy document lets it."""
        return within(self.destinations[data_class], self._places(data_class))

    def _goes_on(self, data_class: DataClass) -> bool:
        return ONWARD in self._places(data_class)

    # -- taking ----------------------------------------------------------------------------------

    def take_otlp(self, signal: str, body: bytes, *, in_json: bool) -> Taken:
        """What of an OTLP request (`metrics`, `logs` or `traces`) may be kept.

        Raises:
            InputError: it is not such a request.
        """
        with self._lock, _malformed("OTLP request"):
            reader, refusals = self._reader()
            if in_json:
                check_objects(body)
                from_bytes: OtlpEncoding = otlp_json
            else:
                from bailee.telemetry import otlp_proto

                from_bytes = otlp_proto
            taken, room = Taken(), DecodingBudget()
            if signal == "metrics":
                taken.figures = list(reader.metrics(from_bytes.read_metrics(body, room)))
            elif signal == "logs":
                self._logs(reader, from_bytes.read_logs(body, room), taken)
            else:
                taken.figures = list(reader.spans(from_bytes.read_spans(body, room)))
            taken.rejected = reader.rejected + _passed_over(room, taken, reader, refusals)
            self._count("otlp", reader.service, refusals)
            return taken

    def take_events(self, protocol: str, body: bytes) -> Taken:
        """What of a batch of named events (`statsig` or `event_logging`) may be kept.

        Raises:
            InputError: it is not such a batch.
        """
        read = statsig.read_log_event if protocol == "statsig" else statsig.read_batch
        check_objects(body)
        with self._lock, _malformed("batch of events"):
            reader, refusals = self._reader()
            taken, room = Taken(), DecodingBudget()
            self._logs(reader, read(body, room), taken)
            taken.rejected = reader.rejected + _passed_over(room, taken, reader, refusals)
            self._count(protocol, reader.service, refusals)
            return taken

    def take_envelope(self, envelope: sentry.Envelope) -> Taken:
        """What of a Sentry envelope may be kept.

        Raises:
            InputError: one of its items is not what it is said to be.
        """
        taken = Taken(event_id=envelope.event_id)
        refusals = Refusals()
        guard = self._guard_now()
        symbols = installed(self.registry.errors.ours)
        events = sentry.Events(guard, symbols, self._issue_key)
        now_ms = int(self._clock().timestamp() * 1000)
        with _malformed("Sentry event"):
            for kind, item in envelope.items:
                try:
                    if kind == "event" and len(taken.errors) < _MOST_ERRORS:
                        check_objects(item)
                        taken.errors.append(events.row(item, refusals, now_ms))
                    elif kind == "client_report":
                        refusals.add(OTHER, NOT_SENT, sentry.discarded(item))
                    else:
                        refusals.add(OTHER, NOT_AN_ERROR)
                        taken.rejected += 1
                except (ValueError, InputError):
                    if len(envelope.items) == 1:
                        raise
                    refusals.add(OTHER, NOT_AN_ERROR)
                    taken.rejected += 1
        releases = (row.release or "" for row in taken.errors)
        service = next((name.partition("@")[0] for name in releases if "@" in name), OTHER)
        self._count("sentry", service, refusals)
        return taken

    def _reader(self) -> tuple[Reader, Refusals]:
        refusals = Refusals()
        now_ms = int(self._clock().timestamp() * 1000)
        return Reader(self._guard_now(), refusals, now_ms, self._streams), refusals

    def _guard_now(self) -> Guard:
        today = self._clock().date()
        if self._guard.today != today:
            self._guard = Guard(self.registry, today)
        return self._guard

    def _logs(self, reader: Reader, logs: Iterator[LogRecord], taken: Taken) -> None:
        for measure, row in reader.logs(logs):
            if measure.survey:
                rating = row.attributes.get("response")
                version = row.attributes.get("service.version")
                if len(taken.ratings) == _MOST_RATINGS:
                    reader.rejected += 1
                elif isinstance(rating, str):
                    taken.ratings.append((rating, version if isinstance(version, str) else None))
            else:
                taken.figures.append(row)

    def _count(self, protocol: str, service: object, refusals: Refusals) -> None:
        self.dropped.add(self._clock().date(), protocol, str(service), refusals)

    def still(self) -> AbstractContextManager[object]:
        """While this is entered no file is compacted, joined or removed: index and files agree."""
        return self._days.lock

    # -- keeping ---------------------------------------------------------------------------------

    def prepare(self, taken: Taken, periods: Periods, places: Places | None = None) -> None:
        """Make what was taken ready to be written, for as long as its sender's terms say, and where
        they let it go (`places`; None: anywhere). Without a period it is dropped. A thread does it,
        as taking is.
        """
        taken.places = places or {}
        taken.batches = self._batches(taken, periods)

    async def keep(self, taken: Taken, account_id: str) -> None:
        """Make durable what was prepared, and count it for the account that sent it.

        Raises:
            InputError: `over_share`: too much of this account's waits.
            StorageError: it can't be written; `overloaded` when too much waits.
        """
        if stored := self._stored(taken):
            await self._journal.append(stored, account_id)
        for forwarder, batches in self._onward(taken):
            await forwarder.append(batches, account_id)
        if taken.ratings:
            await asyncio.to_thread(self._count_ratings, taken)
        self._kept(taken)
        self._received(taken, account_id)

    def keep_now(self, taken: Taken) -> None:
        """The same for a thread that has no event loop, of what is the server's own."""
        if stored := self._stored(taken):
            self._journal.append_now(stored)
        for forwarder, batches in self._onward(taken):
            forwarder.append_now(batches)
        self._count_ratings(taken)
        self._kept(taken)

    def _goes(self, taken: Taken, data_class: DataClass) -> Destination:
        """Where what was taken of a class goes: as far as the policy documents let it."""
        return within(self.destination(data_class), taken.places.get(data_class, PLACES))

    def _stored(self, taken: Taken) -> list[Batch]:
        return [one for one in taken.batches if self._goes(taken, one[0]).store]

    def _onward(self, taken: Taken) -> Iterator[tuple[Forwarder, list[Batch]]]:
        for data_class, forwarder in self.forwarders.items():
            batches = [batch for batch in taken.batches if batch[0] == data_class]
            if batches and self._goes(taken, data_class).address is not None:
                yield forwarder, batches

    def _batches(self, taken: Taken, periods: Periods) -> list[Batch]:
        batches: list[Batch] = []
        kinds: tuple[tuple[DataClass, Sequence[Row]], ...] = (
            (METRIC, taken.figures),
            (ERROR, taken.errors),
        )
        for data_class, rows in kinds:
            period = periods.get(data_class)
            if rows and period is not None:
                self._disguise(rows, Shelf(data_class, self._clock().date(), period))
                batches.append((data_class, period, as_json(rows)))
        return batches

    def _disguise(self, rows: Sequence[Row], shelf: Shelf) -> None:
        """Put in place of an installation's id a digest under the day's key: it says what came from
        the same installation on that day, nothing across days, and nothing once the key is gone.
        """
        key: bytes | None = None
        for row in rows:
            given = row.attributes.get(_INSTALLATION)
            if given is not None:
                if key is None:
                    dek = self._keyring.dek(shelf.subject, shelf.data_class, shelf.expires_at)
                    key = hmac.digest(dek.key, b"bailee/installation/1", "sha256")
                digest = hmac.new(key, str(given).encode(), hashlib.sha256)
                row.attributes[_INSTALLATION] = digest.hexdigest()[:16]

    def _count_ratings(self, taken: Taken) -> None:
        now = self._clock()
        for rating, version in taken.ratings:
            self.survey(rating, version, now)

    def _kept(self, taken: Taken) -> None:
        now = self._clock()
        if any(data_class == ERROR for data_class, _, _ in self._stored(taken)):
            self._submit(self.issues.note, taken.errors, now)

    def _received(self, taken: Taken, account_id: str) -> None:
        """Count what was kept or passed on. Ratings are not: they have no sender."""
        now = self._clock()
        for data_class, period, rows in taken.batches:
            items = len(taken.figures if data_class == METRIC else taken.errors)
            size = len(rows) if self._goes(taken, data_class).store else 0
            until = Shelf(data_class, now.date(), period).expires_at
            self.received[data_class].add(account_id, Standing(items, size), now, until, period)

    def on_disk(self, account_id: str) -> int:
        """What of an account rests here, in bytes. Not for the event loop (`ReceivedCounts.rests`).

        Raises:
            StorageError: the store can't be read.
        """
        now = self._clock()
        return sum(one.rests(account_id, now) for one in self.received.values())

    def over(self, data_class: DataClass, share: Share, account_id: str) -> tuple[str, int] | None:
        """How an account has used up its share, of a class a day or of both on disk."""
        now = self._clock()
        standing = {name: one.of(account_id, now) for name, one in self.received.items()}
        rests = sum(one.bytes for one in standing.values())
        return Standing(standing[data_class].items, rests).over(share, now)

    def _closed(self, name: str) -> None:
        self._submit(self._days.compact, name)

    def _submit(self, work: Callable[..., object], *arguments: object) -> None:
        if not self._stopping:
            self._worker.submit(_quietly, work, *arguments)

    # -- running ---------------------------------------------------------------------------------

    def recover(self) -> int:
        """Compact what an earlier process left; how many rows.

        Raises:
            StorageError: a store failed; call again.
        """
        return self._days.recover(self._seen)

    def _seen(self, data_class: DataClass, rows: Sequence[Row]) -> None:
        if data_class == ERROR:
            errors = [row for row in rows if isinstance(row, CaughtError)]
            self.issues.note(errors, self._clock())

    def damaged(self, now: datetime) -> Iterator[Damaged]:
        """What is kept at `now` and can't be read.

        Raises:
            StorageError: the index can't be read.
        """
        return self._days.damaged(now)

    def settle(self) -> None:
        """Return when what was kept before has been noticed by the issues."""
        self._worker.submit(int).result()

    def sweep(self, now: datetime) -> dict[str, int]:
        """Destroy what is past its time; compact and merge what is not. How many shelves were
        destroyed, files merged, issues forgotten.

        Raises:
            StorageError: a store failed; the next sweep goes on.
        """
        self.dropped.flush()
        self._journal.roll()
        self.settle()
        for forwarder in self.forwarders.values():
            forwarder.sweep(now)
        shelves = self._days.sweep(now)
        merged = self._days.merge()
        kept = [shelf.day for shelf in map(_day_of, self._days.holdings(now)) if shelf]
        oldest: date = min(kept, default=now.date())
        forgotten = self.issues.forget(
            datetime.combine(oldest, datetime.min.time(), now.tzinfo) - timedelta(days=2)
        )
        self.dropped.forget(now.date() - timedelta(days=30))
        for one in self.received.values():
            one.look(now)
        return {"shelves": shelves, "merged": merged, "issues": forgotten}

    def threads(self) -> list[Lasting]:
        """Its threads, for whoever watches."""
        onward = [one for forwarder in self.forwarders.values() for one in forwarder.threads()]
        return [self._journal.thread, *onward]

    def close(self) -> None:
        """Write what waits and stop; what is not compacted yet is at the next start."""
        for forwarder in self.forwarders.values():
            forwarder.close()
        self._journal.close()
        self._stopping = True
        self._worker.shutdown(wait=True)
        self.dropped.flush()
        for one in self.received.values():
            if one.waits:
                one.write(self._clock())


def _day_of(holding: ShelfHolding) -> Shelf | None:
    if holding.data_class != ERROR:
        return None
    return Shelf(ERROR, date.fromisoformat(holding.day), holding.period)


def _quietly(work: Callable[..., object], *arguments: object) -> None:
    """Work that is done again at the next start if it fails now."""
    with contextlib.suppress(BaileeError):
        work(*arguments)


def _passed_over(room: DecodingBudget, taken: Taken, reader: Reader, refusals: Refusals) -> int:
    """How many parts were not what they should have been: counted. Where there is nothing else,
    ValueError.
    """
    if room.passed_over and not (taken.figures or taken.ratings or reader.rejected):
        raise ValueError("nothing in it is what it should be")
    refusals.add(OTHER, WRONG_VALUE, room.passed_over)
    return room.passed_over


class _malformed:
    """Turns a decoder's `ValueError` into an answer that holds nothing of the body."""

    def __init__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, TooMany):
            raise InputError(
                f"the body is a {self._what} with over {MOST_ITEMS} parts.",
                code="request_too_large",
                hint="send smaller batches",
            ) from None
        if isinstance(error, (ValueError, RecursionError)) and not isinstance(error, BaileeError):
            raise InputError(f"the body is not a {self._what}.") from None

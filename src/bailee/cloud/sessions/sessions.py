"""All cloud sessions of a home: who is let in, what waits, what runs, and how each ends.

Theory of operation. `request` admits a session, keeps it and its task, and hands its id to a
durable queue; nothing else is handed over, so the queue holds no content. The queue calls `run`,
which waits for room on a runner, starts a machine, leads the session through it (`leading.py`) and
ends it. A `run` that is repeated after a crash looks at the state alone: what was queued is begun,
what had a machine ends as `runner_lost`.

Rules kept here:

* Every session that was admitted ends, once, with a reason in the audit record.
* The token goes first, then the machine, then the note that the session has ended: whoever reads
  that note finds neither.
* What a session may not keep (zero retention) is in this process's memory, for as long as it runs.
* All of this but what says otherwise belongs to one event loop, `CloudSessions.loop`.

Rows: C1, C4, C5.
"""

from __future__ import annotations

import asyncio
import secrets
import sys
import threading
import traceback
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from bailee.clock import Clock
from bailee.cloud.ports import End, Machine, MachineLimits
from bailee.cloud.sessions.around import Counts, Hosts, Serve, Served, SessionQuota, SessionTokens
from bailee.cloud.sessions.asked import Asked
from bailee.cloud.sessions.leading import Leading, SessionEnded
from bailee.cloud.sessions.log import Event, EventLog
from bailee.cloud.sessions.records import SessionRecord
from bailee.cloud.sessions.states import SessionState, had_machine
from bailee.cloud.sessions.store import DIFF, EGRESS, OUTPUT, Store
from bailee.errors import BaileeError, InputError, MachineError, StorageError
from bailee.json_values import JsonObject, objects, whole

_TRIES: Final = 3


@dataclass(slots=True)
class _Live:
    """A session while this process leads it."""

    log: EventLog
    stopping: End | None = None
    room: asyncio.Task[None] | None = None
    machine: Machine | None = None
    leading: Leading | None = None
    diff: str | None = None
    connections: list[JsonObject] = field(default_factory=list)
    saved: int = 0


class CloudSessions:
    """Leads the cloud sessions of a home: what has a machine, and who waits for one. `app` makes it
    and owns it. Methods under "on the loop" run on its event loop's thread and alone change what is
    held here; the others may be called from any thread. It serves no stream and holds no key.
    """

    def __init__(
        self,
        store: Store,
        *,
        hosts: Hosts,
        serve: Serve,
        tokens: SessionTokens,
        clock: Clock,
        limits: MachineLimits,
        admission: SessionQuota,
        enqueue: Callable[[str], None],
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        """`enqueue` puts an id into the durable queue, which calls `run` with it."""
        self.store = store
        self._hosts = hosts
        self._serve = serve
        self._tokens = tokens
        self._clock = clock
        self._limits = limits
        self._admission = admission
        self._enqueue = enqueue
        self._random = random
        self._admitting = threading.Lock()
        self._unkept: dict[str, Asked] = {}
        self._lives: dict[str, _Live] = {}
        self._changed = asyncio.Event()
        self._closing = False
        self.loop: asyncio.AbstractEventLoop | None = None

    # -- life --------------------------------------------------------------------------------------

    async def begin(self) -> None:
        """Take up what an earlier process left. The queue must be there."""
        self.loop = asyncio.get_running_loop()
        for record in self.store.records.unended():
            if had_machine(record.state):
                await self.run(record.id)
            else:
                await asyncio.to_thread(self._enqueue, record.id)

    async def close(self) -> None:
        """End what runs; what waits for room is left to the next process."""
        self._closing = True
        self._something_changed()
        lives = list(self._lives.values())
        await asyncio.gather(*(self._stop_live(live, End.RUNNER_LOST) for live in lives))
        while self._lives:
            await self._changed.wait()

    # -- from any thread ---------------------------------------------------------------------------

    def new_id(self) -> str:
        """A session's id."""
        return "cs-" + self._random(6).hex()

    def request(
        self, session_id: str, asked: Asked, *, owner: str, by: str, plan: str, zero: bool
    ) -> SessionRecord:
        """Admit a session.

        Raises:
            MachineError: code `no_room`, there are as many as there may be.
            StorageError: it can't be kept.
        """
        now = self._clock()
        record = SessionRecord(
            id=session_id, owner=owner, by=by, plan=plan, zero_retention=zero, agent=asked.agent,
            network=asked.network, state=SessionState.QUEUED, end=None, problem=None, security=None,
            transcript=None, created_at=now, started_at=None, last_activity=now, ended_at=None,
        )  # fmt: skip
        with self._admitting:
            if self.store.records.unended_count() >= self._admission.waiting:
                raise _full("as many cloud sessions wait and run as there may be.")
            if self.store.records.unended_count(owner) >= self._admission.account:
                raise _full("this account has as many cloud sessions as it may have at once.")
            self.store.records.add(record)
        if not self.store.append(record, OUTPUT, {"asked": asked.as_object()}, now):
            self._unkept[session_id] = asked
        self._enqueue(session_id)
        return record

    async def events(self, session_id: str, after: int) -> AsyncIterator[list[Event]]:
        """The events of a session after one (-1: all), as they come, until it has ended. For any
        loop.
        """
        while True:
            assert self.loop is not None
            waiting = asyncio.run_coroutine_threadsafe(self._more(session_id, after), self.loop)
            found = await asyncio.wrap_future(waiting)
            if not found:
                return
            yield found
            after = whole(found[-1]["n"])

    # -- on the loop -------------------------------------------------------------------------------

    async def send(self, session_id: str, text: str) -> None:
        """Ask a session's agent for more, once it has finished its current work.

        Raises:
            InputError: it has ended, or has not begun yet.
        """
        live = self._lives.get(session_id)
        if live is None or live.leading is None or live.stopping is not None:
            state = self.store.records.get(session_id).state
            raise InputError(
                f"a session that is {state} takes no follow-up.",
                hint="wait until it works" if state is not SessionState.ENDED else "start another",
            )
        live.leading.follow_up(text)

    async def stop(self, session_id: str, reason: End = End.STOPPED) -> SessionRecord:
        """End a session and wait until it has ended. One that has ended stays as it is."""
        live = self._lives.get(session_id)
        if live is not None:
            await self._stop_live(live, reason)
            while not live.log.ended:
                await live.log.more(1 << 60)
        else:
            record = self.store.records.get(session_id)
            if record.state is not SessionState.ENDED:
                self._end(record, SessionEnded(reason), {})
        return self.store.records.get(session_id)

    async def stop_owned(self, owner: str) -> None:
        """End all sessions of an account."""
        for record in self.store.records.unended():
            if record.owner == owner:
                await self.stop(record.id)

    async def held(self, session_id: str) -> tuple[list[Event], str | None, list[JsonObject]]:
        """What is in memory of a session that runs: events, changes, connections."""
        live = self._lives.get(session_id)
        if live is None:
            return [], None, []
        return live.log.after(0), live.diff, list(live.connections)

    async def run(self, session_id: str) -> str:
        """Take a session to its end; why it ended. Called by the durable queue."""
        if self._closing:
            raise asyncio.CancelledError  # it stays in the queue, for the next process
        record = self.store.records.get(session_id)
        if record.state is SessionState.ENDED or session_id in self._lives:
            return record.state
        if had_machine(record.state):
            self._end(record, SessionEnded(End.RUNNER_LOST), {})
            return End.RUNNER_LOST
        asked = self._asked(record)
        if asked is None:
            self._end(record, SessionEnded(End.RUNNER_LOST, "task_not_kept"), {})
            return End.RUNNER_LOST
        live = _Live(EventLog(self._clock, lambda events: self._keep_events(record, events)))
        self._lives[session_id] = live
        self._something_changed()
        try:
            return await self._through(record, asked, live)
        finally:
            del self._lives[session_id]
            if not live.log.ended:
                live.log.end()
            self._something_changed()

    async def _through(self, record: SessionRecord, asked: Asked, live: _Live) -> str:
        counts: Counts = {}
        for attempt in range(1, _TRIES + 1):
            try:
                await self._room(record, live)
                try:
                    ended, counts = await self._in_a_machine(record, asked, live)
                finally:
                    self._hosts.leave(record.id)
            except _RunnerDied:
                if attempt < _TRIES and live.stopping is None:
                    self.store.records.change(record.id, SessionState.QUEUED, self._clock())
                    continue
                ended = SessionEnded(End.RUNNER_LOST)
            except SessionEnded as early:
                ended = early
            except BaileeError as error:
                ended = SessionEnded(End.REFUSED, error.code)
                live.log.add("output", stream="bailee", text=_in_words(error))
            except Exception as error:
                _report(error)
                ended = SessionEnded(End.FAILED, "internal")
            break
        self._unkept.pop(record.id, None)
        live.log.add("state", state=SessionState.ENDED, end=ended.end, problem=ended.problem)
        live.log.flush()
        self._end(self.store.records.get(record.id), ended, counts)
        live.log.end()
        return ended.end

    async def _room(self, record: SessionRecord, live: _Live) -> None:
        live.room = asyncio.create_task(self._hosts.room(record.id))
        try:
            await live.room
        except asyncio.CancelledError:
            if self._closing or live.stopping is None:
                raise
            raise SessionEnded(live.stopping) from None
        finally:
            live.room = None

    async def _in_a_machine(
        self, record: SessionRecord, asked: Asked, live: _Live
    ) -> tuple[SessionEnded, Counts]:
        """Start, lead, destroy. What was given to the session is taken back whatever happens."""
        session = record.id
        self._reach(record, live, SessionState.STARTING)
        tasks: list[asyncio.Task[None]] = []

        def end_it(reason: End) -> None:
            tasks.append(asyncio.ensure_future(self._stop_live(live, reason)))

        served = self._serve(record, asked, end_it)
        ended = SessionEnded(End.FAILED, "internal")
        token_id = None
        try:
            token_id, token = self._tokens.issue(record)
            live.machine = await self._start(session, served)
            if live.stopping is not None:
                ended = SessionEnded(live.stopping)
                return ended, served.counts()
            self._note_start(record, live.machine.security)
            live.leading = Leading(
                asked,
                live.machine,
                live.log,
                token=token,
                clone_address=served.clone_address,
                git_authorization=served.git_authorization,
                reached=lambda state: self._reach(record, live, state, served),
                keep_diff=lambda text: self._keep_diff(record, live, text),
                keep_conversation=lambda name, records: self._keep_conversation(
                    record, live, name, records
                ),
            )
            limit = self._limits.wall_clock
            try:
                ended = await asyncio.wait_for(live.leading.run(), limit)
            except TimeoutError:
                ended = SessionEnded(End.WALL_CLOCK)
            return ended, served.counts()
        finally:
            live.leading = None
            try:
                if token_id is not None:
                    self._tokens.revoke(token_id)
            finally:  # where that can't be put on record, the machine goes all the same
                await self._leave(record, live, served, ended.end)
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _leave(self, record: SessionRecord, live: _Live, served: Served, end: End) -> None:
        """Destroy the machine, end what was served to it, and keep what it connected to."""
        try:
            if live.machine is not None:
                await live.machine.destroy(end)
        finally:
            live.machine = None
            await served.close()
            self._keep_connections(record, live, served)

    async def _start(self, session: str, served: Served) -> Machine:
        try:
            return await self._hosts.start(session, served.services, self._limits)
        except MachineError as error:
            if error.code == "machine_ended":  # its runner died; nothing was done yet
                raise _RunnerDied from error
            raise

    def _note_start(self, record: SessionRecord, security: str) -> None:
        entry = {"account": record.owner, "by": record.by, "security": security}
        now = self._clock()
        self.store.records.started(record.id, now, security, entry)

    def _reach(
        self, record: SessionRecord, live: _Live, state: SessionState, served: Served | None = None
    ) -> None:
        self.store.records.change(record.id, state, self._clock())
        live.log.add("state", state=state)
        if served is not None:
            self._keep_connections(record, live, served)

    async def _stop_live(self, live: _Live, reason: End) -> None:
        if live.stopping is None:
            live.stopping = reason
        if live.room is not None:
            live.room.cancel()
        if live.machine is not None:
            await live.machine.destroy(live.stopping)

    def _end(self, record: SessionRecord, ended: SessionEnded, counts: Counts) -> None:
        """The last of a session: state and audit entry, in one."""
        if self.store.records.get(record.id).state is SessionState.ENDED:
            return
        with suppress(StorageError):  # it is good no more; what is not written is so later
            self._tokens.end(record.id)
        now = self._clock()
        body = {
            "account": record.owner,
            "reason": ended.end,
            "problem": ended.problem,
            "seconds": round((now - (record.started_at or now)).total_seconds(), 1),
            **counts,
        }
        self._something_changed()
        self.store.records.change(
            record.id,
            SessionState.ENDED,
            now,
            entry=("cloud.session_ended", body),
            end=ended.end,
            problem=ended.problem,
        )

    # -- what is kept ----------------------------------------------------------------------------

    def _asked(self, record: SessionRecord) -> Asked | None:
        if record.id in self._unkept:
            return self._unkept[record.id]
        first = next(self.store.read(record.id, OUTPUT, self._clock()), None)
        return None if first is None else Asked.of(first["asked"])

    def _keep_events(self, record: SessionRecord, events: Sequence[Event]) -> None:
        self.store.append(record, OUTPUT, {"events": list(events)}, self._clock())

    def _keep_diff(self, record: SessionRecord, live: _Live, text: str) -> None:
        live.diff = text
        self.store.replace(record, DIFF, {"diff": text}, self._clock())

    def _keep_conversation(
        self, record: SessionRecord, live: _Live, name: str, records: Sequence[str]
    ) -> None:
        self.store.records.name_transcript(record.id, name)
        new = list(records[live.saved :])
        live.saved = len(records)
        if new:
            self.store.append(record, OUTPUT, {"conversation": new}, self._clock())

    def _keep_connections(self, record: SessionRecord, live: _Live, served: Served) -> None:
        found = served.connections()
        if found:
            live.connections += found
            self.store.append(record, EGRESS, {"connections": found}, self._clock())

    async def _more(self, session_id: str, after: int) -> list[Event]:
        """The events after one, once there are any; nothing when there will be none."""
        live = self._lives.get(session_id)
        if live is None:
            record = self.store.records.get(session_id)
            if record.state is SessionState.QUEUED and self._closing:
                return []
            if record.state is SessionState.QUEUED and after < 0:
                at = record.created_at.isoformat()
                return [{"n": 0, "at": at, "kind": "state", "state": SessionState.QUEUED}]
            if record.state is SessionState.QUEUED:
                await self._changed.wait()
                return await self._more(session_id, after)
            kept = events_of(self.store, session_id, self._clock())
            return [event for event in kept if whole(event["n"]) > after]
        return await live.log.more(after)

    def _something_changed(self) -> None:
        """Wake who waits for a session to begin or end."""
        self._changed.set()
        self._changed = asyncio.Event()


class _RunnerDied(Exception):
    """The runner died before it had a machine for us."""


def events_of(store: Store, session_id: str, now: datetime) -> list[Event]:
    """The events that are kept of a session."""
    return [
        event
        for piece in store.read(session_id, OUTPUT, now)
        for event in objects(piece.get("events"))
    ]


def _report(error: Exception) -> None:
    """A line about a defect: which kind and where; what the error says may hold content."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    sys.stderr.write(f"cloud: {type(error).__name__} at {place.filename}:{place.lineno}\n")


def _full(message: str) -> MachineError:
    return MachineError(message, code="no_room", hint="wait until one ends, or stop one")


def _in_words(error: BaileeError) -> str:
    return error.message if error.hint is None else f"{error.message} hint: {error.hint}"

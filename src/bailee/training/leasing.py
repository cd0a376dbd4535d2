"""The keys of a training export, lent to its workers one session at a time.

Theory of operation: a worker connects (`reaching`), shows the token of its shard, and asks for one
session after another. Each is decided at that moment: whether it may be written, and with it
its key and its records as ciphertext. So no plan, task, file or log has a key, and a worker has
those of the session that it writes.

Rules kept here:

* A token is random, for one shard of one export, and good for minutes; each question renews it.
* What was lent is noted, for whoever commits the shard: what the worker says it wrote is compared
  with what it was given.
* A worker that shares no folder with the home hands its files over by the same connection, while
  its token is good, one worker of a shard at a time.
"""

from __future__ import annotations

import secrets
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bailee.clock import Ticks, ticks
from bailee.errors import BaileeError, InputError
from bailee.json_values import text
from bailee.training import handing, wire
from bailee.training.reaching import LeasePlace
from bailee.training.standings import Allowed
from bailee.training.wire import Leased

MINUTES: Final = 15
_MOST_CONNECTIONS: Final = 256
_PATIENCE: Final = 600.0  # seconds that a worker may take over one session


@dataclass(slots=True)
class Grant:
    """A shard that is being written: its `sessions` in order, what was lent of them so far, by
    commitment, and which of them can't be read. `at`: the session that its worker has in hand; "":
    none. `handed`: the SHA-256 of the files that it handed over. Owned by the leases until the
    shard is committed.
    """

    shard: int
    sessions: tuple[str, ...]
    until: float
    lent: dict[str, Allowed] = field(default_factory=dict)
    unreadable: set[str] = field(default_factory=set)
    at: str = ""
    handed: tuple[str, ...] = ()
    handing: threading.Lock = field(default_factory=threading.Lock)


Lend = Callable[[str], tuple[Allowed, Leased] | None]
"""Decides a session now, and gives it with what allowed it; None: it may not be written.

Raises: BaileeError: it can't be read."""


class KeyLeases:
    """The service. An export makes one and closes it; a thread accepts, and each worker has one
    while it is connected. It decides nothing by itself: `lend` does, on those threads.
    """

    def __init__(
        self,
        lend: Lend,
        place: LeasePlace,
        files: Callable[[int], tuple[Path, ...]] | None = None,
        *,
        ticking: Ticks = ticks,
    ) -> None:
        """Accept workers at `place`, which is closed with this. `files`: where the files of a shard
        go that a worker hands over; None: they write into a folder that is shared.
        """
        self._lend = lend
        self._place = place
        self._files = files
        self._ticks = ticking
        self._lock = threading.Lock()
        self._grants: dict[str, Grant] = {}  # by token; with `_lock`
        self._connections: set[socket.socket] = set()  # with `_lock`
        threading.Thread(target=self._accept, name="training leases", daemon=True).start()

    @property
    def address(self) -> str:
        """Where workers ask, as a task says it."""
        return self._place.address

    def grant(self, shard: int, sessions: tuple[str, ...]) -> str:
        """A token with which these sessions of a shard may be asked for. One from before, for the
        same shard, is good no more.
        """
        token = secrets.token_urlsafe(32)
        with self._lock:
            self._drop(shard)
            self._grants[token] = Grant(shard, sessions, self._ticks() + MINUTES * 60)
        return token

    def take(self, shard: int) -> Grant | None:
        """End the grant of a shard, and give what was lent by it."""
        with self._lock:
            return self._drop(shard)

    def close(self) -> None:
        """Lend nothing any more."""
        with self._lock:
            self._grants.clear()
            connections, self._connections = self._connections, set()
        self._place.close()
        for connection in connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _drop(self, shard: int) -> Grant | None:
        for token, one in list(self._grants.items()):
            if one.shard == shard:
                return self._grants.pop(token)
        return None

    def _accept(self) -> None:
        while True:
            try:
                connection = self._place.accept()
            except OSError:
                return
            with self._lock:
                room = len(self._connections) < _MOST_CONNECTIONS
                if room:
                    self._connections.add(connection)
            if not room:
                connection.close()
                continue
            threading.Thread(
                target=self._serve, args=(connection,), name="training lease", daemon=True
            ).start()

    def _serve(self, accepted: socket.socket) -> None:
        try:
            with (
                accepted,
                suppress(OSError, EOFError, ValueError),
                self._place.ready(accepted) as connection,
            ):
                self._answer(connection)
        finally:
            with self._lock:
                self._connections.discard(accepted)

    def _answer(self, connection: socket.socket) -> None:
        said, _ = wire.receive(connection, wire.FROM_WORKERS)
        token = text(said.get("token"))
        grant = self._granted(token)
        if grant is None:
            wire.send(connection, {"refused": "the token is not good, or no more"})
            return
        connection.settimeout(_PATIENCE)
        wire.send(connection, {"shard": grant.shard})
        if self._lend_all(connection, token, grant) and self._files is not None:
            self._take(connection, token, grant, self._files(grant.shard))

    def _take(
        self, connection: socket.socket, token: str, grant: Grant, paths: tuple[Path, ...]
    ) -> None:
        """Have the files of a shard handed over. Who shows the same token at once waits."""
        with grant.handing:
            if self._granted(token) is grant:
                grant.handed = handing.take(connection, paths)
                handing.say_taken(connection)

    def _lend_all(self, connection: socket.socket, token: str, grant: Grant) -> bool:
        """Lend one session after another; whether all of them were asked for."""
        for session in grant.sessions:
            wire.receive(connection, wire.FROM_WORKERS)
            grant.at = ""
            found = self._lent(grant, session)
            if found is None:
                wire.send(connection, {"skip": True})
                continue
            lent, records = found
            if self._granted(token) is not grant:
                wire.send(connection, {"refused": "the token is not good any more"})
                return False
            grant.at = session
            wire.send(connection, wire.as_said(lent), lent.sealed.key)
            for record in records:
                wire.send(connection, {}, record)
        wire.receive(connection, wire.FROM_WORKERS)
        grant.at = ""
        wire.send(connection, {"end": True})
        return True

    def _lent(self, grant: Grant, session: str) -> tuple[Leased, list[bytes]] | None:
        try:
            found = self._lend(session)
            if found is None:
                return None
            allowed, leased = found
            records = list(leased.sealed.records)
        except InputError:  # it has come to its end a moment ago
            return None
        except BaileeError:
            grant.unreadable.add(session)
            return None
        grant.lent[leased.commitment] = allowed
        return leased, records

    def _granted(self, token: str) -> Grant | None:
        """The grant of a token, good from now for so many minutes more."""
        with self._lock:
            grant = self._grants.get(token)
            if grant is None or grant.until < self._ticks():
                return None
            grant.until = self._ticks() + MINUTES * 60
            return grant

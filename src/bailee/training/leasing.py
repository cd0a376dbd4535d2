"""The keys of a training export, lent to its workers one session at a time.

Theory of operation: a worker connects to a Unix socket, shows the token of its shard, and asks for
one session after another. Each is decided at that moment: whether it may be written, and with it
its key and its records as ciphertext. So no plan, task, file or log has a key, and a worker has
those of the session that it writes.

Rules kept here:

* A token is random, for one shard of one export, and good for minutes; each question renews it.
* What was lent is noted, for whoever commits the shard: what the worker says it wrote is compared
  with what it was given.
* The socket lies in a folder of its own, for its owner's eyes only.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bailee.clock import Ticks, ticks
from bailee.errors import BaileeError, InputError, StorageError
from bailee.json_values import text
from bailee.training import wire
from bailee.training.standings import Allowed
from bailee.training.wire import Leased

MINUTES: Final = 15
_MOST_CONNECTIONS: Final = 256
_PATIENCE: Final = 600.0  # seconds that a worker may take over one session


@dataclass(slots=True)
class Grant:
    """A shard that is being written: its `sessions` in order, what was lent of them so far, by
    commitment, and which of them can't be read. `at`: the session that its worker has in hand; "":
    none. Owned by the leases until the shard is committed.
    """

    shard: int
    sessions: tuple[str, ...]
    until: float
    lent: dict[str, Allowed] = field(default_factory=dict)
    unreadable: set[str] = field(default_factory=set)
    at: str = ""


Lend = Callable[[str], tuple[Allowed, Leased] | None]
"""Decides a session now, and gives it with what allowed it; None: it may not be written.

Raises: BaileeError: it can't be read."""


class KeyLeases:
    """The service. An export makes one and closes it; a thread accepts, and each worker has one
    while it is connected. It decides nothing by itself: `lend` does, on those threads.
    """

    def __init__(self, lend: Lend, *, ticking: Ticks = ticks) -> None:
        """Listen.

        Raises:
            StorageError: there can be no socket.
        """
        self._lend = lend
        self._ticks = ticking
        self._lock = threading.Lock()
        self._grants: dict[str, Grant] = {}  # by token; with `_lock`
        self._connections: set[socket.socket] = set()  # with `_lock`
        try:
            self._folder = Path(tempfile.mkdtemp(prefix="bailee-lease-"))
            self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self._listener.bind(self.address)
            Path(self.address).chmod(0o600)
            self._listener.listen(_MOST_CONNECTIONS)
        except OSError as error:
            raise StorageError(
                f"the socket for an export's workers can't be made ({type(error).__name__}).",
                hint="check the folder for temporary files",
            ) from error
        threading.Thread(target=self._accept, name="training leases", daemon=True).start()

    @property
    def address(self) -> str:
        """The path of the socket."""
        return os.fspath(self._folder / "lease.sock")

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
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _drop(self, shard: int) -> Grant | None:
        for token, one in list(self._grants.items()):
            if one.shard == shard:
                return self._grants.pop(token)
        return None

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
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

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(_PATIENCE)
        try:
            with connection, suppress(OSError, EOFError, ValueError):
                said, _ = wire.receive(connection)
                token = text(said.get("token"))
                grant = self._granted(token)
                if grant is None:
                    wire.send(connection, {"refused": "the token is not good, or no more"})
                    return
                wire.send(connection, {"shard": grant.shard})
                self._lend_all(connection, token, grant)
        finally:
            with self._lock:
                self._connections.discard(connection)

    def _lend_all(self, connection: socket.socket, token: str, grant: Grant) -> None:
        for session in grant.sessions:
            wire.receive(connection)
            grant.at = ""
            found = self._lent(grant, session)
            if found is None:
                wire.send(connection, {"skip": True})
                continue
            lent, records = found
            if self._granted(token) is not grant:
                wire.send(connection, {"refused": "the token is not good any more"})
                return
            grant.at = session
            wire.send(connection, wire.as_said(lent), lent.sealed.key)
            for record in records:
                wire.send(connection, {}, record)
        wire.receive(connection)
        grant.at = ""
        wire.send(connection, {"end": True})

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

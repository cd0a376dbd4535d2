"""What an organisation, or whoever has an account, allows and denies its own cloud sessions.

Rules kept here:

* The operator's lists and the account's hold together: either may deny, and what either denies
  is denied. An entry of the account's reaches no address that is not public; networks are for the
  operator to open.
* A port of its own is one beyond 1023: an account's list opens no way to send mail from the host.
* One entry says one thing: allowing what was denied replaces it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from sqlalchemy import Engine, Row, delete, insert, select

from bailee.clock import Clock
from bailee.cloud.egress.rules import PORTS, EgressRules, Pattern
from bailee.db.cloud_network import network_entries
from bailee.db.engine import reading, storage_errors
from bailee.errors import InputError
from bailee.ledger import Ledger

Side = Literal["allow", "deny"]

_WHAT: Final = "the lists of hosts"
_MOST: Final = 1000


@dataclass(frozen=True, slots=True)
class NetworkEntry:
    """One entry of an account's lists."""

    id: str
    account_id: str
    side: Side
    entry: str
    created_at: datetime
    created_by: str


class NetworkLists:
    """The lists of a home's accounts."""

    def __init__(
        self,
        engine: Engine,
        *,
        ledger: Ledger,
        clock: Clock,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._engine = engine
        self._ledger = ledger
        self._clock = clock
        self._random = random

    def rules(
        self, account_id: str, level: str, *, allow: Iterable[str] = (), deny: Iterable[str] = ()
    ) -> EgressRules:
        """The rules of a session of this account. `allow`, `deny`: the operator's.

        Raises:
            InputError: code `configuration`; a level or an entry of the operator's is none.
        """
        own = self.all(account_id)
        return EgressRules.of(
            level,
            allow=[*allow, *(one.entry for one in own if one.side == "allow")],
            deny=[*deny, *(one.entry for one in own if one.side == "deny")],
        )

    def all(self, account_id: str) -> list[NetworkEntry]:
        """The entries of an account, by what they say."""
        query = select(network_entries).where(network_entries.c.account_id == account_id)
        query = query.order_by(network_entries.c.verdict, network_entries.c.entry)
        with storage_errors(_WHAT), reading(self._engine) as connection:
            return [_entry(row) for row in connection.execute(query)]

    def get(self, entry_id: str) -> NetworkEntry:
        """One entry.

        Raises:
            InputError: code `not_found`.
        """
        query = select(network_entries).where(network_entries.c.id == entry_id)
        with storage_errors(_WHAT), reading(self._engine) as connection:
            row = connection.execute(query).first()
        if row is None:
            raise InputError(
                f"there is no entry {entry_id}.",
                code="not_found",
                hint="see `bailee cloud network`",
            )
        return _entry(row)

    def add(self, account_id: str, side: Side, text: str, *, by: str) -> NetworkEntry:
        """Allow or deny a host. One that says so already is replaced.

        Raises:
            InputError: it is no entry, or opens a port that an account's list can't, or there are
                too many.
        """
        pattern = Pattern.read(text)
        port = pattern.port
        if side == "allow" and port is not None and port < 1024 and port not in PORTS:
            raise InputError(
                f"port {port} can't be opened by an account's list.",
                hint="a port of its own is one beyond 1023",
            )
        if len(self.all(account_id)) >= _MOST:
            raise InputError(f"there are {_MOST} entries already.", hint="use *.host")
        made = NetworkEntry(
            id=f"net_{self._random(8).hex()}",
            account_id=account_id,
            side=side,
            entry=str(pattern),
            created_at=self._clock(),
            created_by=by,
        )
        with storage_errors(_WHAT), self._engine.begin() as connection:
            connection.execute(
                delete(network_entries).where(
                    network_entries.c.account_id == account_id,
                    network_entries.c.entry == made.entry,
                )
            )
            connection.execute(
                insert(network_entries).values(
                    id=made.id,
                    account_id=account_id,
                    verdict=side,
                    entry=made.entry,
                    created_at=made.created_at,
                    created_by=by,
                )
            )
            body = {"entry": made.entry, "verdict": side, "by": by, "again": made.entry}
            self._ledger.append(
                "cloud_network.added", account_id, body, whose=account_id, connection=connection
            )
        return made

    def remove(self, entry_id: str, *, by: str) -> NetworkEntry:
        """Remove an entry.

        Raises:
            InputError: code `not_found`.
        """
        gone = self.get(entry_id)
        with storage_errors(_WHAT), self._engine.begin() as connection:
            connection.execute(delete(network_entries).where(network_entries.c.id == entry_id))
            body = {"entry": gone.entry, "verdict": gone.side, "by": by, "again": gone.entry}
            self._ledger.append(
                "cloud_network.removed",
                gone.account_id,
                body,
                whose=gone.account_id,
                connection=connection,
            )
        return gone

    def remove_all(self, account_id: str) -> None:
        """Take every entry of an account away, because it is erased."""
        with storage_errors(_WHAT), self._engine.begin() as connection:
            connection.execute(
                delete(network_entries).where(network_entries.c.account_id == account_id)
            )


def _entry(row: Row[tuple[object, ...]]) -> NetworkEntry:
    return NetworkEntry(
        row.id, row.account_id, row.verdict, row.entry, row.created_at, row.created_by
    )

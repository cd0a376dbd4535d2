"""What sessions need around them: rooms for machines, what serves one, its key at the gateway."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from bailee.cloud.ports import End, Machines, Service
from bailee.cloud.sessions.asked import Asked
from bailee.cloud.sessions.records import SessionRecord
from bailee.json_values import JsonObject

Counts = Mapping[str, str | int | float | bool | None]


class Hosts(Machines, Protocol):
    """Machines on hosts that have room for so many."""

    async def room(self, session: str) -> None:
        """Wait until there is room for one more, and keep it for this session.

        Raises:
            MachineError: there is none and there will be none.
        """

    def leave(self, session: str) -> None:
        """Give the room back."""


class Served(Protocol):
    """What serves one session."""

    @property
    def services(self) -> Mapping[str, Service]:
        """By name."""

    @property
    def clone_address(self) -> str:
        """The repository's, inside the guest."""

    @property
    def git_authorization(self) -> str:
        """What git shows there."""

    def connections(self) -> list[JsonObject]:
        """The records of connections since the last call, as plain objects."""

    def counts(self) -> Counts:
        """What the audit record says at the end."""

    async def close(self) -> None:
        """Nothing is served any more."""


Serve = Callable[[SessionRecord, Asked, Callable[[End], None]], Served]
"""Makes what serves a session; the callback ends it (the egress policy may)."""


class SessionTokens(Protocol):
    """The credentials that sessions have at the gateway."""

    def issue(self, record: SessionRecord) -> tuple[str, str]:
        """A new one for this session: its id, and the token itself."""

    def revoke(self, token_id: str) -> None:
        """It stops working, now and for good."""

    def end(self, session_id: str) -> None:
        """Whatever this session still has, of an earlier process too, stops working."""


@dataclass(frozen=True, slots=True)
class SessionQuota:
    """How many sessions there may be: `waiting` in all that have not ended, `account` of one."""

    waiting: int
    account: int

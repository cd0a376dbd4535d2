"""What a home has while a server runs, as the rest sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine
from typing import Any, Protocol

from bailee.cloud.sessions.log import Event
from bailee.cloud.sessions.sessions import Sessions


class RunningCloud(Protocol):
    """The cloud sessions of a running server, on the thread that they live on."""

    @property
    def sessions(self) -> Sessions:
        """The sessions; their coroutines run by `call`."""
        ...

    @property
    def plain(self) -> bool:
        """Whether a repository may be reached without TLS."""
        ...

    def call(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Do something on the sessions' loop, and wait for it."""
        ...

    def events(self, session_id: str, after: int) -> AsyncIterator[list[Event]]:
        """See `Sessions.events`."""
        ...

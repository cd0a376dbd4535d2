"""What a home has while a server runs, as the rest sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar

from bailee.auditing.streams import StreamStanding
from bailee.cloud.sessions.log import Event
from bailee.cloud.sessions.sessions import CloudSessions
from bailee.health import Ask

T = TypeVar("T")


class RunningCloud(Protocol):
    """The cloud sessions of a running server, on the thread that they live on. Operations call it
    from any other; `app.cloud_running` implements it.
    """

    @property
    def sessions(self) -> CloudSessions:
        """The sessions; their coroutines run by `call`."""
        ...

    @property
    def plain(self) -> bool:
        """Whether a repository may be reached without TLS."""
        ...

    def call(self, work: Coroutine[object, None, T]) -> T:
        """Do something on the sessions' loop, and wait for it."""
        ...

    def events(self, session_id: str, after: int) -> AsyncIterator[list[Event]]:
        """See `CloudSessions.events`."""
        ...


@dataclass(frozen=True, slots=True)
class Serving:
    """What operations can ask of a running server besides its home: how it stands (`health`), to
    have counted what waits to be (`measured`), its cloud sessions, how the audit record's streams
    go (`streams`), since when it runs, what it says of itself in numbers (`figures`, by name and
    labels, as `monitoring` declares them), and until when its own certificate is good.
    """

    health: Ask
    measured: Callable[[], None]
    cloud: RunningCloud
    since: datetime
    streams: Callable[[], list[StreamStanding]] = list
    figures: Callable[[], Mapping[str, Mapping[tuple[str, ...], float]]] = dict
    certificate_ends: Callable[[], datetime | None] = lambda: None

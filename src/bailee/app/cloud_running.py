"""A server's cloud sessions: the thread that they live on, their runners, their tokens.

They have an event loop of their own, so that no byte that a session pulls through its proxies, and
no write of its log, holds up the gateway's. The first session starts a runner, if there is none.

Rows: C1.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import lru_cache, partial
from typing import Final, TypeVar

import uvloop

from bailee.accounts import PeopleRegistry
from bailee.accounts.ephemeral_keys import SESSION_ENDED
from bailee.accounts.roles import Permission
from bailee.app.cloud_serving import CloudServing, DemandsOf
from bailee.app.durable import CloudQueue
from bailee.clock import Clock
from bailee.cloud.egress.demands import EgressDemand
from bailee.cloud.ports import MachineLimits
from bailee.cloud.runners.pool import Runners
from bailee.cloud.sessions.around import Hosts, SessionQuota
from bailee.cloud.sessions.log import Event
from bailee.cloud.sessions.records import SessionRecord
from bailee.cloud.sessions.sessions import CloudSessions
from bailee.config import Settings
from bailee.errors import InputError, StorageError
from bailee.node.stores import Stores
from bailee.policy.document import HOSTS, OPENS, NetworkDemand

T = TypeVar("T")

_MB: Final = 1 << 20
_OPERATORS: Final = "the policy document"
_PASSED_ON: Final = (
    "PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "XDG_CACHE_HOME", "XDG_DATA_HOME",
    "BAILEE_CLOUD_IMAGES",
)  # fmt: skip
"""What a runner gets of the server's environment, which holds the upstream's key."""


class Cloud:
    """The cloud sessions of a running server, with the thread and event loop that they live on.

    A server's wiring makes it; the server calls `start`, `begin`, `end` and `stop`, in this order.
    These, `stop_owned` and `call` are called from any other thread than its own: they wait for what
    is done there. The coroutines of `sessions` run on that loop alone; `events` may be followed on
    any. It never touches the gateway's loop.
    """

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._serving = CloudServing(
            stores.home,
            stores.settings,
            stores.ledger,
            credentials=stores.git_connections.credential,
            rules=stores.network_lists.rules,
            demands=demands_of(stores),
            opens=lambda what: what in stores.policy.document.cloud_opens,
        )
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="cloud", daemon=True)
        self._runners = Runners(stores.home.runner_socket, launch=self._launch)
        self._enqueue: Callable[[str], None] | None = None
        self.sessions = make_sessions(stores, self._runners, self._serving, self._queued)

    @property
    def queue(self) -> CloudQueue:
        """What the durable queue needs to know."""
        return CloudQueue(self._run, self._stores.settings.number("cloud.capacity"))

    @property
    def plain(self) -> bool:
        """Whether a repository may be reached without TLS."""
        return self._serving.plain

    def start(self) -> None:
        """Take runners in. Sessions wait until there is a queue (`begin`). What an earlier process
        left has lost its machine, and so its key.
        """
        with self._stores.room.deleting(), suppress(StorageError):  # a sweep writes it then
            self._stores.accounts.ephemeral.end_of_sessions()
        self._thread.start()
        self.sessions.loop = self._loop
        self.call(self._runners.listen())

    def begin(self, enqueue: Callable[[str], None]) -> None:
        """Take up what an earlier process left; `enqueue` puts an id into the durable queue."""
        self._enqueue = enqueue
        self.call(self.sessions.begin())

    def end(self) -> None:
        """End the sessions that run; while there is a queue still."""
        self.call(self.sessions.close())

    def stop(self) -> None:
        """Let the runners go."""
        self.call(self._runners.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def stop_owned(self, account_id: str) -> None:
        """End the sessions of an account, if any can run."""
        if self._thread.is_alive():
            self.call(self.sessions.stop_owned(account_id))

    def call(self, work: Coroutine[object, None, T]) -> T:
        """Do something on the sessions' loop, and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def events(self, session_id: str, after: int) -> AsyncIterator[list[Event]]:
        """See `CloudSessions.events`."""
        return self.sessions.events(session_id, after)

    def _queued(self, session_id: str) -> None:
        # Until the queue is there a session waits; `begin` finds it.
        if self._enqueue is not None:
            self._enqueue(session_id)

    def _run(self, session_id: str) -> Awaitable[str]:
        leading = asyncio.run_coroutine_threadsafe(self.sessions.run(session_id), self._loop)
        return asyncio.wrap_future(leading)

    async def _launch(self) -> str:
        """Start a runner of this home and wait for its end; the last that it complained about."""
        command = [sys.executable, "-m", "bailee", "cloud", "runner"]
        process = await asyncio.create_subprocess_exec(
            *command,
            "--home",
            str(self._stores.home.path),
            env=environment(self._stores.settings),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        assert process.stderr is not None
        last: deque[str] = deque(maxlen=8)
        async for line in process.stderr:
            last.append(line.decode("utf-8", "replace")[:400])
        await process.wait()
        return "".join(last)


@lru_cache(maxsize=64)
def _demands(
    operators: tuple[NetworkDemand, ...], opens: tuple[str, ...], own: tuple[NetworkDemand, ...]
) -> tuple[EgressDemand, ...]:
    first = [replace(_demand(one), whose=_OPERATORS) for one in operators]
    if HOSTS not in opens:
        first.append(EgressDemand(OPENS, None, (), listed=False, whose=_OPERATORS))
    return (*first, *map(_demand, own))


def _demand(one: NetworkDemand) -> EgressDemand:
    return EgressDemand.of(one.clause.id, one.level, one.hosts)


def demands_of(stores: Stores) -> DemandsOf:
    """What the documents demand of the network of an account's sessions, the operator's first: a
    look into memory.
    """

    def demanded(account_id: str) -> Sequence[EgressDemand]:
        policy = stores.policy_of(stores.accounts.get(account_id))
        document, own = policy.document, policy.own
        return _demands(document.network, document.cloud_opens, () if own is None else own.network)

    return demanded


class SessionKeys:
    """The gateway's keys of cloud sessions: `around.SessionTokens`. Called on the sessions' thread.
    The keys are those of `Accounts`; it holds none.
    """

    def __init__(self, registry: PeopleRegistry, clock: Clock, lasts: timedelta) -> None:
        """`lasts`: for how long a key is good at the most."""
        self._clock = clock
        self._accounts, self._authority = registry.accounts, registry.authority
        self._lasts = lasts

    def issue(self, record: SessionRecord) -> tuple[str, str]:
        """See `around.SessionTokens.issue`.

        Raises:
            InputError: whoever asked for the session may have none there any more (`forbidden`,
                `authentication`, `not_found`).
            StorageError: it can't be kept.
        """
        return self._accounts.key_for_cloud_session(
            record.owner,
            record.id,
            zero_retention=record.zero_retention,
            by=record.by,
            lasts=self._lasts,
            still=partial(self._require, record),
        )

    def revoke(self, token_id: str) -> None:
        """See `around.SessionTokens.revoke`."""
        self._accounts.ephemeral.end(token_id, by=SESSION_ENDED)

    def end(self, session_id: str) -> None:
        """See `around.SessionTokens.end`."""
        self._accounts.ephemeral.end_of_session(session_id)

    def _require(self, record: SessionRecord) -> None:
        """Whether who asked may still have it: it may have waited for long."""
        if record.by.startswith("per_"):
            actor = self._authority.by_person(record.by)
            account = self._accounts.get(record.owner)
            self._authority.require(actor, Permission.CLOUD_START, account)
        elif record.by.startswith("key_") and self._accounts.api_key(record.by).is_over(
            self._clock()
        ):
            raise InputError("the key that asked for this session is over.", code="forbidden")


def make_sessions(
    stores: Stores, hosts: Hosts, serving: CloudServing, enqueue: Callable[[str], None]
) -> CloudSessions:
    """A home's sessions on these hosts."""
    settings = stores.settings
    return CloudSessions(
        stores.cloud,
        hosts=hosts,
        serve=serving.serve,
        tokens=SessionKeys(stores.registry, stores.clock, _lasts(settings)),
        clock=stores.clock,
        limits=limits(settings),
        admission=SessionQuota(
            settings.number("cloud.waiting"), settings.number("cloud.per_account")
        ),
        enqueue=enqueue,
    )


def _lasts(settings: Settings) -> timedelta:
    """For how long a session's key is good at the most: its machine starts within an hour."""
    return timedelta(minutes=settings.number("cloud.minutes")) + timedelta(hours=1)


def limits(settings: Settings) -> MachineLimits:
    """What a session's machine may use."""
    return MachineLimits(
        memory=settings.number("cloud.memory_mb") * _MB,
        cpus=settings.number("cloud.cpus"),
        disk=settings.number("cloud.disk_mb") * _MB,
        processes=settings.number("cloud.processes"),
        wall_clock=settings.number("cloud.minutes") * 60.0,
        idle=settings.number("cloud.idle_minutes") * 60.0,
    )


def environment(settings: Settings) -> dict[str, str]:
    """A runner's environment: nothing of the server's that is a secret."""
    found = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    for name in ("cloud.image", "cloud.capacity", "cloud.warm", "cloud.memory_mb", "cloud.cpus"):
        value = settings.values[name]
        if value is not None:
            found["BAILEE_" + name.upper().replace(".", "_")] = str(value)
    for name in ("cloud.disk_mb", "cloud.processes", "cloud.minutes", "cloud.idle_minutes"):
        found["BAILEE_" + name.upper().replace(".", "_")] = str(settings.values[name])
    return found

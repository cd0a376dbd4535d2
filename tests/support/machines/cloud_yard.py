"""Cloud sessions over a real home, in machines that are scripted, without a durable queue."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bailee.app.cloud_running import SessionKeys
from bailee.cloud.ports import Command, End, MachineLimits, Output, Service
from bailee.cloud.sessions.around import SessionQuota
from bailee.cloud.sessions.asked import Asked
from bailee.cloud.sessions.records import SessionRecord
from bailee.cloud.sessions.sessions import CloudSessions
from bailee.cloud.sessions.states import SessionState
from bailee.home import Home
from bailee.node.node import Node
from bailee.testing.clock import FakeClock
from bailee.testing.machines import ScriptedMachines

START = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
TASK = "plant nineteen apricot trees"
CONVERSATION = "0c8f4a3e-1111-4222-8333-444455556666"


@dataclass
class Guest:
    """What the commands of a session's guest do. `hold`: the agent waits for it."""

    statuses: dict[str, int] = field(default_factory=dict)
    hold: asyncio.Event | None = None
    working: asyncio.Event = field(default_factory=asyncio.Event)
    prompts: list[str] = field(default_factory=list)
    commits: int = 0

    def __call__(self, command: Command, output: Output) -> Awaitable[int] | int:
        """Carry one out."""
        name = self.name(command)
        if name == "agent":
            return self._agent(command, output)
        if name == "prepare":
            output("stdout", b"aaaa\n")
        elif name == "head":
            output("stdout", b"commit%d\n" % self.commits)
        elif name == "diff":
            output("stdout", b"diff --git a/orchard b/orchard\n+nineteen apricot trees\n")
        elif name == "commit":
            self.commits += 1
        elif name == "conversation":
            for number in range(len(self.prompts)):
                output("stdout", b'{"type":"prompt","number":%d}\n' % number)
        return self.statuses.get(name, 0)

    @staticmethod
    def name(command: Command) -> str:
        """Which of a session's commands it is."""
        text = " ".join(command.argv)
        words = {
            " clone ": "clone", "checkout --quiet -B": "prepare", "bailee code": "agent",
            "git commit": "commit", "rev-parse HEAD": "head", "git diff": "diff",
            "git push": "push", "bailee local export": "conversation",
        }  # fmt: skip
        return next(name for part, name in words.items() if part in text)

    async def _agent(self, command: Command, output: Output) -> int:
        self.prompts.append(command.stdin.decode())
        for line in (
            {"type": "system", "session_id": CONVERSATION},
            {"type": "assistant", "message": {"content": [{"type": "text", "text": "planted"}]}},
        ):
            output("stdout", json.dumps(line).encode() + b"\n")
        self.working.set()
        if self.hold is not None:
            await self.hold.wait()
        return self.statuses.get("agent", 0)


class NothingServed:
    """Serves nothing, and says one connection. `end` is what would end the session."""

    def __init__(self, end: Callable[[End], None]) -> None:
        self.services: dict[str, Service] = {}
        self.clone_address = "http://127.0.0.1:8418/git.example/orchard"
        self.git_authorization = "Bearer git-token"
        self.end = end
        self.closed = False
        self._connections = [{"at": START.isoformat(), "host": "pypi.org", "outcome": "allowed"}]

    def connections(self) -> list[dict[str, Any]]:
        """See `around.Served`."""
        found, self._connections = self._connections, []
        return found

    def counts(self) -> dict[str, str | int | float | bool | None]:
        """See `around.Served`."""
        return {"egress_connections": 1}

    async def close(self) -> None:
        """See `around.Served`."""
        self.closed = True


class Yard:
    """A home, an account, and sessions in scripted machines."""

    def __init__(self, folder: Path) -> None:
        self.clock = FakeClock(START)
        self.home = Home(folder / "home")
        self.node = Node.open(self.home, clock=self.clock)
        self.account, _, _ = self.node.accounts.create(plan="pro", name="ada")
        self.firm, _, _ = self.node.accounts.create(plan="api", name="firm")
        self.guest = Guest()
        self.served: list[NothingServed] = []
        self.queue: list[str] = []
        self.unservable: Exception | None = None

    @asynccontextmanager
    async def open(self, *, slots: int = 2, **admission: int) -> AsyncIterator[CloudSessions]:
        """The sessions, as one process has them; `queue` holds what the durable queue would."""

        def serve(
            _record: SessionRecord, _asked: Asked, end: Callable[[End], None]
        ) -> NothingServed:
            if self.unservable is not None:
                raise self.unservable
            self.served.append(NothingServed(end))
            return self.served[-1]

        self.guest.working = asyncio.Event()
        self.machines = ScriptedMachines(self.guest, slots)
        sessions = CloudSessions(
            self.node.cloud,
            hosts=self.machines,
            serve=serve,
            tokens=SessionKeys(self.node.registry, self.clock, timedelta(hours=1)),
            clock=self.clock,
            limits=MachineLimits(wall_clock=30.0),
            admission=SessionQuota(admission.get("waiting", 10), admission.get("account", 5)),
            enqueue=self.queue.append,
        )
        sessions.loop = asyncio.get_running_loop()
        yield sessions

    def request(
        self,
        sessions: CloudSessions,
        *,
        zero: bool = False,
        linger: float = 0.0,
        task: str = TASK,
        by: str = "operator",
    ) -> str:
        """Ask for a session; its id. `by`: who asks."""
        session = sessions.new_id()
        repository = "https://git.example/orchard"
        branch = f"bailee/{session}"
        asked = Asked(task, repository, None, branch, "trusted", "bailee", linger)
        account = self.firm if zero else self.account
        sessions.request(
            session,
            asked,
            owner=account.account_id,
            by=by,
            plan=account.plan,
            zero=zero,
        )
        return session

    def entries(self, session: str) -> list[tuple[str, dict[str, Any]]]:
        """The audit record's entries about a session."""
        found = self.node.ledger.entries(subject=session)
        return [(leaf.kind, dict(leaf.body)) for leaf in found]

    def token(self) -> bytes:
        """What the last agent had as its key."""
        command = next(
            one for one in self.machines.started[-1].commands if Guest.name(one) == "agent"
        )
        return command.environment["ANTHROPIC_AUTH_TOKEN"].encode()

    def reopened(self) -> None:
        """The home as another process finds it."""
        self.node.close()
        self.node = Node.open(self.home, clock=self.clock)


async def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait until something is true."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


def state_of(yard: Yard, session: str) -> SessionState:
    """How far a session has come."""
    return yard.node.cloud.records.get(session).state

"""An open home with people in it, whose clients are played by the test, and whose time it sets."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path

import orjson

from bailee.app.node import Node
from bailee.errors import StorageError
from bailee.home import Home, HomeLock
from bailee.testing import FakeClock
from bailee.vault.exchange import CapturedExchange, Outcome, Terms
from bailee.vault.transcript import SessionRow


class Place:
    """An open home with one consumer, who uses a client."""

    def __init__(self, folder: Path) -> None:
        self.clock = FakeClock(datetime.fromisoformat("2026-01-01T12:00:00+00:00"))
        self.folder = folder
        self.prepare()
        self.open()
        self.account = self.node.accounts.create(plan="pro", name="ada")[0].account_id

    def prepare(self) -> None:
        """Make ready to be opened."""
        self._lock = HomeLock(Home(self.folder))

    def open(self) -> None:
        """Start."""
        Home(self.folder).make()
        self._lock.acquire()
        self.node = Node.open(Home(self.folder), clock=self.clock, environment={})

    def close(self) -> None:
        """Stop."""
        self.node.close()
        self._lock.release()

    def choose(self, choice: str) -> None:
        """The consumer chooses."""
        self.node.accounts.choose_training(
            self.account,
            "allowed" if choice == "allowed" else "refused",
            language="en",
            source="terminal",
        )

    def begin(
        self, session: str, *, account: str = "", key: str = "k", text: str = "hello"
    ) -> CapturedExchange:
        """A request that begins now, on the terms that hold now; it may end later."""
        owner = account or self.account
        account_now = self.node.accounts.get(owner)
        decision = self.node.policy.retain(
            data_class="transcript",
            plan=account_now.plan,
            channel="api",
            training_choice=account_now.training_choice,
            zero_retention=False,
            partner_programme=False,
        )
        assert decision.retention is not None
        body = {"model": "m", "messages": [{"role": "user", "content": text}]}
        now = self.clock().timestamp()
        return CapturedExchange(
            exchange_id=f"x{now}",
            owner=owner,
            key_id=key,
            plan=account_now.plan,
            channel="api",
            terms=Terms(decision.retention, decision.clause, decision.document),
            started_at=now,
            ended_at=now,
            outcome=Outcome.COMPLETE,
            method="POST",
            target="/v1/messages",
            status=200,
            request_headers=(("x-claude-code-session-id", session),),
            answer_headers=(),
            request=orjson.dumps(body),
            answer=b"{}",
            consent=account_now.consent,
        )

    def end(self, exchange: CapturedExchange) -> None:
        """Its answer ends now; wait until it is in the index."""
        self.keep(exchange)
        self.node.vault.flush()

    def keep(self, exchange: CapturedExchange) -> None:
        """Its answer ends now; wait until it is durable."""
        exchange = exchange._replace(ended_at=self.clock().timestamp())

        async def run() -> None:
            loop = asyncio.get_running_loop()
            self.node.vault.spool._loop = loop  # a test's loop lives for one call
            future: asyncio.Future[StorageError | None] = loop.create_future()
            self.node.vault.spool.submit(exchange, future.set_result)
            assert await asyncio.wait_for(future, 30) is None

        asyncio.run(run())

    def sessions(self) -> dict[str, SessionRow]:
        """What is listed."""
        return {row.id: row for row in self.node.vault.sessions(self.clock())}

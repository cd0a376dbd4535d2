"""An open home with people in it, whose clients are played by the test, and whose time it sets."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from bailee.home import Home, HomeLock
from bailee.node.node import Node
from bailee.testing import FakeClock
from bailee.vault.exchange import CapturedExchange
from bailee.vault.transcript import SessionRow
from support.homes.captured import begun, end


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
        return begun(self.node, account or self.account, session, text, key=key)

    def end(self, exchange: CapturedExchange) -> None:
        """Its answer ends now; wait until it is in the index."""
        self.keep(exchange)
        self.node.vault.flush()

    def keep(self, exchange: CapturedExchange) -> None:
        """Its answer ends now; wait until it is durable."""
        end(self.node, exchange)

    def sessions(self) -> dict[str, SessionRow]:
        """What is listed."""
        return {row.id: row for row in self.node.vault.sessions(self.clock())}

"""A home with something of every kind that is kept, a backup of it, and what is restored."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from copy import copy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import copytree
from types import MappingProxyType
from typing import Any

from bailee.accounts import Account
from bailee.backup.places import FolderPlace
from bailee.backup.restoring import Restored, restore
from bailee.cloud.sessions.records import SessionRecord
from bailee.cloud.sessions.states import SessionState
from bailee.errors import BaileeError
from bailee.feedback.reports import Origin
from bailee.home import Home, HomeLock
from bailee.node import Node
from bailee.telemetry.queries import Between
from bailee.telemetry.records import figure
from bailee.telemetry.telemetry import Taken
from bailee.testing import FakeClock
from bailee.vault.exchange import Terms
from support.clients.asking import perform
from support.homes.captured import begun, end

START = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)


@dataclass
class BackedUp:
    """The home, open, and places for its backup. `sessions`, `reports`, `cloud`: ids by the word
    that was said in each. `environment`: what is set where it is opened.
    """

    folder: Path
    clock: FakeClock = field(default_factory=lambda: FakeClock(START))
    sessions: dict[str, str] = field(default_factory=dict)
    reports: dict[str, str] = field(default_factory=dict)
    cloud: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.home = Home(self.folder / "home")
        self.data, self.keys = self.folder / "data", self.folder / "keys"
        self.log = self.folder / "log"
        self.open()

    def open(self) -> None:
        """Open the home."""
        self.node = Node.open(self.home, clock=self.clock, environment=self.environment)

    def copied(self, folder: Path) -> BackedUp:
        """All of it once more, in another folder; the home is closed, and stays so."""
        copytree(self.folder, folder, dirs_exist_ok=True)
        made = copy(self)
        made.folder, made.home = folder, Home(folder / "home")
        made.data, made.keys, made.log = folder / "data", folder / "keys", folder / "log"
        return made

    def ask(self, operation: str, **values: Any) -> Any:
        """Ask as the operator."""
        found = perform(self.node, operation, values)
        return list(found) if isinstance(found, Iterator) else found

    def person(self, email: str, plan: str = "pro") -> dict[str, Any]:
        """A person with an account and a key."""
        made: dict[str, Any] = self.ask("person.create", email=email, plan=plan)
        return made

    def say(self, account: str, word: str) -> str:
        """A session of an account in which a word was said; its id."""
        end(self.node, begun(self.node, account, f"session of {word}", word))
        self.node.vault.flush()
        known = set(self.sessions.values())
        rows = self.node.vault.sessions(self.clock(), account)
        (self.sessions[word],) = {row.id for row in rows} - known
        return self.sessions[word]

    def report(self, account: str, word: str) -> str:
        """A report of who has an account; its id."""
        made = self.node.reports.keep(
            Origin(account, self.node.accounts.get(account).person_id, "key_1"),
            {"description": word},
            Terms("P30D", "retain.test", "d" * 64),
            None,
        )
        self.reports[word] = made.id
        return made.id

    def output(self, account: Account, word: str) -> str:
        """What a cloud session of an account left; its id."""
        at = self.clock()
        thing = f"cs-{len(self.cloud):012x}"
        record = SessionRecord(
            thing, account.account_id, "operator", account.plan, False, "bailee", "none",
            SessionState.ENDED, None, None, None, None, at, None, at, at,
        )  # fmt: skip
        self.node.cloud.records.add(record)
        assert self.node.cloud.append(record, "cloud_output", {"said": word}, at)
        self.cloud[word] = thing
        return thing

    def measure(self, *values: float) -> None:
        """Some commands, as metrics."""
        at = int(self.clock().timestamp() * 1000)
        named = [
            figure(at, "bailee.command", "event", one, {"command": "up", "duration_ms": one})
            for one in values
        ]
        taken = Taken(figures=named)
        self.node.telemetry.prepare(taken, {"metric": "P30D", "error_event": "P30D"})
        self.node.telemetry.keep_now(taken)

    def measured(self, node: Node) -> int:
        """How many commands a home knows of."""
        at = self.clock()
        between = Between(at - timedelta(days=40), at + timedelta(minutes=1))
        rows = node.telemetry.metrics.query("bailee.command", between, at).rows
        return int(rows[0]["count"]) if rows else 0

    def back_up(self, *, keys: bool = True) -> None:
        """As `bailee backup create` does."""
        given = {"keys": str(self.keys)} if keys else {}
        self.ask("backup.create", folder=str(self.data), **given)

    def take_log(self) -> None:
        """Copy the log as it is now."""
        self.node.sequencer.run()
        copytree(self.home.ledger, self.log, dirs_exist_ok=True)

    def restore(self, name: str = "restored", **given: Any) -> Restored:
        """Restore into a new home, by the log that was taken last."""
        places: dict[str, Any] = {"place": FolderPlace(self.data), "environment": {}}
        places |= {"keys": self.keys, "ledger": self.log} | given
        new = Home(self.folder / name)
        *_, done = restore(home=new, clock=self.clock, **places)
        assert isinstance(done, Restored)
        return done

    def restored(
        self, name: str = "restored", environment: Mapping[str, str] = MappingProxyType({})
    ) -> RestoredHome:
        """The restored home, open, where that is set."""
        return RestoredHome(self, Home(self.folder / name), environment)


class RestoredHome:
    """A restored home while it is entered: what of it can be read."""

    def __init__(self, of: BackedUp, home: Home, environment: Mapping[str, str]) -> None:
        self._of = of
        self._environment = environment
        self.home = home
        self._lock = HomeLock(home)

    def __enter__(self) -> RestoredHome:
        self._lock.acquire()
        self.node = Node.open(self.home, clock=self._of.clock, environment=self._environment)
        return self

    def __exit__(self, *_: object) -> None:
        self.node.close()
        self._lock.release()

    def words(self) -> set[str]:
        """Every word that can be read, of sessions, reports and cloud sessions."""
        of, at, found = self._of, self._of.clock(), set()
        for word, one in of.sessions.items():
            if self._reads(lambda: self.node.vault.show(one, at)):  # noqa: B023
                found.add(word)
        for word, one in of.reports.items():
            if self._reads(lambda: self.node.reports.open(self.node.reports.get(one, at))):  # noqa: B023
                found.add(word)
        for word, one in of.cloud.items():
            if self._reads(lambda: [*self.node.cloud.read(one, "cloud_output", at)]):  # noqa: B023
                found.add(word)
        return found

    def openable(self, word: str) -> list[str]:
        """The keys of what a word was said in that open still, whatever a row says."""
        of = self._of
        thing = {**of.sessions, **of.reports, **of.cloud}[word]
        names = self.node.holds.keeper(thing).keys_of(thing).values()
        return self.node.keyring.living([*names])

    @staticmethod
    def _reads(read: Any) -> bool:
        try:
            return bool(read())
        except BaileeError:
            return False


def rows(database: Path, query: str) -> list[Any]:
    """What a query gives of a database that is closed."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro&immutable=1", uri=True)) as read:
        return read.execute(query).fetchall()

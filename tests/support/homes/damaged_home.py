"""A home with every kind of thing in it, as a kill leaves it; and what can be seen of a copy of it.

The first half of it is in the databases' files, the second, made after the last stop, in their
write-ahead logs.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from bailee.damage import Damaged
from bailee.errors import BaileeError
from bailee.feedback.reports import Origin
from bailee.home import Home, HomeLock
from bailee.node.node import Node
from bailee.node.verifying import known, verify
from bailee.telemetry.queries import Between
from bailee.telemetry.records import figure
from bailee.telemetry.telemetry import Taken
from bailee.testing import FakeClock
from bailee.vault.exchange import Terms
from support.clients.asking import perform
from support.homes.places import Place

HELD, LONG, SHIPPED, DELETED, BOBS, LATE, ERASED, UNSEALED = (
    f"{8 * n}-32a5-4d0c-8f0b-0d7c3d1c1a11" for n in "12345678"
)
KEPT = (HELD, LONG, SHIPPED, BOBS, LATE, UNSEALED)
Damage: TypeAlias = Callable[[Path, Path], None]
"""Does something to a home; what it takes from another one is there."""
REPORT = {"description": "medlar: it stops", "environment": {"os": "linux"}}
LEFT_OUT = ("run", "reserve")


@dataclass
class Seen:
    """What is seen of a home. `refused`: what the start said, if it was refused. `shown`: what each
    session says, or the error; `held`, `trained`: sessions that are; `figures`: of the telemetry;
    `report`: the content; `said`: everything that names a damage.
    """

    refused: str | None = None
    hinted: bool = False
    before_writing: bool = False
    shown: dict[str, Any] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    held: set[str] = field(default_factory=set)
    trained: set[str] = field(default_factory=set)
    figures: Any = None
    report: Any = None
    listed: dict[str, Any] = field(default_factory=dict)
    keys: set[str] = field(default_factory=set)
    people: Any = None
    said: list[Damaged] = field(default_factory=list)
    known: list[Damaged] = field(default_factory=list)

    def words(self) -> str:
        """All that names a damage."""
        named = [f"{one.where}: {one.what}" for one in (*self.said, *self.known)]
        return "\n".join([self.refused or "", *self.errors.values(), *named])


class Original:
    """The home, and what is to be seen of it. Made once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "home"
        place = Place(folder / "live")
        self.clock: FakeClock = place.clock
        self._first(place)
        place.close()
        (folder / "live" / "bailee.toml").write_text('[policy]\n# document = "own.toml"\n')
        place.open()
        self._second(place)
        place._lock.release()  # as a kill leaves it: nothing is closed
        fold(Path(shutil.copytree(self.folder, folder / "folded")))
        self.folded = folder / "folded"
        self.keys = {"ada": self.ada["key"], "bob": self.bob["key"]}
        self.whole = self.see(self.copy(folder / "whole"))

    def copy(self, to: Path, *, folded: bool = False) -> Path:
        """A copy of it; `folded`: with nothing left in the logs."""
        return Path(shutil.copytree(self.folded if folded else self.folder, to))

    def _first(self, place: Place) -> None:
        self._place = place
        node = place.node
        made = [
            perform(node, "person.create", {"email": f"{name}@x.example", "plan": "pro"})
            for name in ("ada", "bob", "eve")
        ]
        self.ada, self.bob, self.eve = made
        place.account = self.ada["account"]
        node.accounts.choose_training(
            self.bob["account"], "refused", language="en", source="terminal"
        )
        self._talk(BOBS, self.bob)
        self._talk(SHIPPED, self.ada)
        self._talk(ERASED, self.eve)
        node.vault.ship()
        place.choose("allowed")
        place.clock.advance(timedelta(seconds=1))
        self._talk(HELD, self.ada)
        self._talk(LONG, self.ada)
        self._talk(DELETED, self.ada)
        origin = Origin(self.ada["account"], self.ada["person"], self.ada["key_id"])
        self.report = node.reports.keep(
            origin, dict(REPORT), Terms("P5Y", "retain.feedback-report", "d"), None
        ).id
        self._measure(node, 3.0)
        perform(node, "hold.place", {"session": HELD, "reason": "a matter"})
        perform(node, "sessions.delete", {"id": DELETED})
        perform(node, "person.erase", {"id": self.eve["person"]})

    def _second(self, place: Place) -> None:
        node = place.node
        self._talk(LATE, self.bob)
        self._measure(node, 4.0)
        perform(node, "hold.place", {"session": BOBS, "reason": "another"})
        node.accounts.choose_training(
            self.ada["account"], "refused", language="en", source="terminal"
        )
        node.sweep(place.clock())
        with node.vault.lock:  # so that nothing is sealed
            place.keep(place.begin(UNSEALED, account=self.bob["account"], text="not sealed"))
            self._measure(node, 5.0)
            self._snapshot(self.folder)

    def _snapshot(self, to: Path) -> None:
        shutil.copytree(
            self._place.folder,
            to,
            ignore=lambda _, names: [n for n in names if n in LEFT_OUT or n.endswith("-shm")],
        )
        for file in (to / "vault" / "spool").iterdir():  # 16 MiB, nearly all of it zeros
            file.write_bytes(file.read_bytes().rstrip(b"\0") + bytes(4096))

    def _talk(self, session: str, who: Any) -> None:
        for text in ("one", "two"):
            said = f"{text} of {session}"
            self._place.end(self._place.begin(session, account=who["account"], text=said))
            self._place.clock.advance(timedelta(seconds=1))

    def _measure(self, node: Node, value: float) -> None:
        at = int(self._place.clock().timestamp() * 1000)
        row = figure(at, "bailee.command", "event", value, {"command": "up", "duration_ms": value})
        taken = Taken(figures=[row])
        node.telemetry.prepare(taken, {"metric": "P30D"})
        node.telemetry.keep_now(taken)

    def see(self, folder: Path) -> Seen:
        """Start a home, look at all of it, and stop."""
        home, seen = Home(folder), Seen()
        try:
            home.make()
            with HomeLock(home):
                node = Node.open(home, clock=FakeClock(self.clock.now), environment={})
                try:
                    self._look(node, seen)
                finally:
                    node.close()
        except BaileeError as error:
            seen.refused = f"{error.message} {error.hint or ''}"
            seen.hinted = error.hint is not None
            seen.before_writing = "nothing was changed" in seen.refused
        return seen

    def _look(self, node: Node, seen: Seen) -> None:
        now = node.clock()

        def ask(name: str, look: Callable[[], Any]) -> Any:
            try:
                return look()
            except BaileeError as error:
                if error.code != "not_found":
                    seen.errors[name] = f"{name}: {error.message}"
                return None

        seen.known = ask("known", lambda: known(node)) or []
        listed = ask("list", lambda: perform(node, "sessions.list", {})) or []
        seen.held = {one["id"] for one in listed if one["held"]}
        seen.trained = {one["id"] for one in listed if one["training"]["effect"] != "deny"}
        seen.listed = {one["id"]: (one["account"], one["kept_until"]) for one in listed}
        for session in {*KEPT, DELETED, ERASED, *seen.listed}:
            found = ask(f"session {session}", partial(_copy_of, node, session))
            if found is not None:
                seen.shown[session] = found
        seen.figures = ask("metrics", lambda: self._figures(node))
        seen.report = ask("report", lambda: node.reports.open(node.reports.get(self.report, now)))
        for name, key in self.keys.items():
            account = ask(f"key of {name}", partial(node.accounts.authenticate, key.encode()))
            if account is not None:
                seen.keys.add(name)
        seen.people = ask("people", lambda: perform(node, "person.list", {}))
        for step, failed in node.sweep(now).failures.items():
            seen.errors[f"sweep {step}"] = f"sweep {step}: {failed.message}"
        seen.said = verify(node, now).damaged

    def _figures(self, node: Node) -> Any:
        at = self.clock.now
        between = Between(at - timedelta(days=2), at + timedelta(minutes=1))
        return node.telemetry.metrics.query("bailee.command", between, at).rows


def fold(home: Path) -> None:
    """Fold the logs of a home into its databases."""
    for name in ("data/data.db", "keyring/keyring.db"):
        with closing(sqlite3.connect(home / name)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def flip(file: Path, at: int) -> None:
    """Change a bit."""
    content = bytearray(file.read_bytes())
    content[at] ^= 4
    file.write_bytes(content)


def row_at(database: Path, table: str, which: str = "1") -> tuple[int, int]:
    """Where in a database's file a row of a table lies: where its first texts begin and end."""
    with closing(sqlite3.connect(database)) as connection:
        (size,) = connection.execute("PRAGMA page_size").fetchone()
        leaves = f"SELECT pageno FROM dbstat WHERE name = '{table}' AND pagetype = 'leaf'"
        pages = [int(row[0]) - 1 for row in connection.execute(leaves)]
        connection.text_factory = bytes
        row = connection.execute(f"SELECT * FROM {table} WHERE {which}").fetchone()
    texts = [value for value in row if isinstance(value, bytes) and value]
    needle = next((one for one in texts if len(one) >= 6), texts[0])
    content = database.read_bytes()
    for page in pages:
        at = content.find(needle, page * size, (page + 1) * size)
        if at >= 0:
            return at, at + len(needle)
    raise AssertionError(f"no row of {table}: {needle!r}")


def _copy_of(node: Node, session: str) -> bytes:
    return b"".join(node.vault.export(session))

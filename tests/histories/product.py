"""The real thing behind the histories: a home, opened in this process, on a machine's clocks that
the test moves.
"""

from __future__ import annotations

import base64
import io
import shutil
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from bailee.accounts import OPERATOR, Actor
from bailee.accounts.consent import ConsentRecord
from bailee.errors import IntegrityError
from bailee.home import Home, HomeLock
from bailee.keeping.holds import key_name
from bailee.keeping.receipts import Receipt
from bailee.node.node import Node
from bailee.operations import table, training
from bailee.testing import FakeMachine
from bailee.vault.exchange import CapturedExchange
from bailee.vault.record import subject_of
from support.clients.asking import perform
from support.homes.captured import begun, end
from support.homes.exporting import InThisProcess

START = datetime.fromisoformat("2026-01-01T12:10:00+00:00")
ORGANISATION = "Acme"


class Product:
    """A home with two consumers, a company that is no organisation, and an organisation with an
    admin and a member. `folder` is its own, and made anew after each crash.
    """

    shard = 2
    """How many sessions of a training export are written at once."""

    def __init__(self, folder: Path) -> None:
        self.fake = FakeMachine(START)
        self._folder, self._lives = folder, 0
        self.accounts: dict[str, str] = {}
        self._lock = HomeLock(Home(self.home))

    @property
    def home(self) -> Path:
        """Where it lies now."""
        return self._folder / f"life {self._lives}"

    def people(self) -> None:
        """Let them in."""
        made = self.node.registry
        for name, plan in (("ada", "pro"), ("bob", "free"), ("firm", "api")):
            self.accounts[name] = made.accounts.create(plan=plan, name=name)[0].account_id
        self.organisation = made.organisations.create(ORGANISATION, plan="team", by=OPERATOR)[
            0
        ].organisation_id
        self.accounts["acme"] = made.organisations.account(self.organisation).account_id
        self.persons = {}
        for role in ("admin", "member"):
            person, _ = made.people.create(f"{role}@acme.example", plan=None, by=OPERATOR)
            made.organisations.add(self.organisation, person.person_id, role, by=OPERATOR)
            self.persons[role] = person.person_id

    def open(self) -> None:
        """Start."""
        Home(self.home).make()
        self._lock = HomeLock(Home(self.home))
        self._lock.acquire()
        self.node = Node.open(Home(self.home), clock=self.fake.machine, environment={})

    def close(self) -> None:
        """Stop."""
        self.node.close()
        self._lock.release()

    def copy(self, folder: Path) -> Product:
        """The same home once more; this one is closed."""
        other = Product(folder)
        _copy(self.home, other.home)
        other.accounts, other.persons = self.accounts, self.persons
        other.organisation = self.organisation
        return other

    @contextmanager
    def dies(self) -> Iterator[None]:
        """What is done meanwhile is acknowledged and not sealed; then the process is no more, and
        what it had on the disk is all there is. Without its index nothing is written by anybody.
        """
        with self.node.vault.lock:
            yield
            before = self.home
            self._lives += 1
            _copy(before, self.home)
        self.node.close()
        self._lock.release()
        shutil.rmtree(before)

    # -- what people do --------------------------------------------------------------------------

    def ask(self, operation: str, **arguments: object) -> Any:
        """An operation, as the command line asks for it."""
        return perform(self.node, operation, arguments)

    def choose(self, name: str, choice: str) -> None:
        """A consumer chooses."""
        self.node.registry.accounts.choose_training(
            self.accounts[name],
            "allowed" if choice == "allowed" else "refused",
            language="en",
            source="terminal",
            by=OPERATOR,
        )

    def partner(self, says: str, *, role: str) -> None:
        """Somebody of the organisation joins or leaves the partner programme."""
        by = self.node.registry.authority.by_person(self.persons[role])
        choices = self.node.registry.choices
        if says == "joined":
            choices.join_partner_programme(
                self.organisation,
                confirmation=ORGANISATION,
                language="en",
                source="console",
                by=by,
            )
        else:
            choices.leave_partner_programme(
                self.organisation, language="en", source="console", by=by
            )

    def begin(self, name: str, client: str, text: str, channel: str) -> CapturedExchange:
        """A request that begins now, on the terms that hold now; as the gateway does it."""
        return begun(self.node, self.accounts[name], client, text, channel=channel)

    def end(self, exchange: CapturedExchange) -> None:
        """Its answer ends now, and that is acknowledged."""
        end(self.node, exchange)

    def keep(self, name: str, row: str, until: datetime) -> None:
        """Its owner keeps a session."""
        values = {"id": row, "until": until.isoformat()}
        by = self._owner(name)
        table.perform(self.node, "sessions.keep", values, by=by)

    def unkeep(self, name: str, row: str) -> None:
        """And takes that back."""
        table.perform(self.node, "sessions.release", {"id": row}, by=self._owner(name))

    def _owner(self, name: str) -> Actor:
        if name == "acme":
            return self.node.registry.authority.by_person(self.persons["admin"])
        return Actor(account_id=self.accounts[name])

    def erase(self, name: str) -> None:
        """A person is erased."""
        self.ask("person.erase", id=self.accounts[name])

    def sweep(self) -> None:
        """What the schedule does."""
        done = self.node.sweep(self.node.clock())
        assert {} == done.failures

    def export(self, folder: Path, meanwhile: Callable[[], None]) -> str:
        """A training export in small shards; `meanwhile` is done when the first is
        written. Its id.
        """
        begun = self.node.exports.begin(
            place=str(folder),
            format="jsonl",
            by="operator",
            reason="a history",
            whose="nobody",
            since=None,
            now=self.node.clock(),
        )
        engine = InThisProcess(meanwhile)
        for _ in training.carry_out(self.node, begun, engine, shard=self.shard):
            pass
        assert engine.done or not self.node.exports.shards(begun.id)
        return begun.id

    # -- what is seen ----------------------------------------------------------------------------

    def listed(self) -> list[dict[str, Any]]:
        """What a person is shown of all sessions."""
        rows: list[dict[str, Any]] = self.ask("sessions.list")
        return rows

    def words(self, row: str) -> list[str]:
        """What a session says."""
        shown = self.node.vault.show(row, self.node.latest())
        messages: list[Any] = [said for one in shown.exchanges for said in one.messages]
        return [said["content"] for said in messages]

    def copied(self, name: str) -> set[str]:
        """The sessions of which there is a transcript in a person's copy of what is held."""
        items = self.ask("person.export", id=self.accounts[name])
        pieces = [base64.b64decode(item["data"]) for item in items if "data" in item]
        with zipfile.ZipFile(io.BytesIO(b"".join(pieces))) as archive:
            names = [Path(one) for one in archive.namelist() if one.startswith("sessions/")]
        return {one.stem for one in names if one.suffix == ".jsonl"}

    def records(self, name: str) -> list[ConsentRecord]:
        """Their consent records."""
        return self.node.accounts.consent_records(self.accounts[name])

    def receipts(self, row: str) -> list[Receipt]:
        """What was said to be destroyed of a session."""
        return self.node.receipts.about([row])

    def has_key(self, row: str) -> bool:
        """Whether a session can be opened by anybody, ever."""
        return self._has(subject_of(row))

    def has_hold_key(self, hold: str) -> bool:
        """Whether a held session can be opened for the matter it is held for."""
        return self._has(key_name(hold))

    def _has(self, subject: str) -> bool:
        try:
            self.node.keyring.get(subject)
        except IntegrityError:
            return False
        return True


def client_id(number: int) -> str:
    """The name that a client gives a session."""
    return str(UUID(int=(number << 80) | (4 << 76) | (8 << 60)))


def _copy(home: Path, to: Path) -> None:
    """Copy a home, but for the room that is kept on its disk."""
    shutil.copytree(home, to, ignore=shutil.ignore_patterns("reserve", "run"))


def step_of(product: Product) -> timedelta | None:
    """The step of the clock that is held."""
    assert product.node.minding is not None
    step = product.node.minding.clock.step()
    return None if step is None else step.by

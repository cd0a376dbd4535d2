"""The people of a home over a real SQLite file, with cheap password hashes that are counted."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from argon2 import PasswordHasher

from bailee.accounts import OPERATOR, Account, Actor, PeopleRegistry, Person
from bailee.clock import Clock
from bailee.db.migrate import upgrade
from bailee.errors import IntegrityError
from bailee.ledger import Ledger
from bailee.policy import load
from bailee.policy.holding import PolicyHolder
from bailee.testing import FakeClock
from bailee.testing.sealing import SealingInMemory
from support.homes.databases import opened

PASSWORD = "seven pear trees in a row"


class CountingHasher:
    """Argon2 with the cheapest parameters, which counts what it is asked to work out."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
        self.hashes = 0

    def hash(self, password: str) -> str:
        """Argon2's digest."""
        self.hashes += 1
        return self._hasher.hash(password)

    def verify(self, hash: str, password: str) -> bool:  # noqa: A002
        """Argon2's comparison, which is one hash too."""
        self.hashes += 1
        return self._hasher.verify(hash, password)

    def check_needs_rehash(self, hash: str) -> bool:  # noqa: A002
        """Whether it was made with other parameters."""
        return self._hasher.check_needs_rehash(hash)


class KeysInMemory:
    """Persons' keys that a test can destroy."""

    def __init__(self) -> None:
        self._made: dict[str, bytes] = {}

    def make(self, person_id: str) -> bytes:
        """A key that follows from the id."""
        return self._made.setdefault(person_id, hashlib.sha256(person_id.encode()).digest())

    def get(self, person_id: str) -> bytes:
        """The key, if it was made and not destroyed."""
        if person_id not in self._made:
            raise IntegrityError("the key has been destroyed.", code="key_destroyed")
        return self._made[person_id]

    def index_key(self) -> bytes:
        """A fixed key."""
        return b"i" * 32

    def destroy(self, person_id: str) -> None:
        """Forget a key."""
        del self._made[person_id]


class Town:
    """People, organisations and what they need, which can be opened anew."""

    def __init__(self, folder: Path, clock: Clock | None = None) -> None:
        self.fake = FakeClock()
        self.clock: Clock = clock or self.fake
        self.folder = folder
        self.engine = opened(folder / "data.db")
        upgrade(self.engine, "data")
        self.policy = load()
        self.holding = PolicyHolder(self.policy)
        self.ledger = Ledger(self.engine, self.clock, SealingInMemory())
        self.keys = KeysInMemory()
        self.hasher = CountingHasher()
        self.environment: dict[str, str] = {}
        self.registry = self.reopened()

    def reopened(
        self, sign_up: bool = True, follow: Callable[[str], None] = lambda _account: None
    ) -> PeopleRegistry:
        """The people as a new process would find them."""
        return PeopleRegistry(
            self.engine,
            self.holding,
            self.clock,
            self.ledger,
            keys=self.keys,
            hasher=self.hasher,
            environment=self.environment,
            sign_up=("free", "pro", "max") if sign_up else (),
            retention_follows=follow,
        )

    def person(self, email: str, plan: str | None = "pro") -> tuple[Person, Account | None]:
        """A person made by the operator."""
        return self.registry.people.create(email, plan=plan, by=OPERATOR)

    def actor(self, person: Person) -> Actor:
        """A person who has signed in."""
        return self.registry.authority.by_person(person.person_id)

    def organisation(self, name: str = "Acme", plan: str = "team", **roles: Person) -> str:
        """An organisation whose members have the roles that they are named by."""
        made, _ = self.registry.organisations.create(name, plan=plan, by=OPERATOR)
        for role, person in roles.items():
            self.registry.organisations.add(
                made.organisation_id, person.person_id, role, by=OPERATOR
            )
        return made.organisation_id

    def stored(self) -> bytes:
        """Every byte of the data database."""
        return b"".join(file.read_bytes() for file in self.folder.glob("data.db*"))

"""Accounts, their API keys and their choice about training.

Rules kept here:

* Every account has a plan of the policy document (T1), every key one account.
* A key is shown once; its digest is stored and compared in constant time.
* A choice is a consent record, appended and never edited, and the account's state in the same
  transaction (T2). There is no way to make one here without saying where it came from.
* Authentication reads memory only. This process owns the home, so what it holds is what is true:
  a revoked key stops at once.

Rows: T1, T2.
"""

from __future__ import annotations

import hmac
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from sqlalchemy import Engine, insert, select, update

from bailee.accounts import keys
from bailee.clock import Clock
from bailee.db.accounts import accounts, api_keys, consent_records
from bailee.db.engine import reading, storage_errors
from bailee.errors import InputError
from bailee.ledger import Ledger
from bailee.policy import Policy

Choice = Literal["allowed", "refused"]
_WHAT = "the accounts"


@dataclass(frozen=True, slots=True)
class Account:
    """An account: its plan, and what its owner chose about training (`none`: not chosen yet)."""

    account_id: str
    name: str
    plan: str
    training_choice: str
    chosen_at: datetime | None
    partner_programme: bool
    created_at: datetime


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key without its secret."""

    key_id: str
    account_id: str
    name: str
    zero_retention: bool
    created_at: datetime
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class ConsentRecord:
    """One change of a choice: who, when, old and new, which notice in which language, from where.

    The fields are those of ISO/IEC TS 27560 that a training choice has.
    """

    record_id: str
    account_id: str
    at: datetime
    old: str
    new: str
    notice: str
    language: str
    source: str


class Accounts:
    """The accounts of a home."""

    def __init__(
        self,
        engine: Engine,
        policy: Policy,
        clock: Clock,
        ledger: Ledger,
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._engine = engine
        self._policy = policy
        self._clock = clock
        self._ledger = ledger
        self._random = random
        self._changing = threading.Lock()
        self._accounts: dict[str, Account] = {}
        self._keys: dict[str, tuple[bytes, ApiKey]] = {}
        self._load()

    def _load(self) -> None:
        with storage_errors(_WHAT), reading(self._engine) as connection:
            for row in connection.execute(select(accounts)):
                self._accounts[row.id] = Account(*row)
            for row in connection.execute(select(api_keys)):
                self._keys[row.id] = (
                    row.digest,
                    ApiKey(
                        row.id,
                        row.account_id,
                        row.name,
                        row.zero_retention,
                        row.created_at,
                        row.revoked_at,
                    ),
                )

    def authenticate(self, presented: bytes) -> tuple[ApiKey, Account] | None:
        """Who presents this key; None when it is unknown, malformed or revoked."""
        name = keys.key_id(presented)
        held = self._keys.get(name) if name is not None else None
        if held is None:
            return None
        stored, key = held
        if not hmac.compare_digest(stored, keys.digest(presented)) or key.revoked_at is not None:
            return None
        return key, self._accounts[key.account_id]

    def create(
        self, *, plan: str, name: str, zero_retention: bool = False
    ) -> tuple[Account, ApiKey, str]:
        """A new account with its first key; the key itself is in the answer and nowhere else.

        Raises:
            InputError: an unknown plan, or zero retention for a consumer plan.
        """
        known = self._policy.plans.get(plan)
        if known is None:
            raise InputError(
                f"there is no plan {plan!r}.", hint="plans: " + ", ".join(self._policy.plans)
            )
        if zero_retention and known.segment != "commercial":
            raise InputError(
                f"zero retention is for commercial plans; {plan} is a consumer plan.",
                hint="use --plan team, enterprise or api",
            )
        now = self._clock()
        account = Account("acc_" + self._random(8).hex(), name, plan, "none", None, False, now)
        minted = keys.mint(self._random(keys.RANDOM_BYTES))
        key = ApiKey(minted.key_id, account.account_id, name, zero_retention, now, None)
        with storage_errors(_WHAT), self._engine.begin() as connection:
            connection.execute(
                insert(accounts).values(
                    id=account.account_id,
                    name=name,
                    plan=plan,
                    training_choice=account.training_choice,
                    partner_programme=False,
                    created_at=now,
                )
            )
            connection.execute(
                insert(api_keys).values(
                    id=key.key_id,
                    account_id=key.account_id,
                    name=name,
                    digest=minted.digest,
                    zero_retention=zero_retention,
                    created_at=now,
                )
            )
            self._ledger.append(
                "account.created", account.account_id, {"plan": plan}, connection=connection
            )
            self._ledger.append(
                "key.created",
                key.key_id,
                {"account": account.account_id, "zero_retention": zero_retention},
                connection=connection,
            )
        self._accounts[account.account_id] = account
        self._keys[key.key_id] = (minted.digest, key)
        return account, key, minted.key

    def key_for_this_run(self, account_id: str) -> str:
        """A key of `account_id` that is kept in memory only, and so ends with the process."""
        minted = keys.mint(self._random(keys.RANDOM_BYTES))
        key = ApiKey(minted.key_id, account_id, "this run", False, self._clock(), None)
        self._ledger.append("key.created", key.key_id, {"account": account_id, "run_only": True})
        self._keys[key.key_id] = (minted.digest, key)
        return minted.key

    def revoke(self, key_id: str) -> ApiKey:
        """Revoke a key, at once and for good. Revoking twice changes nothing.

        Raises:
            InputError: code `not_found`.
        """
        held = self._keys.get(key_id)
        if held is None:
            raise InputError(
                f"there is no key {key_id!r}.", code="not_found", hint="see `bailee key list`"
            )
        with self._changing:
            return self._revoked(*held)

    def _revoked(self, stored: bytes, key: ApiKey) -> ApiKey:
        if key.revoked_at is None:
            now = self._clock()
            with storage_errors(_WHAT), self._engine.begin() as connection:
                connection.execute(
                    update(api_keys).where(api_keys.c.id == key.key_id).values(revoked_at=now)
                )
                self._ledger.append("key.revoked", key.key_id, {}, connection=connection)
            key = replace(key, revoked_at=now)
            self._keys[key.key_id] = (stored, key)
        return key

    def choose_training(
        self, account_id: str, choice: Choice, *, language: str, source: str
    ) -> Account:
        """Record the person's choice; it holds for the next request.

        `language` is that of the notice they saw, `source` where they chose (`console`, `api`).
        Commercial accounts have no such choice: their terms exclude training already.

        Raises:
            InputError: the account is commercial, or the choice is not one.
        """
        with self._changing:
            return self._choose(self.get(account_id), choice, language, source)

    def _choose(self, account: Account, choice: Choice, language: str, source: str) -> Account:
        account_id = account.account_id
        if choice not in ("allowed", "refused"):
            raise InputError("a training choice is 'allowed' or 'refused'.")
        if self._policy.plans[account.plan].segment != "consumer":
            raise InputError(
                f"plan {account.plan} has no training choice: commercial data is not trained on.",
                hint="an organisation's admin can join the partner programme instead",
            )
        now = self._clock()
        record = "con_" + self._random(8).hex()
        with storage_errors(_WHAT), self._engine.begin() as connection:
            connection.execute(
                insert(consent_records).values(
                    id=record,
                    account_id=account_id,
                    at=now,
                    old=account.training_choice,
                    new=choice,
                    notice=self._policy.sha256,
                    language=language,
                    source=source,
                )
            )
            connection.execute(
                update(accounts)
                .where(accounts.c.id == account_id)
                .values(training_choice=choice, chosen_at=now)
            )
            self._ledger.append(
                "consent.recorded",
                account_id,
                {"record": record, "old": account.training_choice, "new": choice},
                connection=connection,
            )
        account = replace(account, training_choice=choice, chosen_at=now)
        self._accounts[account_id] = account
        return account

    def get(self, account_id: str) -> Account:
        """The account, from memory.

        Raises:
            InputError: code `not_found`.
        """
        account = self._accounts.get(account_id)
        if account is None:
            raise InputError(f"there is no account {account_id!r}.", code="not_found")
        return account

    def first(self) -> Account | None:
        """The account that was made first, if there is any."""
        return min(self._accounts.values(), key=lambda a: a.created_at, default=None)

    def api_keys(self) -> list[tuple[ApiKey, Account]]:
        """Every key with its account, oldest first."""
        held = [(key, self._accounts[key.account_id]) for _, key in self._keys.values()]
        return sorted(held, key=lambda pair: pair[0].created_at)

    def consent_records(self, account_id: str) -> list[ConsentRecord]:
        """The account's consent records, oldest first."""
        query = (
            select(consent_records)
            .where(consent_records.c.account_id == account_id)
            .order_by(consent_records.c.at, consent_records.c.id)
        )
        with storage_errors(_WHAT), reading(self._engine) as connection:
            return [ConsentRecord(*row) for row in connection.execute(query)]

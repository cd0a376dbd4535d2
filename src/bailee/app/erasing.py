"""Erasing a person: their sessions' keys, what names them, their ways in. What stays has no name.

The steps, each of which can be the last before a crash and is found again by the erasure's row:

1. The erasure is on record; from here on nothing new is kept of them, whatever is under way.
2. Keys are revoked, Git connections forgotten, sign-ins ended, identifiers removed, names blanked.
3. Every report they sent and every session is erased, each with a receipt of its own; a held
   session is deferred.
4. The key of their identifiers is destroyed: copies of the database no longer name them either.
5. A receipt is signed. With sessions deferred it says so, and when the last hold on them is
   released, the rest is done and the final receipt signed.

Each step can be repeated. What stays: consent records and audit entries, which name random ids that
lead to nobody now, and the receipts themselves.

Rows: R6.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson
from sqlalchemy import Engine, insert, select, update

from bailee.accounts import OPERATOR, Accounts, Actor, Registry
from bailee.app import subjects
from bailee.app.subjects import Subject
from bailee.cloud.egress.lists import NetworkLists
from bailee.cloud.git.connections import GitConnections
from bailee.db.engine import reading, storage_errors
from bailee.db.vault import erasures
from bailee.errors import InputError
from bailee.feedback.reports import ERASURE as REPORT
from bailee.feedback.reports import Reports
from bailee.keyring import Keyring, signing
from bailee.keyring.checkpoint import truncate_log
from bailee.ledger import Ledger
from bailee.vault.receipts import DEFERRED, Receipt
from bailee.vault.vault import Vault

REQUESTED: Final = "requested"
WAITING: Final = "deferred"
DONE: Final = "done"
_WHAT: Final = "the erasures"


@dataclass(frozen=True, slots=True)
class Erasure:
    """The erasure of a person. `receipt`: the signed record, once there is one."""

    id: str
    person_id: str
    account_id: str | None
    state: str
    requested_by: str
    requested_at: datetime
    finished_at: datetime | None
    receipt: dict[str, Any] | None


class Erasures:
    """The erasures of one home."""

    def __init__(
        self,
        engine: Engine,
        *,
        registry: Registry,
        vault: Vault,
        reports: Reports,
        keyring: Keyring,
        ledger: Ledger,
        first: Callable[[str], None] = lambda _account: None,
        git_connections: GitConnections,
        network_lists: NetworkLists,
    ) -> None:
        """`first` ends and erases what an account has besides the sessions of the vault."""
        self._first = first
        self._engine = engine
        self._registry = registry
        self._accounts: Accounts = registry.accounts
        self._vault = vault
        self._reports = reports
        self._keyring = keyring
        self._ledger = ledger
        self._git_connections = git_connections
        self._network_lists = network_lists
        self._one = threading.RLock()
        self._accounts_gone = {one.account_id for one in self.all() if one.account_id is not None}

    def is_gone(self, account_id: str) -> bool:
        """Whether nothing is to be kept of an account any more."""
        return account_id in self._accounts_gone

    def request(self, named: str, now: datetime, *, by: Actor) -> Erasure:
        """Erase a person (id or email), or whoever holds an account's key (the account's id).

        Raises:
            InputError: `not_found`, `forbidden`; or they were erased already.
            StorageError: a store failed; if the erasure is on record, the next sweep, or the next
                start, goes on.
        """
        with self._one:
            subject = subjects.find(self._registry.people, self._accounts, named)
            if subject.person is not None:
                self._registry.authority.require_for_person(
                    by, "person.erase", subject.person.person_id
                )
            else:
                self._registry.authority.require(by, "account.erase", subject.account)
            before = self.of(subject.id)
            if before is None:
                self._begin(subject, now, by)
            elif before.state != REQUESTED:
                raise InputError(
                    f"{subject.id} was erased already.", hint="see `bailee receipts list`"
                )
            self._drive(self._get(subject.id), now)
            return self._get(subject.id)

    def resume(self, now: datetime) -> None:
        """Go on with what was broken off, and with what waited for a hold that is released.

        Raises:
            StorageError: a store failed; call again.
        """
        with self._one:
            for erasure in self.all():
                if erasure.state == REQUESTED or (
                    erasure.state == WAITING and not self._is_deferred(erasure)
                ):
                    self._drive(erasure, now)

    def all(self) -> list[Erasure]:
        """Every erasure, oldest first."""
        query = select(erasures).order_by(erasures.c.requested_at, erasures.c.id)
        with storage_errors(_WHAT), reading(self._engine) as connection:
            return [_erasure(row) for row in connection.execute(query)]

    def of(self, subject_id: str) -> Erasure | None:
        """The erasure of someone, if there is one."""
        return next((one for one in self.all() if one.person_id == subject_id), None)

    # -- the steps -------------------------------------------------------------------------------

    def _begin(self, subject: Subject, now: datetime, by: Actor) -> None:
        account_id = subject.account and subject.account.account_id
        erasure_id = "era_" + os.urandom(8).hex()
        with storage_errors(_WHAT), self._engine.begin() as connection:
            connection.execute(
                insert(erasures).values(
                    id=erasure_id,
                    person_id=subject.id,
                    account_id=account_id,
                    state=REQUESTED,
                    requested_by=by.name,
                    requested_at=now,
                )
            )
            self._ledger.append(
                "person.erasure_requested",
                subject.id,
                {"erasure": erasure_id, "by": by.name},
                connection=connection,
            )

    def _drive(self, erasure: Erasure, now: datetime) -> None:
        if erasure.account_id is not None:
            self._accounts_gone.add(erasure.account_id)
        subject = subjects.find(self._registry.people, self._accounts, erasure.person_id)
        self._take_ways_in(subject)
        self._reports.erase(subject.whose, now, erasure.id)
        parts = self._vault.parts(erasure.id)
        if erasure.account_id is not None:
            self._first(erasure.account_id)
            parts = self._vault.erase_owned(erasure.account_id, now, erasure.id)
        if subject.person is not None:
            self._keyring.destroy([subject.person.person_id])
        truncate_log(self._engine)
        self._finish(erasure, subject, parts, now)

    def _take_ways_in(self, subject: Subject) -> None:
        keys = [key.key_id for key, _ in subjects.keys_of(self._accounts, subject)]
        for key_id in keys:
            self._accounts.revoke(key_id, by=OPERATOR)
        account = None if subject.account is None else subject.account.account_id
        self._accounts.unname(account, keys)
        if account is not None:
            self._git_connections.remove_all(account, by=OPERATOR.name)
            self._network_lists.remove_all(account)
        if subject.person is not None and subject.person.erased_at is None:
            self._registry.people.forget(subject.person.person_id, by=OPERATOR)

    def _finish(
        self, erasure: Erasure, subject: Subject, parts: list[Receipt], now: datetime
    ) -> None:
        reports = sum(part.kind == REPORT for part in parts)
        deferred = [part for part in parts if part.state == DEFERRED]
        state = WAITING if deferred else DONE
        receipt = self._receipt(erasure, subject, parts, now) | {"state": state}
        signed = signing.sign(self._keyring.secret(signing.NAME), receipt)
        with storage_errors(_WHAT), self._engine.begin() as connection:
            connection.execute(
                update(erasures)
                .where(erasures.c.id == erasure.id)
                .values(
                    state=state,
                    finished_at=None if deferred else now,
                    receipt=orjson.dumps(signed).decode(),
                )
            )
            self._ledger.append(
                f"person.erasure_{state}",
                erasure.person_id,
                {
                    "erasure": erasure.id,
                    "sessions": len(parts) - reports,
                    "reports": reports,
                    "deferred": len(deferred),
                },
                connection=connection,
            )

    def _receipt(
        self, erasure: Erasure, subject: Subject, parts: list[Receipt], now: datetime
    ) -> dict[str, Any]:
        account_id = erasure.account_id
        consents = [] if account_id is None else self._accounts.consent_records(account_id)
        return {
            "type": "bailee/erasure/1",
            "erasure": erasure.id,
            "subject": erasure.person_id,
            "account": account_id,
            "requested": erasure.requested_at.isoformat(),
            "requested_by": erasure.requested_by,
            "issued": now.isoformat(),
            "sessions": [_part("session", part) for part in parts if part.kind != REPORT],
            "reports": [_part("report", part) for part in parts if part.kind == REPORT],
            "identifiers": "removed, and their key destroyed",
            "keys_revoked": len(subjects.keys_of(self._accounts, subject)),
            "stays": [
                {
                    "what": "consent records",
                    "count": len(consents),
                    "why": "they prove what was chosen; they name a random id that leads to nobody",
                },
                {
                    "what": "entries of the audit record",
                    "why": "they prove what was done; they hold ids and no content",
                },
                {
                    "what": "this receipt, and those of the sessions and reports",
                    "why": "they prove the erasure",
                },
                *(
                    {
                        "what": f"session {part.subject}, unreadable",
                        "why": "a legal hold; it is destroyed when the last hold is released",
                    }
                    for part in parts
                    if part.state == DEFERRED
                ),
            ],
            "backups": (
                "Copies of the data open nothing from now on. Copies of the keyring open nothing "
                "after the next rotation of the root, a day at most while the server runs; copies "
                "of keyring and root together are in the operator's hands."
            ),
        }

    # -- inside ----------------------------------------------------------------------------------

    def _is_deferred(self, erasure: Erasure) -> bool:
        return erasure.account_id is not None and bool(self._vault.owned(erasure.account_id))

    def _get(self, subject_id: str) -> Erasure:
        found = self.of(subject_id)
        assert found is not None
        return found


def _erasure(row: Any) -> Erasure:
    values = dict(row._mapping)
    receipt = values.pop("receipt")
    return Erasure(**values, receipt=None if receipt is None else orjson.loads(receipt))


def _part(what: str, part: Receipt) -> dict[str, str]:
    return {what: part.subject, "receipt": part.id, "state": part.state, "since": _since(part)}


def _since(part: Receipt) -> str:
    moment = getattr(part, f"{part.state}_at")
    assert isinstance(moment, datetime)
    return moment.isoformat()

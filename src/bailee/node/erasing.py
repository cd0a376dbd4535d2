"""Erasing a person: their sessions' keys, what names them, their ways in. What stays has no name.

The steps, each of which can be the last before a crash and is found again by the erasure's row:

1. The erasure is on record; from here on nothing new is kept of them, whatever is under way. What
   there is to look for at the end lies with it, sealed under a key of the erasure's own.
2. Keys are revoked, Git connections forgotten, sign-ins ended, identifiers removed, names blanked.
3. Every report they sent and every session is erased, each with a receipt of its own; a held
   session is deferred.
4. What others wrote of them on record is emptied, where it has their email.
5. The key of what names them is destroyed: copies of the database no longer name them either, and
   what the audit record says of them in particular opens no more.
6. The home is searched for them, and a receipt signed that says what was found. What was to be
   looked for is destroyed. With sessions deferred the receipt says so, and when the last hold on
   them is released, the rest is done and the final receipt signed.

Each step can be repeated. What stays: consent records and audit entries, which name random ids that
lead to nobody now, and the receipts themselves.

Rows: R6.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import orjson
from sqlalchemy import Engine, Select, insert, select, update

from bailee.accounts import OPERATOR, Accounts, Actor, Registry
from bailee.accounts.roles import Permission
from bailee.cloud.egress.lists import NetworkLists
from bailee.cloud.git.connections import GitConnections
from bailee.damage import Damages
from bailee.db.checks import sound, unsound
from bailee.db.engine import reading, rewrite, storage_errors
from bailee.db.pages import following
from bailee.db.vault import erasures
from bailee.errors import InputError, StorageError
from bailee.feedback.reports import ERASURE as REPORT
from bailee.feedback.reports import Reports
from bailee.home.searching import LOOSE, Search, Trace, search
from bailee.keyring import Keyring, signing
from bailee.keyring.checkpoint import truncate_log
from bailee.keyring.wrapping import NONCE_BYTES, seal, unseal
from bailee.ledger import Ledger
from bailee.node import erasure_receipt as said
from bailee.node import subjects
from bailee.node import traces as traces_of
from bailee.node.person_keys import NEVER
from bailee.node.subjects import Subject
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
        forget_answers: Callable[[], None],
        home: Path,
        gather: Callable[[Subject, datetime], tuple[Trace, ...]],
        damages: Damages | None = None,
    ) -> None:
        """`first` ends and erases what an account has besides the sessions of the vault;
        `forget_answers` forgets what was answered to whoever asked; `gather` gives what there is to
        look for of somebody, in `home`.
        """
        self._home = home
        self._gather = gather
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
        self._forget_answers = forget_answers
        self._damages = damages or Damages()
        self._one = threading.RLock()
        with storage_errors(_WHAT), reading(engine) as connection:  # the damaged ones' too
            accounts = connection.execute(select(erasures.c.account_id)).scalars().all()
            self._damages.note_all("erasures", unsound(connection, erasures))
        self._accounts_gone = {one for one in accounts if one is not None}

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
                    by, Permission.PERSON_ERASE, subject.person.person_id
                )
            else:
                self._registry.authority.require(by, Permission.ACCOUNT_ERASE, subject.account)
            before = self.of(subject.id)
            if before is None:
                self._begin(subject, now, by)
            elif before.state != REQUESTED:
                raise InputError(
                    f"{subject.id} has already been erased.", hint="see `bailee receipts list`"
                )
            self._drive(self._get(subject.id), now)
            return self._get(subject.id)

    def resume(self, now: datetime) -> None:
        """Go on with what was broken off, and with what waited for a hold that is released. What is
        damaged is noted, and the others go on.

        Raises:
            StorageError: a store failed; call again.
        """
        with self._one:
            due = [
                erasure
                for erasure in self.all()
                if erasure.state == REQUESTED
                or (erasure.state == WAITING and not self._is_deferred(erasure))
            ]
            for _ in self._damages.each(
                due, lambda one: self._drive(one, now), lambda one: f"erasure {one.id}"
            ):
                pass

    def all(self) -> list[Erasure]:
        """Every erasure whose row is as it was written, oldest first."""
        query = (
            select(erasures).where(sound(erasures)).order_by(erasures.c.requested_at, erasures.c.id)
        )
        return self._found(query)

    def latest(self, most: int, after: str | None = None) -> list[Erasure]:
        """At most so many, the newest first: those that come `after` a place (`db.pages`: when it
        was requested, and its id).
        """
        since = erasures.c.requested_at
        beyond = following(since, erasures.c.id, after)
        query = select(erasures).where(sound(erasures), beyond)
        return self._found(query.order_by(since.desc(), erasures.c.id).limit(most))

    def of(self, subject_id: str) -> Erasure | None:
        """The erasure of someone, if there is one."""
        found = self._found(
            select(erasures).where(erasures.c.person_id == subject_id, sound(erasures))
        )
        return found[0] if found else None

    def _found(self, query: Select[Any]) -> list[Erasure]:
        with storage_errors(_WHAT), reading(self._engine) as connection:
            return [_erasure(row) for row in connection.execute(query)]

    # -- the steps -------------------------------------------------------------------------------

    def _begin(self, subject: Subject, now: datetime, by: Actor) -> None:
        account_id = subject.account and subject.account.account_id
        erasure_id = "era_" + os.urandom(8).hex()
        traces = self._seal(erasure_id, traces_of.pack(self._gather(subject, now)))
        with storage_errors(_WHAT), self._engine.begin() as connection:
            connection.execute(
                insert(erasures).values(
                    id=erasure_id,
                    person_id=subject.id,
                    account_id=account_id,
                    state=REQUESTED,
                    requested_by=by.name,
                    requested_at=now,
                    traces=traces,
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
        traces, known = self._traces(erasure, subject, now)
        self._take_ways_in(subject)
        self._forget_answers()
        self._reports.erase(subject.whose, now, erasure.id)
        if erasure.account_id is None:
            parts = self._vault.parts(erasure.id)
        else:
            self._first(erasure.account_id)
            parts = self._vault.erase_owned(erasure.account_id, now, erasure.id)
        self._forget_what_was_said(erasure, traces)
        self._keyring.destroy([subject.id])
        found = self._search(traces, known)
        self._finish(erasure, subject, parts, now, (found, traces, known))
        self._keyring.destroy([_key_of(erasure.id)])
        truncate_log(self._engine)

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
            if subject.person.email is not None:
                self._registry.attempts.forget(subject.person.email)
            self._registry.people.forget(subject.person.person_id, by=OPERATOR)

    def _forget_what_was_said(self, erasure: Erasure, traces: Sequence[Trace]) -> None:
        """Empty what others said of them on record, where it has their email; and why their
        sessions were held, when they are no more.
        """
        emails = [one.word for one in traces if one.what == traces_of.EMAIL]

        def names(text: str) -> bool:
            raw = text.encode("utf-8", "backslashreplace").lower()
            return any(email in raw for email in emails)

        if emails:
            self._ledger.blank(names)
        held = {hold.session_id for hold in self._vault.holds.all()}
        theirs = {
            one.subject
            for one in self._vault.receipts_about(list(held))
            if one.part_of == erasure.id
            or (one.owner is not None and one.owner == erasure.account_id)
        }
        self._vault.holds.forget_reasons(
            lambda hold: hold.session_id in theirs or names(hold.reason)
        )

    def _search(self, traces: Sequence[Trace], known: bool) -> Search | None:
        """Look for what is left. What lies in no row of ours any more is written over first."""
        try:
            truncate_log(self._engine)
            found = search(self._home, traces)
            ours = {self._engine.url.database, f"{self._engine.url.database}-wal"}
            if known and any(
                str(self._home / one.where) in ours and one.column == LOOSE
                for one in found.findings
            ):
                rewrite(self._engine)
                truncate_log(self._engine)
                found = search(self._home, traces)
        except StorageError:
            return None
        return found

    def _finish(
        self,
        erasure: Erasure,
        subject: Subject,
        parts: list[Receipt],
        now: datetime,
        looked: tuple[Search | None, Sequence[Trace], bool],
    ) -> None:
        reports = sum(part.kind == REPORT for part in parts)
        deferred = [part for part in parts if part.state == DEFERRED]
        state = WAITING if deferred else DONE
        receipt = self._receipt(erasure, subject, parts, now, looked) | {"state": state}
        signed = signing.sign(self._keyring.secret(signing.NAME), receipt)
        found = None if looked[0] is None else sum(map(said.is_word, looked[0].findings))
        with storage_errors(_WHAT), self._engine.begin() as connection:
            connection.execute(
                update(erasures)
                .where(erasures.c.id == erasure.id)
                .values(
                    state=state,
                    finished_at=None if deferred else now,
                    receipt=orjson.dumps(signed).decode(),
                    traces=None,
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
                    "found": found,
                },
                connection=connection,
            )

    def _receipt(
        self,
        erasure: Erasure,
        subject: Subject,
        parts: list[Receipt],
        now: datetime,
        looked: tuple[Search | None, Sequence[Trace], bool],
    ) -> dict[str, Any]:
        found, _, known = looked
        return {
            "type": said.TYPE,
            "erasure": erasure.id,
            "subject": erasure.person_id,
            "account": erasure.account_id,
            "requested": erasure.requested_at.isoformat(),
            "requested_by": erasure.requested_by,
            "issued": now.isoformat(),
            "sessions": [_part("session", part) for part in parts if part.kind != REPORT],
            "reports": [_part("report", part) for part in parts if part.kind == REPORT],
            "identifiers": said.identifiers(found, known),
            "keys_revoked": len(subjects.keys_of(self._accounts, subject)),
            "search": said.searched(*looked),
            "stays": [
                *said.left(found),
                {
                    "what": "this receipt, and those of the sessions and reports",
                    "why": "they prove the erasure",
                    "until": "always",
                },
                *(
                    {
                        "what": f"session {part.subject}, unreadable",
                        "why": "a legal hold; it is destroyed when the last hold is released",
                        "until": "the last hold is released",
                    }
                    for part in parts
                    if part.state == DEFERRED
                ),
            ],
            "backups": said.BACKUPS,
        }

    # -- what is looked for ----------------------------------------------------------------------

    def _seal(self, erasure_id: str, plain: bytes) -> bytes:
        key = self._keyring.dek(_key_of(erasure_id), "erasure", NEVER).key
        return seal(key, plain, _key_of(erasure_id).encode(), os.urandom(NONCE_BYTES))

    def _traces(
        self, erasure: Erasure, subject: Subject, now: datetime
    ) -> tuple[tuple[Trace, ...], bool]:
        """What there is to look for, and whether their words are in it: they are until there is a
        first receipt.
        """
        query = select(erasures.c.traces).where(erasures.c.id == erasure.id)
        with storage_errors(_WHAT), reading(self._engine) as connection:
            sealed = connection.execute(query).scalar()
        if sealed is None:
            return self._gather(subject, now), False
        name = _key_of(erasure.id)
        packed = unseal(self._keyring.get(name).key, sealed, name.encode(), "an erasure")
        return traces_of.unpack(packed), True

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
    del values["traces"], values["mac"]
    return Erasure(**values, receipt=None if receipt is None else orjson.loads(receipt))


def _key_of(erasure_id: str) -> str:
    """The name of the key under which an erasure's traces lie."""
    return f"erasure:{erasure_id}"


def _part(what: str, part: Receipt) -> dict[str, str]:
    return {what: part.subject, "receipt": part.id, "state": part.state, "since": _since(part)}


def _since(part: Receipt) -> str:
    moment = getattr(part, f"{part.state}_at")
    assert isinstance(moment, datetime)
    return moment.isoformat()

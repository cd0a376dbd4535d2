"""Erasing a person: their sessions' keys, what names them, their ways in. What stays has no name.

The steps, each of which can be the last before a crash and is found again by the erasure's row:

1. The erasure is on record; from here on nothing new is kept of them, whatever is under way. What
   there is to look for at the end lies with it, sealed under a key of the erasure's own.
2. Keys are revoked, Git connections forgotten, sign-ins ended, identifiers removed, names blanked.
3. All that is kept of them is erased, each thing with a receipt of its own; what is held is
   deferred.
4. What others wrote of them on record is emptied, where it has their email.
5. The key of what names them is destroyed: copies of the database no longer name them either, and
   what the audit record says of them in particular opens no more.
6. The home is searched for them, and a receipt signed that says what was found. What was to be
   looked for is destroyed. With something deferred the receipt says so, and when the last hold on
   them is released, the rest is done and the final receipt signed.

Each step can be repeated. What stays: consent records and audit entries, which name random ids that
lead to nobody now, and the receipts themselves.

Rows: R6.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

import orjson
from sqlalchemy import insert, select, update

from bailee.accounts import Actor
from bailee.accounts.roles import Permission
from bailee.db.engine import reading, rewrite, storage_errors
from bailee.db.searching_there import search_too
from bailee.db.vault import erasures
from bailee.errors import InputError, StorageError
from bailee.home.searching import LOOSE, Sealed, Search, Trace, search
from bailee.keeping.receipts import DEFERRED, Receipt
from bailee.keyring import signing
from bailee.keyring.checkpoint import truncate_log
from bailee.keyring.wrapping import NONCE_BYTES, seal, unseal
from bailee.node import databases, subjects
from bailee.node import erasure_receipt as said
from bailee.node import traces as traces_of
from bailee.node.erasure_rows import DONE, REQUESTED, WAITING, WHAT, Erasure, ErasureRows
from bailee.node.person_keys import NEVER
from bailee.node.stores import Stores
from bailee.node.subjects import DataSubject

_SEALED: Final = ("vault/open/", "vault/segments/transcript/")
"""Where segments lie: each record of one is under its session's key."""


class Erasures:
    """Erases people: drives each erasure through its steps, one at a time. Operations, sweeps and a
    start call it, from any thread. What is on record is in `rows`.
    """

    def __init__(
        self,
        rows: ErasureRows,
        stores: Stores,
        first: Callable[[str], None],
        keys_open: Callable[[], said.KeysOpen],
    ) -> None:
        """`first` ends what goes on for an account; `keys_open`: for how long copies of keys open
        what was destroyed.
        """
        self.rows = rows
        self._keys_open = keys_open
        self._first = first
        self._stores = stores
        self._home = stores.home.path
        self._engine = stores.data
        self._in_a_bucket = stores.objects.where is not None
        self._registry = stores.registry
        self._accounts = stores.accounts
        self._vault = stores.vault
        self._holds = stores.holds
        self._receipts = stores.receipts
        self._keyring = stores.keyring
        self._ledger = stores.ledger
        self._git_connections = stores.git_connections
        self._network_lists = stores.network_lists
        self._one = threading.RLock()  # while an erasure is driven: one at a time

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
            before = self.rows.of(subject.id)
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
                for erasure in self.rows.all()
                if erasure.state == REQUESTED
                or (erasure.state == WAITING and not self._is_deferred(erasure))
            ]
            for _ in self._stores.damages.each(
                due, lambda one: self._drive(one, now), lambda one: f"erasure {one.id}"
            ):
                pass

    # -- the steps -------------------------------------------------------------------------------

    def _begin(self, subject: DataSubject, now: datetime, by: Actor) -> None:
        account_id = subject.account and subject.account.account_id
        erasure_id = "era_" + os.urandom(8).hex()
        gathered = traces_of.gather(self._stores, subject, now)
        traces = self._seal(erasure_id, traces_of.pack(gathered))
        with storage_errors(WHAT), self._engine.begin() as connection:
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
            self.rows.goes(erasure.account_id)
        subject = subjects.find(self._registry.people, self._accounts, erasure.person_id)
        traces, known = self._traces(erasure, subject, now)
        self._take_ways_in(subject, _at_the_word_of(erasure.requested_by))
        self._stores.once.forget_all()
        if erasure.account_id is not None:
            self._first(erasure.account_id)
        self._stores.cases.erased(subject.id, erasure.id, erasure.requested_by)
        for keeper in self._stores.keepers:
            keeper.erase(subject.owner, now, erasure.id, erasure.requested_by)
        if erasure.account_id is not None:
            for counts in self._stores.received:
                counts.forget(erasure.account_id)
        for counted in self._stores.used:
            counted.forget(subject.owner)
        self._forget_what_was_said(erasure, traces)
        self._keyring.destroy([subject.id])
        if not self._keyring.overwrites:  # else the receipt would say what is not so yet
            self._rotate(now)
        parts = self._receipts.parts(erasure.id)
        segments = self._receipts.segments_of(erasure.account_id, erasure.id)
        found = self._search(traces, known, Sealed(_SEALED, tuple(segments)))
        left = [*self._left(subject, segments, now), *self._deferred(parts)]
        self._finish(erasure, subject, parts, now, (found, traces, known), left=left)
        self._keyring.destroy([_key_of(erasure.id)])
        truncate_log(self._engine)

    def _rotate(self, now: datetime) -> None:
        """Rotate the root, unless that was done since the last of the keys was destroyed: another
        would wait anew for a standby that is away. One that was broken off before, and is finished
        here, says nothing of keys that were destroyed since it began, so there may be two.
        """
        for _ in range(2):
            if self._keyring.rotation_due(now, 0.0):
                self._vault.rotate(now)

    def _take_ways_in(self, subject: DataSubject, by: Actor) -> None:
        found = [key for key, _ in subjects.keys_of(self._accounts, subject)]
        for key in found:
            if key.ephemeral:  # its session may end meanwhile
                self._accounts.ephemeral.end(key.key_id, by=by.name)
            else:
                self._accounts.revoke(key.key_id, by=by)
        keys = [key.key_id for key in found if not key.ephemeral]
        account = None if subject.account is None else subject.account.account_id
        self._accounts.unname(account, keys)
        if account is not None:
            self._git_connections.remove_all(account, by=by.name)
            self._network_lists.remove_all(account)
            self._receipts.forget(account)
        if subject.person is not None and subject.person.erased_at is None:
            if subject.person.email is not None:
                self._registry.attempts.forget(subject.person.email)
            self._registry.people.forget(subject.person.person_id, by=by)

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
        held = {hold.subject for hold in self._holds.all()}
        theirs = {
            one.subject
            for one in self._receipts.about(list(held))
            if one.part_of == erasure.id
            or (one.owner is not None and one.owner == erasure.account_id)
        }
        self._holds.forget_reasons(lambda hold: hold.subject in theirs or names(hold.reason))

    def _search(self, traces: Sequence[Trace], known: bool, sealed: Sealed) -> Search | None:
        """Look for what is left. What lies in no row of ours any more is written over first."""
        try:
            truncate_log(self._engine)
            found = search(self._home, traces, sealed=sealed)
            found = search_too(found, databases.there(self._engine, self._keyring.engine), traces)
            ours = {self._engine.url.database, f"{self._engine.url.database}-wal"}
            if known and any(
                str(self._home / one.where) in ours and one.column == LOOSE
                for one in found.findings
            ):
                rewrite(self._engine)
                truncate_log(self._engine)
                found = search(self._home, traces, sealed=sealed)
        except StorageError:
            return None
        return found

    def _finish(
        self,
        erasure: Erasure,
        subject: DataSubject,
        parts: list[Receipt],
        now: datetime,
        looked: tuple[Search | None, Sequence[Trace], bool],
        *,
        left: list[said.Said],
    ) -> None:
        deferred = [part for part in parts if part.state == DEFERRED]
        state = WAITING if deferred else DONE
        kinds = self._by_kind(parts)
        receipt = self._receipt(erasure, subject, kinds, now, looked, left=left) | {"state": state}
        signed = signing.sign(self._keyring.secret(signing.NAME), receipt)
        found = None if looked[0] is None else sum(map(said.is_word, looked[0].findings))
        with storage_errors(WHAT), self._engine.begin() as connection:
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
                    **{f"{what}s": len(some) for what, some in kinds.items()},
                    "deferred": len(deferred),
                    "found": found,
                    "document": signing.digest(receipt),
                },
                connection=connection,
            )

    def _receipt(
        self,
        erasure: Erasure,
        subject: DataSubject,
        kinds: Mapping[str, Sequence[Receipt]],
        now: datetime,
        looked: tuple[Search | None, Sequence[Trace], bool],
        *,
        left: list[said.Said],
    ) -> dict[str, object]:
        found, _, known = looked
        here = self._keyring.overwrites
        return {
            "type": said.TYPE,
            "erasure": erasure.id,
            "subject": erasure.person_id,
            "account": erasure.account_id,
            "requested": erasure.requested_at.isoformat(),
            "requested_by": erasure.requested_by,
            "issued": now.isoformat(),
            **{f"{what}s": [_part(what, part) for part in some] for what, some in kinds.items()},
            "identifiers": said.identifiers(found, known, pages=here),
            "keys_revoked": len(subjects.keys_of(self._accounts, subject)),
            "search": said.searched(*looked, pages=here, bucket=self._in_a_bucket),
            "stays": [
                *said.left(found),
                {
                    "what": "this receipt, and those of what was erased",
                    "why": "they prove the erasure",
                    "until": "always",
                },
                *left,
            ],
            "backups": said.backups(self._keys_open(), here=here),
        }

    def _left(
        self, subject: DataSubject, segments: Sequence[str], now: datetime
    ) -> Iterator[said.Said]:
        """What there is still that was not theirs alone: their organisations' sessions, and files
        that hold others' records too.
        """
        elsewhere = subjects.sessions_elsewhere(self._accounts, self._vault, subject, now)
        for account, count in Counter(row.owner for row in elsewhere).items():
            whose = self._accounts.get(account).organisation_id or account
            yield said.organisations_sessions(count, whose)
        if requests := len(self._stores.cases.of_person(subject.id)):
            yield said.requests(requests, self._stores.cases.name_of_clause())
        if segments:
            yield said.shared_segments(len(segments))

    def _deferred(self, parts: Sequence[Receipt]) -> Iterator[said.Said]:
        for part in parts:
            if part.state == DEFERRED:
                yield said.held(self._what(part), part.subject, part.data_class)

    # -- what is looked for ----------------------------------------------------------------------

    def _seal(self, erasure_id: str, plain: bytes) -> bytes:
        key = self._keyring.dek(_key_of(erasure_id), "erasure", NEVER).key
        return seal(key, plain, _key_of(erasure_id).encode(), os.urandom(NONCE_BYTES))

    def _traces(
        self, erasure: Erasure, subject: DataSubject, now: datetime
    ) -> tuple[tuple[Trace, ...], bool]:
        """What there is to look for, and whether their words are in it: they are until there is a
        first receipt.
        """
        query = select(erasures.c.traces).where(erasures.c.id == erasure.id)
        with storage_errors(WHAT), reading(self._engine) as connection:
            sealed = connection.execute(query).scalar()
        if sealed is None:
            return traces_of.gather(self._stores, subject, now), False
        name = _key_of(erasure.id)
        packed = unseal(self._keyring.get(name).key, sealed, name.encode(), "an erasure")
        return traces_of.unpack(packed), True

    # -- inside ----------------------------------------------------------------------------------

    def _is_deferred(self, erasure: Erasure) -> bool:
        if any(part.state == DEFERRED for part in self._receipts.parts(erasure.id)):
            return True
        return erasure.account_id is not None and bool(self._vault.owned(erasure.account_id))

    def _by_kind(self, parts: Sequence[Receipt]) -> dict[str, list[Receipt]]:
        """Receipts by what they are of, as it is named in JSON."""
        found: dict[str, list[Receipt]] = {
            keeper.what: [] for keeper in reversed(self._stores.keepers)
        }
        for part in parts:
            found[self._what(part)].append(part)
        return {kind.replace(" ", "_"): some for kind, some in found.items()}

    def _what(self, part: Receipt) -> str:
        return self._holds.keeper(part.subject).what

    def _get(self, subject_id: str) -> Erasure:
        found = self.rows.of(subject_id)
        assert found is not None
        return found


def _at_the_word_of(name: str) -> Actor:
    """Who does the steps: this home, for whoever asked, who is named on record."""
    person, key = (name if name.startswith(prefix) else None for prefix in ("per_", "key_"))
    return Actor(person, key, operator=True)


def _key_of(erasure_id: str) -> str:
    """The name of the key under which an erasure's traces lie."""
    return f"erasure:{erasure_id}"


def _part(what: str, part: Receipt) -> dict[str, str]:
    return {
        what: part.subject,
        "data_class": part.data_class,
        "receipt": part.id,
        "state": part.state,
        "since": _since(part),
    }


def _since(part: Receipt) -> str:
    moment = getattr(part, f"{part.state}_at")
    assert isinstance(moment, datetime)
    return moment.isoformat()

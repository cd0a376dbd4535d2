"""The requests of a home: the rows, what is sealed in them, and their end.

Rules kept here:

* What names a person, and whatever was written of them, is under a key of the request's own. When
  an erasure has been answered that key is destroyed, by the officer or a month later; of every
  other request when its time has come. What stays until then is the reference, the kind, the
  moments, random ids, and a keyed digest of the email by which the person finds it again.
* Each step is on record in the same transaction.
* An erasure of the person lets go of all their requests that are answered. An open one keeps its
  email until it is answered: somebody has to be told.

Rows: R6.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from typing import Final

import orjson
from sqlalchemy import Connection, Engine, and_, delete, func, insert, or_, select, update

from bailee.accounts import emails
from bailee.cases.case import Case, CaseParticulars, particulars_of
from bailee.cases.steps import (
    AFTER_ANSWER_DAYS,
    REFERENCE_BYTES,
    CaseKind,
    CaseState,
    Deadlines,
    check_closing,
    check_extension,
    check_open,
    normal_reference,
    reference,
)
from bailee.damage import Damages
from bailee.db.cases import person_requests as table
from bailee.db.checks import sound, unsound
from bailee.db.engine import DbRow, Query, reading, storage_errors
from bailee.db.late import late
from bailee.db.pages import following
from bailee.errors import InputError, IntegrityError
from bailee.json_values import Json
from bailee.keeping.keeper import Owner
from bailee.keyring import Keyring
from bailee.keyring.wrapping import NONCE_BYTES, seal, unseal
from bailee.ledger import Ledger
from bailee.ledger.particulars import Body, Value
from bailee.policy.facts import Terms
from bailee.policy.period import expires_at

KEY: Final = "requests/email"
"""The keyring's named secret, under which emails are digested."""
_WHAT: Final = "the requests"
_DATA_CLASS: Final = "person"  # as what the audit record seals under the same key
_NEVER: Final = datetime(9999, 1, 1, tzinfo=UTC)
_AT_ONCE: Final = 500
_MOST_OPEN: Final = 20
"""How many requests of one email may be open at once."""


class Cases:
    """The requests of one home. Operations call it, sweeps and erasures, on any thread. It owns its
    table and the requests' keys. It erases nobody and reads nothing of anybody's but this.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        keyring: Keyring,
        ledger: Ledger,
        damages: Damages,
        deadlines: Callable[[], Deadlines],
        terms: Callable[[], Terms],
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        """`deadlines`: how long a request may take now; `terms`: those on which an answered one is
        kept now.
        """
        self._deadlines = deadlines
        self._engine = engine
        self._keyring = keyring
        self._ledger = ledger
        self._damages = damages
        self._terms = terms
        self._random = random

    name: Final = "requests"

    # -- what there is ---------------------------------------------------------------------------

    def get(self, given: str) -> Case:
        """A request by its reference, however that is written.

        Raises:
            InputError: code `not_found`.
        """
        found = self._found(select(table).where(table.c.id == normal_reference(given)))
        if not found:
            raise InputError("there is no such request.", code="not_found")
        return found[0]

    def page(self, most: int, after: str | None, *, open_only: bool) -> list[Case]:
        """At most so many, what is due first at the front: those that come `after` a place (when it
        is due, and its id).
        """
        where = [following(table.c.due_at, table.c.id, after, oldest_first=True)]
        if open_only:
            where.append(table.c.state == CaseState.OPEN)
        return self._found(
            select(table).where(*where).order_by(table.c.due_at, table.c.id).limit(most)
        )

    def of_email(self, email: str) -> list[Case]:
        """The requests of an email, also of somebody who was erased since; the newest first."""
        where = table.c.digest == self.digest(email)
        return self._found(select(table).where(where).order_by(table.c.received_at.desc()))

    def of_person(self, person_id: str) -> list[Case]:
        """The requests of a person, the newest first."""
        where = table.c.person_id == person_id
        return self._found(select(table).where(where).order_by(table.c.received_at.desc()))

    def late(self, now: datetime) -> tuple[int, datetime | None]:
        """How many open ones were due before `now`, and since when the first is overdue."""
        return late(self._engine, _WHAT, table.c.due_at, now, table.c.state == CaseState.OPEN)

    def open_ones(self) -> int:
        """How many are open."""
        query = select(func.count()).where(table.c.state == CaseState.OPEN)
        with storage_errors(_WHAT), reading(self._engine) as connection:
            return int(connection.execute(query).scalar_one())

    def digest(self, email: str) -> bytes:
        """What an email is found by: it leads nowhere without this home's key."""
        said = b"bailee/request-email/1\x00" + emails.normal(email).encode()
        return hmac.digest(self._keyring.secret(KEY), said, "sha256")

    def name_of_clause(self) -> str:
        """By which clause a request is kept once it is answered."""
        return self._terms().clause

    # -- steps -----------------------------------------------------------------------------------

    def open(
        self,
        kind: CaseKind,
        email: str,
        person_id: str | None,
        *,
        received: datetime,
        said: str = "",
        by: str,
    ) -> Case:
        """Take a request in.

        Raises:
            InputError: the email is none; or there are too many open ones of it.
        """
        address = emails.normal(email)
        if sum(one.state is CaseState.OPEN for one in self.of_email(address)) >= _MOST_OPEN:
            raise InputError(
                f"there are {_MOST_OPEN} open requests of this email.", hint="answer some of them"
            )
        case_id = reference(self._random(REFERENCE_BYTES))
        due = self._deadlines().due(received)
        with storage_errors(_WHAT), self._engine.begin() as connection:
            connection.execute(
                insert(table).values(
                    id=case_id,
                    kind=kind,
                    state=CaseState.OPEN,
                    digest=self.digest(address),
                    person_id=person_id,
                    sealed=self._seal(case_id, CaseParticulars(address, said)),
                    opened_by=by,
                    handled_by=by,
                    received_at=received,
                    due_at=due,
                )
            )
            body: Body = {"what": kind, "due": int(due.timestamp())}
            self._note(connection, case_id, "opened", by, body)
        return self.get(case_id)

    def extend(self, case: Case, now: datetime, reason: str, *, by: str) -> Case:
        """Put a request off, once.

        Raises:
            InputError: it can't be put off.
        """
        check_extension(case.state, case.extended_at is not None, case.due_at, now)
        due = self._deadlines().put_off(case.due_at)
        values = {"extended_at": now, "due_at": due}
        said: Body = {"due": int(due.timestamp()), "reason": reason}
        now_known = replace(particulars_of(case), later=reason)
        return self._step(case, "extended", by, values, said, now_known)

    def looked(self, case: Case, held: list[Json], *, by: str) -> Case:
        """Note what is held, for the letter."""
        check_open(case.state)
        return self._step(
            case, "looked", by, {}, {"things": len(held)}, replace(particulars_of(case), held=held)
        )

    def exported(self, case: Case, now: datetime, *, by: str) -> Case:
        """Note that a copy was made."""
        check_open(case.state)
        return self._step(case, "exported", by, {"exported_at": now}, {})

    def held(self, case: Case, hold_id: str, *, by: str) -> Case:
        """Note that a part is under a legal hold."""
        check_open(case.state)
        return self._step(case, "held", by, {}, {"hold": hold_id})

    def answer(
        self, case: Case, now: datetime, *, by: str, done: str = "", ground: str | None = None
    ) -> Case:
        """Answer a request, or refuse it on a ground. From now on its time runs.

        Raises:
            InputError: it is not open any more.
        """
        check_open(case.state)
        terms = self._terms()
        state = CaseState.ANSWERED if ground is None else CaseState.REFUSED
        values = {
            "state": state,
            "answered_at": now,
            "expires_at": expires_at(now, terms.period),
            "clause": terms.clause,
            "document": terms.document,
        }
        said: dict[str, Value] = {"late": now > case.due_at}
        if ground is not None:
            said["reason"] = ground
        known = replace(particulars_of(case), done=done, ground=ground or "")
        return self._step(case, state.value, by, values, said, known)

    def close(self, case: Case, now: datetime, *, by: str) -> Case:
        """Let go of what names somebody. Can be repeated.

        Raises:
            InputError: it is open.
        """
        check_closing(case.state)
        if case.closed_at is None:
            self._let_go([case.id], now, by)
        return self.get(case.id)

    def erased(self, person_id: str, erasure_id: str, by: str) -> None:
        """Lead from the requests for a person's erasure that are open to the erasure they led to,
        for which `by` asked. Can be repeated.
        """
        where = and_(
            table.c.person_id == person_id,
            table.c.kind == CaseKind.ERASURE,
            table.c.state == CaseState.OPEN,
            table.c.erasure_id.is_(None),
            sound(table),
        )
        with storage_errors(_WHAT), self._engine.begin() as connection:
            for case_id in connection.execute(select(table.c.id).where(where)).scalars().all():
                led = update(table).where(table.c.id == case_id).values(erasure_id=erasure_id)
                connection.execute(led)
                self._note(connection, case_id, "erased", by, {"erasure": erasure_id})

    def forget(self, whose: Owner) -> None:
        """Let go of what names somebody who is erased, in all that is answered. Can be repeated."""
        if whose.person_id is None:
            return
        answered = [
            one for one in self.of_person(whose.person_id) if one.state is not CaseState.OPEN
        ]
        due = [one.id for one in answered if one.closed_at is None]
        latest = max((one.answered_at for one in answered if one.answered_at), default=None)
        if due and latest is not None:
            self._let_go(due, latest, "erasure")

    def let_go_again(self, ids: Iterable[str], now: datetime) -> int:
        """Let go of what names somebody in these requests, whether they are known here or not; in
        how many that are. For a restored home.
        """
        some = list(ids)
        self._keyring.destroy(some)
        gone = 0
        with storage_errors(_WHAT), self._engine.begin() as connection:
            for case_id in some:
                known = and_(table.c.id == case_id, table.c.closed_at.is_(None))
                values = {"sealed": None, "closed_at": now}
                gone += connection.execute(update(table).where(known).values(values)).rowcount
        return gone

    def sweep(self, now: datetime) -> Mapping[str, int]:
        """Let go of erasures that were answered a month ago, and remove what has come to its time.

        Raises:
            StorageError: call again.
        """
        before = now - timedelta(days=AFTER_ANSWER_DAYS)
        over = and_(table.c.expires_at.is_not(None), table.c.expires_at <= now)
        answered = and_(
            table.c.closed_at.is_(None),
            table.c.erasure_id.is_not(None),
            table.c.answered_at <= before,
        )
        query = select(table.c.id, table.c.closed_at, table.c.expires_at, table.c.answered_at)
        with storage_errors(_WHAT), reading(self._engine) as connection:
            self._damages.note_all("person_requests", unsound(connection, table))
            rows = connection.execute(
                query.where(or_(over, answered), sound(table)).limit(_AT_ONCE)
            ).all()
        self._let_go([row.id for row in rows if row.closed_at is None], now, "retention")
        gone = [row.id for row in rows if row.expires_at is not None and row.expires_at <= now]
        with storage_errors(_WHAT), self._engine.begin() as connection:
            for case_id in gone:
                connection.execute(delete(table).where(table.c.id == case_id))
                self._note(connection, case_id, "expired", "retention", {})
        return {"requests": len(gone)}

    # -- inside ----------------------------------------------------------------------------------

    def _step(  # noqa: PLR0917 - what changes, what is said of it, what is sealed
        self,
        case: Case,
        step: str,
        by: str,
        values: Mapping[str, object],
        said: Body,
        written: CaseParticulars | None = None,
    ) -> Case:
        particulars_of(case)
        sealed = None if written is None else self._seal(case.id, written)
        with storage_errors(_WHAT), self._engine.begin() as connection:
            now = {**values, "handled_by": by} | ({} if sealed is None else {"sealed": sealed})
            # The state of before: of two who answer at once, one does.
            there = and_(table.c.id == case.id, table.c.state == case.state, sound(table))
            if connection.execute(update(table).where(there).values(now)).rowcount != 1:
                raise InputError("somebody else has just changed this request.", hint="look again")
            self._note(connection, case.id, step, by, said)
        return self.get(case.id)

    def _let_go(self, ids: list[str], now: datetime, by: str) -> None:
        """Destroy the keys first: what is on record as let go is."""
        if not ids:
            return
        self._keyring.destroy(ids)
        with storage_errors(_WHAT), self._engine.begin() as connection:
            for case_id in ids:
                gone = update(table).where(table.c.id == case_id, sound(table))
                connection.execute(gone.values(sealed=None, closed_at=now))
                self._note(connection, case_id, "closed", by, {})

    def _note(
        self,
        connection: Connection,
        case_id: str,
        step: str,
        by: str,
        said: Body,
    ) -> None:
        self._ledger.append(
            f"request.{step}", case_id, {"by": by, **said}, whose=case_id, connection=connection
        )

    def _seal(self, case_id: str, particulars: CaseParticulars) -> bytes:
        key = self._keyring.dek(case_id, _DATA_CLASS, _NEVER).key
        plain = orjson.dumps(asdict(particulars))
        return seal(key, plain, case_id.encode(), self._random(NONCE_BYTES))

    def _open(self, case_id: str, sealed: bytes | None) -> CaseParticulars | None:
        if sealed is None:
            return None
        try:
            key = self._keyring.get(case_id).key
            plain = unseal(key, sealed, case_id.encode(), "a request")
        except IntegrityError as error:
            if error.code != "key_destroyed":
                self._damages.note(f"request {case_id}", error.message)
            return None
        return CaseParticulars(**orjson.loads(plain))

    def _found(self, query: Query) -> list[Case]:
        with storage_errors(_WHAT), reading(self._engine) as connection:
            rows = connection.execute(query.where(sound(table))).all()
        return [self._case(row) for row in rows]

    def _case(self, row: DbRow) -> Case:
        values = dict(row._mapping)
        sealed = values.pop("sealed")
        del values["mac"], values["digest"]
        values |= {"kind": CaseKind(row.kind), "state": CaseState(row.state)}
        return Case(**values, particulars=self._open(row.id, sealed))

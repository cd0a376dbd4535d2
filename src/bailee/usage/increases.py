"""The requests of one home for more than limits allow: asking, deciding, and what of them goes.

Rules kept here:

* A member has one request at a time in an organisation that nobody has decided.
* A request is decided once. What is granted comes to hold in the same transaction.
* Each is an entry of the audit record in the same transaction, by ids.
* A request goes at its time, or with its person.

Rows: O2, R6.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from functools import partial
from typing import Final

from sqlalchemy import ColumnElement, Connection, Engine, delete, func, insert, select, update

from bailee.damage import Damages
from bailee.db.engine import DbRow, reading, storage_errors
from bailee.db.pages import following
from bailee.db.people import memberships, persons
from bailee.db.usage import limit_increases as table
from bailee.errors import InputError
from bailee.keeping.keeper import Owner
from bailee.ledger import Ledger
from bailee.usage.increase import IncreaseRequest, IncreaseState
from bailee.usage.limit_store import LimitStore
from bailee.usage.limits import (
    LimitMeasure,
    LimitSpan,
    Scope,
    Subject,
    UsageLimit,
    limit_id,
    member_id,
)

_WHAT: Final = "the requests for more"


class IncreaseRequests:
    """The requests of one home, in the process that has it. Operations ask and decide, sweeps and
    erasures remove; each from any thread but an event loop's.
    """

    name: Final = "increases"

    def __init__(
        self,
        engine: Engine,
        ledger: Ledger,
        damages: Damages,
        limits: LimitStore,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._engine = engine
        self._ledger = ledger
        self._damages = damages
        self._limits = limits
        self._random = random
        self._asking = threading.Lock()  # between looking for one and making another

    # -- what there is ---------------------------------------------------------------------------

    def get(self, request_id: str, now: datetime) -> IncreaseRequest:
        """A request of somebody who is a member still.

        Raises:
            InputError: code `not_found`.
        """
        found = self._found(now, [table.c.id == request_id, _of_a_member()], 1)
        if not found:
            raise InputError("there is no such request.", code="not_found")
        return found[0]

    def page(
        self,
        organisations: Collection[str] | None,
        now: datetime,
        most: int,
        after: str | None = None,
        *,
        states: Collection[IncreaseState] = (),
        people: Collection[str] = (),
    ) -> list[IncreaseRequest]:
        """At most so many of these organisations' members (None: of all), the newest first: those
        that come `after` a place (`db.pages`); with `states` or `people`, of these alone.

        Raises:
            InputError: there is no such place.
        """
        where = [_of_a_member(), *_in(organisations)]
        if states:
            where.append(table.c.state.in_(states))
        if people:
            where.append(table.c.person.in_(people))
        return self._found(now, [*where, following(table.c.asked_at, table.c.id, after)], most)

    def waiting(
        self, organisations: Collection[str] | None, now: datetime, most: int
    ) -> Mapping[str, int]:
        """How many wait to be decided in these organisations (None: in all), by organisation: of so
        many organisations at the most, those first in which the most wait.
        """
        number = func.count().label("number")
        query = (
            select(table.c.organisation, number)
            .where(table.c.until > now, table.c.state == IncreaseState.PENDING, _of_a_member())
            .where(*_in(organisations))
            .group_by(table.c.organisation)
            .order_by(number.desc(), table.c.organisation)
            .limit(most)
        )
        with storage_errors(_WHAT), reading(self._engine) as connection:
            return {row.organisation: row.number for row in connection.execute(query)}

    def pending(self, now: datetime) -> int:
        """How many wait to be decided, in all organisations."""
        query = select(func.count()).where(
            table.c.until > now, table.c.state == IncreaseState.PENDING, _of_a_member()
        )
        with storage_errors(_WHAT), reading(self._engine) as connection:
            return connection.execute(query).scalar_one()

    def of_person(
        self, person: str, now: datetime, most: int | None = None
    ) -> list[IncreaseRequest]:
        """A person's, in whichever organisation, the newest first; at most so many, or all."""
        return self._found(now, [table.c.person == person], most)

    def _found(
        self, now: datetime, where: Collection[ColumnElement[bool]], most: int | None
    ) -> list[IncreaseRequest]:
        query = select(table).where(table.c.until > now, *where)
        query = query.order_by(table.c.asked_at.desc(), table.c.id).limit(most)
        with storage_errors(_WHAT), reading(self._engine) as connection:
            rows = connection.execute(query).all()
        return list(self._damages.each(rows, _request, lambda row: f"request for more {row.id}"))

    # -- steps -----------------------------------------------------------------------------------

    def ask(
        self,
        organisation: str,
        person: str,
        span: LimitSpan,
        amount: int,
        *,
        now: datetime,
        until: datetime,
    ) -> IncreaseRequest:
        """Ask for so much. `until`: when the request goes.

        Raises:
            InputError: they have asked already; or the person was erased.
        """
        request_id = "inc_" + self._random(8).hex()
        living = select(persons.c.id).where(persons.c.id == person, persons.c.erased_at.is_(None))
        open_one = select(table.c.id).where(
            table.c.organisation == organisation,
            table.c.person == person,
            table.c.state == IncreaseState.PENDING,
            table.c.until > now,
        )
        row: dict[str, object] = {
            "id": request_id, "organisation": organisation, "person": person, "span": span,
            "amount": amount, "state": IncreaseState.PENDING, "asked_at": now, "until": until,
        }  # fmt: skip
        with self._asking, storage_errors(_WHAT), self._engine.begin() as connection:
            if connection.execute(living).first() is None:
                raise InputError("this person was erased.", code="not_found")
            if connection.execute(open_one).first() is not None:
                raise InputError("you have asked already, and nobody has decided it yet.")
            connection.execute(insert(table).values(**row))
            self._ledger.append(
                "usage.increase_asked",
                member_id(organisation, person),
                {"request": request_id, "span": span, "amount": amount, "by": person},
                connection=connection,
            )
        return self.get(request_id, now)

    def approve(
        self, request: IncreaseRequest, amount: int, span: LimitSpan, now: datetime, *, by: str
    ) -> UsageLimit:
        """Grant so much: the member's own limit, which is given.

        Raises:
            InputError: it was decided already.
        """
        subject = Subject(Scope.MEMBER, member_id(request.organisation, request.person))
        which = limit_id(subject, LimitMeasure.MONEY, span)
        limit = UsageLimit(which, subject, LimitMeasure.MONEY, span, amount)
        decide = partial(
            self._decide, request, IncreaseState.APPROVED, now, span=span, granted=amount, by=by
        )
        self._limits.set_limit(limit, now, by=by, beside=decide)
        return limit

    def deny(self, request: IncreaseRequest, now: datetime, *, by: str) -> None:
        """Grant nothing.

        Raises:
            InputError: it was decided already.
        """
        with storage_errors(_WHAT), self._engine.begin() as connection:
            self._decide(
                request, IncreaseState.DENIED, now, connection, span=None, granted=None, by=by
            )

    def _decide(
        self,
        request: IncreaseRequest,
        state: IncreaseState,
        now: datetime,
        connection: Connection,
        *,
        span: LimitSpan | None,
        granted: int | None,
        by: str,
    ) -> None:
        this = table.c.id == request.id, table.c.state == IncreaseState.PENDING
        said = update(table).where(*this).values(
            state=state, decided_at=now, decided_by=by, granted=granted, span=span or request.span
        )  # fmt: skip
        if not connection.execute(said).rowcount:
            raise InputError("this request was decided already.", code="changed_meanwhile")
        self._ledger.append(
            "usage.increase_decided",
            member_id(request.organisation, request.person),
            {
                "request": request.id, "state": state, "span": span or request.span,
                "amount": granted, "by": by,
            },
            connection=connection,
        )  # fmt: skip

    # -- what goes -------------------------------------------------------------------------------

    def sweep(self, now: datetime) -> Mapping[str, int]:
        """Remove what is past its time; how many.

        Raises:
            StorageError: call again.
        """
        with storage_errors(_WHAT), self._engine.begin() as connection:
            gone = connection.execute(delete(table).where(table.c.until <= now))
        return {"limit_increases": gone.rowcount}

    def forget(self, whose: Owner) -> None:
        """Remove a person's. Can be repeated.

        Raises:
            StorageError: call again.
        """
        if whose.person_id is not None:
            with storage_errors(_WHAT), self._engine.begin() as connection:
                connection.execute(delete(table).where(table.c.person == whose.person_id))


def _in(organisations: Collection[str] | None) -> list[ColumnElement[bool]]:
    return [] if organisations is None else [table.c.organisation.in_(organisations)]


def _of_a_member() -> ColumnElement[bool]:
    """The condition that who asked is in the organisation still."""
    place = select(memberships.c.person_id).where(
        memberships.c.person_id == table.c.person,
        memberships.c.organisation_id == table.c.organisation,
    )
    return place.exists()


def _request(row: DbRow) -> IncreaseRequest:
    return IncreaseRequest(
        row.id,
        row.organisation,
        row.person,
        LimitSpan(row.span),
        row.amount,
        IncreaseState(row.state),
        row.asked_at,
        row.decided_at,
        row.decided_by,
        row.granted,
        row.until,
    )

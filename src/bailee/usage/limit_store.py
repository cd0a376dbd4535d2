"""The limits of one home and lists of models: setting them, and what of them goes.

Rules kept here:

* A change of a limit or a list is an entry of the audit record in the same transaction.
* What a new limit counts is what was used before it in its present window (`reserving`).

Rows: O2.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, Engine, and_, delete, or_

from bailee.db.engine import storage_errors
from bailee.db.portable import insert as upsert
from bailee.db.usage import usage_limits, usage_reservations, usage_windows
from bailee.errors import InputError
from bailee.keeping.keeper import Owner
from bailee.ledger import Ledger
from bailee.usage.limit_rows import (
    among,
    drop_windows,
    end_gone,
    limits_on,
    put_limit,
    put_models,
    window_row,
)
from bailee.usage.limits import (
    OF_MEMBERS,
    UNLIMITED,
    LimitMeasure,
    LimitSpan,
    Scope,
    Subject,
    UsageLimit,
    member_id,
    other_pool,
    window_of,
    windows,
)
from bailee.usage.reserving import WHAT, Before, UsageReservations

_KEPT: Final = timedelta(days=40)
_AT_ONCE: Final = 500
_MINUTES_KEPT: Final = timedelta(hours=1)
LONGEST_LIST: Final = 300
MOST_AMOUNT: Final = UNLIMITED


class LimitStore(UsageReservations):
    """Owns the tables of limits, in the process that has the home. Operations set and show, the
    sweep and an erasure remove; each from any thread but an event loop's.
    """

    name: Final = "limits"

    def __init__(self, engine: Engine, ledger: Ledger, before: Before, gateway: str = "") -> None:
        super().__init__(engine, before, gateway)
        self._ledger = ledger

    # -- changes ---------------------------------------------------------------------------------

    def set_limit(
        self,
        limit: UsageLimit,
        now: datetime,
        *,
        by: str,
        beside: Callable[[Connection], None] = lambda _: None,
    ) -> None:
        """Put a limit in the place of the one on the same. `beside`: what else is done in the same
        transaction.

        Raises:
            InputError: it is none; or `beside` raised it.
            StorageError: nothing was changed.
        """
        _check(limit)
        of_members = limit.subject.scope in OF_MEMBERS
        seeds = [
            (one, self._before(limit.subject, *window_of(limit.span, now)))
            for one in windows([limit.subject], [] if of_members else [limit], now)
        ]
        with storage_errors(WHAT), self._engine.begin() as connection:
            beside(connection)
            put_limit(connection, limit.subject, limit.measure, limit.span, limit.amount)
            if of_members:
                drop_windows(connection, limit)
            other = other_pool(limit.subject)
            if other is not None:
                _drop_unlimited(connection, replace(limit, subject=other))
            for window, used in seeds:
                row = upsert(usage_windows).values(**window_row(window), **used._asdict())
                connection.execute(row.on_conflict_do_nothing())
            self._ledger.append(
                "usage.limit_set", _name(limit.subject), _said(limit, by), connection=connection
            )
        self.version += 1

    def remove_limit(self, limit: UsageLimit, *, by: str) -> None:
        """Take a limit away.

        Raises:
            InputError: there is no such limit.
        """
        with storage_errors(WHAT), self._engine.begin() as connection:
            if not put_limit(connection, limit.subject, limit.measure, limit.span, None):
                raise InputError("there is no such limit.", code="not_found")
            if limit.subject.scope in OF_MEMBERS:
                drop_windows(connection, limit)
            else:
                _drop_unlimited(connection, limit)
            body = _said(limit, by)
            del body["amount"]
            self._ledger.append(
                "usage.limit_removed", _name(limit.subject), body, connection=connection
            )
        self.version += 1

    def set_models(self, scope: str, subject: str, models: Sequence[str], *, by: str) -> None:
        """Say which models may be asked; none: all again.

        Raises:
            InputError: a name is no name, or they are too long together.
        """
        text = " ".join(models)
        if any(not one or " " in one or not one.isprintable() for one in models):
            raise InputError("this is no name of a model.")
        if len(text) > LONGEST_LIST:
            raise InputError(
                f"the names are longer than {LONGEST_LIST} characters together.",
                hint="write claude-* for all whose name begins so",
            )
        with storage_errors(WHAT), self._engine.begin() as connection:
            put_models(connection, scope, subject, text)
            body = {"scope": scope, "models": text, "by": by}
            self._ledger.append("usage.models_set", subject, body, connection=connection)
        self.version += 1

    def moved(self, members: Collection[tuple[str, str]]) -> None:
        """Count anew for these members (organisation and person), who have another team.

        Raises:
            StorageError: call again.
        """
        whose = [Subject(Scope.MEMBER, member_id(*one)) for one in members]
        with storage_errors(WHAT), self._engine.begin() as connection:
            for at in range(0, len(whose), _AT_ONCE):
                some = among(usage_windows, whose[at : at + _AT_ONCE])
                connection.execute(delete(usage_windows).where(some))

    # -- what goes -------------------------------------------------------------------------------

    def sweep(self, now: datetime) -> Mapping[str, int]:
        """Remove windows that have long ended; how many."""
        with storage_errors(WHAT), self._engine.begin() as connection:
            start, span = usage_windows.c.start, usage_windows.c.span
            ended = or_(
                start < (now - _KEPT).timestamp(),
                and_(span == LimitSpan.MINUTE, start < (now - _MINUTES_KEPT).timestamp()),
            )
            gone = connection.execute(delete(usage_windows).where(ended))
            end_gone(connection)
            self._look_for_damage(connection)
        return {"usage_windows": gone.rowcount}

    def forget(self, whose: Owner) -> None:
        """Remove a person's limits and what is counted for them. Can be repeated."""
        if whose.person_id is None:
            return
        with storage_errors(WHAT), self._engine.begin() as connection:
            for table in (usage_limits, usage_windows, usage_reservations):
                person = and_(table.c.scope == Scope.PERSON, table.c.subject == whose.person_id)
                ends = table.c.subject.endswith(f"/{whose.person_id}", autoescape=True)
                member = and_(table.c.scope == Scope.MEMBER, ends)
                connection.execute(delete(table).where(or_(person, member)))
        self.version += 1


def _drop_unlimited(connection: Connection, limit: UsageLimit) -> None:
    """Drop the windows of a limit's subject and span, where no limit on them is left."""
    if limit.span not in {one.span for one in limits_on(connection, [limit.subject])}:
        drop_windows(connection, limit)


def _said(limit: UsageLimit, by: str) -> dict[str, str | int | float | bool | None]:
    return {
        "scope": str(limit.subject.scope), "measure": str(limit.measure), "span": str(limit.span),
        "amount": limit.amount, "by": by,
    }  # fmt: skip


def _check(limit: UsageLimit) -> None:
    if limit.subject.scope is Scope.DOCUMENT:
        raise InputError("a policy document says this, and nobody sets it.")
    if not 0 <= limit.amount <= MOST_AMOUNT:
        raise InputError("this is no amount for a limit.", hint="0 lets nothing through")
    if (limit.measure is LimitMeasure.CONCURRENCY) is not (limit.span is LimitSpan.NOW):
        raise InputError(
            "a limit on requests at once has no time, and every other limit has one.",
            hint="per: minute, day, week, month",
        )
    if bool(limit.subject.id) is (limit.subject.scope is Scope.EVERYBODY):
        raise InputError(
            "whose limit is it? Name a person, an organisation, a team, a key, or everybody."
        )


def _name(subject: Subject) -> str:
    return subject.id or "all"

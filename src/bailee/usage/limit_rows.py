"""The rows of limits, of what is used and what is reserved: within a transaction of the caller's.

`LimitStore` calls it, and a restore that does again what was decided. Nothing is in memory here.

Rows: O2.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, Connection, Row, Table, and_, delete, func, not_, or_, select

from bailee.db.checks import sound
from bailee.db.portable import insert as upsert
from bailee.db.portable import unix_now
from bailee.db.usage import (
    usage_gateways,
    usage_limits,
    usage_models,
    usage_reservations,
    usage_windows,
)
from bailee.usage.limits import (
    OF_MEMBERS,
    LimitMeasure,
    LimitSpan,
    Scope,
    Subject,
    UnderWay,
    UsageLimit,
    Used,
    Window,
    limit_id,
    member_id,
    organisation_of,
    other_pool,
    window_of,
    windows,
)

LASTS: Final = timedelta(hours=1)
"""For how long a reservation is one, at the most."""
GONE: Final = 60
"""After how many seconds without a sign of life a gateway is gone, with what it reserved."""
_FROM_FIRST: Final = frozenset({Scope.MEMBER, Scope.DOCUMENT})
"""Whose windows are counted from when they first ask in one."""
_NAMED: Final = 24 * 3600
"""For how many seconds the number of a gateway's last counts is kept."""
_AS_WRITTEN: Final = usage_reservations.c.again == (
    usage_reservations.c.until + usage_reservations.c.tokens + usage_reservations.c.money
)


def put_limit(
    connection: Connection,
    subject: Subject,
    measure: LimitMeasure,
    span: LimitSpan,
    amount: int | None,
) -> bool:
    """Write a limit in the place of the one on the same, if any; None: there is none any more. For
    `LimitStore`, and for a restore that does again what was decided. Whether there was one. A pool
    takes the place of one that is paused, and the other way round.
    """
    other = None if amount is None else other_pool(subject)
    if other is not None:
        put_limit(connection, other, measure, span, None)
    key = {"scope": subject.scope, "subject": subject.id, "measure": measure, "span": span}
    same = [usage_limits.c[name] == value for name, value in key.items()]
    gone = connection.execute(delete(usage_limits).where(*same))
    if amount is not None:
        connection.execute(usage_limits.insert().values(**key, amount=amount))
    return bool(gone.rowcount)


def put_models(connection: Connection, scope: str, subject: str, models: str) -> None:
    """Write a list of models; without any, there is none any more."""
    same = usage_models.c.scope == scope, usage_models.c.subject == subject
    connection.execute(delete(usage_models).where(*same))
    if models:
        connection.execute(
            usage_models.insert().values(scope=scope, subject=subject, models=models)
        )


def limits_on(connection: Connection, subjects: Sequence[Subject] | None) -> list[UsageLimit]:
    """The limits on these subjects; None: all."""
    query = select(usage_limits).where(sound(usage_limits))
    if subjects is not None:
        query = query.where(among(usage_limits, subjects))
    found = []
    for row in connection.execute(query.order_by(*usage_limits.primary_key)):
        subject = Subject(Scope(row.scope), row.subject)
        measure, span = LimitMeasure(row.measure), LimitSpan(row.span)
        found.append(
            UsageLimit(limit_id(subject, measure, span), subject, measure, span, row.amount)
        )
    return found


def reserved_for(connection: Connection, subjects: Sequence[Subject]) -> dict[Subject, UnderWay]:
    """What is reserved for these subjects, where anything is."""
    if not subjects:
        return {}
    table = usage_reservations
    query = (
        select(
            table.c.scope,
            table.c.subject,
            func.count().label("requests"),
            func.sum(table.c.tokens).label("tokens"),
            func.sum(table.c.money).label("money"),
        )
        .where(among(table, subjects), _AS_WRITTEN)
        .group_by(table.c.scope, table.c.subject)
    )
    return {
        Subject(Scope(row.scope), row.subject): UnderWay(row.requests, row.tokens, row.money)
        for row in connection.execute(query)
    }


def settle(connection: Connection, request_id: str, used: Used, now: datetime) -> None:
    """Let a reservation go, and count what the request did use; one that is not there is none."""
    table = usage_reservations
    rows = connection.execute(select(table).where(table.c.id == request_id)).all()
    if rows:
        connection.execute(delete(table).where(table.c.id == request_id))
        for row in rows:
            _count_ended(connection, row, used, now)


def charge(connection: Connection, open_windows: Sequence[Window], used: Used) -> None:
    """Count what was used without a reservation. A window that is begun from what is counted by the
    hour has it from there.
    """
    for window in open_windows:
        there = select(usage_windows.c.start).where(*same_window(window), sound(usage_windows))
        if not is_begun(window) or connection.execute(there).first() is not None:
            count(connection, window, used)


def note_alive(connection: Connection, gateway: str) -> None:
    """A gateway is there, by the database's clock."""
    row = upsert(usage_gateways).values(id=gateway, seen=unix_now(), counted=0)
    more = {"seen": row.excluded.seen}
    connection.execute(row.on_conflict_do_update(index_elements=["id"], set_=more))


def end_gone(connection: Connection) -> None:
    """Forget gateways that have long gone: nothing names them any more."""
    table = usage_gateways
    connection.execute(delete(table).where(table.c.seen < unix_now() - _NAMED))


def end_lost(connection: Connection, now: datetime, *, but: str) -> None:
    """Count what was reserved, and is over its time or whose gateway is gone, in full; drop what is
    not what was written. `but`: the gateway that asks, which is there.
    """
    table, named = usage_reservations, usage_reservations.c.gateway
    connection.execute(delete(table).where(not_(_AS_WRITTEN)))
    there = select(usage_gateways.c.id).where(usage_gateways.c.seen > unix_now() - GONE)
    gone = and_(named.not_in(["", but]), named.not_in(there))
    lost = or_(table.c.until <= now.timestamp(), gone)
    for row in connection.execute(select(table).where(lost)).all():
        _count_ended(connection, row, Used(0, row.tokens, row.money), now)
        same = table.c.id == row.id, table.c.scope == row.scope, table.c.subject == row.subject
        connection.execute(delete(table).where(*same))


def _count_ended(
    connection: Connection, row: Row[tuple[object, ...]], used: Used, now: datetime
) -> None:
    """Count what a request used for one of its subjects, of whom `row` is the reservation."""
    subject = Subject(Scope(row.scope), row.subject)
    if subject.scope in _FROM_FIRST:
        began = datetime.fromtimestamp(row.until, UTC) - LASTS
        of_it = _going_on(connection, subject, began, now)
    else:
        of_it = windows([subject], limits_on(connection, [subject]), now)
    for window in of_it:
        count(connection, window, used)


def _going_on(
    connection: Connection, member: Subject, began: datetime, now: datetime
) -> list[Window]:
    """The windows at `now` of a member, or by a document, for whom a request was reserved when it
    began: those that are counted, and those whose one before was. Which limits are theirs says a
    team or a document that may be another by now.
    """
    spans = [one for one in LimitSpan if one is not LimitSpan.NOW]
    at, then = (
        [Window(member, span, int(window_of(span, when)[0].timestamp())) for span in spans]
        for when in (now, began)
    )
    table = usage_windows
    theirs = table.c.scope == member.scope, table.c.subject == member.id
    starts = table.c.start.in_([one.start for one in (*at, *then)])
    rows = connection.execute(select(table.c.span, table.c.start).where(*theirs, starts))
    there = {Window(member, LimitSpan(row.span), row.start) for row in rows}
    return [
        one for one, before in zip(at, then, strict=True) if not there.isdisjoint({one, before})
    ]


def drop_windows(connection: Connection, limit: UsageLimit) -> None:
    """Let what a limit counts be counted anew from the counts by the hour, if it ever is."""
    table = usage_windows
    whose = among(table, [limit.subject])
    if limit.subject.scope in OF_MEMBERS:
        begins = table.c.subject.startswith(
            member_id(organisation_of(limit.subject), ""), autoescape=True
        )
        whose = and_(table.c.scope == Scope.MEMBER, begins)
    connection.execute(delete(table).where(whose, table.c.span == limit.span))


def is_begun(window: Window) -> bool:
    """Whether a window that is not there has what was used before it in it: what counts by the hour
    can't say of a minute.
    """
    return window.subject.scope in _FROM_FIRST and window.span is not LimitSpan.MINUTE


def count(connection: Connection, window: Window, used: Used) -> None:
    """Add what was used to a window, which is there from then on."""
    row = upsert(usage_windows).values(**window_row(window), **used._asdict())
    more = {name: usage_windows.c[name] + row.excluded[name] for name in Used._fields}
    keys = ["scope", "subject", "span", "start"]
    connection.execute(row.on_conflict_do_update(index_elements=keys, set_=more))


def window_row(one: Window) -> dict[str, str | int]:
    """A window's columns."""
    return {
        "scope": one.subject.scope, "subject": one.subject.id, "span": one.span, "start": one.start,
    }  # fmt: skip


def same_window(one: Window) -> list[ColumnElement[bool]]:
    """The conditions that a row is this window."""
    return [usage_windows.c[name] == value for name, value in window_row(one).items()]


def among(table: Table, subjects: Sequence[Subject]) -> ColumnElement[bool]:
    """The condition that a row is of one of these subjects."""
    return or_(
        False, *(and_(table.c.scope == one.scope, table.c.subject == one.id) for one in subjects)
    )

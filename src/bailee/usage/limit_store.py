"""The limits of one home, what is used and reserved of them, and lists of models.

Theory of operation: a request's reservation is read, decided and written in one transaction that
holds the database's write lock from its beginning, so that all gateways over the database decide
one after another, each on what the others have reserved. At its end the request's row goes, and
what it did use is added to the windows of its subjects.

Rules kept here:

* A reservation whose gateway was killed counts as used once its time is over: what it used is not
  known, and a limit is not to be got round by that.
* A new limit counts what was used before it in its present window, from the counts by the hour. So
  does one of whose window the row is not what was written (`db.checks`), or may be another's now:
  whether there is such a row is looked for at the first window that is missing, and by each sweep,
  since it means to read them all.
* What each member of an organisation may use is counted for a member from when they first ask in a
  window, with what the counts have of it. It is counted anew so when a limit for members changes,
  or a member's team.
* A reservation whose numbers are not what was written holds nothing, and goes: a limit may be gone
  over by that one request.
* A change of a limit or a list is an entry of the audit record in the same transaction.

Rows: O2.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from sqlalchemy import (
    Connection,
    Engine,
    and_,
    delete,
    not_,
    or_,
    select,
)

from bailee.db.checks import sound
from bailee.db.engine import reading, storage_errors
from bailee.db.portable import insert as upsert
from bailee.db.usage import usage_limits, usage_models, usage_reservations, usage_windows
from bailee.errors import InputError
from bailee.keeping.keeper import Owner
from bailee.ledger import Ledger
from bailee.usage.limit_rows import (
    LASTS,
    among,
    count,
    drop_windows,
    end_lost,
    is_begun,
    limits_on,
    put_limit,
    put_models,
    reserved_for,
    same_window,
    settle,
    window_row,
)
from bailee.usage.limits import (
    OF_MEMBERS,
    UNLIMITED,
    LimitMeasure,
    LimitSpan,
    LimitStanding,
    OverLimit,
    Scope,
    Subject,
    UsageLimit,
    Used,
    WantedUse,
    Window,
    member_id,
    over,
    resolved,
    standings,
    window_of,
    windows,
)

_WHAT: Final = "the limits on what is used"
_KEPT: Final = timedelta(days=40)
_MINUTES_KEPT: Final = timedelta(hours=1)
_AT_ONCE: Final = 500
LONGEST_LIST: Final = 300
MOST_AMOUNT: Final = UNLIMITED

_ANY_DAMAGED: Final = select(usage_windows.c.start).where(not_(sound(usage_windows))).limit(1)

Before = Callable[[Subject, datetime, datetime], Used]
"""What a subject used from one moment to another, by the counts."""


class ReserveUse(NamedTuple):
    """A request that wants to go on: its id, whose it is, and what it may use at the most."""

    request_id: str
    subjects: Sequence[Subject]
    wanted: WantedUse


class Settle(NamedTuple):
    """A request that is over: its id, and what it did use."""

    request_id: str
    tokens: int
    money: int


@dataclass(frozen=True, slots=True)
class Reserved:
    """What became of a `ReserveUse`: `over`, why it may not go on; else how its subjects stand."""

    over: OverLimit | None
    standings: Sequence[LimitStanding]


@dataclass(frozen=True, slots=True)
class ModelList:
    """The models that may be asked by an organisation, a team of one (`scope` organisation, team),
    or by the accounts of a plan.
    """

    scope: str
    subject: str
    models: tuple[str, ...]


class LimitStore:
    """Owns the tables of limits. `Governing` reserves and settles by it, operations set and show,
    the sweep and an erasure remove; each from any thread but an event loop's. `version` grows with
    each change made through it.
    """

    name: Final = "limits"

    def __init__(self, engine: Engine, ledger: Ledger, before: Before) -> None:
        self._engine = engine
        self._ledger = ledger
        self._before = before
        self._damaged: bool | None = None  # whether a window's row is; None: nobody has looked
        self.version = 0

    # -- what there is ---------------------------------------------------------------------------

    def limits(self) -> list[UsageLimit]:
        """Every limit. Raises: StorageError."""
        with storage_errors(_WHAT), reading(self._engine) as connection:
            return limits_on(connection, None)

    def lists(self) -> list[ModelList]:
        """Every list of models. Raises: StorageError."""
        query = select(usage_models).where(sound(usage_models))
        with storage_errors(_WHAT), reading(self._engine) as connection:
            return [
                ModelList(row.scope, row.subject, tuple(row.models.split()))
                for row in connection.execute(query.order_by(*usage_models.primary_key))
            ]

    def standings(self, subjects: Sequence[Subject] | None, now: datetime) -> list[LimitStanding]:
        """How these subjects stand with the limits on them; None: all. What each of some members
        may use is told of by itself, and is used by nobody.
        """
        with storage_errors(_WHAT), reading(self._engine) as connection:
            return self._standings(connection, limits_on(connection, subjects), now)

    def standings_under(
        self, subjects: Sequence[Subject], now: datetime, *, lifted: bool = False
    ) -> list[LimitStanding]:
        """How who has these subjects stands with every limit that they are under. `lifted`: with
        those that let everything through, too.
        """
        with storage_errors(_WHAT), reading(self._engine) as connection:
            limits = resolved(limits_on(connection, subjects), subjects)
            held = [one for one in limits if lifted or one.amount < UNLIMITED]
            return self._standings(connection, held, now)

    # -- changes ---------------------------------------------------------------------------------

    def set_limit(self, limit: UsageLimit, now: datetime, *, by: str) -> None:
        """Put a limit in the place of the one on the same.

        Raises:
            InputError: it is none.
            StorageError: nothing was changed.
        """
        _check(limit)
        of_members = limit.subject.scope in OF_MEMBERS
        seeds = [
            (one, self._before(limit.subject, *window_of(limit.span, now)))
            for one in windows([limit.subject], [] if of_members else [limit], now)
        ]
        with storage_errors(_WHAT), self._engine.begin() as connection:
            put_limit(connection, limit.subject, limit.measure, limit.span, limit.amount)
            if of_members:
                drop_windows(connection, limit)
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
        with storage_errors(_WHAT), self._engine.begin() as connection:
            if not put_limit(connection, limit.subject, limit.measure, limit.span, None):
                raise InputError("there is no such limit.", code="not_found")
            left = {one.span for one in limits_on(connection, [limit.subject])}
            if limit.subject.scope in OF_MEMBERS or limit.span not in left:
                drop_windows(connection, limit)
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
        with storage_errors(_WHAT), self._engine.begin() as connection:
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
        with storage_errors(_WHAT), self._engine.begin() as connection:
            for at in range(0, len(whose), _AT_ONCE):
                some = among(usage_windows, whose[at : at + _AT_ONCE])
                connection.execute(delete(usage_windows).where(some))

    # -- requests --------------------------------------------------------------------------------

    def work(self, asked: Iterable[ReserveUse | Settle], now: datetime) -> dict[str, Reserved]:
        """Reserve and settle, in order, in one transaction; by id what became of reservations.

        Raises:
            StorageError: none of it was done.
        """
        found: dict[str, Reserved] = {}
        with storage_errors(_WHAT), self._engine.begin() as connection:
            end_lost(connection, now)
            for one in asked:
                if isinstance(one, ReserveUse):
                    found[one.request_id] = self._reserve(connection, one, now)
                else:
                    settle(connection, one.request_id, Used(0, one.tokens, one.money), now)
        return found

    # -- inside ----------------------------------------------------------------------------------

    def _standings(
        self, connection: Connection, limits: Sequence[UsageLimit], now: datetime
    ) -> list[LimitStanding]:
        concerned = list({one.subject for one in limits})
        used, _ = self._used(connection, windows(concerned, limits, now), now)
        return standings(limits, used, reserved_for(connection, concerned), now)

    def _used(
        self, connection: Connection, wanted: Sequence[Window], now: datetime
    ) -> tuple[dict[Window, Used], list[Window]]:
        """What was used in windows, and which of them were counted anew."""
        found: dict[Window, Used] = {}
        anew: list[Window] = []
        for one in wanted:
            query = select(usage_windows, sound(usage_windows).label("sound"))
            row = connection.execute(query.where(*same_window(one))).one_or_none()
            if row is not None and row.sound:
                found[one] = Used(row.requests, row.tokens, row.money)
            elif row is not None or is_begun(one) or self._is_damaged(connection):
                found[one] = self._before(one.subject, *window_of(one.span, now))
                anew.append(one)
        return found, anew

    def _is_damaged(self, connection: Connection) -> bool:
        """Whether some window's row is not what was written, as far as somebody has looked."""
        if self._damaged is None:
            self._damaged = connection.execute(_ANY_DAMAGED).first() is not None
        return self._damaged

    def _reserve(self, connection: Connection, asked: ReserveUse, now: datetime) -> Reserved:
        under = resolved(limits_on(connection, asked.subjects), asked.subjects)
        limits = [one for one in under if one.amount < UNLIMITED]
        subjects = list({one.subject for one in limits})
        if not subjects:
            return Reserved(None, ())
        open_windows = windows(subjects, limits, now)
        used, anew = self._used(connection, open_windows, now)
        for window in anew:
            connection.execute(delete(usage_windows).where(*same_window(window)))
            count(connection, window, used[window])
        under_way = reserved_for(connection, subjects)
        found = over(limits, used, under_way, asked.wanted, now)
        told = standings(limits, used, under_way, now)
        if found is not None:
            return Reserved(found, told)
        until = int((now + LASTS).timestamp())
        connection.execute(
            usage_reservations.insert(),
            [
                {
                    "id": asked.request_id, "scope": one.scope, "subject": one.id,
                    "until": until, **asked.wanted._asdict(), "again": until + sum(asked.wanted),
                }
                for one in subjects
            ],
        )  # fmt: skip
        for window in open_windows:
            count(connection, window, Used(requests=1))
        return Reserved(None, told)

    # -- what goes -------------------------------------------------------------------------------

    def sweep(self, now: datetime) -> Mapping[str, int]:
        """Remove windows that have long ended; how many."""
        with storage_errors(_WHAT), self._engine.begin() as connection:
            start, span = usage_windows.c.start, usage_windows.c.span
            ended = or_(
                start < (now - _KEPT).timestamp(),
                and_(span == LimitSpan.MINUTE, start < (now - _MINUTES_KEPT).timestamp()),
            )
            gone = connection.execute(delete(usage_windows).where(ended))
            self._damaged = connection.execute(_ANY_DAMAGED).first() is not None
        return {"usage_windows": gone.rowcount}

    def forget(self, whose: Owner) -> None:
        """Remove a person's limits and what is counted for them. Can be repeated."""
        if whose.person_id is None:
            return
        with storage_errors(_WHAT), self._engine.begin() as connection:
            for table in (usage_limits, usage_windows, usage_reservations):
                person = and_(table.c.scope == Scope.PERSON, table.c.subject == whose.person_id)
                ends = table.c.subject.endswith(f"/{whose.person_id}", autoescape=True)
                member = and_(table.c.scope == Scope.MEMBER, ends)
                connection.execute(delete(table).where(or_(person, member)))
        self.version += 1


def _said(limit: UsageLimit, by: str) -> dict[str, str | int | float | bool | None]:
    return {
        "scope": str(limit.subject.scope), "measure": str(limit.measure), "span": str(limit.span),
        "amount": limit.amount, "by": by,
    }  # fmt: skip


def _check(limit: UsageLimit) -> None:
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

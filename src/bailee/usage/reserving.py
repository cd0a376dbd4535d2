"""Reserving what requests may use, and settling what they did use, by limits: what a gateway does,
in the process that has the home or beside it.

Theory of operation: a request's reservation is read, decided and written in one transaction that
holds the database's write lock from its beginning, so that all gateways over the database decide
one after another, each on what the others have reserved. At its end the request's row goes, and
what it did use is added to the windows of its subjects.

Rules kept here:

* A reservation names its gateway, which gives signs of life while anything is reserved. One whose
  gateway has given none for `limit_rows.GONE` seconds, by the database's clock, counts as used:
  what it used is not known, and a limit is not to be got round by that. So does one that is over
  its time.
* A new limit counts what was used before it in its present window, from the counts by the hour. So
  does one of whose window the row is not what was written (`db.checks`), or may be another's now:
  whether there is such a row is looked for at the first window that is missing, again an hour
  later, and by each sweep, since it means to read them all.
* What each member of an organisation may use is counted for a member from when they first ask in a
  window, with what the counts have of it. It is counted anew so when a limit for members changes,
  or a member's team.
* A reservation whose numbers are not what was written holds nothing, and goes: a limit may be gone
  over by that one request.

Rows: O2.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple, TypeAlias

from sqlalchemy import Connection, Engine, delete, not_, select

from bailee.clock import Ticks, ticks
from bailee.db.checks import sound
from bailee.db.engine import reading, storage_errors
from bailee.db.usage import usage_models, usage_reservations, usage_windows
from bailee.usage.limit_rows import (
    LASTS,
    charge,
    count,
    end_lost,
    is_begun,
    limits_on,
    note_alive,
    reserved_for,
    same_window,
    settle,
)
from bailee.usage.limits import (
    LATER,
    UNLIMITED,
    LimitStanding,
    OverLimit,
    Subject,
    UsageLimit,
    Used,
    WantedUse,
    Window,
    over,
    resolved,
    standings,
    window_of,
    windows,
)

WHAT: Final = "the limits on what is used"
_ALIVE: Final = 5.0
"""Seconds between two signs of life."""
_LOOKED: Final = 3600.0
"""For how many seconds nobody looks again whether a window's row is not what was written."""
ANY_DAMAGED: Final = select(usage_windows.c.start).where(not_(sound(usage_windows))).limit(1)
"""Some window's row that is not what was written."""

Before = Callable[[Subject, datetime, datetime], Used]
"""What a subject used from one moment to another, by the counts."""


def new_gateway() -> str:
    """A name for what reserves and counts in this process."""
    return secrets.token_hex(16)


class ReserveUse(NamedTuple):
    """A request that wants to go on: its id, whose it is, what it may use at the most, and what it
    is under besides the limits that were set (`document_bounds`).
    """

    request_id: str
    subjects: Sequence[Subject]
    wanted: WantedUse
    bounds: Sequence[UsageLimit] = ()


class Settle(NamedTuple):
    """A request that is over: its id, and what it did use."""

    request_id: str
    tokens: int
    money: int


class Charge(NamedTuple):
    """What somebody used for which nothing was reserved, and what they are under besides the
    limits that were set (`document_bounds`).
    """

    subjects: Sequence[Subject]
    tokens: int
    money: int
    bounds: Sequence[UsageLimit] = ()


class AskLeft(NamedTuple):
    """Something that is used later: whether its subjects have anything left of each limit on money
    and tokens. Nothing is reserved.
    """

    request_id: str
    subjects: Sequence[Subject]
    bounds: Sequence[UsageLimit] = ()


Work: TypeAlias = ReserveUse | AskLeft | Settle | Charge
"""What is done in one transaction."""


@dataclass(frozen=True, slots=True)
class Reserved:
    """What became of a `ReserveUse` or an `AskLeft`: `over`, why it may not go on; else how its
    subjects stand.
    """

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


class UsageReservations:
    """Limits and lists to read, and what is reserved of them, under the name of one gateway.
    `Governing` reserves and settles by it, from any thread but an event loop's. `version` grows
    with each change of a limit or a list that is made through it.
    """

    def __init__(
        self, engine: Engine, before: Before, gateway: str, *, ticks: Ticks = ticks
    ) -> None:
        """`gateway`: a name that no other process has, nor had."""
        self._engine = engine
        self._before = before
        self._gateway = gateway
        self._ticks = ticks
        self._alive = float("-inf")  # when the last sign of life was given
        self._damaged = False  # whether a window's row is, as of the next
        self._looked = float("-inf")
        self.version = 0

    # -- what there is ---------------------------------------------------------------------------

    def limits(self) -> list[UsageLimit]:
        """Every limit. Raises: StorageError."""
        with storage_errors(WHAT), reading(self._engine) as connection:
            return limits_on(connection, None)

    def lists(self) -> list[ModelList]:
        """Every list of models. Raises: StorageError."""
        query = select(usage_models).where(sound(usage_models))
        with storage_errors(WHAT), reading(self._engine) as connection:
            return [
                ModelList(row.scope, row.subject, tuple(row.models.split()))
                for row in connection.execute(query.order_by(*usage_models.primary_key))
            ]

    def standings(
        self,
        subjects: Sequence[Subject] | None,
        now: datetime,
        bounds: Sequence[UsageLimit] = (),
    ) -> list[LimitStanding]:
        """How these subjects stand with the limits on them; None: all; and with `bounds` of
        documents. What each of some members may use is told of by itself, and is used by nobody.
        """
        with storage_errors(WHAT), reading(self._engine) as connection:
            limits = [*limits_on(connection, subjects), *bounds]
            return self._standings(connection, limits, now)

    def standings_under(
        self,
        subjects: Sequence[Subject],
        now: datetime,
        *,
        lifted: bool = False,
        bounds: Sequence[UsageLimit] = (),
    ) -> list[LimitStanding]:
        """How who has these subjects stands with every limit that they are under, and with `bounds`
        of documents. `lifted`: with those that let everything through, too.
        """
        with storage_errors(WHAT), reading(self._engine) as connection:
            limits = resolved(limits_on(connection, subjects), subjects)
            held = [one for one in limits if lifted or one.amount < UNLIMITED]
            return self._standings(connection, [*held, *bounds], now)

    def moved(self, members: Collection[tuple[str, str]]) -> None:
        """These members (organisation and person) have another team: the process that has the home
        has them counted anew, once (`LimitStore`), and this is none.
        """

    # -- requests --------------------------------------------------------------------------------

    def work(self, asked: Iterable[Work], now: datetime) -> dict[str, Reserved]:
        """Reserve and settle, in order, in one transaction; by id what became of reservations, and
        of what asked whether anything is left.

        Raises:
            StorageError: none of it was done.
        """
        found: dict[str, Reserved] = {}
        with storage_errors(WHAT), self._engine.begin() as connection:
            self._show_alive(connection)
            end_lost(connection, now, but=self._gateway)
            for one in asked:
                if isinstance(one, ReserveUse):
                    found[one.request_id] = self._reserve(connection, one, now)
                elif isinstance(one, AskLeft):
                    found[one.request_id] = self._left(connection, one, now)
                elif isinstance(one, Charge):
                    used = Used(0, one.tokens, one.money)
                    under = resolved(limits_on(connection, one.subjects), one.subjects)
                    limits = [*under, *one.bounds]
                    concerned = {*one.subjects, *(bound.subject for bound in one.bounds)}
                    charge(connection, windows(list(concerned), limits, now), used)
                else:
                    settle(connection, one.request_id, Used(0, one.tokens, one.money), now)
        return found

    def stay(self) -> None:
        """Give a sign of life, if it is time: while anything is reserved, every few seconds.

        Raises:
            StorageError: call again.
        """
        if self._ticks() - self._alive >= _ALIVE:
            with storage_errors(WHAT), self._engine.begin() as connection:
                self._show_alive(connection)

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
        if self._ticks() - self._looked >= _LOOKED:
            self._look_for_damage(connection)
        return self._damaged

    def _look_for_damage(self, connection: Connection) -> None:
        self._damaged = connection.execute(ANY_DAMAGED).first() is not None
        self._looked = self._ticks()

    def _show_alive(self, connection: Connection) -> None:
        now = self._ticks()
        if now - self._alive >= _ALIVE:
            note_alive(connection, self._gateway)
            self._alive = now

    def _left(self, connection: Connection, asked: AskLeft, now: datetime) -> Reserved:
        under = resolved(limits_on(connection, asked.subjects), asked.subjects)
        limits = [*(one for one in under if one.amount < UNLIMITED), *asked.bounds]
        held = [one for one in limits if one.measure in LATER]
        used, _ = self._used(connection, windows([one.subject for one in held], held, now), now)
        found = over(held, used, {}, WantedUse(0, 0), now)
        return Reserved(found, standings(held, used, {}, now))

    def _reserve(self, connection: Connection, asked: ReserveUse, now: datetime) -> Reserved:
        under = resolved(limits_on(connection, asked.subjects), asked.subjects)
        limits = [*(one for one in under if one.amount < UNLIMITED), *asked.bounds]
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
                    "gateway": self._gateway,
                }
                for one in subjects
            ],
        )  # fmt: skip
        for window in open_windows:
            count(connection, window, Used(requests=1))
        return Reserved(None, told)

"""The report of costs that the vendor's own gateway has, in its shape, from our own counts. Pure.

Rules kept here:

* A row is of a group in the whole time that is asked for, or in each day of it (UTC). Days are
  whole: the first is the one in which the time begins, the last the one before whose end it ends.
* By a person or a team, as there; and by key or model, which it does not have.
* Rows have one order, so that a page goes on behind the row that ended the one before.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final, NamedTuple

import orjson

from bailee.errors import InputError
from bailee.json_values import JsonObject, elements, text
from bailee.money import CENT
from bailee.usage.counts import UsageRow
from bailee.usage.report_shapes import DAY, moment_of
from bailee.usage.spend_shapes import moment, user_actor

GROUPS: Final = {
    "actor": "person", "api_key_id": "key", "model": "model", "rbac_group_id": "team",
}  # fmt: skip
"""By what costs can be grouped, and what that is among our counts."""
_NULL: Final = (
    "product", "model", "context_window", "inference_geo", "speed", "slack_channel_id",
    "claude_tag_category", "claude_tag_user_id", "rbac_group_id", "workspace_id", "service_tier",
    "user_profile_id", "agent_id", "environment_id", "deployment_id", "session_id", "actor",
    "actor_type", "api_key_id", "cost_type", "token_type",
)  # fmt: skip
_LONGEST_PAGE: Final = 2000
LONGEST: Final = timedelta(days=400)


class CostRow(NamedTuple):
    """What a group cost in a time. `group`: values of our counts, as they were asked for; `money`
    in micro-USD.
    """

    start: str
    group: tuple[str, ...]
    money: int


class CostSpan(NamedTuple):
    """Whole days from `start` to `end`; `by_day`: each by itself."""

    start: datetime
    end: datetime
    by_day: bool


def cost_span(
    starting: str | None, ending: str | None, width: str | None, now: datetime
) -> CostSpan:
    """The time that parameters ask for; without an end, up to `now`.

    Raises:
        InputError: one of them is not as it should be.
    """
    if width not in (None, "1d"):
        raise InputError("costs are told by the day.", hint="time_bucket_width=1d")
    if starting is None:
        raise InputError("from when on?", hint="starting_at: 2026-11-01T00:00:00Z")
    start = moment_of(starting, "starting_at")
    end = now if ending is None else moment_of(ending, "ending_at")
    if end <= start:
        raise InputError("starting_at is not before ending_at, which is now unless it is given.")
    first = start.replace(hour=0, minute=0, second=0, microsecond=0)
    last = (end - timedelta(microseconds=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    if last - first > LONGEST:
        raise InputError(f"a report is of {LONGEST.days} days at the most.")
    return CostSpan(first, last + DAY, width is not None)


def cost_rows(rows: Iterable[UsageRow], by: Sequence[str], span: CostSpan) -> list[CostRow]:
    """What was counted by day and by these (the vendor's names), as rows in order."""
    sums: dict[tuple[str, tuple[str, ...]], int] = {}
    for row in rows:
        start = span.start
        if span.by_day:
            start = datetime.fromisoformat(row.group["day"]).replace(tzinfo=UTC)
        at = moment(start), tuple(row.group[GROUPS[one]] for one in by)
        sums[at] = sums.get(at, 0) + row.cost_micro_usd
    return [CostRow(*at, money) for at, money in sorted(sums.items()) if money]


def behind(rows: Sequence[CostRow], page: str | None) -> list[CostRow]:
    """Those behind the place that a page's token is; all without one.

    Raises:
        InputError: it is none.
    """
    if page is None:
        return [*rows]
    wrong = InputError("page is no page of this report.", hint="give a `next_page`")
    try:
        said = orjson.loads(base64.urlsafe_b64decode(page.encode("ascii")))
    except ValueError:
        raise wrong from None
    if len(page) > _LONGEST_PAGE or not isinstance(said, list) or len(said) != 2:
        raise wrong
    start, group = said
    if not isinstance(start, str) or not isinstance(group, list):
        raise wrong
    place = start, tuple(text(one) or "" for one in elements(group))
    return [one for one in rows if (one.start, one.group) > place]


def place_of(row: CostRow) -> str:
    """A row's place, as the token of the page behind it."""
    return base64.urlsafe_b64encode(orjson.dumps([row.start, row.group])).decode()


def cost_row(
    row: CostRow, by: Sequence[str], span: CostSpan, emails: Mapping[str, str]
) -> JsonObject:
    """A row as it is told. `emails`: of the people who are members still."""
    start = datetime.fromisoformat(row.start)
    amount = f"{Decimal(row.money) / CENT:.6f}"
    return {
        "starting_at": row.start,
        "ending_at": moment(start + DAY if span.by_day else span.end),
        "group": {
            **dict.fromkeys(_NULL),
            **{name: _told(name, value, emails) for name, value in zip(by, row.group, strict=True)},
        },
        "cost": {"currency": "USD", "amount": amount, "list_amount": amount, "requests": None},
    }


def cost_report(rows: list[JsonObject], following: str | None, now: datetime) -> JsonObject:
    """A page of them, of what was counted up to `now`."""
    return {
        "data": [*rows],
        "has_more": following is not None,
        "next_page": following,
        "data_refreshed_at": moment(now),
    }


def _told(name: str, value: str, emails: Mapping[str, str]) -> JsonObject | str | None:
    if not value:
        return None
    if name == "actor":
        return user_actor(value, emails.get(value))
    return value.partition("/")[2] if name == "rbac_group_id" else value

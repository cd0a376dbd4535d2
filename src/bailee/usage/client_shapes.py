"""What a client is told of limits, in fields and documents that it makes its own words of. Pure.

Claude Code warns its person at 75 and 95 %, shows a refusal's sentence as it stands, and fills its
`/usage` from a document, all by fields of the vendor's own gateway (protocol text of its version
2.1.332, and seen). Other clients read `retry-after` and their API's error.

Money in fields and sentences is rounded for people; nothing is counted by it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from bailee.errors import BaileeError, InputError, StorageError
from bailee.money import CENT
from bailee.usage.limits import (
    WARNED,
    LimitMeasure,
    LimitSpan,
    LimitStanding,
    OverLimit,
    Scope,
    nearest,
)

_FIELD: Final = "anthropic-ratelimit-unified-"
_PERIODS: Final = {LimitSpan.DAY: "daily", LimitSpan.WEEK: "weekly", LimitSpan.MONTH: "monthly"}
_NAMES: Final = {
    LimitMeasure.MONEY: "spend",
    LimitMeasure.TOKENS: "token",
    LimitMeasure.REQUESTS: "request",
}
_SUBJECTS: Final[Mapping[Scope, str]] = {Scope.DOCUMENT: "organisation"}
"""How who has a limit is called, where it is not by the scope's name."""
_SOON: Final = 2  # seconds after which who waits for requests under way may ask again


@dataclass(frozen=True, slots=True)
class LimitRefusal:
    """Why a request is refused, and the header lines that go with it."""

    error: BaileeError
    lines: bytes = b""


def warning_lines(found: Sequence[LimitStanding]) -> bytes:
    """The header lines of an answer to a person with a limit on money; none without one."""
    one = nearest(found)
    if one is None or one.ends is None:
        return b""
    passed = next((share for share in WARNED if one.share >= share), None)
    status = "allowed" if passed is None else "allowed_warning"
    ends = int(one.ends.timestamp())
    fields: dict[str, str | int] = {
        "status": status,
        "representative-claim": "overage",
        "overage-status": status,
        "overage-utilization": _ratio(one),
        **({} if passed is None else {"overage-surpassed-threshold": f"{passed:g}"}),
        "reset": ends,
        "overage-reset": ends,
    }
    return _lines(fields)


def refusal(found: OverLimit, now: datetime, ask_at: str = "") -> LimitRefusal:
    """Why a request that is over a limit goes nowhere. `ask_at`: where one asks for more."""
    one = found.standing
    limit = one.limit
    if found.waits:
        error = InputError(_busy(one), code="over_share", hint="wait for requests to end")
        return LimitRefusal(error, b"")
    assert one.ends is not None
    seconds = max(1, int((one.ends - now).total_seconds()) + 1)
    period = _PERIODS.get(limit.span)
    more = f" · ask for more at {ask_at}" if ask_at else ""
    if period is None:
        text = f"{_name(limit.measure)} limit reached for this minute{more}"
        error = InputError(text, code="usage_rate")
        return LimitRefusal(error, b"retry-after: %d\r\n" % seconds)
    text = f"{_name(limit.measure)} limit reached · resets {one.ends:%b} {one.ends.day}{more}"
    if limit.clause:
        text = f"{limit.says} [{limit.clause}] · resets {one.ends:%b} {one.ends.day}"
    pool = limit.subject.scope is Scope.POOL
    if pool:
        text = (
            "This request exceeds your group's budget. Ask your organization's admins to raise it,"
            f" or try again after it resets on {one.ends:%B} {one.ends.day} at {one.ends:%H:%M} UTC"
            + (more or ".")
        )
    ends = int(one.ends.timestamp())
    fields: dict[str, str | int] = {
        "status": "rejected",
        "reset": ends,
        "overage-reset": ends,
        "overage-utilization": _ratio(one),
        "overage-surpassed-threshold": 1,
        "overage-period": period,
        **({"overage-scope": "group_pool"} if pool else {}),
        "overage-disabled-reason": "org_spend_cap_reached",
    }
    lines = b"retry-after: %d\r\nx-should-retry: false\r\n" % seconds
    return LimitRefusal(InputError(text, code="usage_limit"), lines + _lines(fields))


def store_away() -> LimitRefusal:
    """Why a request is refused while it can't be said whether it is within its limits."""
    return LimitRefusal(
        StorageError(
            "it can't be told whether this request is within its limits, so it was not sent",
            code="usage_unknown",
            hint="the operator looks at the data database; on_limits_unknown of the policy document"
            " says what happens meanwhile",
        ),
        b"x-should-retry: false\r\n" + _lines({"overage-disabled-reason": "fetch_error"}),
    )


def oauth_usage(found: Sequence[LimitStanding], spent: tuple[int, int, int]) -> dict[str, object]:
    """The document that `/usage` of Claude Code is made of (`GET /api/oauth/usage`). `found`: how
    the person stands with their limits; `spent`: this day, week and month, in micro-USD.
    """
    one = nearest(found)
    if one is None or one.ends is None:
        day, week, month = (amount // CENT for amount in spent)
        extra: dict[str, object] = {
            "is_enabled": True, "monthly_limit": None, "used_credits": month, "utilization": None,
            "currency": "USD", "daily": day, "weekly": week,
        }  # fmt: skip
        return {"extra_usage": extra, "limits": []}
    percent = int(one.share * 100)
    severity = "normal" if one.share < WARNED[-1] else "warning"
    return {
        "extra_usage": {
            "is_enabled": True,
            "monthly_limit": one.limit.amount // CENT,
            "used_credits": one.used // CENT,
            "utilization": percent,
            "currency": "USD",
        },
        "limits": [
            {
                "kind": "spend",
                "group": _PERIODS[one.limit.span],
                "percent": percent,
                "resets_at": f"{one.ends:%Y-%m-%dT%H:%M:%S}.000Z",
                "severity": severity,
                "is_active": True,
            }
        ],
    }


def _name(measure: LimitMeasure) -> str:
    return _NAMES.get(measure, "usage")


def _busy(one: LimitStanding) -> str:
    limit = one.limit
    if limit.measure is LimitMeasure.CONCURRENCY:
        return f"This {limit.subject.scope} has {limit.amount} requests under way, its limit."
    whose = _SUBJECTS.get(limit.subject.scope, limit.subject.scope)
    return (
        f"Little is left of this {whose}'s {_name(limit.measure)} limit: its requests go one at a"
        " time."
    )


def _ratio(one: LimitStanding) -> str:
    return f"{int(one.share * 1000) / 1000:g}"


def _lines(fields: dict[str, str | int]) -> bytes:
    return "".join(f"{_FIELD}{name}: {value}\r\n" for name, value in fields.items()).encode("ascii")

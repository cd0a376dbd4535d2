"""Reports of use and cost, as the vendor's admin API writes them, from our own counts. Pure.

Rules kept here:

* A report is buckets of an hour or a day (UTC), in order, those without use too; a page of them at
  a time, and the next one's token is where it begins.
* What is not asked to be grouped by is null in every result, and so is what is not known here: a
  workspace, a context window, a region.
* Tokens are those of the operator's credential and of clients' own; cost is of the former alone.
  Cents are written as decimals, exactly.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from bailee.errors import InputError
from bailee.json_values import JsonObject
from bailee.money import CENT
from bailee.usage.batches import BATCHES
from bailee.usage.counts import UsageRow
from bailee.usage.models import model_of
from bailee.usage.spend_shapes import moment

HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)
WIDTHS: Final = {"1h": HOUR, "1d": DAY}
PAGES: Final = {HOUR: (24, 168), DAY: (7, 31)}
"""By a bucket's width, how many there are on a page: unless it is said, and at the most."""
_PAGE: Final = "page_"
DIMENSIONS: Final = {
    "account_id": "person", "api_key_id": "key", "model": "model", "service_tier": "channel",
}  # fmt: skip
"""By what use can be grouped, and what that is among our counts."""
UNKNOWN: Final = ("context_window", "inference_geo", "service_account_id", "workspace_id")
"""By what it can be grouped too, and which is null in each result."""
TIERS: Final = ("standard", "batch")


@dataclass(frozen=True, slots=True)
class ReportSpan:
    """Which buckets are asked for: so many of this width, the first from `start`; `until`: where
    the last of all begins before.
    """

    width: timedelta
    start: datetime
    until: datetime
    most: int

    @property
    def starts(self) -> list[datetime]:
        """Where the buckets of this page begin."""
        whole = -(-(self.until - self.start) // self.width)
        return [self.start + number * self.width for number in range(min(self.most, whole))]

    @property
    def end(self) -> datetime:
        """Where the last of this page ends."""
        return self.start + len(self.starts) * self.width

    @property
    def next_page(self) -> str | None:
        """The token of the page behind this one; None: there is none."""
        return _PAGE + moment(self.end) if self.end < self.until else None


def span_of(
    width: timedelta,
    now: datetime,
    *,
    starting: str | None,
    ending: str | None,
    page: str | None,
    limit: str | None,
) -> ReportSpan:
    """The buckets that parameters ask for; without an end, up to `now`.

    Raises:
        InputError: one of them is not as it should be.
    """
    if starting is None:
        raise InputError("from when on?", hint="starting_at: 2026-11-01T00:00:00Z")
    usual, most = PAGES[width]
    count = usual if limit is None else _number(limit, most)
    start = _floor(moment_of(starting, "starting_at"), width)
    until = now if ending is None else moment_of(ending, "ending_at")
    if page is not None:
        if not page.startswith(_PAGE):
            raise InputError("page is no page of this report.", hint="give a `next_page`")
        at = moment_of(page.removeprefix(_PAGE), "page")
        if at != _floor(at, width) or at < start:
            raise InputError("page is no page of this report.", hint="give a `next_page`")
        start = at
    until = min(until, now + width)  # there is nothing of later
    return ReportSpan(width, start, max(start, until), count)


def use_results(rows: Iterable[UsageRow], by: Sequence[str]) -> list[JsonObject]:
    """What was used in one bucket, by these (the vendor's names)."""
    sums: dict[tuple[str, ...], list[int]] = {}
    for row in rows:
        found = sums.setdefault(_group(row, by), [0] * 5)
        for at, amount in enumerate(
            (
                row.input_tokens, row.cache_write_1h_tokens, row.cache_write_5m_tokens,
                row.cache_read_tokens, row.output_tokens,
            )
        ):  # fmt: skip
            found[at] += amount
    return [
        {
            "uncached_input_tokens": into,
            "cache_creation": {
                "ephemeral_1h_input_tokens": hour, "ephemeral_5m_input_tokens": minutes,
            },
            "cache_read_input_tokens": read,
            "output_tokens": out,
            "server_tool_use": {"web_search_requests": 0},
            **dict.fromkeys((*DIMENSIONS, *UNKNOWN)),
            **{name: value or None for name, value in zip(by, group, strict=True)},
        }
        for group, (into, hour, minutes, read, out) in sorted(sums.items())
    ]  # fmt: skip


def cost_results(rows: Iterable[UsageRow], *, described: bool) -> list[JsonObject]:
    """What it cost. `described`: by model and tier, each with a description."""
    by = ("model", "service_tier") if described else ()
    sums: dict[tuple[str, ...], int] = {}
    for row in rows:
        group = _group(row, by)
        sums[group] = sums.get(group, 0) + row.cost_micro_usd
    return [
        {
            "currency": "USD",
            "amount": cents(amount),
            "workspace_id": None,
            "description": _described(*group) if described else None,
            "cost_type": "tokens" if described else None,
            "model": (group[0] or None) if described else None,
            "service_tier": group[1] if described else None,
            "token_type": None, "context_window": None, "inference_geo": None,
        }
        for group, amount in sorted(sums.items())
        if amount
    ]  # fmt: skip


def cents(micro: int) -> str:
    """Micro-USD as cents, exactly."""
    return f"{(Decimal(micro) / CENT).normalize():f}"


def report(span: ReportSpan, results: Mapping[datetime, list[JsonObject]]) -> JsonObject:
    """A page of a report. `results`: by where their bucket begins."""
    following = span.next_page
    return {
        "data": [
            {
                "starting_at": moment(start),
                "ending_at": moment(start + span.width),
                "results": [*results.get(start, [])],
            }
            for start in span.starts
        ],
        "has_more": following is not None,
        "next_page": following,
    }


def bucket_of(row: UsageRow, width: timedelta) -> datetime:
    """Where the bucket of a count begins, which was asked for by day or hour."""
    name = "hour" if width == HOUR else "day"
    return datetime.fromisoformat(row.group[name]).replace(tzinfo=UTC)


def tier_of(channel: str) -> str:
    """The vendor's name for how something was asked."""
    return "batch" if channel.endswith(BATCHES) else "standard"


def is_wanted(row: UsageRow, wanted: Mapping[str, Sequence[str]]) -> bool:
    """Whether a count is among those that filters ask for, by the vendor's names; an empty one asks
    for all.
    """
    return all(not some or _value(row, name) in some for name, some in wanted.items())


def models_of(named: Iterable[str]) -> list[str]:
    """Models as our counts name them."""
    return [model_of(one) for one in named]


def _group(row: UsageRow, by: Sequence[str]) -> tuple[str, ...]:
    return tuple("" if one in UNKNOWN else _value(row, one) for one in by)


def _value(row: UsageRow, name: str) -> str:
    value = row.group[DIMENSIONS[name]]
    return tier_of(value) if name == "service_tier" else value


def _described(model: str, tier: str) -> str:
    return f"{model or 'unknown'} usage, {tier}"


def _floor(at: datetime, width: timedelta) -> datetime:
    hour = at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    return hour if width == HOUR else hour.replace(hour=0)


def moment_of(said: str, name: str) -> datetime:
    """A moment that a parameter of this name is.

    Raises:
        InputError: it is none.
    """
    try:
        at = datetime.fromisoformat(said)
    except ValueError:
        at = None
    if at is None or not 2000 <= at.year <= 9000:
        raise InputError(f"{name} is no moment.", hint="2026-11-01T00:00:00Z")
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def _number(said: str, most: int) -> int:
    if not (said.isascii() and said.isdecimal() and len(said) <= 4 and 1 <= int(said) <= most):
        raise InputError(f"limit is 1 to {most}.")
    return int(said)

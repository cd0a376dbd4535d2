"""The times of the records in other agents' files, and the files without what is past. Pure.

Rules kept here:

* A time is read from the record, in the forms that these agents write: ISO 8601, milliseconds or
  seconds since 1970, aider's headings. A time that lies ahead does not count.
* What is cut out of a history are whole records; every other byte stays. A record without a time
  shares the fate of the one before it.

Rows: R3.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from bailee.json_values import Json

_KEYS: Final = ("timestamp", "ts", "time", "lastUpdated", "startTime", "createdAt", "event_time")
_AIDER_CHAT: Final = re.compile(rb"^# aider chat started at (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)")
_AIDER_INPUT: Final = re.compile(rb"^# (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?)\r?$")
_SECONDS_UNTIL: Final = 100_000_000_000  # larger numbers are milliseconds


@dataclass(frozen=True, slots=True)
class Cut:
    """A history without what is past. `soonest`: the oldest time that stays."""

    kept: bytes
    removed: int
    soonest: datetime | None


def last_time(content: bytes, now: datetime) -> datetime | None:
    """The time of the last record in a JSON Lines or JSON file; None: no record has one."""
    return max((at for at in _times(content) if at <= now), default=None)


def cut_lines(content: bytes, limit: datetime) -> Cut:
    """A JSON Lines history without the records of `limit` and before."""
    return _cut(((line, _time_of(_parsed(line))) for line in content.splitlines(True)), limit)


def cut_array(content: bytes, limit: datetime) -> Cut:
    """A JSON array without the records of `limit` and before; what is no array stays as it is."""
    records = _parsed(content)
    if not isinstance(records, list):
        return Cut(content, 0, None)
    times = [_time_of(record) for record in records]
    kept = [r for r, at in zip(records, times, strict=True) if at is None or at > limit]
    stay = [at for at in times if at is not None and at > limit]
    if len(kept) == len(records):
        return Cut(content, 0, min(stay, default=None))
    text = json.dumps(kept, ensure_ascii=False, indent=2).encode()
    return Cut(text, len(records) - len(kept), min(stay, default=None))


def cut_aider(content: bytes, limit: datetime) -> Cut:
    """Aider's chat or input history without the sections of `limit` and before. Its times are
    those of the machine, without a zone.
    """

    def pieces() -> Iterator[tuple[bytes, datetime | None]]:
        for line in content.splitlines(True):
            found = _AIDER_CHAT.match(line) or _AIDER_INPUT.match(line.rstrip(b"\n"))
            yield line, None if found is None else _local(found[1])

    return _cut(pieces(), limit)


def _cut(pieces: Iterable[tuple[bytes, datetime | None]], limit: datetime) -> Cut:
    kept: list[bytes] = []
    removed = 0
    soonest: datetime | None = None
    past = False
    for line, at in pieces:
        if at is not None:
            past = at <= limit
            removed += past
            if not past and (soonest is None or at < soonest):
                soonest = at
        if not past:
            kept.append(line)
    return Cut(b"".join(kept), removed, soonest)


def _times(content: bytes) -> Iterator[datetime]:
    whole = _parsed(content)
    if whole is not None:
        yield from _within(whole)
        return
    for line in content.splitlines():
        at = _time_of(_parsed(line))
        if at is not None:
            yield at


def _within(value: Json) -> Iterator[datetime]:
    """The times of a JSON document: its own, and those of the records in its lists."""
    at = _time_of(value)
    if at is not None:
        yield at
    inner = value if isinstance(value, list) else value.values() if isinstance(value, dict) else ()
    for one in inner:
        if isinstance(one, list):
            yield from (at for record in one if (at := _time_of(record)) is not None)
        elif isinstance(value, list) and (at := _time_of(one)) is not None:
            yield at


def _time_of(record: Json) -> datetime | None:
    if not isinstance(record, dict):
        return None
    for key in _KEYS:
        at = _moment(record.get(key))
        if at is not None:
            return at
    return None


def _moment(value: Json) -> datetime | None:
    try:
        if isinstance(value, bool) or value is None:
            return None
        if isinstance(value, int | float):
            seconds = value / 1000 if value > _SECONDS_UNTIL else value
            return datetime.fromtimestamp(seconds, UTC) if seconds > 0 else None
        if isinstance(value, str) and len(value) <= 40:
            if value.isdecimal():
                return _moment(int(value))
            at = datetime.fromisoformat(value)
            return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return None


def _local(text: bytes) -> datetime | None:
    try:
        return datetime.fromisoformat(text.decode("ascii")).astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _parsed(text: bytes) -> Json:
    try:
        value: Json = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value

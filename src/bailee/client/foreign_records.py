"""The times of the records in other agents' files, and the files without what is past. Pure.

Rules kept here:

* A time is read from the record, in the forms that these agents write: ISO 8601, milliseconds or
  seconds since 1970, aider's headings.
* A time that lies ahead (a clock that was wrong) does not count. Such a record goes with the next
  one whose time does, or where there is none, by the file's own time: never early, nor for ever.
* What is cut out of a history are whole records; every other byte stays. A record without a time
  shares the fate of the one before it.
* A heading of aider's that says an earlier time than one before it is a quotation: what stands
  under it is as new as what stands above.

Rows: R3.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from bailee.json_values import Json

_KEYS: Final = ("timestamp", "ts", "time", "lastUpdated", "startTime", "createdAt", "event_time")
_FOLDERS: Final = ("cwd", "project", "directory")
_FIRST: Final = 20
_AIDER_CHAT: Final = re.compile(rb"^# aider chat started at (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)")
_AIDER_INPUT: Final = re.compile(rb"^# (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?)\r?$")
_SECONDS_UNTIL: Final = 100_000_000_000  # larger numbers are milliseconds


Judge = Callable[[datetime, str | None], bool]
"""Whether a record of that time, from that folder (None: nobody knows), is past its time."""


@dataclass(frozen=True, slots=True)
class ForeignHistory:
    """A history to be cut. `now`: a later time does not count; `written`: the file's own time;
    `folder`: where all of its records are from, if that is known.
    """

    content: bytes
    now: datetime
    written: datetime
    folder: str | None = None


@dataclass(frozen=True, slots=True)
class Cut:
    """A history without what is past. `removed`, `stays`: times and folders of the records that
    go, and of those that stay.
    """

    kept: bytes
    removed: tuple[tuple[datetime, str | None], ...]
    stays: tuple[tuple[datetime, str | None], ...]


CutOut = Callable[[ForeignHistory, Judge], Cut]


@dataclass(frozen=True, slots=True)
class LastTime:
    """The last time in a file that counts; None: no record has one. `ahead`: one lies ahead."""

    at: datetime | None
    ahead: bool


def last_time(content: bytes, now: datetime) -> LastTime:
    """The time of the last record in a JSON Lines or JSON file."""
    times = list(_times(content))
    return LastTime(
        max((at for at in times if at <= now), default=None), any(at > now for at in times)
    )


def folder_in(content: bytes) -> str | None:
    """The folder that one of the first records of a JSON Lines file names."""
    for line in content.split(b"\n", _FIRST)[:_FIRST]:
        record = _parsed(line)
        if found := _folder_of(record):
            return found
    return None


def cut_lines(history: ForeignHistory, past: Judge) -> Cut:
    """A JSON Lines history without what is past."""

    def pieces() -> Iterator[_Piece]:
        for line in history.content.splitlines(True):
            record = _parsed(line)
            yield _Piece(line, _time_of(record), _folder_of(record))

    return _cut(pieces(), history, past)


def cut_array(history: ForeignHistory, past: Judge) -> Cut:
    """A JSON array without the records that are past; what is no array stays as it is."""
    records = _parsed(history.content)
    if not isinstance(records, list):
        return Cut(history.content, (), ())
    numbered = [_Piece(str(n).encode(), _time_of(r), None) for n, r in enumerate(records)]
    found = _sorted_out(numbered, history, past)
    if not found.removed:
        return Cut(history.content, (), tuple(found.stays))
    kept = [records[int(piece.content)] for piece in found.kept]
    text = json.dumps(kept, ensure_ascii=False, indent=2).encode()
    return Cut(text, tuple(found.removed), tuple(found.stays))


def cut_aider(history: ForeignHistory, past: Judge) -> Cut:
    """Aider's chat or input history without the sections that are past. Its times are those of the
    machine, without a zone.
    """

    def pieces() -> Iterator[_Piece]:
        latest: datetime | None = None
        for line in history.content.splitlines(True):
            found = _AIDER_CHAT.match(line) or _AIDER_INPUT.match(line.rstrip(b"\n"))
            at = None if found is None else _local(found[1])
            if at is not None and at <= history.now:
                at = latest = at if latest is None else max(at, latest)
            yield _Piece(line, at, None)

    return _cut(pieces(), history, past)


@dataclass(frozen=True, slots=True)
class _Piece:
    content: bytes
    at: datetime | None
    folder: str | None


@dataclass(slots=True)
class _SortedOut:
    kept: list[_Piece] = field(default_factory=list)
    removed: list[tuple[datetime, str | None]] = field(default_factory=list)
    stays: list[tuple[datetime, str | None]] = field(default_factory=list)


def _cut(pieces: Iterable[_Piece], history: ForeignHistory, past: Judge) -> Cut:
    found = _sorted_out(list(pieces), history, past)
    kept = b"".join(piece.content for piece in found.kept)
    return Cut(kept, tuple(found.removed), tuple(found.stays))


def _sorted_out(pieces: list[_Piece], history: ForeignHistory, past: Judge) -> _SortedOut:
    counts: list[datetime | None] = []
    following = min(history.written, history.now)
    for piece in reversed(pieces):
        if piece.at is not None and piece.at <= history.now:
            following = piece.at
        counts.append(None if piece.at is None else min(piece.at, following))
    found = _SortedOut()
    gone = False
    for piece, at in zip(pieces, reversed(counts), strict=True):
        if at is not None:
            folder = piece.folder or history.folder
            gone = past(at, folder)
            (found.removed if gone else found.stays).append((at, folder))
        if not gone:
            found.kept.append(piece)
    return found


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


def _folder_of(record: Json) -> str | None:
    payload = record.get("payload") if isinstance(record, dict) else None
    for one in (record, payload):
        for key in _FOLDERS if isinstance(one, dict) else ():
            found = one.get(key) if isinstance(one, dict) else None
            if isinstance(found, str) and found.startswith("/"):
                return found
    return None


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

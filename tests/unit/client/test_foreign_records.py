"""Times of other agents' records, and histories without what is past."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailee.client.foreign_records import cut_aider, cut_array, cut_lines, last_time

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LIMIT = NOW - timedelta(days=30)
OLD, NEW = NOW - timedelta(days=31), NOW - timedelta(days=1)


def lines(*records: Any) -> bytes:
    """JSON Lines."""
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (lines({"timestamp": OLD.isoformat()}, {"timestamp": NEW.isoformat()}), NEW),
        (lines({"timestamp": NEW.isoformat()}, {"timestamp": OLD.isoformat()}, {"x": 1}), NEW),
        (lines({"timestamp": "2026-02-28T12:00:00.000Z"}), NEW),
        (lines({"timestamp": int(NEW.timestamp() * 1000)}), NEW),
        (lines({"ts": int(NEW.timestamp())}), NEW),
        (lines({"timestamp": str(int(NEW.timestamp() * 1000))}), NEW),
        (json.dumps({"startTime": OLD.isoformat(), "lastUpdated": NEW.isoformat()}).encode(), NEW),
        (json.dumps({"messages": [{"timestamp": NEW.isoformat()}], "x": []}).encode(), NEW),
        (json.dumps([{"timestamp": OLD.isoformat()}]).encode(), OLD),
        (lines({"timestamp": (NOW + timedelta(days=9)).isoformat()}), None),
        (lines({"timestamp": True}, {"timestamp": None}, {"timestamp": "soon"}), None),
        (b"\xff{not json\n", None),
        (b"", None),
    ],
)
def test_the_last_time(content: bytes, expected: datetime | None) -> None:
    """Every form that these agents write; what lies ahead, or is no time, does not count."""
    assert expected == last_time(content, NOW)


@given(st.binary(max_size=200))
def test_any_bytes_have_a_last_time_or_none(content: bytes) -> None:
    """Nothing in a file that somebody else wrote makes the cleaning fail."""
    last_time(content, NOW)
    for cut in (cut_lines, cut_array, cut_aider):
        made = cut(content, LIMIT)
        assert made.removed or made.kept == content


moments = st.datetimes(
    (NOW - timedelta(days=90)).replace(tzinfo=None), NOW.replace(tzinfo=None)
).map(lambda at: at.replace(tzinfo=UTC))


@given(st.lists(moments, max_size=12))
def test_a_history_keeps_exactly_what_is_not_past(times: list[datetime]) -> None:
    """Record by record, in order, and every byte of those that stay."""
    written = [
        lines({"display": str(n), "timestamp": at.isoformat()}) for n, at in enumerate(times)
    ]
    stays = [line for line, at in zip(written, times, strict=True) if at > LIMIT]
    made = cut_lines(b"".join(written), LIMIT)

    assert b"".join(stays) == made.kept
    assert len(times) - len(stays) == made.removed
    assert made.soonest == min((at for at in times if at > LIMIT), default=None)


def test_what_has_no_time_shares_the_fate_of_what_is_before() -> None:
    """A continued record goes with its beginning; one at the very start stays."""
    content = lines({"a": 0}, {"timestamp": OLD.isoformat()}, {"b": 1}, {"ts": NEW.timestamp()})

    assert lines({"a": 0}, {"ts": NEW.timestamp()}) == cut_lines(content, LIMIT).kept


def test_aiders_histories_lose_whole_sections() -> None:
    """Its chat by headings, its input by time lines, in the machine's own time."""
    old, new = (at.astimezone().strftime("%Y-%m-%d %H:%M:%S") for at in (OLD, NEW))
    begun = "\n# aider chat started at {}\n\n#### {}\n"
    chat = begun.format(old, "quince") + begun.format(new, "pear")
    typed = f"\n# {old}.123456\n+quince\n\n# {new}.123456\n+pear\n"

    assert begun.format(new, "pear") == cut_aider(chat.encode(), LIMIT).kept.decode()
    assert f"\n# {new}.123456\n+pear\n" == cut_aider(typed.encode(), LIMIT).kept.decode()
    assert 1 == cut_aider(chat.encode(), LIMIT).removed


def test_an_array_keeps_what_is_not_past() -> None:
    """A JSON array of records; an object is left as it is."""
    records = [{"timestamp": OLD.isoformat(), "m": "quince"}, {"timestamp": NEW.isoformat()}]

    made = cut_array(json.dumps(records).encode(), LIMIT)
    assert (records[1:], 1) == (json.loads(made.kept), made.removed)
    assert (b"{}", 0) == (cut_array(b"{}", LIMIT).kept, cut_array(b"{}", LIMIT).removed)

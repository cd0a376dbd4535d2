"""Times of other agents' records, and histories without what is past."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailee.client.foreign_records import (
    Cut,
    CutOut,
    ForeignHistory,
    cut_aider,
    cut_array,
    cut_lines,
    folder_in,
    last_time,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LIMIT = NOW - timedelta(days=30)
AHEAD = (NOW + timedelta(days=9)).isoformat().encode()
OLD, NEW = NOW - timedelta(days=31), NOW - timedelta(days=1)


def cut(how: CutOut, content: bytes, written: datetime = NOW) -> Cut:
    """A history without what is past its 30 days."""
    return how(ForeignHistory(content, NOW, written), lambda at, _: at <= LIMIT)


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
        (lines({"timestamp": AHEAD.decode()}), None),
        (lines({"timestamp": NEW.isoformat()}, {"timestamp": AHEAD.decode()}), NEW),
        (lines({"timestamp": True}, {"timestamp": None}, {"timestamp": "soon"}), None),
        (b"\xff{not json\n", None),
        (b"", None),
    ],
)
def test_the_last_time(content: bytes, expected: datetime | None) -> None:
    """Every form that these agents write; what lies ahead, or is no time, does not count."""
    found = last_time(content, NOW)
    assert (expected, AHEAD in content) == (found.at, found.ahead)


@given(st.binary(max_size=200))
def test_any_bytes_have_a_last_time_or_none(content: bytes) -> None:
    """Nothing in a file that somebody else wrote makes the cleaning fail."""
    last_time(content, NOW)
    folder_in(content)
    for how in (cut_lines, cut_array, cut_aider):
        made = cut(how, content)
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
    made = cut(cut_lines, b"".join(written))

    assert b"".join(stays) == made.kept
    assert [at for at in times if at <= LIMIT] == [at for at, _ in made.removed]
    assert [at for at in times if at > LIMIT] == [at for at, _ in made.stays]


def test_what_has_no_time_shares_the_fate_of_what_is_before() -> None:
    """A continued record goes with its beginning; one at the very start stays."""
    content = lines({"a": 0}, {"timestamp": OLD.isoformat()}, {"b": 1}, {"ts": NEW.timestamp()})

    assert lines({"a": 0}, {"ts": NEW.timestamp()}) == cut(cut_lines, content).kept


def test_aiders_histories_lose_whole_sections() -> None:
    """Its chat by headings, its input by time lines, in the machine's own time."""
    old, new = (at.astimezone().strftime("%Y-%m-%d %H:%M:%S") for at in (OLD, NEW))
    begun = "\n# aider chat started at {}\n\n#### {}\n"
    chat = begun.format(old, "quince") + begun.format(new, "pear")
    typed = f"\n# {old}.123456\n+quince\n\n# {new}.123456\n+pear\n"

    assert begun.format(new, "pear") == cut(cut_aider, chat.encode()).kept.decode()
    assert f"\n# {new}.123456\n+pear\n" == cut(cut_aider, typed.encode()).kept.decode()
    assert 1 == len(cut(cut_aider, chat.encode()).removed)


def test_an_array_keeps_what_is_not_past() -> None:
    """A JSON array of records; an object is left as it is."""
    records = [{"timestamp": OLD.isoformat(), "m": "quince"}, {"timestamp": NEW.isoformat()}]

    made = cut(cut_array, json.dumps(records).encode())
    assert (records[1:], 1) == (json.loads(made.kept), len(made.removed))
    assert Cut(b"{}", (), ()) == cut(cut_array, b"{}")


def test_a_quoted_heading_loses_nothing() -> None:
    """An old heading within a conversation, which a model repeated or a person pasted, is part of
    it; one that lies ahead keeps nothing for ever.
    """
    old, new = (at.astimezone().strftime("%Y-%m-%d %H:%M:%S") for at in (OLD, NEW))
    heading = "# aider chat started at {}\n"
    quoting = heading.format(new) + "look:\n" + heading.format(old) + "quince\n"
    ahead = heading.format("2099-01-01 00:00:00") + "pear\n"

    assert quoting == cut(cut_aider, quoting.encode()).kept.decode()
    past = heading.format(old) + ahead
    assert past.replace(heading.format(old), "") + quoting == (
        cut(cut_aider, (past + quoting).encode()).kept.decode()
    )
    assert b"" == cut(cut_aider, past.encode(), written=OLD).kept


def test_a_record_dated_ahead_goes_with_the_next_or_by_the_files_time() -> None:
    """A clock that was wrong for a while keeps nothing for ever and loses nothing early."""
    ahead, old, new = ({"timestamp": at, "n": at} for at in (
        AHEAD.decode(), OLD.isoformat(), NEW.isoformat()
    ))  # fmt: skip

    assert b"" == cut(cut_lines, lines(old, ahead, old)).kept
    assert lines(ahead, new) == cut(cut_lines, lines(old, ahead, new)).kept
    assert lines(ahead) == cut(cut_lines, lines(old, ahead), written=NEW).kept
    assert b"" == cut(cut_lines, lines(old, ahead), written=OLD).kept


def test_where_a_session_was_is_in_its_records() -> None:
    """As Claude Code and Codex write it."""
    assert "/p" == folder_in(lines({"type": "mode"}, {"cwd": "/p"}))
    assert "/q" == folder_in(lines({"payload": {"cwd": "/q"}}))
    assert None is folder_in(lines({"cwd": 7}, {"project": "relative"}))

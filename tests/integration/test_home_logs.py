"""What a damaged write-ahead log is told from: one that a crash cut short."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from bailee.home.logs import lost_more_than_a_crash_can

PAGE = 4096
FRAME = 24 + PAGE


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A log with six transactions of a frame or more."""
    file = tmp_path_factory.mktemp("log") / "a.db"
    connection = sqlite3.connect(file, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("CREATE TABLE t (n)")
    for number in range(5):
        connection.execute("INSERT INTO t VALUES (?)", [str(number) * 50])
    content = Path(f"{file}-wal").read_bytes()
    connection.close()
    return content


def changed(log: bytes, at: int) -> bytes:
    """A log with another bit."""
    content = bytearray(log)
    content[at] ^= 1
    return bytes(content)


def test_a_log_that_is_whole_or_cut_short_has_lost_nothing_durable(log: bytes) -> None:
    """Wherever it ends, and with a last transaction that does not check."""
    for end in (0, 20, 32, 32 + FRAME, len(log) - FRAME, len(log) - 5, len(log)):
        assert not lost_more_than_a_crash_can(log[:end])
    assert not lost_more_than_a_crash_can(changed(log, len(log) - 5))
    assert not lost_more_than_a_crash_can(bytes(len(log)))


@pytest.mark.parametrize("at", [0, 9, 17, 25])
def test_a_header_that_changed_loses_all_of_it(log: bytes, at: int) -> None:
    """Its form, the size of a page, the salts, the checksum."""
    assert lost_more_than_a_crash_can(changed(log, at))


@pytest.mark.parametrize("at", [0, 5, 9, 17, 24, 24 + PAGE // 2])
def test_a_frame_that_changed_loses_what_comes_after_it(log: bytes, at: int) -> None:
    """Page number, commit mark, salt, checksum, and the first and the middle of its page."""
    for frame in range((len(log) - 32) // FRAME - 2):
        assert lost_more_than_a_crash_can(changed(log, 32 + frame * FRAME + at))


def test_frames_of_an_earlier_round_of_the_log_are_none_of_it(log: bytes) -> None:
    """What lies behind the end from before has other salts."""
    other = bytearray(log)
    for at in range(32 + 3 * FRAME, len(log), FRAME):
        other[at + 8 : at + 16] = b"\1" * 8
    assert not lost_more_than_a_crash_can(bytes(other))

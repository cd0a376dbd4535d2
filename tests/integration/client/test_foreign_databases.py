"""Sessions in other agents' databases: past ones go with every byte, all else stays."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bailee.client import foreign
from bailee.client.cleaning_plan import Past
from bailee.client.foreign_databases import in_use
from bailee.client.foreign_places import groups
from bailee.client.lifetimes import Lifetimes

NOW = datetime.now(UTC)
OLD = int((NOW - timedelta(days=40)).timestamp() * 1000)
NEW = int((NOW - timedelta(days=1)).timestamp() * 1000)
AHEAD = int((NOW + timedelta(days=9)).timestamp() * 1000)

OPENCODE = """
PRAGMA journal_mode = WAL;
CREATE TABLE session (id TEXT PRIMARY KEY, parent_id TEXT, title TEXT, time_updated INTEGER);
CREATE TABLE message (id TEXT PRIMARY KEY, session_id TEXT, time_updated INTEGER, data TEXT);
CREATE TABLE of_a_later_version (session_id TEXT, told TEXT);
CREATE TABLE event (id TEXT PRIMARY KEY, aggregate_id TEXT, data TEXT);
CREATE TABLE account (id TEXT, access_token TEXT);
INSERT INTO account VALUES ('me', 'token');
"""


def opencode(home: Path, *sessions: tuple[str, str | None, int]) -> Path:
    """Its database with sessions: name, the one that began it, last time."""
    path = home / ".local/share/opencode/opencode.db"
    path.parent.mkdir(parents=True)
    with closing(sqlite3.connect(path)) as made:
        made.executescript(OPENCODE)
        for name, parent, at in sessions:
            text = f"quince-{name}"
            made.execute("INSERT INTO session VALUES (?, ?, ?, ?)", (name, parent, text, at))
            made.execute("INSERT INTO message VALUES (?, ?, ?, ?)", ("m" + name, name, at, text))
            made.execute("INSERT INTO of_a_later_version VALUES (?, ?)", (name, text))
            made.execute("INSERT INTO event VALUES (?, ?, ?)", ("e" + name, name, text))
        made.commit()
    return path


def kept(path: Path) -> list[str]:
    """The sessions that are there."""
    with closing(sqlite3.connect(path)) as opened:
        return [name for (name,) in opened.execute("SELECT id FROM session ORDER BY id")]


def tidy(agent: str, home: Path, days: int = 30) -> list[Past]:
    """Local retention, planned and carried out."""
    where = groups(agent, home, home / "orchard", {"TMPDIR": str(home / "tmp")})
    return foreign.carry_out(foreign.plan(agent, where, Lifetimes(days), NOW))


@pytest.mark.row("R3")
def test_a_past_session_goes_with_every_row_and_byte(tmp_path: Path) -> None:
    """All tables that name it lose their rows, those that nobody knew of too; nothing of it is
    left in any file; other sessions and what belongs to none stay.
    """
    path = opencode(tmp_path, ("past", None, OLD), ("here", None, NEW))
    (done,) = tidy("opencode", tmp_path)
    left = b"".join(file.read_bytes() for file in path.parent.iterdir())

    assert (path, 1) == (done.path, done.records)
    assert ["here"] == kept(path)
    assert (False, True, True) == tuple(
        word in left for word in (b"quince-past", b"quince-here", b"token")
    )


@pytest.mark.row("R3")
def test_a_session_goes_with_the_one_that_began_it(tmp_path: Path) -> None:
    """What a session began stays while that one is used, and the other way round."""
    path = opencode(
        tmp_path,
        ("a", None, NEW), ("a-child", "a", OLD), ("a-grandchild", "a-child", OLD),
        ("b", None, OLD), ("b-child", "b", NEW),
        ("c", None, OLD), ("c-child", "c", OLD),
        ("ring", "ring", OLD),
    )  # fmt: skip
    tidy("opencode", tmp_path)

    assert ["a", "a-child", "a-grandchild", "b", "b-child"] == kept(path)


def test_a_time_that_lies_ahead_does_not_count(tmp_path: Path) -> None:
    """A clock that was wrong once keeps nothing for longer."""
    path = opencode(tmp_path, ("past", None, OLD))
    with closing(sqlite3.connect(path)) as opened:
        opened.execute("INSERT INTO message VALUES ('m2', 'past', ?, 'x')", (AHEAD,))
        opened.commit()
    tidy("opencode", tmp_path)

    assert [] == kept(path)


def test_an_open_database_is_left_for_the_next_time(tmp_path: Path) -> None:
    """While a process has it open nothing is deleted; the plan says what would be."""
    path = opencode(tmp_path, ("past", None, OLD))
    with closing(sqlite3.connect(path)) as opened:
        opened.execute("SELECT * FROM session").fetchall()
        assert in_use(path)
        assert [] == tidy("opencode", tmp_path)
        assert ["past"] == kept(path)
    assert not in_use(path)
    assert 1 == len(tidy("opencode", tmp_path))


@pytest.mark.parametrize("content", [b"", b"no database" * 100, None])
def test_another_form_is_left_alone(tmp_path: Path, content: bytes | None) -> None:
    """An empty file, a damaged one, tables that are not known: not a byte changes."""
    path = tmp_path / ".local/share/opencode/opencode.db"
    path.parent.mkdir(parents=True)
    if content is None:
        with closing(sqlite3.connect(path)) as made:
            made.executescript("CREATE TABLE session (id, when_used); INSERT INTO session VALUES"
                               " ('x', 1)")  # fmt: skip
    else:
        path.write_bytes(content)
    before = path.read_bytes()

    assert [] == tidy("opencode", tmp_path, days=0)
    assert before == path.read_bytes()


@pytest.mark.row("R3")
def test_codex_databases_lose_threads_and_log_lines(tmp_path: Path) -> None:
    """In seconds too: threads by their last use, with their edges; log lines one by one."""
    folder = tmp_path / ".codex"
    folder.mkdir()
    with closing(sqlite3.connect(folder / "state_5.sqlite")) as made:
        made.executescript(
            "CREATE TABLE threads (id TEXT, updated_at INTEGER, first_user_message TEXT);"
            "CREATE TABLE thread_spawn_edges (parent_thread_id TEXT, child_thread_id TEXT);"
            "INSERT INTO thread_spawn_edges VALUES ('past', 'other'), ('here', 'other');"
        )
        made.executemany(
            "INSERT INTO threads VALUES (?, ?, 'quince')",
            [("past", OLD // 1000), ("here", NEW // 1000)],
        )
        made.commit()
    with closing(sqlite3.connect(folder / "logs_2.sqlite")) as made:
        made.execute("CREATE TABLE logs (id INTEGER, ts INTEGER, feedback_log_body TEXT)")
        made.executemany(
            "INSERT INTO logs VALUES (?, ?, 'quince')", [(1, OLD // 1000), (2, NEW // 1000)]
        )
        made.commit()
    done = tidy("codex", tmp_path)
    with closing(sqlite3.connect(folder / "state_5.sqlite")) as opened:
        threads = opened.execute("SELECT id FROM threads").fetchall()
        edges = opened.execute("SELECT parent_thread_id FROM thread_spawn_edges").fetchall()
    with closing(sqlite3.connect(folder / "logs_2.sqlite")) as opened:
        lines = opened.execute("SELECT id FROM logs").fetchall()

    assert {"state_5.sqlite": 1, "logs_2.sqlite": 1} == {one.path.name: one.records for one in done}
    assert ([("here",)], [("here",)], [(2,)]) == (threads, edges, lines)

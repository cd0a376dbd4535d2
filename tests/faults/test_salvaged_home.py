"""Pages of the data database are damaged: what can't be read is named, and a command makes a whole
database of all else.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from bailee.app.salvaging import salvage
from bailee.db.salvaging import lost, rebuild
from bailee.errors import IntegrityError
from bailee.home import Home
from bailee.testing import FakeClock
from support.homes.damaged_home import KEPT, Original, Seen, fold
from support.homes.places import Place

DATA = "data/data.db"


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Original:
    """A home with everything in it."""
    return Original(tmp_path_factory.mktemp("home"))


def tear(database: Path, name: str, which: str = "max") -> None:
    """Make a page of a table or an index one that SQLite can't make sense of."""
    with closing(sqlite3.connect(database)) as connection:
        (size,) = connection.execute("PRAGMA page_size").fetchone()
        query = f"SELECT {which}(pageno) FROM dbstat WHERE name = ? AND pagetype = 'leaf'"
        (page,) = connection.execute(query, (name,)).fetchone()
    content = bytearray(database.read_bytes())
    content[(page - 1) * size] ^= 0xFF
    database.write_bytes(content)


def salvaged(original: Original, home: Path) -> dict[str, tuple[str, ...]]:
    """Salvage a copy of a home; which rows of which tables it said would be lost, and are."""
    before = (home / DATA).read_bytes()
    looked = salvage(Home(home), None)
    assert before == (home / DATA).read_bytes()
    clock = FakeClock(original.clock.now)
    assert looked == salvage(Home(home), "a test", clock=clock, environment={})
    assert [] == salvage(Home(home), None)
    return {one.table: one.ids for one in looked}


def entered(home: Path) -> list[str]:
    """Of which tables the audit record says that rows were lost."""
    with closing(sqlite3.connect(home / DATA)) as connection:
        query = "SELECT subject FROM audit WHERE kind = 'home.salvaged' ORDER BY number"
        return [str(row[0]) for row in connection.execute(query)]


def nothing_else_is_missing(seen: Seen, whole: Seen) -> None:
    """All is there as it was, but for sessions."""
    assert (None, []) == (seen.refused, seen.said)
    assert (whole.figures, whole.report) == (seen.figures, seen.report)
    for session, shown in seen.shown.items():
        assert whole.shown[session] == shown


@pytest.mark.row("D4", "R5")
@pytest.mark.parametrize("what", ["api_keys", "receipts", "web_sessions", "sessions"])
def test_rows_that_can_not_be_read_cost_themselves_alone(
    original: Original, tmp_path: Path, what: str
) -> None:
    """Where the start was refused, or the list: the rows are named first, nothing is changed
    without a reason; then all else is as it was, and checks find nothing.
    """
    home = original.copy(tmp_path / "home", folded=True)
    tear(home / DATA, what)
    ids = salvaged(original, home)
    assert what in ids
    assert sorted(ids) == sorted(entered(home))
    seen = original.see(home)
    nothing_else_is_missing(seen, original.whole)
    lost = set(ids.get("sessions", ()))
    assert {*KEPT} - lost == seen.shown.keys()
    assert seen.keys == (set() if what == "api_keys" else original.whole.keys)


@pytest.mark.row("D4")
@pytest.mark.parametrize(
    "what", ["ix_sessions_latest", "ix_audit_kind", "sqlite_autoindex_holds_1"]
)
def test_a_damaged_index_costs_nothing(original: Original, tmp_path: Path, what: str) -> None:
    """It is made anew."""
    home = original.copy(tmp_path / "home", folded=True)
    tear(home / DATA, what)
    assert {} == salvaged(original, home)
    seen = original.see(home)
    nothing_else_is_missing(seen, original.whole)
    assert original.whole.shown == seen.shown


@pytest.mark.row("D4", "R5", "R6")
@pytest.mark.parametrize("what", ["holds", "tombstones", "erasures", "audit", "segments"])
def test_what_would_undo_something_is_not_salvaged(
    original: Original, tmp_path: Path, what: str
) -> None:
    """It is refused by name, whatever the reason, and nothing is changed."""
    home = original.copy(tmp_path / "home", folded=True)
    tear(home / DATA, what)
    before = (home / DATA).read_bytes()
    with pytest.raises(IntegrityError, match=what):
        salvage(Home(home), "a test")
    assert before == (home / DATA).read_bytes()


@pytest.mark.row("R5")
def test_a_session_without_a_row_is_forgotten_at_once_and_goes_on(tmp_path: Path) -> None:
    """Its key is destroyed and the root rotated, so that what lies in its segment is no more
    readable than it is findable; the next turn of it begins anew, and is kept.
    """
    place = Place(tmp_path / "live")
    session = "11111111-32a5-4d0c-8f0b-0d7c3d1c1a11"
    place.end(place.begin(session, text="one"))
    generation = place.node.keyring.generation()
    place.close()
    fold(place.folder)
    tear(place.folder / DATA, "sessions")
    assert (session,) == salvage(
        Home(place.folder), "x", clock=FakeClock(place.clock.now), environment={}
    )[0].ids
    place.open()
    assert [] == place.node.keyring.subjects("session:")
    assert place.node.keyring.generation() > generation
    place.end(place.begin(session, text="two"))
    assert [session] == [row.id for row in place.node.vault.sessions(place.clock())]
    assert 1 == len(place.node.vault.show(session, place.clock()).exchanges)
    place.close()


@pytest.mark.row("D4")
def test_who_comes_upon_a_damaged_page_is_told_what_says_more(
    original: Original, tmp_path: Path
) -> None:
    """The refusal names the command that names the rows; where a server runs, `verify` does."""
    home = original.copy(tmp_path / "keys", folded=True)
    tear(home / DATA, "api_keys")
    refused = original.see(home).refused
    assert refused is not None and "bailee home salvage" in refused
    home = original.copy(tmp_path / "reports", folded=True)
    tear(home / DATA, "feedback_reports")
    seen = original.see(home)
    said = {one.where: one.what for one in seen.said}
    assert f"1 rows can't be read: {original.report}" == said["data.db, feedback_reports"]
    assert "data.db, feedback_reports" in {one.where for one in seen.known}
    assert original.whole.shown == seen.shown


@pytest.mark.row("D4")
@pytest.mark.parametrize("which", ["min", "max"])
def test_of_a_large_table_the_rows_of_the_page_alone_are_lost(tmp_path: Path, which: str) -> None:
    """Whether it is its first page or its last; a number that was given is not given again."""
    database = tmp_path / "data.db"
    names = [f"name {number:04}" for number in range(1000)]
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        receipted = ("receipts", "receipt_segments", "receipt_owners")
        of_sessions = ("exchanges", "conversation_links", "session_words")
        for table in ("sessions", *of_sessions, *receipted):
            more = "session_id TEXT, receipt_id TEXT"
            connection.execute(f"CREATE TABLE {table} (id TEXT PRIMARY KEY, {more})")
        connection.execute("CREATE TABLE audit (number INTEGER PRIMARY KEY AUTOINCREMENT)")
        connection.execute("INSERT INTO audit VALUES (7)")
        connection.execute("DELETE FROM audit")
        rows = [(name, "x" * 100) for name in names]
        connection.executemany("INSERT INTO sessions VALUES (?, ?, NULL)", rows)
    tear(database, "sessions", which)
    (found,) = lost(database)
    assert "sessions" == found.table
    assert 10 < len(found.ids) < 50
    gone = len(found.ids)
    assert found.ids == tuple(names[:gone] if which == "min" else names[-gone:])
    rebuild(database)
    assert [] == lost(database)
    with closing(sqlite3.connect(database)) as connection:
        kept = [str(row[0]) for row in connection.execute("SELECT id FROM sessions ORDER BY id")]
        assert kept == [name for name in names if name not in found.ids]
        assert [(7,)] == connection.execute("SELECT seq FROM sqlite_sequence").fetchall()

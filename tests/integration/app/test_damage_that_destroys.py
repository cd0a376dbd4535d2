"""One bit is flipped in what says how late it is, how far the spool is filed, when a key goes or
where a segment ends: nothing is destroyed by it, it is named, and everything else goes on.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from bailee.db.checks import KEY
from bailee.errors import IntegrityError
from bailee.feedback.reports import Origin
from bailee.home import Home, HomeLock
from bailee.node.node import Node
from bailee.node.verifying import known, verify
from bailee.testing import FakeMachine
from bailee.testing.tampering import tamper
from bailee.vault.exchange import Terms
from bailee.vault.record import subject_of
from support.clients.asking import perform
from support.homes.captured import begun, end
from support.homes.older import before_numbers
from support.homes.places import Place

ONE, TWO, LATE = (f"{8 * n}-32a5-4d0c-8f0b-0d7c3d1c1a11" for n in "123")


class Grove(Place):
    """Two sessions of two exchanges each, and what a kill leaves of a third."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        for session in (ONE, TWO):
            for text in ("one", "two"):
                self.end(self.begin(session, text=text))
                self.clock.advance(timedelta(seconds=1))

    @property
    def data(self) -> Path:
        """The file of the data database."""
        return self.folder / "data" / "data.db"

    @property
    def keys(self) -> Path:
        """The file of the keyring."""
        return self.folder / "keyring" / "keyring.db"

    def tampered(self, database: Path, statement: str) -> None:
        """Stop, have something changed on the disk, and start."""
        self.close()
        assert tamper(database, statement) > 0
        self.open()

    def killed(self, folder: Path) -> None:
        """A third session is acknowledged, and the process is no more: this is what it left."""
        with self.node.vault.lock:  # so that nothing is sealed
            self.keep(self.begin(LATE, text="late"))
            ignored = shutil.ignore_patterns("run", "reserve", "*-shm")
            shutil.copytree(self.folder, folder, ignore=ignored)
        self.close()
        self.folder = folder
        self._lock = HomeLock(Home(folder))

    def exchanges(self) -> dict[str, int]:
        """How many there are of each session that is shown, and opens."""
        now = self.clock()
        rows = self.node.vault.sessions(now)
        return {row.id: len(self.node.vault.show(row.id, now).exchanges) for row in rows}

    def named(self) -> set[str]:
        """What is named as damaged: by a look, or by a check of everything."""
        found = (*known(self.node), *verify(self.node, self.clock()).damaged)
        return {one.where.partition(" ")[0] for one in found}


def before(database: Path, statement: str) -> None:
    """Make a database again what it was before a step."""
    with sqlite3.connect(database) as connection:
        for (name,) in connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name LIKE 'usage_w%'"
        ).fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute(statement)
    connection.close()


@pytest.fixture
def grove(tmp_path: Path) -> Iterator[Grove]:
    """A home of its own, whole."""
    made = Grove(tmp_path / "home")
    yield made
    made.close()


@pytest.mark.row("R1", "R5")
def test_a_home_does_not_take_another_year_for_its_time(tmp_path: Path) -> None:
    """The time that was noted becomes one in 400 years: nothing is past it, nothing is destroyed,
    it is said, and the right time is noted anew.
    """
    machine, home = FakeMachine(), Home(tmp_path / "home")

    def opened() -> Node:
        return Node.open(home, clock=machine.machine, environment={})

    home.make()
    with HomeLock(home):
        node = opened()
        account = node.accounts.create(plan="pro", name="ada")[0].account_id
        end(node, begun(node, account, ONE, "hello"))
        assert {} == node.sweep(node.clock()).failures
        node.close()
        later = "UPDATE home_clock SET now = '2426' || substr(now, 5)"
        assert 1 == tamper(home.data_database, later)
        machine.passes(timedelta(minutes=1))
        node = opened()
        assert machine.wall() == node.clock()
        assert {} == node.sweep(node.clock()).failures
        assert [ONE] == [one["id"] for one in perform(node, "sessions.list", {})]
        assert ["home_clock 1"] == [one.where for one in known(node)]
        node.close()
        node = opened()
        assert [] == known(node)
        node.close()


@pytest.mark.row("R5")
@pytest.mark.parametrize("change", ["next = 64", "next = 1099511627778", "file = file || 'x'"])
def test_what_was_acknowledged_is_filed_once_whatever_a_row_says(
    grove: Grove, tmp_path: Path, change: str
) -> None:
    """The row that says how far a spool file is filed says otherwise: what was not filed is, what
    was is not filed again, and the row is named.
    """
    grove.killed(tmp_path / "left")
    assert 1 == tamper(grove.data, f"UPDATE spool_positions SET {change}")
    grove.open()
    grove.node.vault.recover()
    assert {ONE: 2, TWO: 2, LATE: 1} == grove.exchanges()
    assert {"spool_positions"} == {one.where.partition(" ")[0] for one in known(grove.node)}


@pytest.mark.row("R5")
@pytest.mark.parametrize("table", ["keks", "kek_ends"])
@pytest.mark.parametrize("change", ["epoch - 65536", "epoch + 1048576"])
def test_a_key_goes_at_its_time_whatever_one_row_says(
    grove: Grove, table: str, change: str
) -> None:
    """The epoch of every KEK, of whichever class, becomes another one in one of its two places: it
    is named, put right, and all that is under it is there; at its time it goes.
    """
    report = grove.node.reports.keep(
        Origin(grove.account, "person", "key"),
        {"description": "it stops", "environment": {}},
        Terms("P5Y", "retain.feedback-report", "d"),
        None,
    )
    kept = set(grove.node.keyring.subjects("session:")) | set(
        grove.node.keyring.subjects("report:")
    )
    grove.tampered(grove.keys, f"UPDATE {table} SET epoch = {change}")
    assert "KEK" in {one.where.partition(" ")[0] for one in grove.node.keyring.verify()}
    assert {} == grove.node.sweep(grove.clock()).failures
    assert kept <= set(grove.node.keyring.subjects(""))
    assert 3 == len(kept)
    assert [] == [one for one in grove.node.receipts.all() if one.kind == "expiry"]
    assert {"KEK"} == grove.named()
    assert [] != list(grove.node.ledger.entries(kind="keyring.damaged"))
    assert [] == list(grove.node.keyring.verify())
    assert {ONE: 2, TWO: 2} == grove.exchanges()
    assert "it stops" == grove.node.reports.open(report)["description"]
    grove.tampered(grove.keys, f"UPDATE {table} SET epoch = {change}")
    grove.clock.advance(timedelta(days=30, hours=1))
    assert {} == grove.node.sweep(grove.clock()).failures
    assert [] == grove.node.keyring.subjects("session:")
    assert 1 == len(grove.node.keyring.subjects("report:"))


@pytest.mark.row("R5")
@pytest.mark.parametrize("change", ["digest = X'00' || digest", "owner = 'x' || owner"])
def test_a_tombstone_holds_whatever_is_changed_in_it(grove: Grove, change: str) -> None:
    """What goes on with a deleted session is not kept, and the tombstone is named."""
    perform(grove.node, "sessions.delete", {"id": TWO})
    grove.tampered(grove.data, f"UPDATE tombstones SET {change}")
    grove.end(grove.begin(TWO, text="three"))
    assert {} == grove.node.sweep(grove.clock()).failures
    grove.end(grove.begin(TWO, text="four"))
    assert {ONE: 2} == grove.exchanges()
    assert {"tombstones"} == grove.named()


@pytest.mark.row("R1", "P4")
@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("exchanges", "status = 500"),
        ("exchanges", "outcome = 'failed'"),
        ("exchanges", "started = started - 1"),
        ("stored", "living = living * 2"),
        ("stored", "owner = owner || 'x'"),
    ],
)
def test_what_is_listed_and_counted_is_what_was_written(
    grove: Grove, table: str, change: str
) -> None:
    """An exchange that was changed is shown to nobody; a sum that was is counted anew."""
    before = grove.node.vault.stored.of(grove.account)
    grove.tampered(grove.data, f"UPDATE {table} SET {change} WHERE rowid = 1")
    assert before == grove.node.vault.stored.of(grove.account)
    if table == "stored":
        assert set() == grove.named()
    else:
        assert {"exchanges"} <= grove.named()
        with pytest.raises(IntegrityError):
            grove.exchanges()


@pytest.mark.row("R1", "G3")
@pytest.mark.parametrize("change", ["zeroblob(24)", "substr(places, 2)", "zeroblob(7)", "'x'"])
def test_what_goes_on_refers_to_no_place_that_was_changed(grove: Grove, change: str) -> None:
    """Where its first messages were said before is something else now: the next turn is shown as it
    was said, and `verify` names the place.
    """
    grove.tampered(grove.data, f"UPDATE exchanges SET places = {change}")
    grove.end(grove.begin(ONE, text="two"))
    one, two, again = grove.node.vault.show(ONE).exchanges
    assert two.messages == again.messages != one.messages
    assert two.fields == again.fields
    found = {one.where for one in verify(grove.node, grove.clock()).damaged}
    # Of the session that did not go on; and its account's sum, where their length is another.
    assert found - {f"account {grove.account}"} == {f"places {TWO}/0", f"places {TWO}/1"}


_SINCE = ("session_words", "person_requests", "auditors", "audit_positions")


@pytest.mark.row("R1", "G3")
def test_what_goes_on_with_an_older_home_is_one_conversation(grove: Grove) -> None:
    """It has places without a check: they go with the update, what is said next is stored anew, and
    the conversation is shown as it was said, once.
    """
    row_key = grove.node.keyring.secret(KEY)
    grove.close()
    before_numbers(grove.data, row_key)
    for statement in (
        "UPDATE prefixes SET position = position & 4294967295",
        "UPDATE alembic_version SET version_num = '0086'",
        "ALTER TABLE usage_windows DROP COLUMN mac",
        "ALTER TABLE usage_reservations DROP COLUMN again",
        *(f"DROP TABLE {table}" for table in _SINCE),
    ):
        before(grove.data, statement)
    grove.open()
    grove.end(grove.begin(ONE, text="two"))
    one, two, again = grove.node.vault.show(ONE).exchanges
    assert two.messages == again.messages != one.messages
    assert set() == grove.named()


@pytest.mark.row("R1", "R5", "G3")
def test_a_home_from_before_sessions_had_numbers(grove: Grove) -> None:
    """What was what it should be is so again, and what goes on refers to what was said before; what
    was not, stays so; and what was deleted stays deleted.
    """
    perform(grove.node, "sessions.list", {})  # so that there are words
    grove.node.vault.indexing.bring([ONE, TWO], grove.clock(), 60)
    before = grove.node.vault.stored.of(grove.account)
    told = grove.node.vault.indexing.tellings([ONE, TWO])
    row_key = grove.node.keyring.secret(KEY)
    grove.close()
    before_numbers(grove.data, row_key)
    changed = f"UPDATE exchanges SET status = 500 WHERE number = 1 AND session_id = '{TWO}'"
    assert 1 == tamper(grove.data, changed)
    grove.open()
    assert 2 == sum(one.sessions for one in grove.node.vault.groups(grove.account))
    assert not grove.node.vault.sum_up()
    assert before == grove.node.vault.stored.of(grove.account)
    assert told == grove.node.vault.indexing.tellings([ONE, TWO])
    assert [] == grove.node.vault.indexing.behind([ONE, TWO])
    grove.end(grove.begin(ONE, text="two"))
    one, two, again = grove.node.vault.show(ONE).exchanges
    assert two.messages == again.messages != one.messages
    with sqlite3.connect(grove.data) as connection:
        sizes = connection.execute(
            "SELECT length(places) FROM exchanges JOIN sessions ON sessions.number = session "
            f"WHERE sessions.id = '{ONE}' ORDER BY exchanges.number"
        ).fetchall()
    connection.close()
    assert None is sizes[2][0]  # nothing of it was new
    assert {"exchanges"} == grove.named()
    with pytest.raises(IntegrityError):
        grove.node.vault.show(TWO)


@pytest.mark.row("R6", "P4")
def test_a_session_whose_rows_are_all_gone_is_missed(grove: Grove) -> None:
    """`verify` names whose it was and which: more was filed than there is, and its key is left."""
    grove.close()
    number = f"(SELECT number FROM sessions WHERE id = '{TWO}')"
    assert 0 < tamper(grove.data, f"DELETE FROM exchanges WHERE session = {number}")
    assert 0 < tamper(grove.data, f"DELETE FROM sessions WHERE id = '{TWO}'")
    grove.open()
    found = {one.where for one in verify(grove.node, grove.clock()).damaged}
    assert {f"account {grove.account}", f"session {TWO}"} == found


@pytest.mark.row("R1", "R5")
@pytest.mark.parametrize("asked", [True, False])
def test_a_number_that_was_changed_takes_nothing_of_another_session(
    grove: Grove, asked: bool
) -> None:
    """It is another session's now. Whether somebody deletes it or its time comes, what goes is its
    own; a row that does not say so is named.
    """
    other = f"SELECT number FROM sessions WHERE id = '{ONE}'"
    late = "" if asked else ", expires_at = '2020-01-01 00:00:00.000000'"
    grove.tampered(grove.data, f"UPDATE sessions SET number = ({other}){late} WHERE id = '{TWO}'")
    if asked:
        perform(grove.node, "sessions.delete", {"id": TWO})
    else:
        grove.node.keyring.destroy([subject_of(TWO)])
    assert {} == grove.node.sweep(grove.clock()).failures
    assert {ONE: 2} == grove.exchanges()
    assert grove.named() <= {"account", "sessions"}


@pytest.mark.row("R5", "D4")
@pytest.mark.parametrize("change", ["length = length / 2", "length = length + (1 << 40)"])
def test_a_start_cuts_nothing_off_a_segment(grove: Grove, change: str) -> None:
    """Its row says that it ends elsewhere: all that is in it stays, and more can be said."""
    grove.tampered(grove.data, f"UPDATE segments SET {change}")
    assert {ONE: 2, TWO: 2} == grove.exchanges()
    grove.end(grove.begin(ONE, text="three"))
    assert {} == grove.node.sweep(grove.clock()).failures
    grove.node.vault.ship()
    assert {ONE: 3, TWO: 2} == grove.exchanges()
    assert set() == grove.named()


@pytest.mark.row("R5", "P4")
@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("UPDATE segments SET opened_at = CAST(X'3230FF' AS TEXT)", set()),
        ("UPDATE sweep_steps SET succeeded_at = '2026-0a-01'", set()),
        (
            "UPDATE exchanges SET length = 1 << 40 WHERE number = 1",
            {"account", "exchanges", "session"},
        ),
        ("UPDATE audit SET at = '2026-0a-01' WHERE number = 2", {"audit"}),
        ("UPDATE audit SET body = substr(body, 2) WHERE number = 2", {"audit"}),
        ("UPDATE audit SET kind = kind || 'x' WHERE number = 2", {"audit"}),
        ("UPDATE tombstones SET until = '2020-01-01'", {"tombstones"}),
    ],
)
def test_a_column_that_can_not_be_read_stops_nothing(
    grove: Grove, statement: str, named: set[str]
) -> None:
    """A start, a sweep, the lists and the check of everything go on, and what it is of is named."""
    perform(grove.node, "sessions.delete", {"id": TWO})
    grove.node.sweep(grove.clock())
    before = len(grove.node.ledger.latest(1000))
    grove.tampered(grove.data, statement)
    assert {} == grove.node.sweep(grove.clock()).failures
    assert [ONE] == [one["id"] for one in perform(grove.node, "sessions.list", {})]
    assert before - 1 <= len(perform(grove.node, "audit.list", {}))
    assert named == grove.named()


@pytest.mark.row("R5", "R6")
@pytest.mark.parametrize(
    ("table", "column", "beside"),
    [
        ("exchanges", "id", "segment_id"),
        ("exchanges", "segment_id", "id"),
        ("sessions", "id", "owner"),
        ("receipts", "state", "subject"),
    ],
)
def test_a_bit_on_the_disk_keeps_nothing_else_from_going(
    grove: Grove, table: str, column: str, beside: str
) -> None:
    """It is in a row and not in the indexes of its table. What is due goes all the same, the row
    too, unless it is its id that was changed: then it is named.
    """
    perform(grove.node, "sessions.delete", {"id": TWO})
    grove.close()
    with sqlite3.connect(grove.data) as connection:
        query = f"SELECT {column}, {beside} FROM {table} WHERE {beside} IS NOT NULL"
        value, other = map(str.encode, connection.execute(query).fetchone())
    connection.close()
    content = bytearray(grove.data.read_bytes())
    behind = column in ("state", "segment_id")
    pair = other + value if behind else value + other
    content[content.index(pair) + len(pair) - len(value if behind else pair) + 1] ^= 1
    grove.data.write_bytes(content)
    grove.open()
    assert {} == grove.node.sweep(grove.clock()).failures
    grove.clock.advance(timedelta(days=31, hours=1))
    assert {} == grove.node.sweep(grove.clock()).failures
    with sqlite3.connect(grove.data) as connection:
        left = connection.execute("SELECT count(*) FROM sessions").fetchone()
    connection.close()
    assert ((1,) if table == "sessions" else (0,)) == left
    in_no_index = {"data.db"} if table == "sessions" else set()
    assert grove.named() <= {table, "account", "data.db,", *in_no_index}


@pytest.mark.row("P4")
def test_a_file_of_the_log_is_looked_at_with_the_rest(grove: Grove) -> None:
    """A bit of the log's tiles: the check of everything names the file."""
    grove.node.sequencer.run()
    tile = next(one for one in (grove.folder / "ledger" / "tile" / "entries").rglob("*.p/*"))
    content = bytearray(tile.read_bytes())
    content[len(content) // 2] ^= 4
    tile.write_bytes(content)
    found = {one.where for one in verify(grove.node, grove.clock()).damaged}
    assert f"ledger/{tile.relative_to(grove.folder / 'ledger')}" in found
    assert {"ledger"} == {one.partition("/")[0] for one in found}

"""A home's data database as it was before sessions had numbers (schema 0090)."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from bailee.db.checks import RowKey

_EXCHANGE = (
    "id", "session_id", "number", "segment_id", "offset", "length", "exchange_id", "started",
    "ended", "outcome", "status",
)  # fmt: skip
_TABLES = """
CREATE TABLE exchanges_old (id VARCHAR NOT NULL PRIMARY KEY,
    session_id VARCHAR NOT NULL REFERENCES sessions (id), number INTEGER NOT NULL,
    segment_id VARCHAR NOT NULL REFERENCES segments (id), "offset" INTEGER NOT NULL,
    length INTEGER NOT NULL, exchange_id VARCHAR NOT NULL, started FLOAT NOT NULL,
    ended FLOAT NOT NULL, outcome VARCHAR NOT NULL, status INTEGER NOT NULL, mac BLOB);
CREATE TABLE prefixes (session_id VARCHAR NOT NULL REFERENCES sessions (id), digest BLOB NOT NULL,
    exchange INTEGER NOT NULL, position INTEGER NOT NULL, PRIMARY KEY (session_id, digest))
    WITHOUT ROWID;
CREATE TABLE words_old (session_id VARCHAR NOT NULL PRIMARY KEY REFERENCES sessions (id),
    covers INTEGER NOT NULL, whole INTEGER NOT NULL, about BLOB NOT NULL, words BLOB NOT NULL);
CREATE TABLE departed_old (digest BLOB NOT NULL PRIMARY KEY);
"""
_TAKEN = """
INSERT INTO exchanges_old SELECT e.id, s.id, e.number, segment_id, "offset", length, exchange_id,
    e.started, ended, outcome, status, x'00' FROM exchanges e JOIN sessions s ON s.number = session;
INSERT INTO words_old SELECT s.id, covers, whole, about, words FROM session_words w
    JOIN sessions s ON s.number = w.session;
INSERT INTO departed_old SELECT digest FROM departed_sessions;
DROP TABLE exchanges; DROP TABLE session_words; DROP TABLE departed_sessions;
ALTER TABLE exchanges_old RENAME TO exchanges; ALTER TABLE words_old RENAME TO session_words;
ALTER TABLE departed_old RENAME TO departed_sessions;
CREATE INDEX ix_exchanges_segment_id ON exchanges (segment_id);
CREATE UNIQUE INDEX uq_exchanges_number ON exchanges (session_id, number);
DROP INDEX ix_sessions_number; ALTER TABLE sessions DROP COLUMN number;
DROP TABLE session_facts; DROP TABLE session_ends;
CREATE INDEX ix_sessions_facts ON sessions (owner, plan, channel, uses, data_class, last_consent);
DROP TABLE own_policies; DROP TABLE saved_views; DROP TABLE pending;
DROP TABLE disk_state; DROP TABLE ephemeral_keys;
DROP TABLE limit_increases; DROP TABLE usage_gateways; DROP TABLE usage_batches;
ALTER TABLE sign_ins DROP COLUMN claimed_until;
ALTER TABLE usage_reservations DROP COLUMN gateway;
DROP TABLE provisioned_members; DROP TABLE provisioned_groups;
DROP TABLE provisioned_people; DROP TABLE provisioning_tokens;
UPDATE alembic_version SET version_num = '0090';
"""


def before_numbers(database: Path, row_key: bytes) -> None:
    """Make it again what it was: the rows, their checks under `row_key`, and the sums."""
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        key = RowKey()
        key.use(row_key)
        key.register(connection)
        triggers = "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name IN (?, ?, ?)"
        changed = ("sessions", "exchanges", "sign_ins")
        for (name,) in connection.execute(triggers, changed).fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        connection.executescript(_TABLES)
        _places(connection)
        connection.executescript(_TAKEN)
        for table in ("sessions", "sign_ins"):
            columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            _checks(connection, table, [name for name in columns if name != "mac"])
        _checks(connection, "exchanges", _EXCHANGE)


def _places(connection: sqlite3.Connection) -> None:
    rows = connection.execute(
        "SELECT s.id, s.owner, e.number, e.places FROM exchanges e "
        "JOIN sessions s ON s.number = e.session WHERE e.places IS NOT NULL"
    ).fetchall()
    for session, owner, number, places in rows:
        parts = [places[at : at + 24] for at in range(0, len(places), 24)]
        connection.executemany(
            "INSERT INTO prefixes VALUES (?, ?, ?, ?)",
            [(session, one[:16], number, int.from_bytes(one[16:])) for one in parts],
        )
        connection.execute(
            "UPDATE stored SET living = living + ? WHERE owner = ?",
            ((100 - 24) * len(parts), owner),
        )


def _checks(connection: sqlite3.Connection, table: str, columns: Sequence[str]) -> None:
    def mac(of: str) -> str:
        values = ", ".join(
            f'quote({of}"{name}")' if name == "client_session" else f'{of}"{name}"'
            for name in columns
        )
        form = ",".join("%Q" for _ in columns)
        return f"row_mac(CAST(printf('{table}/1,{form}', {values}) AS BLOB))"

    connection.execute(f"UPDATE {table} SET mac = {mac('')}")
    connection.execute(
        f"CREATE TRIGGER {table}_mac_insert AFTER INSERT ON {table} BEGIN "
        f"UPDATE {table} SET mac = {mac('NEW.')} WHERE rowid = NEW.rowid; END"
    )

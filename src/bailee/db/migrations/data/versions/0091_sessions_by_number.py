"""Rows of a session's refer to it by a number, and what it has had is in its exchanges' rows.

What was stored by the session's id, 36 characters in each row and in its index, was half of the
index. Exchanges of no session, which a damaged page may have left, are nobody's and go.
"""

import re
from collections.abc import Iterator
from itertools import groupby

import sqlalchemy as sa
from alembic import op

revision = "0091"
down_revision = "0090"

_AT_ONCE = 5000
_RECKONED = 100
"""Bytes that counted for a place on its account's share of the disk."""
_OWN = (
    "id", "segment_id", "offset", "length", "exchange_id", "started", "ended", "outcome", "status",
)  # fmt: skip
_CHECK = re.compile(r"SET mac = (row_mac\(.*?\)) WHERE rowid", re.DOTALL)


def upgrade() -> None:
    op.add_column("sessions", sa.Column("number", sa.Integer, nullable=False, server_default="0"))
    op.execute("UPDATE sessions SET number = rowid")
    op.create_index("ix_sessions_number", "sessions", ["number"])
    _exchanges()
    _session_words()
    op.rename_table("departed_sessions", "departed_before")
    op.create_table(
        "departed_sessions",
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        sqlite_with_rowid=False,
    )
    op.execute("INSERT INTO departed_sessions SELECT digest FROM departed_before ORDER BY digest")
    op.drop_table("departed_before")


def _exchanges() -> None:
    connection = op.get_bind()
    check = _mac(connection)
    op.drop_index("ix_exchanges_segment_id", "exchanges")
    op.drop_index("uq_exchanges_number", "exchanges")
    op.rename_table("exchanges", "exchanges_before")
    op.create_table(
        "exchanges",
        sa.Column("session", sa.Integer, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("id", sa.String, nullable=False),
        sa.Column("segment_id", sa.String, sa.ForeignKey("segments.id"), nullable=False),
        sa.Column("offset", sa.Integer, nullable=False),
        sa.Column("length", sa.Integer, nullable=False),
        sa.Column("exchange_id", sa.String, nullable=False),
        sa.Column("started", sa.Float, nullable=False),
        sa.Column("ended", sa.Float, nullable=False),
        sa.Column("outcome", sa.String, nullable=False),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("places", sa.LargeBinary),
        sa.Column("mac", sa.LargeBinary),
    )
    own = ", ".join(f'"{name}"' for name in _OWN)
    taken = ", ".join(f'exchanges_before."{name}"' for name in _OWN)
    # In their order, so that what was filed together still lies together.
    op.execute(
        f"INSERT INTO exchanges (session, number, {own}, mac) "  # noqa: S608 - names of ours
        f"SELECT sessions.number, exchanges_before.number, {taken}, {check} "
        "FROM exchanges_before CROSS JOIN sessions ON sessions.id = exchanges_before.session_id "
        "ORDER BY exchanges_before.rowid"
    )
    op.execute(
        f"UPDATE stored SET living = living - {_RECKONED} * (SELECT count(*) FROM prefixes "  # noqa: S608
        "JOIN sessions ON sessions.id = prefixes.session_id WHERE sessions.owner = stored.owner)"
    )
    put = sa.text(
        "UPDATE exchanges SET places = :places WHERE session = :session AND number = :number"
    )
    rows = list[dict[str, object]]()
    for row in _places(connection):
        rows.append(row)
        if len(rows) == _AT_ONCE:
            connection.execute(put, rows)
            rows = []
    if rows:
        connection.execute(put, rows)
    op.execute(
        "UPDATE stored SET living = living + coalesce((SELECT sum(length(exchanges.places)) "
        "FROM exchanges JOIN sessions ON sessions.number = exchanges.session "
        "WHERE sessions.owner = stored.owner), 0)"
    )
    op.drop_table("prefixes")
    op.drop_table("exchanges_before")
    op.create_index("ix_exchanges_segment_id", "exchanges", ["segment_id"])


def _mac(connection: sa.Connection) -> str:
    """What stands in the place of a row's check: nothing for a row that was what was written, so
    that it gets the check of its new columns; for another what is no row's check.
    """
    query = "SELECT sql FROM sqlite_master WHERE type = 'trigger' AND name = 'exchanges_mac_insert'"
    sql = connection.execute(sa.text(query)).scalar()
    if sql is None:  # there were no checks yet
        return "exchanges_before.mac"
    found = _CHECK.search(sql)
    assert found is not None
    was = found[1].replace("NEW.", "exchanges_before.")
    return f"CASE WHEN exchanges_before.mac IS {was} THEN NULL ELSE x'00' END"


def _places(connection: sa.Connection) -> Iterator[dict[str, object]]:
    """What each exchange's row is to have: a digest and, after it, the position with its check."""
    query = sa.text(
        "SELECT sessions.number, prefixes.exchange, prefixes.digest, prefixes.position "
        "FROM prefixes JOIN sessions ON sessions.id = prefixes.session_id "
        "ORDER BY prefixes.session_id, prefixes.digest"
    )
    for session, rows in groupby(connection.execute(query), key=lambda row: row[0]):
        found: dict[object, list[bytes]] = {}
        for _, number, digest, position in rows:
            if isinstance(digest, bytes) and isinstance(position, int) and 0 <= position < 1 << 63:
                found.setdefault(number, []).append(digest + position.to_bytes(8))
        for number, places in found.items():
            yield {"session": session, "number": number, "places": b"".join(places)}


def _session_words() -> None:
    op.rename_table("session_words", "session_words_before")
    op.create_table(
        "session_words",
        sa.Column("session", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("covers", sa.Integer, nullable=False),
        sa.Column("whole", sa.Integer, nullable=False),
        sa.Column("about", sa.LargeBinary, nullable=False),
        sa.Column("words", sa.LargeBinary, nullable=False),
    )
    op.execute(
        "INSERT INTO session_words SELECT sessions.number, covers, whole, about, words "
        "FROM session_words_before JOIN sessions ON sessions.id = session_words_before.session_id "
        "ORDER BY sessions.number"
    )
    op.drop_table("session_words_before")

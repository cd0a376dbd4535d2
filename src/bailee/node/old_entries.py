"""Entries of the audit record from before particulars were sealed: sealed at the next start.

The migration has marked them. Each is brought under the key of whoever it is about, as it would be
today; of who was erased it is left out. Where nothing says any more whose an entry was (the Git
connection was removed, the session is gone), it is under a key of nobody's: the operator still
reads it, and an erasure empties it if it names who is erased.

Order, numbers, times, kinds and subjects stay. Afterwards the file is written anew, so that no page
of it has the old values. Copies of the database from before have them.
"""

from __future__ import annotations

from typing import Final

import orjson
from sqlalchemy import ColumnElement, Connection, Engine, select, update

from bailee.db.accounts import api_keys
from bailee.db.audit import UNSEALED, audit
from bailee.db.cloud import cloud_sessions
from bailee.db.cloud_git import git_connections
from bailee.db.engine import DbRow, reading, rewrite, storage_errors
from bailee.db.feedback import feedback_reports
from bailee.db.vault import receipts, sessions
from bailee.keyring.checkpoint import truncate_log
from bailee.ledger import Sealing
from bailee.ledger.ledger import bound
from bailee.ledger.particulars import sealed_names

NOBODY: Final = "nobody"
"""The holder of what is known to be nobody's."""

_PORTION: Final = 500
_WHAT: Final = "the audit record"


def seal(engine: Engine, sealing: Sealing) -> int:
    """Seal what is marked; how many entries. A crash in the middle is gone on from.

    Raises:
        StorageError: a store can't be read or written; the next start goes on.
    """
    done = 0
    marked = select(audit).where(audit.c.whose == UNSEALED).order_by(audit.c.number)
    while True:
        with storage_errors(_WHAT), reading(engine) as connection:
            rows = connection.execute(marked.limit(_PORTION)).all()
            owners = {row.number: _owner(connection, row) for row in rows}
        if not rows:
            break
        changes = [(row.number, _sealed(row, owners[row.number], sealing)) for row in rows]
        with storage_errors(_WHAT), engine.begin() as connection:
            for number, values in changes:
                connection.execute(update(audit).where(audit.c.number == number).values(**values))
        done += len(rows)
    if done:
        rewrite(engine)
        truncate_log(engine)
    return done


def _sealed(row: DbRow, owner: str, sealing: Sealing) -> dict[str, object]:
    body = orjson.loads(row.body)
    hidden = {n: body[n] for n in sealed_names(row.kind) if body.get(n)}
    if not hidden:
        return {"whose": None}
    holder, sealed = sealing.seal(owner, orjson.dumps(hidden), bound(row.kind, row.subject))
    plain = body | dict.fromkeys(hidden)
    return {"whose": holder, "sealed": sealed, "body": orjson.dumps(plain).decode()}


def _owner(connection: Connection, row: DbRow) -> str:
    """Whose an entry is, as far as the database still says it."""
    area = row.kind.partition(".")[0]
    if area == "cloud_network":
        return str(row.subject)
    if area == "git_connection":
        found = _first(connection, git_connections.c.account_id, git_connections.c.id, row.subject)
        return found or _who_added(connection, row.subject)
    report = connection.execute(
        select(feedback_reports.c.person_id, feedback_reports.c.account_id).where(
            feedback_reports.c.id == row.subject
        )
    ).first()
    if report is not None:
        return str(report.person_id or report.account_id)
    for owner, subject in (
        (cloud_sessions.c.owner, cloud_sessions.c.id),
        (sessions.c.owner, sessions.c.id),
        (receipts.c.owner, receipts.c.subject),
    ):
        found = _first(connection, owner, subject, row.subject)
        if found is not None:
            return found
    return NOBODY


def _who_added(connection: Connection, connection_id: str) -> str:
    """Who added a Git connection that is gone: a person, or the account of a key."""
    added = select(audit.c.body).where(
        audit.c.subject == connection_id, audit.c.kind == "git_connection.added"
    )
    body = connection.execute(added).scalar()
    by = "" if body is None else str(orjson.loads(body).get("by"))
    if by.startswith("per_"):
        return by
    return _first(connection, api_keys.c.account_id, api_keys.c.id, by) or NOBODY


def _first(
    connection: Connection, wanted: ColumnElement[str], column: ColumnElement[str], value: str
) -> str | None:
    query = select(wanted).where(column == value, wanted.is_not(None))
    found = connection.execute(query).scalar()
    return None if found is None else str(found)

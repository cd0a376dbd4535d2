"""The last changes of rows that processes have in memory, on PostgreSQL: by triggers, in the
transaction that made the change, whoever made it.

Rules kept here:

* A number is one above the last, taken in the transaction itself. Who writes has its turn
  (`db.leases`), so numbers are committed in their order; two that wrote without one would take the
  same number, and the second be refused. What is rolled back has no number.
* `KEPT` changes are kept. `versions` says what follows from them.
* With each transaction goes a notice (`NOTIFY`), which has nothing in it: it says that there is
  something to look for, no more, so one that is lost or comes twice does no harm.
* It is of a database, not of what a home keeps there: it is in no line of migrations, no backup has
  it, and a restore begins another.

A home with files of SQLite's has none: one process alone has those. What says nothing new in memory
(sessions, counts, the audit record) is not in it, so a request adds nothing.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, text

from bailee.db.accounts import accounts, api_keys, ephemeral_keys
from bailee.db.policy import own_policies, policy_activations
from bailee.db.portable import is_sqlite
from bailee.db.versions import NOTHING, ChangedRows, DataVersion, RowChange, since

TABLE: Final = "bailee_changes"
CHANNEL: Final = TABLE
KEPT: Final = 4096
"""How many changes are kept: who has missed more reads all anew."""

_FOLLOWED: Final = {
    accounts.name: accounts.c.id.name,
    api_keys.name: api_keys.c.id.name,
    ephemeral_keys.name: ephemeral_keys.c.id.name,
    policy_activations.name: policy_activations.c.number.name,
    own_policies.name: own_policies.c.organisation_id.name,
}
"""The tables whose rows are had in memory, and by which column what is had is found."""
_MADE: Final = (
    f"CREATE TABLE IF NOT EXISTS {TABLE} (number bigint PRIMARY KEY, mark bigint NOT NULL, "
    "source text NOT NULL, id text NOT NULL)"
)
_FUNCTION: Final = "bailee_changed"
_BODY: Final = (
    " DECLARE following bigint; named text; BEGIN "  # noqa: S608 - names of ours
    "IF TG_OP = 'DELETE' THEN named := to_jsonb(OLD) ->> TG_ARGV[0]; "
    "ELSE named := to_jsonb(NEW) ->> TG_ARGV[0]; END IF; "
    f"SELECT coalesce(max(number), 0) + 1 INTO following FROM {TABLE}; "
    f"INSERT INTO {TABLE} VALUES "
    "(following, (random() * 9007199254740991)::bigint, TG_TABLE_NAME, named); "
    f"DELETE FROM {TABLE} WHERE number = following - {KEPT}; "
    f"PERFORM pg_notify('{CHANNEL}', ''); RETURN NULL; END "
)
_THERE: Final = text("SELECT prosrc FROM pg_proc WHERE oid = to_regproc(:name)")
_TRIGGERS: Final = text(
    "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgfoid = to_regproc(:name)"
)
_NEWEST: Final = text(f"SELECT number, mark FROM {TABLE} ORDER BY number DESC LIMIT 1")  # noqa: S608
_SINCE: Final = text(
    f"SELECT number, mark, source, id FROM {TABLE} WHERE number >= :known "  # noqa: S608
    f"ORDER BY number LIMIT {KEPT + 1}"
)


def install(connection: Connection) -> None:
    """Have the database note changes from now on, where it does not yet."""
    if is_sqlite(connection):
        return
    name = {"name": _FUNCTION}
    if connection.execute(_THERE, name).scalar() != _BODY:
        connection.exec_driver_sql(_MADE)
        connection.exec_driver_sql(
            f"CREATE OR REPLACE FUNCTION {_FUNCTION}() RETURNS trigger LANGUAGE plpgsql "
            f"AS $made${_BODY}$made$"
        )
    there = {*connection.execute(_TRIGGERS, name).scalars()}
    for table, column in _FOLLOWED.items():
        if (trigger := f"{table}_changed") not in there:
            connection.exec_driver_sql(
                f"CREATE TRIGGER {trigger} AFTER INSERT OR UPDATE OR DELETE ON {table} "
                f"FOR EACH ROW EXECUTE FUNCTION {_FUNCTION}('{column}')"
            )


def read(connection: Connection, known: DataVersion | None) -> ChangedRows:
    """What has changed since `known`; None: everything is new. What is read in the same transaction
    is as of the version that this gives, so it is one that sees one moment (`db.engine.reading`).
    """
    if known is not None:
        asked = connection.execute(_SINCE, {"known": known.number})
        found = [RowChange(*row) for row in asked]
        changes = since(known, found)
        if changes is not None and len(found) <= KEPT:
            return changes
    newest = connection.execute(_NEWEST).first()
    return ChangedRows(NOTHING if newest is None else DataVersion(*newest), None)

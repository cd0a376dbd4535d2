"""The rows' checks as PostgreSQL makes them (`checks` says what they are for).

PostgreSQL calls nobody back, so it makes them itself: HMAC-SHA-256 by its own `sha256`, from the
two blocks of the key that the connection was begun with. A value is taken as the text that it has
in UTC, in quotes. So there a check is against a page that is not what was written, and against who
has the database's files; not against who rules the server, who could have it make any.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from sqlalchemy import Connection, LargeBinary, Table, text

MAC: Final = "mac"
_FUNCTION: Final = """CREATE OR REPLACE FUNCTION row_mac(said text) RETURNS bytea
LANGUAGE sql STABLE PARALLEL SAFE AS $row_mac$
SELECT sha256(decode(current_setting('bailee.row_outer'), 'hex')
  || sha256(decode(current_setting('bailee.row_inner'), 'hex') || convert_to(said, 'UTF8')))
$row_mac$"""
_NAMED: Final = re.compile(r'NEW\."(\w+)"')


def mac(table: Table, columns: Sequence[str], of: str) -> str:
    """The check over a row, in SQL: each value in quotes, so that no two rows read the same."""
    values = ", ".join(f'quote_nullable(({of}."{name}")::text)' for name in columns)
    return f"row_mac(concat_ws(',', '{table.name}/1', {values}))"


def condition(table: Table, columns: Sequence[str]) -> str:
    """The condition that a row is what was written."""
    return f"({table.name}.{MAC} IS NOT DISTINCT FROM {mac(table, columns, table.name)})"


def ids(table: Table) -> str:
    """What names a row of a table, in SQL, as `checks.unsound` gives it."""
    return " || '/' || ".join(
        f"upper(encode(\"{column.name}\", 'hex'))"
        if isinstance(column.type, LargeBinary)
        else f'"{column.name}"::text'
        for column in table.primary_key
    )


def unsound(table: Table, columns: Sequence[str]) -> str:
    """What asks for the ids of the rows that are not what was written, each after the table's name,
    as `checks.unsound_of` gives them.
    """
    return (
        f"SELECT '{table.name}', {ids(table)} FROM {table.name} "  # noqa: S608 - names of ours
        f"WHERE NOT {condition(table, columns)}"
    )


def install(connection: Connection, tables: Mapping[Table, Sequence[str]], *, renew: bool) -> None:
    """Have the database make the checks of `tables`, each over these columns. `renew`: as in
    `checks.install`.
    """
    query = text(
        "SELECT proname, prosrc FROM pg_proc WHERE pronamespace = current_schema()::regnamespace"
    )
    there = {row.proname: row.prosrc for row in connection.execute(query)}
    made = [] if "row_mac" in there else [_FUNCTION]
    for table, columns in tables.items():
        name, body = f"{table.name}_{MAC}", _body(table, columns)
        if there.get(name) == body:
            continue
        before = _NAMED.findall(there.get(name, ""))
        made.append(
            f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql "
            f"AS $made${body}$made$"
        )
        listed = ", ".join(f'"{column}"' for column in columns)
        for when, on in (("insert", "INSERT"), ("update", f"UPDATE OF {listed}")):
            made.append(
                f"CREATE OR REPLACE TRIGGER {name}_{when} BEFORE {on} ON {table.name} "
                f"FOR EACH ROW EXECUTE FUNCTION {name}()"
            )
        if renew:
            was = mac(table, before, table.name) if before else "NULL"
            now = mac(table, columns, table.name)
            made.append(
                f"UPDATE {table.name} SET {MAC} = {now} "  # noqa: S608 - names of ours
                f"WHERE {MAC} IS NOT DISTINCT FROM {was}"
            )
    if made:  # in one message: each of some two hundred would be a way there and back
        connection.exec_driver_sql(";\n".join(made).replace("%", "%%"))


def _body(table: Table, columns: Sequence[str]) -> str:
    was, now = mac(table, columns, "OLD"), mac(table, columns, "NEW")
    return (
        f" BEGIN IF TG_OP = 'INSERT' OR OLD.{MAC} IS NOT DISTINCT FROM {was} THEN "
        f"NEW.{MAC} := {now}; END IF; RETURN NEW; END "
    )

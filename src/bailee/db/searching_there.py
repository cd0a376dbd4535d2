"""Searching databases on PostgreSQL for what names somebody, as `home.searching` searches a file of
SQLite's: each row of each table, in a process of its own, by the same looking.

Rules kept here:

* All tables of the database are looked at, whoever made them; of one the rows of one moment.
* It sees rows. Pages, the write-ahead log and copies of both are not the database's to show: who
  says what was searched says that these were not (`db.engine.overwrites`).
* A database beyond `most` bytes is not searched, and that is told.
* The process is told the addresses, which hold no password, and finds credentials as this one does.

Rows: R6.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Final

from sqlalchemy import Connection, Engine, text

from bailee.db.engine import reading, size_of, storage_errors
from bailee.db.postgresql import open_postgresql
from bailee.errors import StorageError
from bailee.home.searching import (
    MOST,
    Finding,
    Search,
    Trace,
    apart,
    in_a_process,
    traces_of,
)
from bailee.home.searching_rows import ROWS, RowSearch
from bailee.json_values import JsonObject, members
from bailee.json_values import text as as_text

_NUMBERS: Final = "'boolean', 'smallint', 'integer', 'bigint', 'real', 'double precision'"
_MOMENTS: Final = "'timestamp with time zone', 'timestamp without time zone', 'date'"
_COLUMNS: Final = text(
    "SELECT table_name, column_name, data_type = 'bytea' AS raw FROM information_schema.columns "  # noqa: S608
    "JOIN information_schema.tables USING (table_schema, table_name) "
    "WHERE table_schema = current_schema() AND table_type = 'BASE TABLE' "
    f"AND data_type NOT IN ({_NUMBERS}, {_MOMENTS}) ORDER BY table_name, ordinal_position"
)


def search_too(
    found: Search, databases: Mapping[str, Engine], traces: Iterable[Trace], *, most: int = MOST
) -> Search:
    """What was found in a home's folder, and in its databases on PostgreSQL, if any, each under
    the name that it is given.

    Raises:
        StorageError: one can't be searched.
    """
    if not databases:
        return found
    sizes = {name: size_of(engine) for name, engine in databases.items()}
    small = {name: databases[name] for name, size in sizes.items() if size <= most}
    asked = {"databases": {name: str(engine.url) for name, engine in small.items()}}
    said = in_a_process("bailee.db.searching_there", asked, traces)
    if said is None:
        raise StorageError("the databases can't be searched.", hint="see that PostgreSQL runs")
    findings = (Finding(*one) for one in json.loads(said))
    return replace(
        found,
        databases=found.databases + len(small),
        left_out=found.left_out + len(sizes) - len(small),
        left_out_bytes=found.left_out_bytes + sum(size for size in sizes.values() if size > most),
        findings=(*found.findings, *findings),
    )


def _found(engine: Engine, traces: Iterable[Trace]) -> Iterator[tuple[str, str, int]]:
    looking = RowSearch(*apart(traces))
    with storage_errors("the database"), reading(engine) as connection:
        for table, columns in _tables(connection).items():
            _look(connection, table, columns, looking)
    for (column, what), count in sorted(looking.counts.items()):
        yield column, what, count


def _tables(connection: Connection) -> dict[str, dict[str, bool]]:
    """Each table with its columns that have more than numbers and moments in them, and whether
    such a column is of bytes.
    """
    tables: dict[str, dict[str, bool]] = {}
    for row in connection.execute(_COLUMNS):
        tables.setdefault(row.table_name, {})[row.column_name] = row.raw
    return tables


def _look(
    connection: Connection, table: str, columns: Mapping[str, bool], looking: RowSearch
) -> None:
    quoted = connection.dialect.identifier_preparer.quote_identifier
    listed = ", ".join(
        quoted(name) if raw else f"{quoted(name)}::text" for name, raw in columns.items()
    )
    query = f"SELECT {listed} FROM {quoted(table)}"  # noqa: S608 - quoted names
    rows = connection.exec_driver_sql(query, execution_options={"yield_per": ROWS})
    for some in rows.partitions(ROWS):
        looking.look(table, [*columns], some)


def _main(asked: JsonObject) -> None:
    traces, found = traces_of(asked), []
    for name, address in members(asked["databases"]).items():
        engine = open_postgresql(as_text(address), name)
        found += [(name, *one) for one in _found(engine, traces)]
        engine.dispose()
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    _main(json.load(sys.stdin))

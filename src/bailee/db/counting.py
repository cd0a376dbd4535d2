"""Sessions as sums that the database keeps: by what a policy decides by, and by when they go.

Theory of operation: triggers on `sessions` change the sums (`vault.session_facts`, `session_ends`)
where a row is put, changed or removed, in the same transaction. So rows and sums are of one moment
whoever files, moves, keeps, denies or removes a session, and wherever a crash falls. What asks how
many there are reads a row for each kind of them, and none of a session's.

Rules kept here:

* What is summed up are rows that are what was written (`checks`). One that is not is not taken off
  by what it says now, when it is changed or goes: as what it was added nobody knows any more. Until
  `recount` it is counted as it was.
* A sum of no session has no row: of whom nothing is kept, nothing is left here.
* Where the triggers are not what they are to be (in an older home, or since a session has another
  column), they are made anew, and all is summed up once.
* Sums decide nothing. One that was changed on the disk is found by who compares (`differ`).
* Who changes two rows of sums at once has the database's one lock for writing, on either database:
  so no two wait for each other here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, NamedTuple

from sqlalchemy import Connection, Table, TextClause, text

from bailee.db import checks
from bailee.db.portable import is_sqlite
from bailee.db.vault import session_ends, session_facts, sessions

_SESSIONS: Final = "sessions"
_NAME: Final = "sessions_summed_{}"
_HALF_HOUR: Final = "%Y-%m-%d %H:{}"
_HALF: Final = """substr({of}."expires_at", 1, 14) || CASE WHEN substr({of}."expires_at", 15, 2) \
< '30' THEN '00' ELSE '30' END"""
_HALF_THERE: Final = """to_char({of}."expires_at" AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:') || CASE \
WHEN to_char({of}."expires_at" AT TIME ZONE 'UTC', 'MI') < '30' THEN '00' ELSE '30' END"""
_KEPT: Final = """CASE WHEN {of}."kept_until" >= {of}."expires_at" THEN 1 ELSE 0 END"""


def half_hour(at: datetime) -> str:
    """The half hour (UTC) that a moment is in, as `session_ends` names it: `2026-01-31 12:30`."""
    utc = at.astimezone(UTC)
    return utc.strftime(_HALF_HOUR).format("00" if utc.minute < 30 else "30")


@dataclass(frozen=True, slots=True)
class _Sums:
    """A table of sums over rows of `sessions`. `keys`, `sums`: its columns, each with its value in
    SQL for a row that is called `{of}`; `of`: the columns of a session's that it goes by.
    """

    table: Table
    of: tuple[str, ...]
    keys: Mapping[str, str]
    sums: Mapping[str, str]

    def add(self, row: str) -> str:
        """The statement that adds a row."""
        values = {**self.keys, **self.sums}
        to = self.table.name
        more = ", ".join(f'"{one}" = {to}."{one}" + excluded."{one}"' for one in self.sums)
        return (
            f"INSERT INTO {to} ({_listed(values)}) "  # noqa: S608 - names of ours
            f"VALUES ({', '.join(values.values())}) "
            f"ON CONFLICT ({_listed(self.keys)}) DO UPDATE SET {more}"
        ).format(of=row)

    def take_off(self, row: str) -> tuple[str, str]:
        """The statements that take a row off, and the sum with the last of them."""
        less = ", ".join(f'"{one}" = "{one}" - ({value})' for one, value in self.sums.items())
        where = " AND ".join(f'"{one}" = {value}' for one, value in self.keys.items())
        name = self.table.name
        return (
            f"UPDATE {name} SET {less} WHERE {where}".format(of=row),  # noqa: S608
            f'DELETE FROM {name} WHERE {where} AND "sessions" = 0'.format(of=row),  # noqa: S608
        )

    def summed(self, sound: str, sign: str = "") -> str:
        """The question that sums up the rows of `sessions` that are `sound`."""
        values = (*self.keys.values(), *(f"{sign}sum({one})" for one in self.sums.values()))
        groups = ", ".join(str(place) for place, _ in enumerate(self.keys, 1))
        asked = f"SELECT {', '.join(values)} FROM {_SESSIONS}".format(of=_SESSIONS)  # noqa: S608
        return f"{asked} WHERE {sound} GROUP BY {groups}"


def install(connection: Connection) -> None:
    """Have the database keep the sums, and be right from now on."""
    wanted = [*_triggers(connection)]
    there = {str(name): str(said) for name, said in connection.execute(_there(connection))}
    if all(there.get(one.name) == one.said for one in wanted):
        return
    for one in wanted:
        for statement in one.made:
            connection.exec_driver_sql(statement)
    recount(connection)


def recount(connection: Connection) -> None:
    """Set every sum to what it is of."""
    sound = checks.in_trigger(connection, sessions, _SESSIONS)
    for one in _every(connection):
        name = one.table.name
        connection.exec_driver_sql(f"DELETE FROM {name}")  # noqa: S608 - names of ours
        put = f"INSERT INTO {name} ({_listed([*one.keys, *one.sums])})"
        connection.exec_driver_sql(f"{put} {one.summed(sound)}")


def differ(connection: Connection) -> bool:
    """Whether a sum is not what it is of. Every session is read for it."""
    sound = checks.in_trigger(connection, sessions, _SESSIONS)
    for one in _every(connection):
        keys = _listed(one.keys)
        kept = f"SELECT {keys}, {_listed(one.sums)} FROM {one.table.name}"  # noqa: S608
        wrong = " OR ".join(f'sum("{name}") <> 0' for name in one.sums)
        query = (
            f"SELECT 1 FROM ({kept} UNION ALL {one.summed(sound, '-')}) AS beside "  # noqa: S608
            f"GROUP BY {keys} HAVING {wrong} LIMIT 1"
        )
        if connection.exec_driver_sql(query).first() is not None:
            return True
    return False


class _Trigger(NamedTuple):
    """A trigger on `sessions`. `said`: what the database says of it when it is there; `made`: the
    statements that make it.
    """

    name: str
    said: str
    made: tuple[str, ...]


def _there(connection: Connection) -> TextClause:
    """What asks the database for the names of its triggers, and what it says of each."""
    if is_sqlite(connection):
        return text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
    return text(
        "SELECT proname, prosrc FROM pg_proc WHERE pronamespace = current_schema()::regnamespace"
    )


def _triggers(connection: Connection) -> Iterator[_Trigger]:
    every = _every(connection)
    sound = checks.in_trigger(connection, sessions, "OLD")
    make, differs = (_here, "IS NOT") if is_sqlite(connection) else (_at_server, "IS DISTINCT FROM")
    yield make("insert", "INSERT", "", [one.add("NEW") for one in every])
    yield make("delete", "DELETE", sound, [act for one in every for act in one.take_off("OLD")])
    for one in every:
        listed = ", ".join(f'"{name}"' for name in one.of)
        old, new = (", ".join(f'{row}."{name}"' for name in one.of) for row in ("OLD", "NEW"))
        # What is quickly told comes first: to check a row takes as long as all the rest.
        changed = f"({old}) {differs} ({new}) AND {sound}"
        acts = [one.add("NEW"), *one.take_off("OLD")]
        yield make(one.table.name, f"UPDATE OF {listed}", changed, acts)


def _here(what: str, on: str, when: str, acts: list[str]) -> _Trigger:
    """SQLite's."""
    name, only = _NAME.format(what), f"WHEN {when} " if when else ""
    said = f"CREATE TRIGGER {name} AFTER {on} ON {_SESSIONS} {only}BEGIN {'; '.join(acts)}; END"
    return _Trigger(name, said, (f"DROP TRIGGER IF EXISTS {name}", said))


def _at_server(what: str, on: str, when: str, acts: list[str]) -> _Trigger:
    """PostgreSQL's."""
    name, does = _NAME.format(what), f"{'; '.join(acts)};"
    does = f"IF {when} THEN {does} END IF;" if when else does
    body = f" BEGIN {does} RETURN NULL; END "
    return _Trigger(
        name,
        body,
        (
            f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql "
            f"AS $made${body}$made$",
            f"CREATE OR REPLACE TRIGGER {name} AFTER {on} ON {_SESSIONS} "
            f"FOR EACH ROW EXECUTE FUNCTION {name}()",
        ),
    )


def _every(connection: Connection) -> tuple[_Sums, _Sums]:
    own = {column.name: f'{{of}}."{column.name}"' for column in sessions.c}
    facts = session_facts.primary_key.columns.keys()
    return (
        _Sums(session_facts, (*facts,), {name: own[name] for name in facts}, {"sessions": "1"}),
        _Sums(
            session_ends,
            ("data_class", "plan", "expires_at", "exchanges", "bytes", "kept_until"),
            {
                "data_class": own["data_class"],
                "plan": own["plan"],
                "half_hour": _HALF if is_sqlite(connection) else _HALF_THERE,
            },
            {
                "sessions": "1",
                "exchanges": own["exchanges"],
                "bytes": own["bytes"],
                "kept": _KEPT,
            },
        ),
    )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)

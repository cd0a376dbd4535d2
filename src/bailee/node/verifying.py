"""Checking a whole home: what is wrong with what. Reads, and changes nothing but sums that are made
of other rows: these are put right.

`known` is quick and is asked whenever somebody looks; `verify` reads every page, key and record.
Neither keeps the home from serving what is not damaged.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Final

from sqlalchemy import Engine, Select, Table, func, select, text

from bailee.damage import UNREADABLE, UNSOUND, Damaged, why
from bailee.db.accounts import consent_records
from bailee.db.checks import unsound, unsound_of
from bailee.db.engine import overwrites, reading, storage_errors
from bailee.db.feedback import feedback_reports
from bailee.db.migrate import DECIDING
from bailee.db.salvaging import lost
from bailee.db.vault import exchanges, segments, sessions
from bailee.errors import BaileeError, StorageError
from bailee.ledger import history
from bailee.ledger.history import History
from bailee.ledger.tlog.trust import NONE, Trust
from bailee.ledger.verifying import Check, CheckedLog
from bailee.node.objects import REPORTS, SEGMENTS
from bailee.node.stores import Stores
from bailee.shown import line
from bailee.telemetry.shelves import shelf_of

_MANY: Final = frozenset({exchanges, sessions})
"""Tables that have more rows than somebody waits for."""


@dataclass(frozen=True, slots=True)
class Verified:
    """What was looked at, counted by kind, and what of it is damaged."""

    checked: dict[str, int]
    damaged: list[Damaged]


def known(node: Stores) -> list[Damaged]:
    """What is known to be damaged without reading what is kept: rows that are not what was written,
    of sessions some thousands at a time, what lies in quarantine, keys that a rotation found not to
    open, and what this process has come upon, also by going round all sessions.

    Raises:
        StorageError: a store can't be read.
    """
    quick = [table for table in DECIDING if table not in _MANY]
    rows = (*_quick_rows(node, quick), *_some_sessions(node))
    found = {*node.damages.all(), *rows, *node.vault.verifying({}).spool()}
    found.update(node.keyring.found())
    return _one_each(found)


def verify(node: Stores, now: datetime) -> Verified:
    """Check everything. What a store that can't be read at all keeps from being checked is among
    the damage.
    """
    checked: dict[str, int] = {}
    found = set(node.damages.all())
    for of, check in (
        ("data/data.db", _pages(node.data)),
        ("keyring/keyring.db", _pages(node.keyring.engine)),
        ("data/data.db", _rows(node, checked, DECIDING)),
        ("data/data.db", _consents(node)),
        ("keyring/keyring.db", node.keyring.verify()),
        *(("vault", part) for part in node.vault.verifying(checked).all(now)),
        ("vault/reports", _reports(node, now, checked)),
        ("objects.url", _unknown(node, checked)),
        ("vault/telemetry", _telemetry(node, now)),
        ("ledger", _log(node, checked)),
        ("data/data.db", _sums(node, found)),
    ):
        try:
            found.update(check)
        except BaileeError as error:
            found.add(Damaged(of, error.message))
    return Verified(checked, _one_each(found))


def check_log(node: Stores, trust: Trust, remembered: bytes | None = None) -> CheckedLog:
    """Check the audit record's log, and all entries; beside a checkpoint that somebody remembers.

    Raises:
        StorageError: a file or the database can't be read at all.
        IntegrityError: what is remembered is no checkpoint of this log.
    """
    files, sealing = node.sequencer.folder, node.ledger.sealing
    past = History(files, lambda: node.keyring.secret(history.NAME))
    return Check(files, trust, remembered, node.data, sealing, history=past).run()


def _one_each(found: Iterable[Damaged]) -> list[Damaged]:
    """One line for each thing: the row's own before what was come upon because of it. A name may be
    what is damaged, and hold anything.
    """
    named: dict[str, Damaged] = {}
    for one in sorted(Damaged(line(one.where), line(one.what)) for one in found):
        if one.where not in named or one.what == UNSOUND:
            named[one.where] = one
    return list(named.values())


def _pages(engine: Engine) -> Iterator[Damaged]:
    """What SQLite says of a file's own structure, and of rows that refer to none. PostgreSQL's
    pages have checksums of its own, if it was told to make them, and are its to look after.
    """
    if not overwrites(engine):
        return
    path = Path(str(engine.url.database))
    name = path.name
    astray: list[str] = []
    try:
        with storage_errors(name), reading(engine) as connection:
            said = [str(row[0]) for row in connection.execute(text("PRAGMA integrity_check(20)"))]
            lost_theirs = connection.execute(text("PRAGMA foreign_key_check"))
            astray = [str(row[0]) for row in lost_theirs]
    except StorageError as error:
        said = [error.message]
    if said != ["ok"]:
        yield Damaged(name, f"SQLite finds {len(said)} faults in its structure: {said[0]}")
        for one in lost(path):
            yield Damaged(f"{name}, {one.table}", one.said)
    for table, count in sorted(Counter(astray).items()):
        yield Damaged(f"{name}, {table}", f"{count} rows refer to a row that is not there.")


def _quick_rows(node: Stores, tables: Sequence[Table]) -> Iterable[Damaged]:
    """What `_rows` finds, without counting: in one statement, where every table can be read."""
    try:
        with storage_errors("data.db"), reading(node.data) as connection:
            bad = unsound_of(connection, tables)
    except StorageError:
        return _rows(node, {}, tables)
    return [Damaged(f"{table} {one}", UNSOUND) for table, ids in bad.items() for one in ids]


def _rows(node: Stores, checked: dict[str, int], tables: Sequence[Table]) -> Iterator[Damaged]:
    for table in tables:
        try:
            with storage_errors("data.db"), reading(node.data) as connection:
                count = connection.execute(_how_many(table)).scalar_one()
                bad = unsound(connection, table)
        except StorageError as error:  # of the others it is said all the same
            yield Damaged(f"data.db, {table.name}", error.message)
            continue
        checked["rows"] = checked.get("rows", 0) + int(count)
        for one in bad:
            yield Damaged(f"{table.name} {one}", UNSOUND)


@cache
def _how_many(table: Table) -> Select[int]:
    return select(func.count()).select_from(table)


def _some_sessions(node: Stores) -> Iterator[Damaged]:
    try:
        found = node.vault.unsound()
    except StorageError as error:
        yield Damaged(f"data.db, {sessions.name}", error.message)
        return
    for one in found:
        yield Damaged(f"{sessions.name} {one}", UNSOUND)


def _reports(node: Stores, now: datetime, checked: dict[str, int]) -> Iterator[Damaged]:
    for report in node.reports.all(now):
        checked["reports"] = checked.get("reports", 0) + 1
        try:
            node.reports.open(report)
        except (*UNREADABLE, StorageError) as error:
            said = error.message if isinstance(error, StorageError) else why(error)
            yield Damaged(f"report {report.id}", said)


def _unknown(node: Stores, checked: dict[str, int]) -> Iterator[Damaged]:
    """Objects in a bucket that no row has: a put that was given up may have been carried out after
    what it was of had gone.
    """
    if node.objects.where is None:
        return
    for kind, column in ((SEGMENTS, segments.c.id), (REPORTS, feedback_reports.c.id)):
        kept = node.objects.of(kind)
        names = list(kept.names())  # before the rows: each has its row before it is put
        with storage_errors("data.db"), reading(node.data) as connection:
            rows = {*connection.execute(select(column)).scalars()}
        checked["objects"] = checked.get("objects", 0) + len(names)
        for name in names:
            if name.rpartition("/")[2] not in rows and kept.size(name) is not None:
                said = "no row has it: its put was carried out late, or its row is lost."
                yield Damaged(f"{kind}/{name}", said)


def _telemetry(node: Stores, now: datetime) -> Iterator[Damaged]:
    """Files that can't be read, and what of the journal did not open and is in no file now."""
    yield from node.telemetry.damaged(now)
    for leaf in node.ledger.entries(kind="telemetry.damaged"):
        if shelf_of(leaf.subject).expires_at > now:
            said = f"{leaf.body.get('length')} bytes of its journal did not open."
            yield Damaged(f"telemetry {leaf.subject}", said)


def _log(node: Stores, checked: dict[str, int]) -> Iterator[Damaged]:
    """Files of the log, and entries, that are not what was signed. Whether witnesses have seen it
    is another question (`bailee audit verify`).
    """
    found = check_log(node, replace(node.cosigning.trust, quorum=NONE))
    checked["entries"] = found.entries
    for one in found.damaged:
        is_entry = one.where.startswith("audit ")
        yield Damaged(one.where if is_entry else f"ledger/{one.where}", one.what)


def _sums(node: Stores, others: Collection[Damaged]) -> Iterator[Damaged]:
    """Sums of sessions that are not what they are of; they are put right. Where rows are gone or
    not what was written, that is named, and nothing is said of the sums.
    """
    if node.vault.sum_up() and not any(
        one.where.startswith(("sessions ", "account ")) for one in others
    ):
        yield Damaged("sums of sessions", "they were not of the rows, and were summed up anew.")


def _consents(node: Stores) -> Iterator[Damaged]:
    """Choices that the audit record has, and the consent records have not."""
    with storage_errors("data.db"), reading(node.data) as connection:
        there = set(connection.execute(select(consent_records.c.id)).scalars())
    for leaf in node.ledger.entries(kind="consent.recorded"):
        record = leaf.body.get("record")
        if record not in there:
            yield Damaged(
                f"consent_records {record}", f"it is gone; audit entry {leaf.number} has it."
            )

"""Consent records: each change of a choice, appended and never edited.

The fields are those that ISO/IEC TS 27560:2023 asks of a consent record and that a choice here
has: who (principal and actor), for what purpose, on what notice (document, version, language),
when, what it was and what it is, and by which way it came. The database refuses to change or
delete one.

Records are in order by their number, which is that of their entry in the audit record: it only
grows, over the whole home, whatever the clock does. Their moment is for people.

Rows: T2, T6.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from sqlalchemy import Connection, Engine, insert, select

from bailee.db.accounts import consent_records
from bailee.db.checks import sound
from bailee.db.engine import reading, storage_errors
from bailee.ledger import Ledger

Purpose = Literal["training", "partner_programme"]
SCHEMA: Final = "ISO/IEC TS 27560:2023"


@dataclass(frozen=True, slots=True)
class ConsentRecord:
    """One change of a choice.

    `account_id` is whose data it is about, `actor` who chose (a person's or a key's id; empty in
    records from before persons were known). `old` and `new` are `none`, `allowed`, `refused` for
    purpose `training`, `joined` or `left` for `partner_programme`. `notice` is the SHA-256 of the
    policy document that held, `notice_version` its version, `language` that of the notice shown.
    `source`: `console`, `api` or `terminal`. `number`: of its entry in the audit record; 0: it has
    none yet.
    """

    record_id: str
    account_id: str
    at: datetime
    old: str
    new: str
    notice: str
    language: str
    source: str
    purpose: str
    notice_version: str
    actor: str
    number: int = 0


def append(connection: Connection, ledger: Ledger, record: ConsentRecord) -> int:
    """Append a record within the caller's transaction, and its entry in the audit record; the
    number of both.
    """
    number = ledger.append(
        "consent.recorded",
        record.account_id,
        {
            "record": record.record_id,
            "purpose": record.purpose,
            "old": record.old,
            "new": record.new,
            "actor": record.actor,
        },
        connection=connection,
    )
    connection.execute(
        insert(consent_records).values(
            id=record.record_id,
            account_id=record.account_id,
            at=record.at,
            old=record.old,
            new=record.new,
            notice=record.notice,
            language=record.language,
            source=record.source,
            purpose=record.purpose,
            notice_version=record.notice_version,
            actor=record.actor,
            number=number,
        )
    )
    return number


def history(engine: Engine, account_id: str) -> list[ConsentRecord]:
    """The account's consent records, oldest first. One that is not sound says nothing."""
    kept = [column for column in consent_records.c if column is not consent_records.c.mac]
    query = (
        select(*kept)
        .where(consent_records.c.account_id == account_id, sound(consent_records))
        .order_by(consent_records.c.number)
    )
    with storage_errors("the consent records"), reading(engine) as connection:
        return [ConsentRecord(*row) for row in connection.execute(query)]

"""The two schemas' metadata and the column type for moments."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from sqlalchemy import Column, DateTime, LargeBinary, MetaData
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

_NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "pk": "pk_%(table_name)s",
}

data = MetaData(naming_convention=_NAMES)
"""Accounts, consent records, the audit record, the vault's index."""

keys = MetaData(naming_convention=_NAMES)
"""The keyring, in a store of its own."""


class Moment(TypeDecorator[datetime]):
    """An aware UTC `datetime`; kept as UTC where the database knows no time zone (SQLite).
    SQLAlchemy calls it, on whichever thread has the connection.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(
        self,
        value: datetime | None,
        dialect: Dialect,  # noqa: ARG002
    ) -> datetime | None:
        """Refuse a naive moment: its meaning would depend on the machine."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment needs a time zone")
        return value.astimezone(UTC)

    def process_result_value(
        self,
        value: datetime | None,
        dialect: Dialect,  # noqa: ARG002
    ) -> datetime | None:
        """Give back what was stored, aware."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


UNCHECKED: Final[dict[str, object]] = {"unchecked": True}
"""What a column's `info` says that a row's check (`checks`) is not of: it has checks of its own."""

SUMMED_UP: Final[dict[str, object]] = {"summed_up": True}
"""What the `info` of a table says that the database makes of another one's rows (`counting`)."""


def check() -> Column[bytes]:
    """The column of a table whose rows are checked (`checks`). The database fills it."""
    return Column("mac", LargeBinary)

"""An export, its shards and its sessions, as the data database has them. Pure.

Rows: T7.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

WRITING: Final = "writing"
PLANNING: Final = "planning"
SIGNED: Final = "signed"
WITHDRAWN: Final = "withdrawn"
DELETED: Final = "deleted"
ERASED: Final = "erased"
EXPIRED: Final = "expired"
NOT_ALLOWED: Final = "not_allowed"


@dataclass(frozen=True, slots=True)
class Export:
    """An export as it stands. See `db.training`."""

    id: str
    place: str
    format: str
    state: str
    began_at: datetime
    finished_at: datetime | None
    by: str
    policy: str
    since: datetime | None
    shards: int
    entry: int
    document: str | None
    names_model: str | None = None


@dataclass(frozen=True, slots=True)
class Shard:
    """A shard of an export, and where its sessions are. `sha256`, `facts`: of its files as the
    worker left them; None: they are not written.
    """

    number: int
    after: str
    last: str
    sha256: str | None
    facts: str | None


@dataclass(frozen=True, slots=True)
class ExportedRows:
    """A session that an export has rows of. `left`: why it was taken out; None: it is in."""

    export: str
    session: str
    owner: str
    shard: int
    rows: int
    clause: str
    consent: str
    word: int
    left: str | None

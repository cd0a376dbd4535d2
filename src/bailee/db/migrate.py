"""Bringing a database to this version's schema with Alembic.

Each database has its own line of revisions, `migrations/data` and `migrations/keys`. A database
that a newer version has written is refused: an older program would not know what it means.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from sqlalchemy import Connection, Engine, inspect, text

from bailee.db import accounts, checks, cloud, feedback, people, vault
from bailee.db.engine import storage_errors
from bailee.errors import IntegrityError

if TYPE_CHECKING:
    from alembic.config import Config

_MIGRATIONS = Path(__file__).parent / "migrations"

DECIDING: Final = (
    vault.sessions,
    vault.holds,
    vault.erasures,
    vault.retention_moves,
    vault.receipts,
    feedback.feedback_reports,
    cloud.cloud_sessions,
    cloud.cloud_holdings,
    accounts.accounts,
    accounts.api_keys,
    accounts.consent_records,
    *people.CHECKED,
)
"""The tables whose rows are checked (`checks`)."""


def upgrade(engine: Engine, line: Literal["data", "keys"]) -> None:
    """Bring the database behind `engine` to the head of `line`. Nothing to do is quick.

    Raises:
        IntegrityError: code `schema`, the database is newer than this program.
        StorageError: the database can't be written.
    """
    with storage_errors(f"the {line} database"), engine.begin() as connection:
        current = None
        if inspect(connection).has_table("alembic_version"):
            current = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
        behind = current != newest(line)
        if behind:
            _take_steps(connection, line, current)
        if line == "data":
            checks.install(connection, DECIDING, renew=behind)


def _take_steps(connection: Connection, line: Literal["data", "keys"], current: str | None) -> None:
    from alembic import command  # takes a moment to import, and is seldom needed
    from alembic.script import ScriptDirectory

    config = configuration(line)
    known = {one.revision for one in ScriptDirectory.from_config(config).walk_revisions()}
    if current is not None and current not in known:
        raise IntegrityError(
            f"the {line} database was written by a newer version (schema {current}).",
            code="schema",
            hint="install that version of bailee or newer",
        )
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def newest(line: Literal["data", "keys"]) -> str:
    """The head of a line: a revision is named by the number that its file's name begins with."""
    files = (_MIGRATIONS / line / "versions").glob("[0-9]*.py")
    return max(file.name.partition("_")[0] for file in files)


def configuration(line: Literal["data", "keys"]) -> Config:
    """What Alembic is told about a line."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS / line).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config

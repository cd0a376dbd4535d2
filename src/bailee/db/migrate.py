"""Bringing a database to this version's schema with Alembic.

Each database has its own line of revisions, `migrations/data` and `migrations/keys`. A database
that a newer version has written is refused: an older program would not know what it means.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine

from bailee.db.engine import storage_errors
from bailee.errors import IntegrityError

_MIGRATIONS = Path(__file__).parent / "migrations"


def upgrade(engine: Engine, line: Literal["data", "keys"]) -> None:
    """Bring the database behind `engine` to the head of `line`. Nothing to do is quick.

    Raises:
        IntegrityError: code `schema`, the database is newer than this program.
        StorageError: the database can't be written.
    """
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS / line).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    scripts = ScriptDirectory.from_config(config)
    with storage_errors(f"the {line} database"), engine.begin() as connection:
        current = MigrationContext.configure(connection).get_current_revision()
        if current == scripts.get_current_head():
            return
        known = {script.revision for script in scripts.walk_revisions()}
        if current is not None and current not in known:
            raise IntegrityError(
                f"the {line} database was written by a newer version (schema {current}).",
                code="schema",
                hint="install that version of bailee or newer",
            )
        config.attributes["connection"] = connection
        command.upgrade(config, "head")

"""Bringing a database to this version's schema with Alembic.

Each database has its own line of revisions, `migrations/data` and `migrations/keys`. A database
that a newer version has written is refused: an older program would not know what it means.

A database with nothing in it is made in one go from `from_nothing.sql`, which `make docs` writes
from the steps and with the triggers of `checks` and `counting`; what steps have come since are
taken then, and triggers that are not what they are to be are made anew. So the file may be behind,
never wrong.

On PostgreSQL a line begins with `from_nothing_postgresql.sql`: nobody has an older one there. The
steps up to 0092 and 0043 were written for SQLite alone, and each after them is for both.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from sqlalchemy import Connection, Engine, inspect, text

from bailee.db import (
    accounts,
    cases,
    change_log,
    checks,
    cloud,
    counting,
    feedback,
    groups,
    home_clock,
    keys,
    leases,
    pending,
    people,
    policy,
    provisioning,
    sign_ins,
    snapshots,
    training,
    usage,
    vault,
    workloads,
)
from bailee.db.engine import storage_errors
from bailee.db.portable import is_sqlite
from bailee.errors import IntegrityError

if TYPE_CHECKING:
    from alembic.config import Config

_MIGRATIONS = Path(__file__).parent / "migrations"
BETWEEN: Final = ";\n\n"
"""What stands between two statements of `from_nothing.sql`, and in none."""

_IS_EMPTY: Final = text("SELECT count(*) = 0 FROM sqlite_master")
_IS_EMPTY_THERE: Final = text(
    "SELECT count(*) = 0 FROM pg_class WHERE relnamespace = current_schema()::regnamespace"
)

DECIDING: Final = (
    vault.sessions,
    vault.kept_sessions,
    vault.holds,
    vault.erasures,
    vault.retention_moves,
    vault.receipts,
    vault.tombstones,
    vault.exchanges,
    vault.stored,
    vault.spool_positions,
    home_clock.home_clock,
    feedback.feedback_reports,
    cloud.cloud_sessions,
    cloud.cloud_holdings,
    accounts.accounts,
    accounts.api_keys,
    accounts.ephemeral_keys,
    accounts.consent_records,
    snapshots.key_snapshots,
    training.training_exports,
    cases.person_requests,
    training.training_sessions,
    sign_ins.sign_ins,
    pending.pending,
    policy.policy_activations,
    policy.own_policies,
    workloads.service_accounts,
    *people.CHECKED,
    *groups.CHECKED,
    *provisioning.CHECKED,
    *usage.CHECKED,
)
"""The tables of `data.db` whose rows are checked (`checks`)."""


def upgrade(engine: Engine, line: Literal["data", "keys"]) -> None:
    """Bring the database behind `engine` to the head of `line`. Nothing to do is quick.

    Raises:
        IntegrityError: code `schema`, the database is newer than this program, or has tables of
            something else.
        StorageError: the database can't be written.
    """
    with storage_errors(f"the {line} database"), engine.begin() as connection:
        current = None
        if inspect(connection).has_table("alembic_version"):
            current = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
        behind = current != newest(line)
        empty = _IS_EMPTY if is_sqlite(connection) else _IS_EMPTY_THERE
        if current is None and connection.execute(empty).scalar():
            current = _make(connection, line)
        if current is None and not is_sqlite(connection):
            raise IntegrityError(
                f"the {line} database has tables of something else.",
                code="schema",
                hint="give bailee a database of its own; nothing was changed",
            )
        if current != newest(line):
            _check_known(line, current)
            steps(connection, line)
        tables = DECIDING if line == "data" else keys.CHECKED
        checks.install(connection, tables, renew=behind)
        if line == "data":
            counting.install(connection)
            change_log.install(connection)
    leases.number(engine)


def _make(connection: Connection, line: Literal["data", "keys"]) -> str | None:
    """Make the schema in a database that is empty; which revision it is."""
    name = "from_nothing.sql" if is_sqlite(connection) else "from_nothing_postgresql.sql"
    file = (_MIGRATIONS / line / name).read_text("utf-8")
    if is_sqlite(connection):
        # By the driver itself: for some two hundred, SQLAlchemy takes longer than SQLite.
        driver = connection.connection.cursor()
        for statement in file.split(BETWEEN)[:-1]:
            driver.execute(statement)
    else:
        # In one message: more than a hundred would each be a way there and back.
        connection.exec_driver_sql(file.replace("%", "%%"))
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _check_known(line: Literal["data", "keys"], current: str | None) -> None:
    from alembic.script import ScriptDirectory  # takes a moment to import, and is seldom needed

    scripts = ScriptDirectory.from_config(configuration(line))
    known = {one.revision for one in scripts.walk_revisions()}
    if current is not None and current not in known:
        raise IntegrityError(
            f"the {line} database was written by a newer version (schema {current}).",
            code="schema",
            hint="install that version of bailee or newer",
        )


def steps(connection: Connection, line: Literal["data", "keys"]) -> None:
    """Take the steps from where the database is to the head of a line."""
    from alembic import command

    config = configuration(line)
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


@cache
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

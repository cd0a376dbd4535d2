"""From the schema before there were persons, with data in it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, inspect, text
from sqlalchemy.exc import IntegrityError as DatabaseRefusal

import bailee.db
from bailee.accounts import keys
from bailee.db.accounts import accounts
from bailee.db.engine import open_sqlite
from bailee.db.metadata import data
from bailee.db.migrate import upgrade
from support.homes.town import Town

MADE = keys.mint(b"k" * keys.RANDOM_BYTES)
AT = "2025-09-01 10:00:00.000000"
BEFORE: dict[str, list[dict[str, Any]]] = {
    "accounts": [
        {
            "id": "acc_1",
            "name": "Ada's",
            "plan": "pro",
            "training_choice": "allowed",
            "chosen_at": AT,
            "partner_programme": False,
            "created_at": AT,
        },
        {
            "id": "acc_2",
            "name": "ci",
            "plan": "enterprise",
            "training_choice": "none",
            "chosen_at": None,
            "partner_programme": False,
            "created_at": AT,
        },
    ],
    "api_keys": [
        {
            "id": MADE.key_id,
            "account_id": "acc_2",
            "name": "ci",
            "digest": MADE.digest,
            "zero_retention": True,
            "created_at": AT,
            "revoked_at": None,
        }
    ],
    "consent_records": [
        {
            "id": "con_1",
            "account_id": "acc_1",
            "at": AT,
            "old": "none",
            "new": "allowed",
            "notice": "ab" * 32,
            "language": "zh",
            "source": "api",
        }
    ],
}


def migrated_to(engine: Engine, revision: str) -> None:
    """Bring the data database to a revision of long ago."""
    config = Config()
    folder = Path(bailee.db.__file__).parent / "migrations/data"
    config.set_main_option("script_location", str(folder))
    config.set_main_option("path_separator", "os")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


@pytest.fixture
def before(tmp_path: Path) -> Path:
    """A folder with a data database as the version before left it."""
    engine = open_sqlite(tmp_path / "data.db")
    migrated_to(engine, "0002")
    with engine.begin() as connection:
        for table, rows in BEFORE.items():
            for row in rows:
                names = ", ".join(row)
                values = ", ".join(f":{name}" for name in row)
                connection.execute(text(f"INSERT INTO {table} ({names}) VALUES ({values})"), row)
    engine.dispose()
    return tmp_path


def test_nothing_is_lost_and_everything_still_works(before: Path) -> None:
    """Keys authenticate, choices hold since when they did, records are what they were."""
    town = Town(before)
    registry = town.registry

    found = registry.accounts.authenticate(MADE.key.encode())

    assert found is not None
    key, ci = found
    assert (True, None, "operator") == (key.zero_retention, key.person_id, key.created_by)
    assert ("enterprise", None, None) == (ci.plan, ci.person_id, ci.organisation_id)
    ada = registry.accounts.get("acc_1")
    assert ("allowed", datetime(2025, 9, 1, 10, tzinfo=UTC)) == (
        ada.training_choice,
        ada.chosen_at,
    )
    (record,) = registry.accounts.consent_records("acc_1")
    assert BEFORE["consent_records"][0] | {"at": datetime(2025, 9, 1, 10, tzinfo=UTC)} == {
        "id": record.record_id,
        "account_id": record.account_id,
        "at": record.at,
        "old": record.old,
        "new": record.new,
        "notice": record.notice,
        "language": record.language,
        "source": record.source,
    }
    assert ("training", "", "") == (record.purpose, record.notice_version, record.actor)


def test_each_row_of_before_is_there_unchanged(before: Path) -> None:
    """Column by column, as the database has it."""
    engine = open_sqlite(before / "data.db")
    upgrade(engine, "data")

    with engine.begin() as connection:
        for table, rows in BEFORE.items():
            names = ", ".join(rows[0])
            kept = connection.execute(text(f"SELECT {names} FROM {table} ORDER BY id")).mappings()
            assert rows == [dict(row) for row in kept]


def test_old_records_can_not_be_edited_after_it(before: Path) -> None:
    """The triggers have come along."""
    engine = open_sqlite(before / "data.db")
    upgrade(engine, "data")

    for change in ("UPDATE consent_records SET new = 'refused'", "DELETE FROM consent_records"):
        with pytest.raises(DatabaseRefusal, match="append-only"), engine.begin() as connection:
            connection.execute(text(change))


def test_the_migrations_make_what_the_tables_say(tmp_path: Path) -> None:
    """Column by column; a table that is declared and not made would fail at its first use."""
    engine = open_sqlite(tmp_path / "data.db")
    upgrade(engine, "data")
    made = inspect(engine)
    assert accounts.metadata is data

    for table in data.tables.values():
        assert {column.name: column.nullable for column in table.columns} == {
            column["name"]: column["nullable"] for column in made.get_columns(table.name)
        }, table.name


def test_a_migrated_account_goes_on_with_its_choices(before: Path) -> None:
    """Its key holder's, as before: the next record joins on to the old one."""
    town = Town(before)

    town.registry.accounts.choose_training(
        "acc_1", "refused", language="en", source="terminal", by=None
    )

    assert [("none", "allowed"), ("allowed", "refused")] == [
        (record.old, record.new) for record in town.registry.accounts.consent_records("acc_1")
    ]

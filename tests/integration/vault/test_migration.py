"""From the schema before sessions followed a choice, with sessions in it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, select

import bailee.db
from bailee.db.accounts import accounts, consent_records
from bailee.db.engine import open_sqlite
from bailee.db.metadata import data
from bailee.db.migrate import configuration, newest, upgrade
from bailee.db.vault import receipts, sessions

STARTED, LAST = "2026-01-01 12:00:00.000000", "2026-01-01 13:00:00.000000"


@pytest.mark.row("R4", "T4")
def test_sessions_learn_what_they_need(tmp_path: Path) -> None:
    """Each session knows when its latest request began, one without exchanges when it started, and
    how it was last used; receipts stay; the schema is the one that the code expects.
    """
    engine = open_sqlite(tmp_path / "data.db")
    config = Config()
    versions = Path(bailee.db.__file__).parent / "migrations" / "data"
    config.set_main_option("script_location", str(versions))
    config.set_main_option("path_separator", "os")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0003")
        for name in ("with", "without"):
            connection.exec_driver_sql(
                "INSERT INTO sessions (id, owner, data_class, plan, channel, key_id, started, "
                "last_activity, exchanges, bytes, expires_at, period, clause, document, "
                "input_tokens, output_tokens, cache_creation_input_tokens, "
                "cache_read_input_tokens) VALUES (?, 'ada', 'transcript', 'pro', 'api', 'k', ?, ?, "
                "1, 1, ?, 'P30D', 'c', 'd', 0, 0, 0, 0)",
                (name, STARTED, LAST, LAST),
            )
        connection.exec_driver_sql(
            "INSERT INTO segments VALUES ('g', 'transcript', '2026-01-31', ?, 1, 'open')", (LAST,)
        )
        for number, began in enumerate((1767270600.25, 1767272400.5)):
            connection.exec_driver_sql(
                "INSERT INTO exchanges "
                "VALUES (?, 'with', ?, 'g', 0, 1, 'x', ?, 0, 'complete', 200)",
                (str(number), number, began),
            )
        connection.exec_driver_sql(
            "INSERT INTO receipts (id, kind, subject, state, requested_at) "
            "VALUES ('r', 'erasure', 's', 'requested', ?)",
            (LAST,),
        )
    upgrade(engine, "data")
    upgrade(engine, "data")
    with engine.connect() as connection:
        rows = connection.execute(
            select(sessions.c.id, sessions.c.last_request, sessions.c.uses)
        ).all()
        (receipt,) = connection.execute(select(receipts)).all()
    assert {
        "with": (datetime(2026, 1, 1, 13, 0, 0, 500_000, tzinfo=UTC), "pro/api"),
        "without": (datetime(2026, 1, 1, 12, tzinfo=UTC), "pro/api"),
    } == {row.id: (row.last_request, row.uses) for row in rows}
    assert ("r", None, None) == (receipt.id, receipt.deferred_at, receipt.owner)
    found = inspect(engine)
    for table in ("sessions", "receipts", "retention_moves", "holds", "erasures"):
        expected = {column.name for column in data.tables[table].columns}
        assert expected == {column["name"] for column in found.get_columns(table)}
        indexed = {index.name for index in data.tables[table].indexes}
        assert indexed <= {index["name"] for index in found.get_indexes(table)}
    engine.dispose()


@pytest.mark.row("T4", "R4")
def test_sessions_learn_under_which_choice_they_were(tmp_path: Path) -> None:
    """Choices take the numbers of their entries; a session that of the last one before its latest
    request began. One at the same instant came after it: so it is not trained on.
    """
    engine = open_sqlite(tmp_path / "data.db")
    at = "2026-01-01 {}:00:00.000000"
    began = {"before": 11, "between": 13, "tie": 14, "after": 15}
    with engine.begin() as connection:
        config = configuration("data")
        config.attributes["connection"] = connection
        command.upgrade(config, "0035")
        connection.exec_driver_sql(
            "INSERT INTO accounts (id, name, plan, training_choice, chosen_at, partner_programme, "
            "created_at) VALUES ('acc_1', 'ada', 'pro', 'allowed', ?, 0, ?)",
            (at.format(14), at.format(10)),
        )
        for number, record, when in ((7, "con_b", 12), (9, "con_a", 14)):
            connection.exec_driver_sql(
                "INSERT INTO audit (number, at, kind, subject, body) "
                "VALUES (?, ?, 'consent.recorded', 'acc_1', json_object('record', ?))",
                (number, at.format(when), record),
            )
            connection.exec_driver_sql(
                "INSERT INTO consent_records VALUES (?, 'acc_1', ?, 'none', 'allowed', 'n', 'en', "
                "'api', 'training', 'v', '')",
                (record, at.format(when)),
            )
        for name, hour in began.items():
            connection.exec_driver_sql(
                "INSERT INTO sessions (id, owner, data_class, plan, channel, key_id, started, "
                "last_activity, last_request, uses, exchanges, bytes, expires_at, period, clause, "
                "document, input_tokens, output_tokens, cache_creation_input_tokens, "
                "cache_read_input_tokens) VALUES (?, 'acc_1', 'transcript', 'pro', 'api', 'k', ?, "
                "?, ?, 'pro/api', 1, 1, ?, 'P30D', 'c', 'd', 0, 0, 0, 0)",
                (name, *(at.format(hour) for _ in range(4))),
            )
    upgrade(engine, "data")
    with engine.connect() as connection:
        numbers = dict(
            connection.execute(select(consent_records.c.id, consent_records.c.number)).all()
        )  # type: ignore[arg-type]
        (account,) = connection.execute(select(accounts)).all()
        last = dict(connection.execute(select(sessions.c.id, sessions.c.last_consent)).all())  # type: ignore[arg-type]
    assert {"con_b": 7, "con_a": 9} == numbers
    assert (9, 0) == (account.chosen_number, account.partner_number)
    assert {"before": 0, "between": 7, "tie": 7, "after": 9} == last
    engine.dispose()


@pytest.mark.parametrize("line", ["data", "keys"])
def test_the_newest_file_is_the_head(line: Literal["data", "keys"]) -> None:
    """What is taken as the head without asking Alembic is what Alembic says."""
    assert ScriptDirectory.from_config(configuration(line)).get_current_head() == newest(line)

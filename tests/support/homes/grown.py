"""A home of many sessions, without what was said in them, and how much is done to list them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Final

from sqlalchemy import Engine, event, insert

from bailee.clock import Clock
from bailee.db.vault import sessions
from bailee.keyring import Keyring, Want
from bailee.vault.record import subject_of

_STEPS: Final = 100  # of SQLite's virtual machine, between two calls of the handler


def grow(engine: Engine, keyring: Keyring, clock: Clock, owner: str, count: int) -> list[str]:
    """Sessions of an owner, a minute apart but for two; their ids, the latest first."""
    began = clock() - timedelta(minutes=count)
    rows = [
        {
            "id": f"{owner}-{number:06}",
            "owner": owner,
            "data_class": "transcript",
            "plan": "pro",
            "channel": "api",
            "key_id": "key",
            "started": began,
            "last_activity": began + timedelta(minutes=max(1, number)),
            "last_request": began,
            "uses": "pro/api",
            "exchanges": 1,
            "bytes": 1,
            "expires_at": clock() + timedelta(days=30),
            "period": "P30D",
            "clause": "retain.test",
            "document": "d" * 64,
            "input_tokens": 0,
            "output_tokens": 0,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
        }
        for number in range(count)
    ]
    with engine.begin() as connection:
        connection.execute(insert(sessions), rows)
    keyring.many(Want(subject_of(r["id"]), "transcript", r["expires_at"]) for r in rows)
    ids = [row["id"] for row in rows]
    return [*reversed(ids[2:]), *ids[:2]]


@contextmanager
def steps(engine: Engine) -> Iterator[list[int]]:
    """How much SQLite does meanwhile in this thread, in hundreds of steps."""
    made = [0]

    def tick() -> None:
        made[0] += 1

    connection = engine.raw_connection()
    connection.driver_connection.set_progress_handler(tick, _STEPS)
    connection.close()  # the next query has it
    yield made
    connection = engine.raw_connection()
    connection.driver_connection.set_progress_handler(None, 0)
    connection.close()


@contextmanager
def commits(*engines: Engine) -> Iterator[list[int]]:
    """How many transactions are committed."""
    made = [0]

    def committed(_connection: object) -> None:
        made[0] += 1

    for engine in engines:
        event.listen(engine, "commit", committed)
    yield made
    for engine in engines:
        event.remove(engine, "commit", committed)

"""The sessions, a part at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, insert, select

from bailee.db.engine import open_sqlite, reading
from bailee.db.migrate import upgrade
from bailee.db.vault import sessions
from bailee.testing import FakeClock
from bailee.vault.going_round import Round

COUNT = 103


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """A database with sessions whose ids lie anywhere."""
    path: Path = tmp_path_factory.mktemp("data") / "data.db"
    made = open_sqlite(path)
    upgrade(made, "data")
    now = FakeClock()()
    row = {
        column.name: now
        if column.name in ("started", "expires_at") or "last_" in column.name
        else 0
        for column in sessions.c
        if column.name not in ("mac", "client_session", "last_consent", "kept_until")
    }
    with made.begin() as connection:
        ids = [f"{n * 7919 % 65536:04x}" for n in range(COUNT)]
        connection.execute(insert(sessions), [row | {"id": one} for one in ids])
    yield made
    made.dispose()


def parts(engine: Engine, going: Round, count: int) -> list[list[str]]:
    """The ids that are in the next parts."""
    found = []
    for _ in range(count):
        with reading(engine) as connection:
            query = select(sessions.c.id).where(*going.next(connection))
            found.append(list(connection.execute(query).scalars()))
    return found


@pytest.mark.row("R5")
def test_all_are_come_to_however_many_there_are(engine: Engine) -> None:
    """In as many parts as are stated and two, wherever the round begins; none larger than stated,
    and the next round likewise.
    """
    going = Round(least=5, parts=10)
    for _ in range(2):
        found = parts(engine, going, 12)
        assert COUNT == len({one for part in found for one in part})
        assert max(map(len, found)) <= COUNT // 10
    assert 5 == max(map(len, parts(engine, Round(least=5, parts=1000), 30)))


@pytest.mark.row("R5")
def test_few_are_one_part(engine: Engine) -> None:
    """Each time all of them, so that what one sweep finds does not hang on where it begins."""
    assert [COUNT] * 3 == [len(part) for part in parts(engine, Round(least=COUNT, parts=40), 3)]

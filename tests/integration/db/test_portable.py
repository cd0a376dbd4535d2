"""What both databases say in different words comes to the same."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine, delete, func, insert, literal, select

from bailee.db.among import among, among_numbers, texts
from bailee.db.audit import audit
from bailee.db.engine import fetched, reading
from bailee.db.many import put
from bailee.db.migrate import upgrade
from bailee.db.portable import (
    AS_WRITTEN,
    as_text,
    by_day,
    by_hour,
    driver_sql,
    greatest,
    least,
    place_of,
)
from bailee.db.portable import insert as upsert
from bailee.db.vault import stored, unreclaimed
from support.homes.databases import opened

pytestmark = pytest.mark.both_databases

SECONDS = 1_767_225_599  # 2025-12-31T23:59:59Z
MOMENT = datetime(2026, 1, 31, 12, 30, 15, 42, tzinfo=UTC)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """A data database."""
    made = opened(tmp_path / "data.db")
    upgrade(made, "data")
    yield made
    made.dispose()


def rows(number: int) -> list[dict[str, object]]:
    """So many rows of `unreclaimed`."""
    return [{"segment_id": f"s{n}", "owner": "ada", "bytes": n} for n in range(number)]


@pytest.mark.parametrize("many", [False, True], ids=["one", "many"])
def test_a_text_with_nul_in_it_is_kept_and_found(engine: Engine, many: bool) -> None:
    """Whatever a client calls its session: nothing that waits with it is held up."""
    odd = "a\0b"
    with engine.begin() as connection:
        if many:
            put(connection, unreclaimed, [{"segment_id": odd, "owner": odd, "bytes": 1}, *rows(2)])
        else:
            connection.execute(insert(unreclaimed).values(segment_id=odd, owner=odd, bytes=1))
    with reading(engine) as connection:
        by_value = select(unreclaimed.c.bytes).where(unreclaimed.c.owner == odd)
        assert [1] == list(connection.execute(by_value).scalars())


def test_forms(engine: Engine) -> None:
    """Days, hours, moments as text, the largest and the smallest."""
    asked = select(
        by_day(literal(SECONDS)),
        by_hour(literal(SECONDS)),
        greatest(literal(3), literal(5)),
        least(literal(3), literal(5)),
    )
    with reading(engine) as connection:
        assert ("2025-12-31", "2025-12-31T23:00Z", 5, 3) == tuple(connection.execute(asked).one())


def test_moments_are_written_alike(engine: Engine) -> None:
    """By a query and by the driver itself."""
    with engine.begin() as connection:
        row = {"at": MOMENT, "kind": "a.b", "subject": "s", "body": "{}"}
        connection.execute(insert(audit).values(row))
        (found,) = connection.execute(select(as_text(audit.c.at))).scalars()
        assert "2026-01-31 12:30:15.000042" == found
        query = f"SELECT {AS_WRITTEN}, kind FROM audit WHERE kind = ? LIMIT ?"
        assert [("2026-01-31T12:30:15.000042+00:00", "a.b")] == fetched(
            connection, query, ("a.b", 9)
        )
        driven = driver_sql(connection, "UPDATE stored SET living = ? WHERE owner = ?")
        assert 0 == connection.exec_driver_sql(driven, (1, "nobody")).rowcount


def test_sums_are_whole_numbers_of_64_bits(engine: Engine) -> None:
    """Also where a database has another type for them."""
    with engine.begin() as connection:
        put(
            connection,
            unreclaimed,
            [*rows(3), {"segment_id": "l", "owner": "bob", "bytes": 1 << 40}],
        )
        found = connection.execute(select(func.sum(unreclaimed.c.bytes))).scalar_one()
    assert (int, (1 << 40) + 3) == (type(found), found)


def test_what_is_there_is_changed_or_left(engine: Engine) -> None:
    """An insert that meets a row."""
    new = upsert(stored).values(owner="ada", living=5, gone=1)
    more = new.on_conflict_do_update(
        index_elements=["owner"],
        set_={"living": greatest(0, stored.c.living + new.excluded.living)},
    )
    with engine.begin() as connection:
        for _ in range(2):
            connection.execute(more)
        assert 0 == connection.execute(new.on_conflict_do_nothing()).rowcount
        other = upsert(stored).values(owner="bob", living=0, gone=0).on_conflict_do_nothing()
        assert 1 == connection.execute(other).rowcount
        sums = select(stored.c.living, stored.c.gone).where(stored.c.owner == "ada")
        assert (10, 1) == tuple(connection.execute(sums).one())


def test_one_of_many(engine: Engine) -> None:
    """Texts and numbers, also such as are quoted in JSON; none at all; what a query finds."""
    owners = ["", "a", 'a"b', "a\\b", "日本", "a\x01", "stays"]
    with engine.begin() as connection:
        put(
            connection,
            unreclaimed,
            [{"segment_id": f"s{n}", "owner": one, "bytes": n} for n, one in enumerate(owners)],
        )
        some = among(unreclaimed.c.owner, owners[:-1])
        assert owners[:-1] == texts(
            connection, select(unreclaimed.c.owner).where(some).order_by(unreclaimed.c.bytes)
        )
        numbers = select(unreclaimed.c.owner).where(among_numbers(unreclaimed.c.bytes, [1, 6]))
        assert {"a", "stays"} == {*texts(connection, numbers)}
        none = select(unreclaimed.c.owner).where(among(unreclaimed.c.owner, []))
        assert [] == texts(connection, none)


def test_a_portion_of_rows_goes(engine: Engine) -> None:
    """By where they lie."""
    place = place_of(unreclaimed)
    with engine.begin() as connection:
        put(connection, unreclaimed, rows(25))
        gone = []
        while gone[-1:] != [0]:
            some = select(place).where(unreclaimed.c.owner == "ada").limit(10)
            gone.append(connection.execute(delete(unreclaimed).where(place.in_(some))).rowcount)
    assert [10, 10, 5, 0] == gone


def test_texts_are_in_the_order_of_their_bytes(engine: Engine) -> None:
    """Whatever the server's language is."""
    names = ["B", "a", "Ä", "_", "Z", "é", "z"]
    with engine.begin() as connection:
        put(
            connection,
            unreclaimed,
            [{"segment_id": "s", "owner": name, "bytes": 1} for name in names],
        )
        found = connection.execute(select(unreclaimed.c.owner).order_by(unreclaimed.c.owner))
        assert sorted(names) == list(found.scalars())

"""Where what is answered is durable in the database: a process is killed at any point, and its
machine is lost, with the folder. What was acknowledged is there exactly once on the next one.
"""

from __future__ import annotations

import random
import shutil
from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import text

from bailee.db.postgresql import open_postgresql
from bailee.vault.lasting_rows import may_be_without_folder
from bailee.vault.spool_rows import SLOTS
from faults.test_vault_kill import killed, vault_process
from support.homes.databases import new

pytestmark = pytest.mark.row("R5", "O6", "G1")

POINTS = [
    ("bailee.db.links:Link.run", 9),
    ("bailee.db.links:Link._connected", 30),
    ("bailee.vault.lasting_rows:LastingRows.note_outlived", 1),
    ("bailee.vault.spool_rows:SpoolRows.make", 3),
    ("bailee.vault.spool_rows:SpoolRows.to_bucket", 1),
    ("bailee.vault.spool_rows:SpoolRows.note_sealed", 2),
    ("bailee.vault.spool_rows:SpoolRows.remove", 2),
    ("bailee.vault.spool_rows:SpoolRows._empty_slots", 3),
    ("bailee.vault.spool_rows:SpoolRows._remove_objects", 2),
    ("bailee.vault.spool_writing:SpoolWriter._close_file", 3),
    ("bailee.vault.spool_reading:SpoolReader.release", 2),
    ("bailee.vault.segment_rows:SegmentRows.put", 8),
    ("bailee.vault.segment_rows:SegmentRows.forget", 1),
    ("bailee.vault.sealer:Sealer._commit", 8),
    ("bailee.vault.sealer:Sealer._release", 2),
    ("bailee.vault.segments:Segments.write", 9),
    ("bailee.vault.segments:Segments._drop", 1),
    ("bailee.vault.objects:StoredObjects.put", 2),
    ("bailee.keyring.keyring:Keyring.destroy", 2),
    ("bailee.keyring.keyring:Keyring.dek", 3),
]


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """The folder in which bucket and root key are."""
    made = tmp_path / "other"
    made.mkdir()
    return made


@pytest.fixture
def databases() -> tuple[str, str]:
    """Two new ones."""
    return new("data"), new("keys")


def place(folder: Path, databases: tuple[str, str], other: Path) -> str:
    """What the process is told."""
    return ",".join((str(folder), *databases, str(other)))


def verify(at: str, acknowledged: set[int]) -> None:
    """Open the vault on another machine, and compare."""
    vault, _ = vault_process.open_vault(at)
    report = vault.recover()
    assert () == report.damaged
    found: Counter[int] = Counter()
    for row in vault.sessions(vault_process.system_clock()):
        shown = vault.show(row.id)
        assert row.exchanges == len(shown.exchanges)
        numbers = [int(one.exchange_id) for one in shown.exchanges]
        # Large ones have a lane of their own, and are taken up after the small ones of their time.
        small = [number for number in numbers if number % 30 != 29]
        assert sorted(small) == small
        found.update(numbers)
    assert set() == acknowledged - found.keys()
    assert [] == [number for number, times in found.items() if times != 1]
    vault.close()
    engine = open_postgresql(at.split(",")[1], "database.url")
    assert may_be_without_folder(engine)
    with engine.begin() as connection:
        left = [
            connection.execute(text(f"SELECT count(*) FROM {name}")).scalar()
            for name in ("bailee_spool", *(f"bailee_spool_{slot}" for slot in range(SLOTS)))
        ]
    engine.dispose()
    assert {0} == {*left}
    assert [] == [one for one in Path(at.split(",")[3], "spool").rglob("*") if one.is_file()]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("point", "count"), POINTS)
def test_at_a_point(
    tmp_path: Path, other: Path, databases: tuple[str, str], point: str, count: int, when: str
) -> None:
    """Killed before or after any step of keeping, sealing, shipping or removing."""
    first = place(tmp_path / "first", databases, other)
    acknowledged = killed(first, 0, point, str(count), when)
    shutil.rmtree(tmp_path / "first")
    verify(place(tmp_path / "second", databases, other), acknowledged)


def test_at_random_moments(tmp_path: Path, other: Path, databases: tuple[str, str]) -> None:
    """One machine after the other is lost, at random moments."""
    chance = random.Random(11)
    acknowledged: set[int] = set()
    for number in range(5):
        at = place(tmp_path / str(number), databases, other)
        acknowledged |= killed(at, number * 100_000, after=chance.randint(25, 120))
        shutil.rmtree(tmp_path / str(number))
    assert len(acknowledged) > 100
    verify(place(tmp_path / "last", databases, other), acknowledged)

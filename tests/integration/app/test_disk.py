"""An account's standing with the disk, from a real file system and a real vault's sums."""

from __future__ import annotations

from pathlib import Path

import pytest

from bailee.admission import OnDisk
from bailee.app.disk import Disk, room_on
from bailee.db.engine import open_sqlite
from bailee.db.migrate import upgrade
from bailee.vault.stored import Stored, Sum

pytestmark = pytest.mark.row("G1")


@pytest.fixture
def stored(tmp_path: Path) -> Stored:
    """Sums of a vault in which Ada has something."""
    engine = open_sqlite(tmp_path / "data.db")
    upgrade(engine, "data")
    made = Stored(engine)
    with engine.begin() as connection:
        sums = made.add(connection, {"ada": 7})
    made.note(sums)
    made.note({"bob": Sum(2, 1)})
    return made


def test_free_space_is_looked_at_once_a_second(stored: Stored, tmp_path: Path) -> None:
    """Less free than is to be on any of the file systems is low."""
    room = {tmp_path: (100, 4000), tmp_path / "b": (99, 4000)}
    now = [1.0]
    disk = Disk(stored, room, 100, lambda: now[0], room.__getitem__)
    assert OnDisk(7, 0, 10, 2, low=True) == disk.of("ada")
    room[tmp_path / "b"] = (100, 4000)
    now[0] = 1.9
    assert OnDisk(2, 1, 10, 2, low=True) == disk.of("bob")
    now[0] = 2.0
    assert OnDisk(all=10, accounts=2) == disk.of("eve")


def test_a_real_file_system_has_free_space(stored: Stored, tmp_path: Path) -> None:
    """What is to be free is never more than a twentieth; what isn't there tells nothing."""
    free, size = room_on(tmp_path)
    assert 0 < free <= size
    assert not Disk(stored, [tmp_path / "missing"], 1 << 62, lambda: 0.0).of("ada").low


def test_without_a_floor_nothing_is_looked_at(stored: Stored, tmp_path: Path) -> None:
    """And nobody is told that little is free."""
    full = Disk(stored, [tmp_path], 0, lambda: 0.0, lambda _folder: (0, 4000))
    assert not full.of("ada").low

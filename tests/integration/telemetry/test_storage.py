"""Keeping figures and errors: durable, through crashes and damage, for their time and no longer."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from bailee.errors import IntegrityError, StorageError
from bailee.telemetry.shelves import shelf_of
from bailee.vault.files import Files
from support.homes.telemetry_bench import PERIODS, Bench

pytestmark = pytest.mark.both_databases


def test_figures_are_counted_from_the_journal_and_from_the_days(bench: Bench) -> None:
    """The same answer before compaction, after it, after merging, and after a restart; with exact
    percentiles of few values.
    """
    for start in range(0, 400, 4):
        bench.keep(*range(start, start + 4))
    expected = {"count": 400, "sum": 79800.0, "min": 0.0, "max": 399.0, "p50": 199.5}

    def seen() -> dict[str, float]:
        row = bench.commands()
        return {key: row[key] for key in expected}

    assert expected == seen()
    bench.telemetry.sweep(bench.clock())
    assert [] == bench.files_of("journal")
    assert expected == seen()
    for _ in range(14):
        bench.keep(1.0)
        bench.telemetry.sweep(bench.clock())
    assert 414 == bench.commands()["count"]
    assert len(bench.files_of("days")) <= 13
    bench.close()
    bench.open()
    assert 414 == bench.commands()["count"]


@pytest.mark.parametrize("cut", [1, 17, 60])
def test_a_torn_last_frame_costs_what_was_not_acknowledged(bench: Bench, cut: int) -> None:
    """The file of a process that died while writing: all but its last frame is there, and the
    audit record says that the rest was torn.
    """
    for value in range(5):
        bench.keep(float(value))
    (path,) = bench.files_of("journal")
    content = path.read_bytes()
    bench.close()
    for compacted in bench.files_of("days"):
        compacted.unlink()
    with bench.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM telemetry_files")
    used = len(content.rstrip(b"\0"))
    path.write_bytes(content[: used - cut] + bytes(len(content) - used + cut))

    bench.open()

    assert 4 == bench.commands()["count"]
    assert ("telemetry.torn", path.name) in bench.leaves


def test_a_crash_between_the_steps_of_compaction_counts_nothing_twice(bench: Bench) -> None:
    """The journal file still there beside its Parquet file, or a Parquet file without its row."""
    bench.keep(1.0, 2.0)
    (path,) = bench.files_of("journal")
    content = path.read_bytes()
    bench.close()
    path.write_bytes(content)
    stray = bench.folder / "days" / (path.name + "-00")
    stray.write_bytes(b"half")

    bench.open()

    assert 2 == bench.commands()["count"]
    assert [] == bench.files_of("journal")
    assert not stray.exists()


def test_a_changed_byte_is_an_error_and_no_figure(bench: Bench) -> None:
    """What does not authenticate is not counted; it says so."""
    bench.keep(1.0)
    bench.telemetry.sweep(bench.clock())
    (path,) = bench.files_of("days")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)

    with pytest.raises(IntegrityError):
        bench.commands()


def test_a_day_is_kept_for_its_period_and_then_unreadable(bench: Bench) -> None:
    """Each day has a key of its own: one day's end leaves the next alone. A copy of a file that is
    put back afterwards opens nothing, and goes with the next sweep.
    """
    bench.keep(1.0, errors=("e1",))
    bench.clock.advance(timedelta(days=1))
    bench.keep(2.0, 3.0)
    bench.telemetry.sweep(bench.clock())
    old = next(p for p in bench.files_of("days") if "metric~2026-11-23" in p.name)
    copy = old.read_bytes()

    bench.clock.advance(timedelta(days=28, hours=12, minutes=1))
    assert 2 == bench.commands()["count"]
    assert 2 == bench.telemetry.sweep(bench.clock())["shelves"]
    assert 2 == bench.commands()["count"]
    assert not old.exists()
    with pytest.raises(IntegrityError) as gone:
        bench.keyring.get(shelf_of(old.name).subject)
    assert "key_destroyed" == gone.value.code
    assert ("telemetry.expired", "metric:2026-11-23:P30D") in bench.leaves
    old.write_bytes(copy)
    bench.close()
    bench.open()
    assert 2 == bench.commands()["count"]
    assert not old.exists()


def test_each_sender_is_kept_for_its_own_period(bench: Bench) -> None:
    """A period of a policy of one's own has a key of its own; none at all keeps nothing."""
    bench.keep(1.0)
    bench.keep(2.0, periods={**PERIODS, "metric": "P2D"})
    bench.keep(3.0, periods={**PERIODS, "metric": None})
    bench.keep(4.0, periods={})

    assert 3.0 == bench.commands()["sum"]
    bench.clock.advance(timedelta(days=2))
    assert 1.0 == bench.commands()["sum"]
    assert 1 == bench.telemetry.sweep(bench.clock())["shelves"]


@dataclass
class FullDisk(Files):
    """A disk that takes nothing more once it is full."""

    full: bool = False
    written: list[int] = field(default_factory=list)

    def write(self, descriptor: int, content: bytes, offset: int) -> None:
        """Half of it, then the error."""
        if self.full:
            os.pwrite(descriptor, content[: len(content) // 2], offset)
            raise OSError(28, "No space left on device")
        super().write(descriptor, content, offset)


def test_a_full_disk_refuses_and_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    """While the disk is full each batch is refused; what was acknowledged before and after is
    there, and nothing of what was refused.
    """
    disk = FullDisk()
    bench = Bench(tmp_path, files=disk)
    bench.open()
    bench.keep(1.0)
    disk.full = True
    for _ in range(2):
        with pytest.raises(StorageError):
            bench.keep(100.0)
    disk.full = False
    bench.keep(2.0)

    assert (2, 3.0) == (bench.commands()["count"], bench.commands()["sum"])
    bench.close()
    bench.open()
    assert (2, 3.0) == (bench.commands()["count"], bench.commands()["sum"])
    bench.close()


def test_an_alert_is_given_once_for_a_new_issue_and_once_for_its_return(bench: Bench) -> None:
    """New; then no more, also after a restart; resolved and seen again: a regression; muted: never.
    A release before the one that mends it is none.
    """
    bench.keep(errors=("e1", "e1", "e2"))
    bench.telemetry.settle()
    bench.close()
    bench.open()
    bench.keep(errors=("e1",))
    bench.telemetry.settle()
    assert [("new", "e1"), ("new", "e2")] == bench.alerts
    issues = bench.telemetry.issues

    issues.set("e1", "resolved", bench.clock())
    issues.set("e2", "resolved", bench.clock(), "1.2.4")
    bench.clock.advance(timedelta(minutes=5))
    bench.keep(errors=("e1", "e2"))
    bench.telemetry.settle()

    assert [("regression", "e1")] == bench.alerts[2:]
    states = {row.id: row.state for row in bench.telemetry.errors.issues(bench.clock())}
    assert {"e1": "open", "e2": "resolved"} == states

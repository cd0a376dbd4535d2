"""A disk that is full, forbidden or lies: refused, reported, put aside; never wrong or silent."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, insert, update

from bailee.db.keys import deks
from bailee.db.vault import spool_positions
from bailee.errors import IntegrityError, StorageError
from bailee.keyring import Keyring
from bailee.vault import spool_writing
from bailee.vault.exchange import CapturedExchange
from bailee.vault.frames import encoded
from bailee.vault.sealer import Sealer
from bailee.vault.steps import Steps
from support.homes import small_disks

Bench = Any

ONE = "11111111-32a5-4d0c-8f0b-0d7c3d1c1a11"


def turn(text: str) -> dict[str, Any]:
    """A user's message."""
    return {"role": "user", "content": text}


def crashed(bench: Bench, monkeypatch: pytest.MonkeyPatch, count: int) -> Path:
    """Leave `count` exchanges in the spool, as a crash does; the file they are in."""
    with monkeypatch.context() as patch:

        def fail(*_arguments: object) -> None:
            raise StorageError("no")

        patch.setattr(Sealer, "_work", fail)
        exchanges = [bench.exchange([turn(f"text {n}")], session=ONE) for n in range(count)]
        assert [None] * count == bench.submit(*exchanges)
        bench.vault.spool.close()
        bench.close()
    (path,) = (bench.path / "vault" / "spool").iterdir()
    return path


def recovered(bench: Bench) -> Any:
    """Start again; what recovery found."""
    return bench.open().recover()


def texts(bench: Bench) -> list[str]:
    """The messages that are kept."""
    if not bench.vault.sessions(bench.clock()):
        return []
    return [x.messages[0]["content"] for x in bench.vault.show(ONE).exchanges]


def test_recovers_what_was_not_sealed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a crash, what was acknowledged is sealed by the next start; its spool file is gone."""
    path = crashed(bench, monkeypatch, 20)
    report = recovered(bench)
    assert (1, 20, ()) == (report.files, report.exchanges, report.damaged)
    assert [f"text {n}" for n in range(20)] == texts(bench)
    assert not path.exists()
    assert 0 == bench.vault.recover().exchanges


def test_damage_in_the_spool(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A flipped bit costs one exchange, which is reported and put aside until its key expires."""
    path = crashed(bench, monkeypatch, 5)
    content = bytearray(path.read_bytes())
    content[content.index(b"BLF1", 100) + 30] ^= 4
    path.write_bytes(content)
    report = recovered(bench)
    assert [(path.name, False)] == [(damage.file, damage.torn) for damage in report.damaged]
    assert [f"text {n}" for n in (0, 2, 3, 4)] == texts(bench)
    assert 1 == [kind for kind, _, _ in bench.leaves].count("vault.damaged")
    (aside,) = (bench.path / "vault" / "quarantine").iterdir()
    assert aside.read_bytes() in bytes(content)
    bench.clock.advance(timedelta(days=31))
    bench.vault.sweep(bench.clock())
    assert [] == list((bench.path / "vault" / "quarantine").iterdir())


def test_what_a_newer_version_wrote_costs_itself_alone(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A frame that opens, and is no exchange that is known here, is put aside and reported."""

    def newer(exchange: CapturedExchange) -> tuple[bytes, bytes, bytes]:
        head, request, answer = encoded(exchange)
        known = b"text 1" not in request
        return head if known else head.replace(b'"complete"', b'"repeated"'), request, answer

    with monkeypatch.context() as patch:
        patch.setattr(spool_writing, "encoded", newer)
        path = crashed(bench, monkeypatch, 3)
    report = recovered(bench)
    assert [(path.name, False)] == [(damage.file, damage.torn) for damage in report.damaged]
    assert ["text 0", "text 2"] == texts(bench)
    (aside,) = (bench.path / "vault" / "quarantine").iterdir()
    assert aside.read_bytes().startswith(b"BLF1")


def test_a_torn_end_is_cut(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A last frame that was cut short is cut off, and the rest is there."""
    path = crashed(bench, monkeypatch, 3)
    content = path.read_bytes().rstrip(b"\0")
    path.write_bytes(content[:-7] + bytes(4096))  # a file is made whole before it is written to
    report = recovered(bench)
    assert [True] == [damage.torn for damage in report.damaged]
    assert ["text 0", "text 1"] == texts(bench)


@pytest.mark.parametrize("left", [0, 7, 200])
def test_a_file_that_was_cut_is_damaged_and_not_torn(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, left: int
) -> None:
    """No crash leaves one that ends within a frame, or that is empty: it is put aside, and said."""
    path = crashed(bench, monkeypatch, 1)
    path.write_bytes(path.read_bytes()[:left])
    report = recovered(bench)
    assert [False] == [damage.torn for damage in report.damaged]
    assert [] == texts(bench)


def test_a_spool_that_was_abandoned(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A spool that nobody sealed for 30 days can't be read by anyone, and that is said."""
    crashed(bench, monkeypatch, 3)
    bench.clock.advance(timedelta(days=31))
    bench.open()
    bench.keyring.destroy_due(bench.clock())
    bench.keyring.remove_dead()
    report = bench.vault.recover()
    assert (0, 1) == (report.exchanges, report.abandoned)
    assert "vault.spool_expired" in {kind for kind, _, _ in bench.leaves}


@pytest.mark.parametrize("days", [31, -31])
def test_a_file_is_not_used_past_its_key(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, days: int
) -> None:
    """After long idleness, or when the clock was set back, a crash loses nothing all the same."""
    bench.vault.spool.flush()
    bench.clock.advance(timedelta(days=days))
    bench.vault.sweep(bench.clock())
    crashed(bench, monkeypatch, 3)
    bench.clock.advance(timedelta(days=20))
    bench.open()
    bench.vault._forgetting.sweep(bench.clock(), Steps())
    assert (3, 0) == (bench.vault.recover().exchanges, 0)
    assert ["text 0", "text 1", "text 2"] == texts(bench)


def test_more_waits_than_memory_holds(bench: Bench) -> None:
    """What the sealer can't hold in memory it reads back from the spool."""
    bench.vault._sealer.queue._most_held = 1000
    bench.keep(*[bench.exchange([turn(f"{n} " * 200)], session=ONE) for n in range(30)])
    assert [f"{n} " * 200 for n in range(30)] == texts(bench)
    assert 0 == bench.vault._sealer.queue._held


@pytest.mark.parametrize("shipped", [False, True])
def test_damage_in_a_segment(bench: Bench, shipped: bool) -> None:
    """Whatever bit of a segment is flipped, reading it is an error, never another text."""
    bench.keep(bench.exchange([turn("text")], session=ONE))
    if shipped:
        bench.vault.ship()
    folder = bench.path / "vault" / ("segments" if shipped else "open")
    (path,) = [path for path in folder.rglob("*") if path.is_file()]
    whole = path.read_bytes()
    chance = random.Random(3)
    for _ in range(60):
        changed = bytearray(whole)
        changed[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        path.write_bytes(changed)
        with pytest.raises(IntegrityError):
            bench.vault.show(ONE)
    path.write_bytes(whole[:-1])
    with pytest.raises((IntegrityError, StorageError)):
        bench.vault.show(ONE)
    path.write_bytes(whole)
    assert ["text"] == texts(bench)


def test_records_can_not_be_exchanged(bench: Bench) -> None:
    """A record put in another's place in the index does not open."""
    bench.keep(*[bench.exchange([turn("same size")], session=ONE) for _ in range(2)])
    with bench.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE exchanges SET number = 7 - number")
        connection.exec_driver_sql(
            'UPDATE exchanges SET "offset" = (SELECT max("offset") FROM exchanges), length = '
            '(SELECT length FROM exchanges ORDER BY "offset" DESC LIMIT 1)'
        )
    with pytest.raises(IntegrityError):
        bench.vault.show(ONE)


@pytest.mark.parametrize("persisted", [False, True])
def test_an_index_that_fails(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, persisted: bool
) -> None:
    """A commit that fails, or whose success was lost, is tried again, and counts once."""
    real = Sealer._commit
    failures = 2

    def commit(*arguments: Any) -> None:
        nonlocal failures
        if failures == 0:
            real(*arguments)
            return
        failures -= 1
        if persisted and failures == 0:
            real(*arguments)
        raise StorageError("no")

    monkeypatch.setattr(Sealer, "_commit", commit)
    monkeypatch.setattr(bench.vault._sealer, "_retry_seconds", 0.01)
    assert [None] == bench.submit(bench.exchange([turn("text")], session=ONE))
    for _ in range(200):
        try:
            bench.vault.flush()
            break
        except StorageError:
            time.sleep(0.01)
    bench.keep(bench.exchange([turn("next")], session=ONE))
    assert ["text", "next"] == texts(bench)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 8 MiB."""
    with small_disks.small_disk(tmp_path / "disk", 8) as folder:
        yield folder


def test_a_full_disk(make: Callable[..., Bench], small_disk: Path) -> None:
    """On a full disk exchanges are refused, what was acknowledged stays, and room mends it."""
    bench = make()
    bench.close()
    bench.path = small_disk / "home"
    bench.open()
    bench.vault.spool._probe_seconds = 0.05
    bench.keep(bench.exchange([turn("before")], session=ONE))
    filler = small_disks.fill(small_disk)
    kept = []
    for number in range(60):
        (error,) = bench.submit(bench.exchange([turn(f"{number} " * 5000)], session=ONE))
        if error is None:
            kept.append(f"{number} " * 5000)
    assert len(kept) < 60
    assert bench.vault.spool.failure is not None
    filler.unlink()
    while bench.vault.spool.failure is not None:
        time.sleep(0.02)
    bench.vault._sealer._retry_seconds = 0.01
    for _ in range(500):
        try:
            bench.vault.flush()
            break
        except StorageError:
            time.sleep(0.02)
    bench.keep(bench.exchange([turn("after")], session=ONE))
    assert ["before", *kept, "after"] == texts(bench)
    bench.reopen()
    assert ["before", *kept, "after"] == texts(bench)
    bench.close()
    bench.path = small_disk / "another"
    bench.open()


def forbid(folder: Path, *, forbidden: bool) -> None:
    """Take the permission to write away, or give it back. Root heeds no mode, but this flag."""
    if os.geteuid() != 0:
        folder.chmod(0o500 if forbidden else 0o700)
        return
    command = ["chattr", "+i" if forbidden else "-i", str(folder)]
    if shutil.which("chattr") is None or subprocess.run(command, check=False).returncode:
        pytest.skip("root passes every permission check, and this disk knows no chattr +i")


def test_a_forbidden_folder(bench: Bench) -> None:
    """Without permission to write, exchanges are refused; with it again, they are kept."""
    bench.keep(bench.exchange([turn("before")], session=ONE))
    bench.vault.spool._probe_seconds = 0.05
    folder = bench.path / "vault" / "spool"
    forbid(folder, forbidden=True)
    big = bench.exchange([turn("x" * 600_000)], session=ONE)
    (error,) = bench.submit(big)
    assert isinstance(error, StorageError)
    forbid(folder, forbidden=False)
    while bench.vault.spool.failure is not None:
        time.sleep(0.02)
    bench.keep(bench.exchange([turn("after")], session=ONE))
    assert ["before", "after"] == texts(bench)


@pytest.mark.row("R5")
@pytest.mark.parametrize("how", ["changed", "gone", "gone under way"])
def test_a_spool_file_whose_key_does_not_open_is_kept_aside(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Acknowledged exchanges are never called expired: the file is put aside, named, and stays
    there through sweeps, also when some of it is sealed.
    """
    path = crashed(bench, monkeypatch, 3)
    content = path.read_bytes()
    bench.open()
    subject = deks.c.subject == f"spool:{path.name}"
    with bench.keys.begin() as connection:
        if how == "changed":
            connection.execute(update(deks).where(subject).values(wrapped=os.urandom(60)))
        else:
            connection.execute(delete(deks).where(subject))
    if how == "gone under way":
        with bench.engine.begin() as connection:
            connection.execute(insert(spool_positions).values(file=path.name, next=1))
    report = bench.vault.recover()
    bench.vault.sweep(bench.clock())
    aside = bench.path / "vault" / "quarantine" / f"{path.name}-0"
    assert (0, 0, 1) == (report.exchanges, report.abandoned, report.unopened)
    assert content == aside.read_bytes()
    assert not path.exists()
    assert ("vault.spool_unopened", path.name) in {leaf[:2] for leaf in bench.leaves}
    (named,) = bench.vault.verifying({}).spool()
    assert f"quarantine/{aside.name}" == named.where


def test_a_sealed_file_says_so_before_its_key_goes(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash between the two leaves a file with that note, and the next start removes it."""
    path = crashed(bench, monkeypatch, 1)
    bench.open()
    with monkeypatch.context() as patch:

        def fail(*_arguments: object) -> None:
            raise StorageError("no")

        patch.setattr(Keyring, "destroy", fail)
        with pytest.raises(StorageError):
            bench.vault._reader.release(path.name)
    sealed = path.with_name(f"{path.name}.sealed")
    assert (False, True) == (path.exists(), sealed.exists())
    bench.reopen()
    assert (False, False) == (path.exists(), sealed.exists())
    assert not bench.keyring.subjects(f"spool:{path.name}")

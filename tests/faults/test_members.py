"""Processes that answer beside the one that has the home: each is killed, stopped, cut off or
loses its holder. What they acknowledged is filed exactly once.
"""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, func, select, text

from bailee.db import members
from bailee.db.engine import reading
from bailee.db.fencing import MADE
from bailee.db.postgresql import open_postgresql
from bailee.db.vault import exchanges
from bailee.errors import StorageError
from bailee.keeping.keeper import Owner
from bailee.vault.spool_rows import SLOTS
from bailee.vault.spool_writing import subject_of
from bailee.vault.vault import Vault
from faults.test_vault_kill import vault_process
from support.clients import processes
from support.clients.programs import clean_environment
from support.homes.databases import new
from support.servers import postgres

pytestmark = pytest.mark.row("O6", "R5", "G1")

HERE = Path(__file__).parent
HOUR = 3600.0


class Member:
    """A member's process, and what it said."""

    def __init__(self, place: str, first: int, *count: str, program: str = "member") -> None:
        self._process = processes.start(
            *(place, str(first), *count),
            env=clean_environment(Path(place.rpartition(",")[2])),
            program=HERE / f"{program}_process.py",
            stderr=2,  # ours
        )
        self.acknowledged: set[int] = set()
        self.names: list[str] = []

    def read(self, more: int | None = None) -> None:
        """Until so many more are acknowledged, or its end."""
        assert self._process.stdout is not None
        until = None if more is None else len(self.acknowledged) + more
        while until is None or len(self.acknowledged) < until:
            line = self._process.stdout.readline()
            if not line:
                assert until is None, "it ended"
                return
            if line.startswith("as "):
                self.names.append(line[3:].strip())
            elif line.endswith("\n"):
                self.acknowledged.add(int(line))

    def until_named_anew(self) -> None:
        """Until it writes under another name, and something was acknowledged under that."""
        known = len(self.names)
        while len(self.names) == known:
            self.read(1)
        self.read(20)

    def until_it_waits(self) -> None:
        """Until it has said that it may not write yet."""
        assert self._process.stdout is not None
        assert "as nobody\n" == self._process.stdout.readline()

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def end(self, *, kill: bool = False) -> None:
        """Kill it, or wait for its end."""
        if kill:
            self._process.kill()
        self.read()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


@pytest.fixture
def place(tmp_path: Path) -> str:
    """What processes are told: a home on two new databases."""
    (tmp_path / "other").mkdir()
    databases = new("data"), new("keys")
    return ",".join((str(tmp_path / "home"), *databases, str(tmp_path / "other")))


def count_commits(place: str) -> None:
    """Have what is committed counted, as who takes the lease does."""
    for address in place.split(",")[1:3]:
        postgres.shared().do(*MADE.split(";"), at=address.rpartition("/")[2])


@pytest.fixture
def holder(place: str) -> Iterator[Vault]:
    """The process that has the home: this one."""
    vault, _ = vault_process.open_vault(place)
    vault.recover()
    count_commits(place)
    yield vault
    vault.close()


def expire(place: str) -> None:
    """Let the moment of each member be over."""
    postgres.shared().do(
        "UPDATE bailee_members SET until = clock_timestamp() - interval '1 second'",
        at=place.split(",")[1].rpartition("/")[2],
    )


def found(vault: Vault) -> Counter[int]:
    """What is filed, and how often."""
    vault.flush()
    filed: Counter[int] = Counter()
    for row in vault.sessions(vault_process.system_clock()):
        numbers = [int(one.exchange_id) for one in vault.show(row.id).exchanges]
        filed.update(numbers)
    return filed


def verify(vault: Vault, *acknowledged: set[int]) -> None:
    """All that was acknowledged is filed once, and in the end nothing of it lies in the spool."""
    filed = found(vault)
    assert set() == set().union(*acknowledged) - filed.keys()
    assert [] == [number for number, times in filed.items() if times != 1]


def lie_there(engine: Engine) -> list[str]:
    """The spool's files."""
    with reading(engine) as connection:
        return list(connection.execute(text("SELECT file FROM bailee_spool")).scalars())


def rows_left(engine: Engine) -> int:
    """Their rows."""
    with reading(engine) as connection:
        counts = (f"SELECT count(*) FROM bailee_spool_{slot}" for slot in range(SLOTS))
        return sum(connection.execute(text(one)).scalar_one() for one in counts)


def until_empty(vault: Vault) -> None:
    """Wait until no file of a member's is left, and no row in the slots."""
    deadline = time.monotonic() + 300
    while any("-of-" in name for name in lie_there(vault._engine)):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def until_filed(vault: Vault, count: int) -> None:
    """Wait until so many exchanges are in the index, and ask for nothing to be filed."""
    deadline, found = time.monotonic() + 120, 0
    while found < count:
        assert time.monotonic() < deadline, f"{found} of {count}"
        time.sleep(0.05)
        with reading(vault._engine) as connection:
            found = connection.execute(select(func.count()).select_from(exchanges)).scalar_one()


def test_each_is_filed_once(place: str, holder: Vault) -> None:
    """A thousand of one member, in order, and some of another. They leave in good order: no row, no
    key and no membership is left of them.
    """
    one, other = Member(place, 0, "1000"), Member(place, 1_000_000, "60")
    for member in (one, other):
        member.end()
    assert (1008, 64) == (len(one.acknowledged), len(other.acknowledged))
    verify(holder, one.acknowledged, other.acknowledged)
    for row in holder.sessions(vault_process.system_clock()):
        numbers = [int(each.exchange_id) for each in holder.show(row.id).exchanges]
        assert sorted(number for number in numbers if number < 1_000_000) == [
            number for number in numbers if number < 1_000_000
        ]
    until_empty(holder)
    assert {} == members.numbers(holder._engine) == members.numbers(holder._keyring.engine)
    assert [] == [key for key in holder._keyring.subjects("spool:") if "-of-" in key]


def test_the_holder_is_told(place: str) -> None:
    """What a member writes is filed though the holder would not look for an hour, and nobody asks;
    and so is what comes after the connection was ended over which it was told.
    """
    vault, _ = vault_process.open_vault(place)
    files = vault._members
    assert files is not None
    files._told = HOUR
    vault.recover()
    count_commits(place)
    one = Member(place, 0, "60")
    one.end()
    until_filed(vault, len(one.acknowledged))
    at = place.split(",")[1].rpartition("/")[2]
    postgres.shared().do(
        "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
        f"WHERE query LIKE 'LISTEN %' AND datname = '{at}'"
    )
    other = Member(place, 1_000_000, "60")
    other.end()
    until_filed(vault, len(one.acknowledged | other.acknowledged))
    verify(vault, one.acknowledged, other.acknowledged)
    vault.close()


def test_killed_in_the_middle(place: str, holder: Vault) -> None:
    """All that it acknowledged is filed at once, while its moment is not over; its files go when it
    is. The root was rotated meanwhile.
    """
    member = Member(place, 0)
    member.read(100)
    holder.rotate(vault_process.system_clock())
    member.read(100)
    member.end(kill=True)
    verify(holder, member.acknowledged)
    expire(place)
    until_empty(holder)
    verify(holder, member.acknowledged)


def test_stopped_and_woken(place: str, holder: Vault) -> None:
    """It stood for longer than its moment. What it had acknowledged is filed, its files go; it
    wakes, writes nothing more under its name, and goes on under another.
    """
    member = Member(place, 0)
    member.read(60)
    member.signal(signal.SIGSTOP)
    expire(place)
    deadline = time.monotonic() + 60
    while members.numbers(holder._engine):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    until_empty(holder)
    member.signal(signal.SIGCONT)
    member.until_named_anew()
    member.end(kill=True)
    assert 2 == len({*member.names})
    verify(holder, member.acknowledged)


def test_the_holder_is_lost(place: str, tmp_path: Path) -> None:
    """Its machine goes while a member writes, who goes on. The next one files what both had."""
    first = Member(f"{tmp_path / 'first'},{place.partition(',')[2]}", 5_000_000, program="vault")
    first.read(20)
    count_commits(place)
    member = Member(place, 0)
    member.read(60)
    first.end(kill=True)
    member.read(60)
    vault, _ = vault_process.open_vault(place)
    vault.recover()
    member.read(60)
    assert 1 == len({*member.names})
    member.end(kill=True)
    verify(vault, member.acknowledged, first.acknowledged)
    vault.close()


def test_one_damaged_group_costs_itself_alone(place: str, holder: Vault) -> None:
    """It is put aside; what comes before and after it, in the same file too, is filed once."""
    holder._members.stop()  # type: ignore[union-attr]
    member = Member(place, 0, "200")
    member.end()
    with holder._engine.begin() as connection:
        for slot in range(SLOTS):
            connection.execute(
                text(
                    f"UPDATE bailee_spool_{slot} SET content = "
                    "set_byte(content, 40, get_byte(content, 40) # 1) WHERE (file, at) = "
                    f"(SELECT file, max(at) FROM bailee_spool_{slot} GROUP BY file LIMIT 1)"
                )
            )
    vault, _ = vault_process.open_vault(place)
    vault.recover()
    until_empty(vault)
    filed = found(vault)
    assert {1} == {*filed.values()}
    assert 1 == len(member.acknowledged - filed.keys())
    assert 1 == len(vault._reader.aside())
    vault.close()


def test_erased_while_it_writes(place: str, holder: Vault) -> None:
    """Of a person who is erased no copy is left in any file that was there; the member goes on in
    others.
    """
    member = Member(place, 0)
    member.read(60)
    before = [name for name in lie_there(holder._engine) if "-of-" in name]
    assert before
    for _ in range(20):
        try:
            holder.erase(Owner("ada", None), vault_process.system_clock(), "part", "ada")
            break
        except StorageError:  # as the next sweep does
            continue
    else:
        pytest.fail("it was never done")
    assert [] == holder._keyring.living([subject_of(name) for name in before])
    member.read(20)
    member.end(kill=True)


def test_who_can_join_one_database_alone_joins_neither(place: str, holder: Vault) -> None:
    """The other refuses: nothing of the membership is left."""
    addresses = place.split(",")[1:3]
    at = addresses[1].rpartition("/")[2]
    postgres.shared().do("ALTER TABLE bailee_members ADD CHECK (role <> 'gateway')", at=at)
    data, keys = (open_postgresql(one, "database.url", member=True) for one in addresses)
    try:
        with pytest.raises(StorageError):
            members.HomeMember(data, keys, "gateway").join()
    finally:
        data.dispose()
        keys.dispose()
    assert {} == members.numbers(holder._engine)


def test_a_member_begins_before_its_holder(place: str, request: pytest.FixtureRequest) -> None:
    """Where nobody lets it write yet, it waits, and acknowledges nothing; once somebody does, what
    it acknowledges is filed.
    """
    Path(place.rpartition(",")[2], "spool").mkdir()
    member = Member(place, 0)
    member.until_it_waits()
    holder: Vault = request.getfixturevalue("holder")
    member.read(40)
    member.end(kill=True)
    verify(holder, member.acknowledged)

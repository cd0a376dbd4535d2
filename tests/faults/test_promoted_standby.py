"""The primary of both databases is lost, and its standby promoted, under a server that runs."""

from __future__ import annotations

import json
import os
import signal
import urllib.error
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from bailee.app.doctor import examine
from bailee.app.doctor_findings import ExaminedHome
from bailee.config import load
from bailee.db.fencing import TABLE
from bailee.home import Home
from bailee.testing.upstream import ScriptedUpstream, Text
from faults.test_clock_of_a_server import until
from support.clients.programs import SECONDS, Bailee, message
from support.servers.postgres import PostgresServer

_SENT = (
    "SELECT count(*) FROM pg_stat_replication "
    "WHERE state = 'streaming' AND replay_lsn = pg_current_wal_lsn()"
)


@dataclass
class Pair:
    """A primary with its standby, and two databases that either may have."""

    primary: PostgresServer
    standby: PostgresServer
    databases: dict[str, str]

    def synchronous(self) -> None:
        """From now on what is committed is on the standby, too."""
        self.primary.do("ALTER SYSTEM SET synchronous_standby_names = '*'")
        self.primary.do("SELECT pg_reload_conf()")
        waits = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"
        until(lambda: [(1,)] == self.ask(self.primary, waits))

    def ask(
        self, server: PostgresServer, query: str, at: str = "postgres"
    ) -> list[tuple[object, ...]]:
        """What one of them says."""
        with closing(psycopg.connect(server.address(at))) as connection:
            return list(connection.execute(query))  # type: ignore[call-overload]

    def numbers(self, server: PostgresServer) -> list[list[tuple[object, ...]]]:
        """Who has the databases, as one of the servers says."""
        names = [address.rpartition("/")[2] for address in self.databases.values()]
        return [self.ask(server, f"SELECT number FROM {TABLE}", at=name) for name in names]

    def caught_up(self) -> None:
        """Wait until the standby has what there is."""
        until(lambda: [(1,)] == self.ask(self.primary, _SENT))


@pytest.fixture
def pair() -> Iterator[Pair]:
    """One, asynchronous as it comes."""
    with ExitStack() as stack:
        primary = PostgresServer()
        stack.callback(primary.end)
        names = [primary.new().rpartition("/")[2] for _ in range(2)]
        standby = PostgresServer(of=primary)
        stack.callback(standby.end)
        both = [primary.address(name, "bailee", standby) for name in names]
        settings = ("BAILEE_DATABASE_URL", "BAILEE_KEYRING_DATABASE_URL")
        made = Pair(primary, standby, dict(zip(settings, both, strict=True)))
        until(lambda: [(1,)] == made.ask(primary, _SENT.partition(" AND")[0]))
        yield made


@pytest.fixture
def upstream() -> Iterator[ScriptedUpstream]:
    """A model."""
    with ScriptedUpstream(tools_only=False, after=Text("ok")) as made:
        yield made


def refused(ready: dict[str, str], key: str) -> int:
    """The status with which a key is refused."""
    with pytest.raises(urllib.error.HTTPError) as error:
        message(ready, "never", key)
    error.value.close()
    return error.value.code


@pytest.mark.row("O6", "R5")
@pytest.mark.parametrize("how", ["synchronous", "planned"])
def test_a_server_goes_on_with_the_standby_that_has_everything(
    bailee: Bailee,
    pair: Pair,
    upstream: ScriptedUpstream,
    how: str,
    record_property: Callable[[str, object], None],
) -> None:
    """A synchronous standby of a primary that crashed, or any of one that was stopped: by itself,
    under the same lease. What was answered before and meanwhile is there, what was deleted and
    revoked is not, and so it is after a start.
    """
    if how == "synchronous":
        pair.synchronous()
    given = ("--upstream", upstream.url)
    ready = bailee.up(*given, env=pair.databases)
    revoked = bailee.json("key", "create", "--plan", "pro", "--name", "lost")
    message(ready, "medlar")
    (gone,) = bailee.sessions(1)
    message(ready, "quince")
    bailee.sessions(2)
    assert 0 == bailee.run("sessions", "delete", gone["id"]).returncode
    assert 0 == bailee.run("key", "revoke", revoked["key_id"]).returncode
    numbers = pair.numbers(pair.primary)

    pair.primary.stop("immediate" if how == "synchronous" else "fast")
    message(ready, "sloe")  # by what it knew; it waits in the spool
    assert 401 == refused(ready, revoked["key"])
    pair.standby.promote()
    message(ready, "pear")

    def all_there() -> bool:
        found = bailee.run("sessions", "list", "--json")
        return 0 == found.returncode and 3 == len(json.loads(found.stdout))

    until(all_there)
    assert numbers == pair.numbers(pair.standby)
    assert 0 == bailee.run("verify").returncode
    bailee.end()
    ready = bailee.up(*given, env=pair.databases)
    kept = bailee.sessions(3)
    assert gone["id"] not in {one["id"] for one in kept}
    assert 3 == len(kept)
    assert 401 == refused(ready, revoked["key"])
    assert 0 == bailee.stop()
    record_property("seen", "3 of 3 answered exchanges there, the deleted one and its key not")


@pytest.mark.row("O6", "R5")
def test_a_standby_that_lacks_something_is_not_taken_for_the_newest(
    bailee: Bailee,
    pair: Pair,
    upstream: ScriptedUpstream,
    record_property: Callable[[str, object], None],
) -> None:
    """It had not got the last commits, among them a deletion. The server ends by itself, shows and
    writes nothing meanwhile, and says why. No start takes the standby for the home's, until
    somebody accepts in words that what is missing is lost.
    """
    given = ("--upstream", upstream.url)
    ready = bailee.up(*given, env=pair.databases)
    message(ready, "medlar")
    (gone,) = bailee.sessions(1)
    pair.caught_up()
    pair.standby.follow_nobody()
    until(lambda: [(0,)] == pair.ask(pair.primary, "SELECT count(*) FROM pg_stat_replication"))
    message(ready, "quince")
    bailee.sessions(2)
    assert 0 == bailee.run("sessions", "delete", gone["id"]).returncode
    pair.primary.stop("immediate")
    pair.standby.promote()

    status, said = bailee.end(signal.SIGCONT)  # it ends by itself
    assert 6 == status
    assert "lacks what was committed to it; nothing is read or written there any more" in said
    assert "Traceback" not in said
    again = bailee.spawn(*given, env=pair.databases)
    _, said = again.communicate(timeout=SECONDS)
    assert 0 != again.wait()
    assert "lacks what was committed last" in said
    assert "accept-older data keyring" in said

    accept = ("home", "accept-older", "data", "keyring", "--reason", "the primary's disk is lost")
    done = bailee.run(*accept, env=pair.databases)
    assert 0 == done.returncode, done.stderr
    ready = bailee.up(*given, env=pair.databases)
    message(ready, "pear")
    assert gone["id"] in {one["id"] for one in bailee.sessions(2)}  # as `accept-older` says
    bailee.end()
    record_property("seen", "ended with status 6; no start until an operator accepted the loss")


@pytest.mark.row("O5", "O6")
def test_the_doctor_says_whether_a_standby_has_everything(pair: Pair, tmp_path: Path) -> None:
    """One that is behind, one for which commits wait, one that they wait for in vain, and none;
    one that is away, one that has no slot, and one of which this user may not know.
    """

    def found() -> set[str]:
        settings = load(Path("nowhere"), pair.databases, {})
        looked = examine(ExaminedHome(Home(tmp_path / "home"), settings, pair.databases))
        return {one.said for one in looked if one.check == "databases"}

    assert {"standby_behind"} == found()
    pair.synchronous()
    assert {"standby_synchronous"} == found()
    pair.standby.stop("immediate")
    until(lambda: [(0,)] == pair.ask(pair.primary, "SELECT count(*) FROM pg_stat_replication"))
    assert {"standby_missing", "slot_away"} == found()
    pair.primary.do("ALTER SYSTEM RESET synchronous_standby_names", "SELECT pg_reload_conf()")
    until(lambda: {"standby_behind", "slot_away"} == found())
    (slot,) = pair.ask(pair.primary, "SELECT slot_name FROM pg_replication_slots")
    pair.primary.do(f"SELECT pg_drop_replication_slot('{slot[0]}')")
    assert {"standby_none"} == found()
    pair.standby.start()
    pair.standby.do("ALTER SYSTEM RESET primary_slot_name", "SELECT pg_reload_conf()")
    until(lambda: {"standby_behind", "slot_none"} == found())
    pair.primary.do("CREATE ROLE another LOGIN")
    names = [address.rpartition("/")[2] for address in pair.databases.values()]
    for name in names:
        pair.primary.do("GRANT CREATE ON SCHEMA public TO another", at=name)
    pair.databases = {
        setting: pair.primary.address(name, "another")
        for setting, name in zip(pair.databases, names, strict=True)
    }
    assert {"standby_behind", "slot_none", "standby_unseen"} == found()
    for name in names:
        pair.primary.do("GRANT pg_monitor TO another", at=name)
    assert {"standby_behind", "slot_none"} == found()


@pytest.mark.row("O5", "O6")
def test_the_doctor_says_which_standby_lags_and_which_was_left_behind(
    pair: Pair, tmp_path: Path
) -> None:
    """One that takes nothing while it is connected, until it goes on; and one that was away for
    longer than the primary keeps its log.
    """

    def found() -> set[str]:
        settings = load(Path("nowhere"), pair.databases, {})
        looked = examine(ExaminedHome(Home(tmp_path / "home"), settings, pair.databases))
        return {one.said for one in looked if one.check == "databases"}

    ((receiver,),) = pair.ask(pair.standby, "SELECT pid FROM pg_stat_wal_receiver")
    assert isinstance(receiver, int)
    os.kill(receiver, signal.SIGSTOP)
    try:
        fill_log(pair.primary, 24)
        assert {"standby_behind", "standby_lags"} == found()
    finally:
        os.kill(receiver, signal.SIGCONT)
    until(lambda: {"standby_behind"} == found())

    pair.standby.stop("immediate")
    pair.primary.do("ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'", "SELECT pg_reload_conf()")
    fill_log(pair.primary, 48)
    pair.primary.do("CHECKPOINT")
    until(lambda: {"standby_none", "slot_lost"} == found())


def fill_log(server: PostgresServer, megabytes: int) -> None:
    """Write so much into its log."""
    said = "SELECT pg_logical_emit_message(true, 'bailee', repeat('x', 1 << 20))"
    server.do(*[said] * megabytes, "SELECT pg_switch_wal()")

"""A training export whose workers share no folder with the home: TLS, and files handed over."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import trustme

from bailee.errors import InputError, StorageError
from bailee.operations import training
from bailee.training import handing, reaching, wire
from bailee.training.cluster import RayEngine
from bailee.training.pool import LocalEngine
from bailee.training.reaching import crossing
from bailee.training.shards import Engine, ShardResult, ShardTask
from bailee.training.working import carry_out
from support.homes.backed_up import BackedUp
from support.homes.exporting import InThisProcess, rows_of
from support.servers.ray_machines import HOME, RayMachines

SESSIONS = 12
Before = Callable[[ShardTask], object]


class Meeting(InThisProcess):
    """An engine whose worker is this process. `before` is done before the first shard, and `after`
    changes each result.
    """

    def __init__(
        self,
        before: Before = lambda _: None,
        after: Callable[[ShardResult], ShardResult] = lambda result: result,
    ) -> None:
        self.before: Before | None = before
        self.after = after

    def run(self, tasks: Iterable[ShardTask]) -> Generator[ShardResult, None, None]:
        """See `Engine`."""
        for task in tasks:
            if self.before is not None:
                self.before(task)
                self.before = None
            yield self.after(carry_out(task))


class Place(BackedUp):
    """A home with sessions that may be trained on."""

    def export(self, folder: Path, engine: Engine, at: str | None = "127.0.0.1:0") -> None:
        """Export into a folder, four sessions a shard; `at`: where leases are asked for, None: at a
        socket.
        """
        begun = self.node.exports.begin(
            place=str(folder),
            format="parquet",
            by="operator",
            reason="a test",
            whose="nobody",
            since=None,
            now=self.clock(),
        )
        across = None if at is None else crossing(at, os.environ)
        for _ in training.carry_out(self.node, begun, engine, shard=4, crossing=across):
            pass


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """One for all."""
    made = Place(tmp_path_factory.mktemp("home"))
    person = made.person("ola@x.example")
    made.ask("privacy.choose", key=person["key"], choice="allowed")
    for number in range(SESSIONS):
        made.say(str(person["account"]), f"word {number}")
    yield made
    made.node.close()


@pytest.fixture
def certified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> trustme.CA:
    """Certificates of a cluster, for this machine, as the environment names them."""
    authority = trustme.CA()
    _use(monkeypatch, tmp_path, authority, authority)
    return authority


def _use(
    monkeypatch: pytest.MonkeyPatch, folder: Path, trusted: trustme.CA, by: trustme.CA
) -> None:
    given = by.issue_cert("127.0.0.1")
    trusted.cert_pem.write_to_path(folder / "ca.pem")
    given.cert_chain_pems[0].write_to_path(folder / "this.pem")
    given.private_key_pem.write_to_path(folder / "this.key")
    monkeypatch.setenv("RAY_USE_TLS", "1")
    for variable, name in zip(reaching.NAMED, ("this.pem", "this.key", "ca.pem"), strict=True):
        monkeypatch.setenv(variable, str(folder / name))


def _said(folder: Path) -> list[tuple[str, str]]:
    return sorted((row["messages"][0]["content"], row["blocks"]) for row in rows_of(folder))


@pytest.mark.row("T8")
@pytest.mark.usefixtures("certified")
def test_what_is_handed_over_is_what_local_writes(place: Place, tmp_path: Path) -> None:
    """The same rows; a worker is told no folder."""
    tasks: list[ShardTask] = []
    place.export(tmp_path / "across", Meeting(tasks.append))
    place.export(tmp_path / "local", LocalEngine(1), None)

    assert "" == tasks[0].folder
    assert tasks[0].address.startswith("tls://127.0.0.1:")
    assert SESSIONS == len(_said(tmp_path / "across"))
    assert _said(tmp_path / "local") == _said(tmp_path / "across")
    assert [] == place.ask("training.verify", folder=str(tmp_path / "across"))["wrong"]


@pytest.mark.row("T8")
def test_a_token_is_of_no_use_without_a_certificate_of_the_cluster(
    place: Place, tmp_path: Path, certified: trustme.CA
) -> None:
    """Nor by no TLS at all, nor to whoever meets a home of another name. The export goes on."""
    met = []

    def strangers(task: ShardTask) -> None:
        other = tmp_path / "other"
        other.mkdir()
        with pytest.MonkeyPatch.context() as patch:
            _use(patch, other, certified, trustme.CA())  # the home is the one that it expects
            with pytest.raises((OSError, EOFError)):
                _ask(task.address, task.token)
        met.append("other authority")
        with pytest.raises(ssl.SSLError, match=r"(?i)mismatch|not valid for"):
            _ask(task.address.replace("127.0.0.1", "localhost"), task.token)
        met.append("other name")
        host, _, port = task.address.removeprefix("tls://").rpartition(":")
        with (
            socket.create_connection((host, int(port)), 10) as plain,
            pytest.raises((OSError, EOFError, ValueError)),
        ):
            wire.send(plain, {"token": task.token})
            wire.receive(plain)
        met.append("no TLS")

    place.export(tmp_path / "d", Meeting(strangers))
    assert ["other authority", "other name", "no TLS"] == met
    assert SESSIONS == len(_said(tmp_path / "d"))


def _ask(address: str, token: str) -> None:
    with reaching.connected(address, os.environ) as connection:
        wire.send(connection, {"token": token})
        wire.receive(connection)


@pytest.mark.row("T8")
@pytest.mark.usefixtures("certified")
def test_a_worker_that_says_other_than_it_handed_over_commits_nothing(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor one whose file is larger than may be: the export stops, and nothing is signed."""
    liar = Meeting(after=lambda result: replace(result, sha256="0" * 64))
    with pytest.raises(StorageError, match="other files"):
        place.export(tmp_path / "lied", liar)
    monkeypatch.setattr(handing, "LARGEST", 16)
    with pytest.raises((OSError, EOFError, ValueError)):
        place.export(tmp_path / "large", Meeting())
    for name in ("lied", "large"):
        assert not (tmp_path / name / "manifest.json").exists()
        assert [] == [*(tmp_path / name / ".bailee-export").glob("*.part")]


@pytest.mark.row("T8")
@pytest.mark.usefixtures("certified")
def test_what_cannot_cross_is_said(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No cluster, no place, no certificates: before anything is on record."""
    before = len(place.ask("training.exports"))

    def export(engine: str, at: str) -> None:
        place.ask("training.export", folder=str(tmp_path / "d"), engine=engine, lend_at=at)

    with pytest.raises(InputError, match="of a cluster alone"):
        export("local", "127.0.0.1:0")
    for wrong in ("", "127.0.0.1", "127.0.0.1:99999", "a b:1", "tls://x:1"):
        with pytest.raises(InputError, match="HOST:PORT"):
            export("ray", wrong)
    (tmp_path / "this.pem").write_text("none")
    with pytest.raises(InputError, match="can't be used"):
        export("ray", "127.0.0.1:0")
    monkeypatch.delenv("RAY_USE_TLS")
    with pytest.raises(InputError, match="need the cluster's certificates"):
        export("ray", "127.0.0.1:0")
    assert before == len(place.ask("training.exports"))


@pytest.mark.row("T8")
@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("ip") is None,
    reason="only root makes machines of network namespaces, with iproute2",
)
def test_a_cluster_of_two_machines_writes_the_rows_of_local(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of its nodes has an address, a network and folders of its own; both have shards written.
    The home is a third machine.
    """
    with RayMachines(hidden=tmp_path.parent) as machines:
        for name, value in machines.environment.items():
            monkeypatch.setenv(name, value)
        seen: set[str] = set()
        ready = reaching.BetweenMachines.ready

        def noting(self: reaching.BetweenMachines, accepted: socket.socket) -> object:
            seen.add(accepted.getpeername()[0])
            return ready(self, accepted)

        monkeypatch.setattr(reaching.BetweenMachines, "ready", noting)
        engine = RayEngine(machines.address, None)
        place.export(tmp_path / "ray", engine, f"{HOME}:0")
    place.export(tmp_path / "local", LocalEngine(1), None)

    assert set(machines.nodes) == seen
    assert _said(tmp_path / "local") == _said(tmp_path / "ray")
    assert [] == place.ask("training.verify", folder=str(tmp_path / "ray"))["wrong"]

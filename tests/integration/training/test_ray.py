"""A training export on a real Ray cluster of two workers: the same rows, and no key in Ray."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from ahocorasick_rs import BytesAhoCorasick
from ray.core.generated import ray_client_pb2, ray_client_pb2_grpc

from bailee import __version__
from bailee.errors import InputError, StorageError
from bailee.operations import training
from bailee.training.cluster import RayEngine, cluster_address
from bailee.training.exporting import ExportProgress
from bailee.training.pool import LocalEngine
from bailee.training.shards import Engine
from bailee.training.spreading import OTHER_VERSION, UNGUARDED, unfit
from bailee.vault.record import subject_of
from support.homes.backed_up import BackedUp
from support.homes.exporting import rows_of
from support.servers.ray_cluster import RayCluster

SESSIONS = 24
_PART = 1 << 20


@dataclass
class Place(BackedUp):
    """A home with sessions that may be trained on."""

    def export(self, folder: Path, engine: Engine) -> Iterator[object]:
        """Go on with an export into a folder, or begin it; four sessions a shard."""
        known = self.node.exports.at(str(folder)) or self.node.exports.begin(
            place=str(folder),
            format="parquet",
            by="operator",
            reason="a test",
            whose="nobody",
            since=None,
            now=self.clock(),
        )
        return training.carry_out(self.node, known, engine, shard=4)


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayCluster]:
    """One for all."""
    made = RayCluster()
    yield made
    made.close()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, cluster: RayCluster) -> Iterator[Place]:
    """While the cluster starts."""
    made = Place(tmp_path_factory.mktemp("home"))
    person = made.person("ola@x.example")
    made.ask("privacy.choose", key=person["key"], choice="allowed")
    for number in range(SESSIONS):
        made.say(str(person["account"]), f"word {number}")
    cluster.wait()
    yield made
    made.node.close()


def _engine(cluster: RayCluster) -> RayEngine:
    return RayEngine(cluster.address, None, environment=cluster.environment)


def _said(folder: Path) -> list[tuple[str, str]]:
    """What is the same in two exports: commitments are not."""
    return sorted((row["messages"][0]["content"], row["blocks"]) for row in rows_of(folder))


def _memory(pid: int) -> Iterator[bytes]:
    """What a process has in memory that it can write, in parts that overlap."""
    try:
        maps = Path(f"/proc/{pid}/maps").read_text()
        memory = os.open(f"/proc/{pid}/mem", os.O_RDONLY)
        pages = os.open(f"/proc/{pid}/pagemap", os.O_RDONLY)
    except OSError:
        return
    for start, end in re.findall(r"(?m)^([0-9a-f]+)-([0-9a-f]+) rw", maps):
        first, last = int(start, 16), int(end, 16)
        for at in range(first, last, _PART):
            count = min(_PART, last - at)
            try:
                if any(os.pread(pages, count // 512, at // 512)):
                    yield os.pread(memory, min(count + 64, last - at), at)
            except OSError:
                continue
    os.close(memory)
    os.close(pages)


def _found(search: BytesAhoCorasick, content: bytes) -> set[int]:
    return {which for which, *_ in search.find_matches_as_indexes(content)}


def _beside(cluster: RayCluster) -> list[int]:
    """The processes that write shards: children of Ray's workers."""
    rays, found = cluster.processes(), []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            said = (path / "cmdline").read_bytes()
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if b"bailee.training.working" in said and parent in rays:
            found.append(int(path.name))
    return found


@pytest.mark.row("T8")
def test_the_rows_are_those_of_local_and_no_key_is_in_ray(
    place: Place, cluster: RayCluster, tmp_path: Path
) -> None:
    """Two workers. Keys, ids and words are looked for in memory, shared memory and files of all its
    processes, while it goes on and afterwards; the token is found, so the search can find.
    """
    wanted = [f"session of word {number}".encode() for number in range(SESSIONS)]
    for session in place.sessions.values():
        wanted += [place.node.keyring.get(subject_of(session)).key, session.encode()]
    token = (cluster.folder / "token").read_bytes()
    search = BytesAhoCorasick([*wanted, token])
    beside: set[int] = set()
    found_token = False
    for item in place.export(tmp_path / "ray", _engine(cluster)):
        if isinstance(item, ExportProgress) and item.done < 3:
            beside.update(_beside(cluster))
        if not isinstance(item, ExportProgress) or item.done == 2:
            for pid, said in cluster.processes().items():
                found = {one for part in _memory(pid) for one in _found(search, part)}
                found_token = found_token or len(wanted) in found
                assert not found - {len(wanted)}, said
            for path in cluster.files():
                assert not _found(search, path.read_bytes()) - {len(wanted)}, path
    assert found_token
    assert 2 == len(beside)
    list(place.export(tmp_path / "local", LocalEngine(2)))
    assert SESSIONS == len(rows_of(tmp_path / "ray"))
    assert _said(tmp_path / "local") == _said(tmp_path / "ray")
    assert [] == place.ask("training.verify", folder=str(tmp_path / "ray"))["wrong"]


@pytest.mark.row("T8")
def test_whoever_is_killed_costs_its_shards_alone(
    place: Place, cluster: RayCluster, tmp_path: Path
) -> None:
    """Workers, then the driver, by SIGKILL, while it goes on: nothing is twice or lost."""
    killed = dict.fromkeys(("ray::carried_out", "training.driving"), 0)
    waiting = [*killed]
    for item in place.export(tmp_path / "d", _engine(cluster)):
        if waiting and isinstance(item, ExportProgress) and item.done:
            which = waiting[0]
            for pid, said in cluster.processes().items():
                if which in said:
                    os.kill(pid, signal.SIGKILL)
                    killed[which] += 1
            if killed[which]:  # or all of its kind were between two tasks: when another is done
                waiting.pop(0)
    assert all(killed.values()), killed
    rows = rows_of(tmp_path / "d")
    assert SESSIONS == len(rows) == len({row["id"] for row in rows})
    assert sorted(f"word {number}" for number in range(SESSIONS)) == [
        said for said, _ in _said(tmp_path / "d")
    ]


class _There(ray_client_pb2_grpc.RayletDriverServicer):  # type: ignore[misc]
    """Says that it listens, and nothing more."""

    def ClusterInfo(self, _asked: object, _: object) -> ray_client_pb2.ClusterInfoResponse:
        """See `proxier.RayletServicerProxy`."""
        return ray_client_pb2.ClusterInfoResponse(json="{}")


class _Refusing(ray_client_pb2_grpc.RayletDataStreamerServicer):  # type: ignore[misc]
    """A cluster's server for clients that can start nothing for them; it counts them."""

    def __init__(self) -> None:
        self.asked = 0

    def Datapath(
        self, asked: Iterator[ray_client_pb2.DataRequest], _: object
    ) -> Iterator[ray_client_pb2.DataResponse]:
        """See `proxier.DataServicerProxy`: what it says when the process of a client ended."""
        first = next(asked)
        self.asked += 1
        refused = ray_client_pb2.InitResponse(ok=False, msg="Proxy startup failed!")
        yield ray_client_pb2.DataResponse(init=refused, req_id=first.req_id)
        for _more in asked:  # until the client has read the answer, and leaves
            pass


class _NeverTold(ray_client_pb2_grpc.RayletLogStreamerServicer):  # type: ignore[misc]
    """Of its logs a client hears nothing, until it is given up."""

    def __init__(self) -> None:
        self.over = threading.Event()

    def Logstream(self, _asked: object, _: object) -> Iterator[ray_client_pb2.LogData]:
        """See `proxier.LogstreamServicerProxy`: it waits for a process that is not coming."""
        self.over.wait()
        yield from ()


def test_a_cluster_that_can_start_nothing_is_asked_again_at_once() -> None:
    """Ray's client would wait for logs first, for as long as the server likes: here for ever."""
    server = grpc.server(ThreadPoolExecutor(16))
    refusing, never_told = _Refusing(), _NeverTold()
    ray_client_pb2_grpc.add_RayletDriverServicer_to_server(_There(), server)
    ray_client_pb2_grpc.add_RayletDataStreamerServicer_to_server(refusing, server)
    ray_client_pb2_grpc.add_RayletLogStreamerServicer_to_server(never_told, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        with pytest.raises(StorageError, match=r"can't be used .ConnectionAbortedError"):
            list(RayEngine(f"ray://127.0.0.1:{port}", None).run(()))
    finally:
        never_told.over.set()
        server.stop(None).wait()
    assert 4 == refusing.asked


@pytest.mark.row("T8")
def test_a_cluster_reaches_nobody_else(cluster: RayCluster, place: Place) -> None:
    """Each socket of its processes that is connected is with this machine; it does not report."""
    inodes = set()
    for pid, said in cluster.processes().items():
        if "gcs_server" in said:  # others write their titles over their environment
            assert b"RAY_USAGE_STATS_ENABLED=0" in Path(f"/proc/{pid}/environ").read_bytes()
        for one in Path(f"/proc/{pid}/fd").glob("*"):
            try:
                inodes.add(str(one.readlink()))
            except OSError:
                continue
    seen = 0
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            _, here, there, state, *rest = line.split()
            if f"socket:[{rest[5]}]" in inodes and state == "01":
                seen += 1
                assert here.partition(":")[0] == there.partition(":")[0], line
    assert seen


@pytest.mark.row("T8")
def test_a_cluster_that_is_not_to_be_used_is_said(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One whose workers know of no token, or of another bailee; and what is no address."""
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    assert UNGUARDED == unfit(__version__)
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    assert (None, OTHER_VERSION) == (unfit(__version__), unfit("0"))
    said = f"print({json.dumps({'why': UNGUARDED})!r})"
    engine = RayEngine("auto", None, command=(sys.executable, "-c", said))
    with pytest.raises(StorageError, match=f"can't be used .{UNGUARDED}"):
        list(place.export(tmp_path / "d", engine))
    for wrong in ("ray:", "ray://", "ray://x", "ray://a b:1", "ray://x:1/y"):
        with pytest.raises(InputError):
            cluster_address(wrong)
    assert ("auto", None) == (cluster_address("ray"), cluster_address("local"))

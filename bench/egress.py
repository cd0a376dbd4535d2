"""The session proxies beside squid: what a CONNECT takes of the processor, and MB/s of one stream;
a clone through the git proxy against one without it.

Each egress proxy in turn is pinned to core 0; the load and the server behind it share core 1. A
connection is counted when its tunnel has carried TLS's first message there and an answer back. Our
proxy reads that message, decides, counts and records; squid does none of that here, and logs
nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from bailee.cloud.egress import Budgets, EgressProxy, EgressRules
from bailee.cloud.git import GitProxy, Repository
from bailee.outbound.dialing import Dialer
from bench import peers
from bench.result import SHORT, Line, Unavailable, processor_time

ROOT = Path(__file__).parent.parent
SECONDS = float(os.environ.get("BENCH_SECONDS", "2" if SHORT else "4"))
NAME, MANY = "bench.test", 32
STREAM = (64 if SHORT else 512) << 20
LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"),)


def hello() -> bytes:
    """What OpenSSL says first to the server of this name."""
    context, out = ssl.create_default_context(), ssl.MemoryBIO()
    session = context.wrap_bio(ssl.MemoryBIO(), out, server_hostname=NAME)
    with contextlib.suppress(ssl.SSLWantReadError):
        session.do_handshake()
    return out.read()


# -- each run as `python -m bench.egress ROLE PORT [OTHER]` ----------------------------------------


async def serve_stub(port: int, _other: int) -> None:
    """Answers a first message with a byte; one that ends in S with a long stream."""
    piece = bytes(1 << 18)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        data = await reader.read(65536)
        if data.endswith(b"S"):
            for _ in range(STREAM // len(piece)):
                writer.write(piece)
                await writer.drain()
        else:
            writer.write(b"x")
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


async def serve_proxy(port: int, other: int) -> None:
    """Our proxy, with the checks of a session."""
    found = [ipaddress.ip_address("127.0.0.1")]  # squid has it from its file, read once

    async def resolve(_name: str, _port: int) -> list[Any]:
        return list(found)

    proxy = EgressProxy(
        EgressRules.of("trusted", allow=[f"{NAME}:{other}"]),
        record=lambda _: None,
        dialer=Dialer(resolve, private=LOOPBACK),
        budgets=Budgets(1 << 20, 1 << 40, 1e9, 1 << 30, 1 << 60, 1 << 60),
    )
    loop = asyncio.get_running_loop()
    server = await loop.create_server(proxy.connection, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


async def load(port: int, other: int) -> None:
    """Prints how many connections and in what time, then MB/s of one stream."""
    first = hello()
    connect = f"CONNECT {NAME}:{other} HTTP/1.1\r\nHost: {NAME}:{other}\r\n\r\n".encode()
    end = time.monotonic() + SECONDS
    done = 0

    async def tunnel() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
        writer.write(connect)
        head = await reader.readuntil(b"\r\n\r\n")
        assert b" 200 " in head, head
        return reader, writer

    async def one_after_another() -> None:
        nonlocal done
        while time.monotonic() < end:
            reader, writer = await tunnel()
            writer.write(first)
            assert await reader.read(1) == b"x"
            writer.close()
            done += 1

    began = time.monotonic()
    await asyncio.gather(*(one_after_another() for _ in range(MANY)))
    print(done, time.monotonic() - began, flush=True)
    reader, writer = await tunnel()
    began, got = time.monotonic(), 0
    writer.write(first + b"S")
    while data := await reader.read(1 << 20):
        got += len(data)
    assert got == STREAM, got
    print(got / 1e6 / (time.monotonic() - began))


# -- measuring -------------------------------------------------------------------------------------


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running(command: Sequence[str], port: int, core: int) -> Iterator[int]:
    process = subprocess.Popen(["taskset", "-c", str(core), *command], stdout=subprocess.DEVNULL)
    try:
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            if process.poll() is not None:
                raise Unavailable(f"{command[0]} did not start")
            time.sleep(0.05)
        yield process.pid
    finally:
        process.terminate()
        process.wait()


def role(name: str, port: int, other: int = 0) -> list[str]:
    return [sys.executable, "-m", "bench.egress", name, str(port), str(other)]


class Carried(NamedTuple):
    """What a proxy did: connections a second, microseconds of its processor time for each, the
    share of a core that it used for them; MB/s of one stream.
    """

    per_second: float
    cpu: float
    share: float
    stream: float


def measure(command: Sequence[str], port: int, other: int) -> Carried:
    with running(command, port, 0) as process:
        before = processor_time(process)
        load = subprocess.Popen(
            ["taskset", "-c", "1", *role("load", port, other)], stdout=subprocess.PIPE, text=True
        )
        assert load.stdout is not None
        made, taken = (float(part) for part in load.stdout.readline().split())
        spent = processor_time(process) - before
        stream = float(load.stdout.readline())
        load.wait()
    return Carried(made / taken, spent / made * 1e6, spent / taken, stream)


def egress() -> list[Line]:
    squid = peers.program("squid")
    peers.program("taskset")
    with tempfile.TemporaryDirectory(prefix="bench-squid-") as name:
        folder = Path(name)
        folder.chmod(0o777)
        port, other = free_port(), free_port()
        (folder / "hosts").write_text(f"127.0.0.1 {NAME}\n")
        (folder / "squid.conf").write_text(
            f"http_access allow all\nhttp_port 127.0.0.1:{port}\ncache deny all\n"
            f"pid_filename {folder}/pid\naccess_log none\ncache_log {folder}/cache.log\n"
            f"coredump_dir {folder}\nhosts_file {folder}/hosts\ndns_nameservers 127.0.0.1\n"
            "shutdown_lifetime 0 seconds\nnetdb_filename none\npinger_enable off\n"
        )
        ours: list[Carried] = []
        theirs: list[Carried] = []
        with running(role("stub", other), other, 1):
            for _ in range(3):
                theirs.append(measure([squid, "-N", "-f", str(folder / "squid.conf")], port, other))
                ours.append(measure(role("proxy", port, other), port, other))
    less = median(one.cpu / other.cpu for one, other in zip(theirs, ours, strict=True))
    return [
        (
            "egress proxy, a CONNECT",
            _connects(ours),
            f"squid {_connects(theirs)}; {less:.2f} of it by processor time",
        ),
        (
            "egress proxy, one stream",
            f"{median(one.stream for one in ours):,.0f} MB/s",
            f"squid {median(one.stream for one in theirs):,.0f} MB/s",
        ),
    ]


def _connects(runs: list[Carried]) -> str:
    cpu, rate = median(one.cpu for one in runs), median(one.per_second for one in runs)
    share = median(one.share for one in runs)
    return f"{cpu:.0f} µs of processor, {rate:,.0f}/s with {share:.2f} of a core"


def cloning() -> list[Line]:
    """A clone of 40 MB that don't compress, and of 5,000 small files."""
    if shutil.which("git") is None:
        raise Unavailable("git is not installed")
    sys.path.insert(0, str(ROOT / "tests"))  # the git server that the tests use
    from support.servers.git_server import GitServer, git, git_environment
    from support.servers.serving import Served

    def clone(url: str, authorization: str, folder: Path) -> float:
        began = time.monotonic()
        subprocess.run(
            [
                "git",
                "-c",
                f"http.extraHeader=Authorization: {authorization}",
                "clone",
                "-q",
                url,
                "c",
            ],
            cwd=folder,
            env=git_environment(),
            check=True,
        )
        taken = time.monotonic() - began
        shutil.rmtree(folder / "c")
        return taken

    with tempfile.TemporaryDirectory(prefix="bench-git-") as name, Served(keep=False) as served:
        folder = Path(name)
        (folder / "served").mkdir()
        with GitServer(folder / "served") as server:
            bare = server.make("repo.git")
            seed = folder / "seed"
            git("init", "-q", "-b", "main", str(seed))
            (seed / "large").write_bytes(os.urandom(40_000_000))
            for number in range(5000):
                (seed / f"{number}.txt").write_text(f"{number}\n" * 20)
            git("add", ".", cwd=seed)
            git("commit", "-qm", "all", cwd=seed)
            git("push", "-q", str(bare), "main", cwd=seed)

            async def credential(_access: object) -> str:
                return server.authorization

            proxy = GitProxy(
                Repository.read(server.url("repo.git"), plain=True),
                branch="refs/heads/bailee/bench",
                token="bench",
                credential=credential,
                record=lambda _: None,
                dialer=Dialer(private=LOOPBACK),
            )
            served.service = proxy.serve
            through = f"http://127.0.0.1:{served.port}{proxy.repository.base}"
            direct = [
                (clone(server.url("repo.git"), server.authorization, folder),
                 clone(through, "Bearer bench", folder))
                for _ in range(3)
            ]  # fmt: skip
    without, with_it = (median(run[at] for run in direct) for at in (0, 1))
    return [
        (
            "git proxy, clone of 40 MB and 5,000 files",
            f"{with_it:.2f} s",
            f"without it {without:.2f} s; {with_it / without:.2f} of that",
        )
    ]


def main() -> list[Line]:
    return egress() if SHORT else [*egress(), *cloning()]


if __name__ == "__main__":
    import uvloop

    roles = {"stub": serve_stub, "proxy": serve_proxy, "load": load}
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(roles[sys.argv[1]](int(sys.argv[2]), int(sys.argv[3])))

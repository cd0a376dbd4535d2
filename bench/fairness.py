"""What a neighbour notices of an attacker: throughput and p99 beside each of six attacks.

Two keys of two accounts at one server: the neighbour asks small questions on eight connections,
the attacker does one of `ATTACKS` from an address of its own. Beside a whole `bailee up` that
records stands nginx with the limits that its manual gives for this (`limit_conn`, `limit_req`, by
key). What counts is the ratio with and without the attacker, within a server: they were measured in
turn, `ROUNDS` times each within the same minute, on the same core, and the medians are compared.
Load and stub upstreams share the other core. The neighbour's questions go to an upstream of their
own, and the attacker and its upstream, processes of their own, give way to them there: what is
slower beside it is the server.

nginx takes nothing apart and keeps nothing: for what only costs who does, it shows what the load
itself takes from the neighbour.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.gateway_ends import ROOT, free_port, ours, running
from bench.result import Line, Unavailable

SECONDS: Final = float(os.environ.get("BENCH_SECONDS", "2.5"))
ROUNDS: Final = 3
_CONNECTIONS: Final = 8
_PAUSE: Final = 0.02  # seconds between an answer and the next question
_ATTACKER: Final = ("127.0.0.2", 0)
_PATH: Final = "/v1/chat/completions"  # the neighbour's: another upstream than the attacker's
_BODY: Final = b'{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hello"}]}'
_STREAMED: Final = _BODY[:-1] + b',"stream":true}'
_LARGE: Final = _BODY.replace(b"hello", b"x" * (8 << 20))
_BOMB: Final = gzip.compress(b'{"messages":[' + b"0," * 1_000_000 + b"0]}")

NGINX = """
worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log crit;
worker_rlimit_nofile 8192;
events {{ worker_connections 4096; }}
http {{
  access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  client_max_body_size 32m; keepalive_requests 100000000;
  client_header_timeout 10s; client_body_timeout 10s;
  limit_conn_zone $http_x_api_key zone=key:1m; limit_conn_zone $binary_remote_addr zone=address:1m;
  limit_req_zone $http_x_api_key zone=rate:1m rate=5000r/s;
  upstream stub {{ server {upstream}; keepalive 128; keepalive_requests 100000000; }}
  upstream own {{ server {own}; keepalive 128; keepalive_requests 100000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=1024;
    limit_conn key 32; limit_conn address 256; limit_req zone=rate burst=1000 nodelay;
    proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off;
    location / {{ proxy_pass http://stub; }}
    location /v1/chat/ {{ proxy_pass http://own; }}
  }}
}}
"""


@dataclass(frozen=True)
class Server:
    """A server under test: where, and a key of each of two accounts."""

    name: str
    port: int
    neighbour: str
    attacker: str


@dataclass(frozen=True)
class Measured:
    """What the neighbour saw: right answers a second, p99 in milliseconds, and what else it got:
    how many of each status and reason, or of no answer.
    """

    per_second: float
    p99: float
    wrong: Counter[str]


def _head(key: str, *lines: str, path: str = "/v1/messages") -> bytes:
    given = [f"POST {path} HTTP/1.1", "Host: bench", f"x-api-key: {key}", *lines]
    return "\r\n".join([*given, "", ""]).encode()


# -- the attacks: each works until it is cancelled ------------------------------------------------


async def _open(server: Server) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", server.port, local_addr=_ATTACKER)


async def _all(number: int, one: Callable[[], Awaitable[None]]) -> None:
    """So many of `one` at once, each begun again when it ends, until the process is ended."""

    async def again() -> None:
        while True:
            began = time.monotonic()
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await one()
            # Who is refused at once comes back, but is no flood of connections alone.
            await asyncio.sleep(max(0.0, 0.05 - (time.monotonic() - began)))

    await asyncio.gather(*(again() for _ in range(number)))


async def _sent(server: Server, data: bytes) -> None:
    """Send, and wait until the server ends the connection or has answered."""
    reader, writer = await _open(server)
    try:
        writer.write(data)
        await writer.drain()
        while await reader.read(1 << 16):
            pass
    finally:
        writer.transport.abort()


def _empty(server: Server) -> Awaitable[None]:
    head = _head(server.attacker, "transfer-encoding: chunked")
    return _all(200, lambda: _sent(server, head))


def _slow(server: Server) -> Awaitable[None]:
    async def drip() -> None:
        reader, writer = await _open(server)
        try:
            writer.write(_head(server.attacker, f"content-length: {32 << 20}"))
            while not reader.at_eof():
                writer.write(b"x")
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(reader.read(1 << 16), 0.5)
        finally:
            writer.transport.abort()

    return _all(200, drip)


def _heads(server: Server) -> Awaitable[None]:
    return _all(1500, lambda: _sent(server, b"POST /v1/messages HTTP/1.1\r\nHost: b\r\n"))


def _flood(server: Server) -> Awaitable[None]:
    head = _head(server.attacker, f"content-length: {len(_LARGE)}", "connection: close")
    return _all(16, lambda: _sent(server, head + _LARGE))


def _bombs(server: Server) -> Awaitable[None]:
    head = _head(
        server.attacker, f"content-length: {len(_BOMB)}", "content-encoding: gzip",
        "connection: close",
    )  # fmt: skip
    return _all(4, lambda: _sent(server, head + _BOMB))


def _streams(server: Server) -> Awaitable[None]:
    data = _STREAMED
    head = _head(server.attacker, f"content-length: {len(data)}", "connection: close")
    return _all(200, lambda: _sent(server, head + data))


ATTACKS: Final = {
    "200 chunked requests without a body": _empty,
    "200 bodies, two bytes a second": _slow,
    "1,500 half-open heads": _heads,
    "bodies of 8 MiB, 16 at once": _flood,
    "a million messages in 2 kB, 4 at once": _bombs,
    "200 streams of one key": _streams,
}


# -- the neighbour ---------------------------------------------------------------------------------


async def _asking(server: Server, end: float, taken: list[float], wrong: Counter[str]) -> None:
    """One connection's questions until `end`; into `wrong` what was not answered well."""
    request = _head(server.neighbour, f"content-length: {len(_BODY)}", path=_PATH) + _BODY
    while time.monotonic() < end:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        except OSError:
            wrong["no connection"] += 1
            await asyncio.sleep(0.05)
            continue
        try:
            while time.monotonic() < end:
                began = time.perf_counter()
                writer.write(request)
                # A neighbour who waits for longer than all of this has waited for ever.
                async with asyncio.timeout(SECONDS * 2):
                    head = await reader.readuntil(b"\r\n\r\n")
                    length = int(head.lower().partition(b"content-length: ")[2].split(b"\r")[0])
                    body = await reader.readexactly(length)
                taken.append(time.perf_counter() - began)
                await asyncio.sleep(_PAUSE)
                if not head.startswith(b"HTTP/1.1 200"):
                    wrong[_said(head, body)] += 1
                    break
        except (OSError, TimeoutError, ValueError, asyncio.IncompleteReadError) as error:
            wrong[type(error).__name__] += 1
            taken.append(SECONDS * 2)
        finally:
            writer.transport.abort()


def _said(head: bytes, body: bytes) -> str:
    """An answer's status, and why as far as it says."""
    status = head[9:12].decode("ascii", "replace")
    try:
        error = json.loads(body)["error"]
        return f"{status} {error.get('code') or error.get('type')}: {error.get('message')}"
    except (ValueError, LookupError, TypeError, AttributeError):
        return status


async def _neighbour(server: Server) -> Measured:
    taken: list[float] = []
    end = time.monotonic() + SECONDS
    wrong: Counter[str] = Counter()
    await asyncio.gather(*(_asking(server, end, taken, wrong) for _ in range(_CONNECTIONS)))
    p99 = statistics.quantiles(taken, n=100)[98] if len(taken) > 1 else SECONDS * 2
    return Measured((len(taken) - wrong.total()) / SECONDS, p99 * 1000, wrong)


@contextlib.contextmanager
def _attacked(name: str, server: Server) -> Iterator[None]:
    """While the block runs, a process attacks."""
    process = subprocess.Popen(
        ["nice", "taskset", "-c", "1", sys.executable, "-m", "bench.fairness", name,
         str(server.port), server.attacker],
        cwd=ROOT, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    process.stdout.readline()  # it has begun
    try:
        yield
    finally:
        process.kill()
        process.wait()


async def measure(server: Server) -> dict[str, tuple[Measured, Measured]]:
    """For each attack: without it, and with it."""
    found: dict[str, tuple[Measured, Measured]] = {}
    await _neighbour(server)  # warm
    for name in ATTACKS:
        without: list[Measured] = []
        beside: list[Measured] = []
        for _ in range(ROUNDS):
            without.append(await _neighbour(server))
            with _attacked(name, server):
                beside.append(await _neighbour(server))
            await asyncio.sleep(2)  # what the attack left is worked off
        alone, attacked = found[name] = _middle(without), _middle(beside)
        ratios = " ".join(f"{b.p99 / a.p99:.1f}" for a, b in zip(without, beside, strict=True))
        print(
            f"{server.name:8} {name:40} {alone.per_second:7.0f} -> {attacked.per_second:7.0f}/s  "
            f"p99 {alone.p99:8.1f} -> {attacked.p99:8.1f} ms ({ratios})  "
            f"{attacked.wrong.total()} wrong {dict(attacked.wrong) or ''}",
            flush=True,
        )
    return found


def _middle(some: list[Measured]) -> Measured:
    """The medians; of answers that were not right, all."""
    return Measured(
        statistics.median(one.per_second for one in some),
        statistics.median(one.p99 for one in some),
        sum((one.wrong for one in some), Counter()),
    )


# -- the servers -----------------------------------------------------------------------------------


@contextlib.contextmanager
def _stub(folder: str, *given: str) -> Iterator[str]:
    """An upstream, at its address; `given`: what its command begins with."""
    port = free_port()
    with running([*given, *ours("stub", port, "-", folder)], port, 1):
        yield f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def _bailee(folder: Path, upstream: str, own: str) -> Iterator[Server]:
    port = free_port()
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "BAILEE_HOME": str(folder / "b"),
        "BAILEE_OPENAI_URL": own,
    }
    program = [sys.executable, "-m", "bailee"]
    flags = ["--upstream", upstream, "--gateway", f"127.0.0.1:{port}", "--ingest", "off",
             "--console", "127.0.0.1:0"]  # fmt: skip
    with running([*program, "up", "--json", *flags], port, 0, 60.0, **environment):
        keys = [
            json.loads(
                subprocess.run(
                    [*program, "key", "create", "--plan", "team", "--name", name, "--json"],
                    env=environment, capture_output=True, check=True,
                ).stdout
            )["key"]
            for name in ("neighbour", "attacker")
        ]  # fmt: skip
        yield Server("bailee", port, keys[0], keys[1])


@contextlib.contextmanager
def _nginx(folder: Path, upstream: str, own: str) -> Iterator[Server]:
    port = free_port()
    config = folder / "nginx.conf"
    addresses = {"upstream": upstream.removeprefix("http://"), "own": own.removeprefix("http://")}
    config.write_text(NGINX.format(folder=folder, port=port, **addresses))
    nginx = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin") or "nginx"
    with running([nginx, "-c", str(config), "-e", "stderr"], port, 0):
        yield Server("nginx", port, "neighbour", "attacker")


def main() -> list[Line]:
    """Runs both servers in turn and gives the ratios."""
    path = os.environ["PATH"] + ":/usr/sbin"
    for tool in ("nginx", "taskset"):
        if shutil.which(tool, path=path) is None:
            raise Unavailable(f"{tool} is not installed")
    if (os.cpu_count() or 1) < 2:
        raise Unavailable("two cores are needed: one for the server, one for the load")
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # the attacker's too
    os.sched_setaffinity(0, {1})
    found: dict[str, dict[str, tuple[Measured, Measured]]] = {}
    with (
        tempfile.TemporaryDirectory() as name,
        _stub(name, "nice") as upstream,
        _stub(name) as own,
    ):
        for serve in (_nginx, _bailee):
            folder = Path(name) / serve.__name__
            folder.mkdir()
            with serve(folder, upstream, own) as server:
                found[server.name] = asyncio.run(measure(server))
    return _lines(found)


def _lines(found: dict[str, dict[str, tuple[Measured, Measured]]]) -> list[Line]:
    lines: list[Line] = []
    for attack in ATTACKS:
        said = {name: _ratio(*measured[attack]) for name, measured in found.items()}
        lines.append((attack, said["bailee"], f"nginx: {said['nginx']}"))
    return lines


def _ratio(alone: Measured, beside: Measured) -> str:
    wrong = f", {beside.wrong.total()} not answered" if beside.wrong else ""
    return (
        f"{beside.per_second / max(alone.per_second, 0.1):.2f} of the throughput, "
        f"p99 × {beside.p99 / max(alone.p99, 0.01):.1f} ({alone.p99:.1f} → {beside.p99:.1f} ms)"
        f"{wrong}"
    )


if __name__ == "__main__":
    which, port_, key = sys.argv[1:]

    async def attack() -> None:
        asyncio.get_running_loop().call_later(2, lambda: print("begun", flush=True))
        await ATTACKS[which](Server("", int(port_), "", key))

    asyncio.run(attack())

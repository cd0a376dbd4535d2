"""The gateway beside nginx: what an event of a stream, and a request, take of the processor.

The headline is 200 streams at once whose events come one by one (`paced`), as a model sends them.
Then bursts: requests as fast as they are answered, which says what an exchange costs and how many a
core can take. Both builds of the gateway are measured, its source and the compiled one, and LiteLLM
where a request is one that it takes.

The servers are there all at once, each pinned to core 0; the load and the stub upstream share core
1. Each load goes to one server after another, in rounds, and the medians count: what else the
machine does falls on all alike. The ratio is of processor time, with nginx's as 1. A rate says
little by itself, so the share of the core that its server used stands beside it: below about 0.9
it was the load that was slow.

All talk plain HTTP on loopback.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench import peers
from bench.builds import compiled_package
from bench.gateway_ends import KEY, free_port, litellm, nginx, ours, running
from bench.loads import LOADS, Load
from bench.paced import EVERY, STREAMS, Pacing, pacing
from bench.result import SHORT, Line, Unavailable, processor_time

ROOT: Final = Path(__file__).parent.parent
SECONDS: Final = float(os.environ.get("BENCH_SECONDS", "2"))
ROUNDS: Final = 2 if SHORT else 3


_SHORT: Final = (0, 5, 6)  # of these, in the short form
_HEADLINE: Final = f"an event of {STREAMS} streams, one every {EVERY * 1000:.0f} ms"


@dataclass(frozen=True, slots=True)
class Measured:
    """One run of a load through one server. `cpu`: microseconds of the server's processor for a
    request, or an event; `share`: of a core, that it used; `p50`, `p99`: milliseconds.
    """

    per_second: float
    cpu: float
    share: float
    p50: float
    p99: float = 0.0
    errors: int = 0


@dataclass(frozen=True, slots=True)
class Server:
    """One that is measured: its name, where it listens, its process."""

    name: str
    port: int
    process: int

    def used(self) -> float:
        """Seconds of processor time that it and its children have used."""
        return _cpu(self.process)


def _wrk(load: Load, server: Server, folder: str, seconds: float) -> Measured:
    before, began = server.used(), time.monotonic()
    if load.first_byte:
        per_second, p50, errors = _first_byte(server.port, seconds)
    else:
        per_second, p50, errors = _wrk_said(load, server.port, folder, seconds)
    spent, taken = server.used() - before, time.monotonic() - began
    each = spent / max(1.0, per_second * seconds) * 1e6
    return Measured(per_second, each, spent / taken, p50, errors=errors)


def _wrk_said(load: Load, port: int, folder: str, seconds: float) -> tuple[float, float, int]:
    """Requests a second, their median in milliseconds, and how many failed."""
    script = Path(folder) / "load.lua"
    script.write_text(
        'wrk.method = "POST"\n'
        f"wrk.body = {json.dumps(load.body)}\n"
        'wrk.headers["content-type"] = "application/json"\n'
        f'wrk.headers["x-api-key"] = "{KEY}"\n'
        'wrk.headers["anthropic-version"] = "2023-06-01"\n'
        'wrk.headers["x-claude-code-session-id"] = "00000000-0000-4000-8000-000000000001"\n'
    )
    said = subprocess.run(
        [
            "taskset",
            "-c",
            "1",
            peers.program("wrk"),
            "-t1",
            f"-c{load.connections}",
            f"-d{max(1, round(seconds))}s",
            "--latency",
            "--timeout",
            "30s",
            "-s",
            str(script),
            f"http://127.0.0.1:{port}{load.path}",
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
    p50 = re.search(r"50%\s+([\d.]+)(us|ms|s)\b", said)
    assert rate is not None and p50 is not None, said
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
    lost = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", said)
    errors = (int(bad[1]) if bad else 0) + (sum(map(int, lost.groups())) if lost else 0)
    scale = {"us": 0.001, "ms": 1.0, "s": 1000.0}[p50[2]]
    return float(rate[1]), float(p50[1]) * scale, errors


def first_byte(port: int, seconds: float) -> None:
    """Print how many answers a second there were, and the median time to the first event in ms."""
    body = next(load.body for load in LOADS if load.first_byte).encode()
    request = (
        b"POST /v1/messages?beta=true HTTP/1.1\r\nHost: bench\r\ncontent-type: application/json\r\n"
        b"x-api-key: %b\r\nanthropic-version: 2023-06-01\r\ncontent-length: %d\r\n\r\n%b"
        % (KEY.encode(), len(body), body)
    )
    taken: list[float] = []
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        end = time.monotonic() + seconds
        while time.monotonic() < end or len(taken) < 3:
            began = time.perf_counter()
            connection.sendall(request)
            answer = connection.recv(65536)
            while b"message_start" not in answer:
                answer += connection.recv(65536)
            taken.append(time.perf_counter() - began)
            while not answer.endswith(b"0\r\n\r\n"):
                answer += connection.recv(65536)
    taken.sort()
    print(len(taken) / seconds, taken[len(taken) // 2] * 1000)


def _first_byte(port: int, seconds: float) -> tuple[float, float, int]:
    command = [sys.executable, "-m", "bench.gateway", str(port), str(seconds)]
    said = subprocess.run(
        ["taskset", "-c", "1", *command], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout.split()
    return float(said[0]), float(said[1]), 0


def _cpu(process: int) -> float:
    """Seconds of processor time that a process and its children have used."""
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return processor_time(process) + sum(_cpu(int(child)) for child in children)


# -- measuring -------------------------------------------------------------------------------------


def main() -> list[Line]:
    """Runs everything and gives the ratios."""
    for tool in ("wrk", "nginx", "taskset"):
        peers.program(tool)
    if (os.cpu_count() or 1) < 2:
        raise Unavailable("two cores are needed: one for the server, one for the load")
    lines: list[Line] = []
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        stub, paced = free_port(), free_port()
        upstream = f"http://127.0.0.1:{stub}"
        pace = stack.enter_context(pacing(paced, KEY, 1))
        alone = stack.enter_context(running(ours("stub", stub, "-", folder), stub, 1))
        no_gateway = Server("no gateway", stub, alone)
        with _servers(folder, f"http://127.0.0.1:{paced}") as servers:
            lines += _paced(pace, servers)
        loads = [LOADS[number] for number in _SHORT] if SHORT else LOADS
        with _servers(folder, upstream, peer=not SHORT) as servers:
            for load in loads:
                lines += _bursts(load, no_gateway, servers, folder)
    return lines


@contextlib.contextmanager
def _servers(folder: str, upstream: str, *, peer: bool = False) -> Iterator[list[Server]]:
    """Nginx first, then ours in both builds; with `peer`, LiteLLM too."""
    builds = {"in Python": {"PYTHONPATH": str(ROOT / "src")}}
    try:
        builds["compiled"] = {"PYTHONPATH": str(compiled_package())}
    except Unavailable as lack:
        print(f"the compiled build: {lack}", flush=True)
    kinds = {"spool": "recording", "passing": "zero retention"}
    if not SHORT:
        kinds["memory"] = "recorder in memory"
    with contextlib.ExitStack() as stack:
        found: list[Server] = []

        def start(name: str, command: list[str], port: int, seconds: float, **env: str) -> None:
            process = stack.enter_context(running(command, port, 0, seconds, **env))
            found.append(Server(name, port, process))

        port = free_port()
        own = Path(tempfile.mkdtemp(dir=folder))
        start("nginx", nginx(port, upstream, own), port, 20.0)
        for kind, what in kinds.items():
            for build, env in builds.items():
                port, own = free_port(), Path(tempfile.mkdtemp(dir=folder))
                start(f"{what}, {build}", ours(kind, port, upstream, str(own)), port, 30.0, **env)
        if peer and os.environ.get("BENCH_LITELLM") != "0":
            port, own = free_port(), Path(tempfile.mkdtemp(dir=folder))
            try:
                env = {"LITELLM": "1", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
                name = peers.version("litellm")
                start(name, litellm(port, upstream, own), port, 120.0, **env)
            except Unavailable as lack:
                print(f"LiteLLM: {lack}", flush=True)
        yield found


def _paced(pace: Pacing, servers: list[Server]) -> list[Line]:
    """The headline."""
    runs: dict[str, list[Measured]] = {one.name: [] for one in servers}
    for _ in range(ROUNDS):
        for server in servers:
            ran = pace.run(server.port, SECONDS * 2, server.used)
            runs[server.name].append(
                Measured(
                    ran.events / ran.seconds,
                    ran.processor / max(1, ran.events) * 1e6,
                    ran.processor / ran.seconds,
                    ran.p50 / 1000,
                    ran.p99 / 1000,
                )
            )
    return _lines(_HEADLINE, runs, " events/s")


def _bursts(load: Load, no_gateway: Server, servers: list[Server], folder: str) -> list[Line]:
    """One load through all that take it."""
    others = [one for one in servers if load.path == Load.path or "litellm" not in one.name]
    asked = [no_gateway, *others] if load.connections == 1 else others
    for server in asked:
        _wrk(load, server, folder, 1.0)  # warm
    runs: dict[str, list[Measured]] = {one.name: [] for one in asked}
    for _ in range(ROUNDS):
        for server in asked:
            runs[server.name].append(_wrk(load, server, folder, SECONDS))
    return _lines(load.name, runs, "/s")


def _lines(load: str, runs: dict[str, list[Measured]], unit: str) -> list[Line]:
    direct = runs.pop("no gateway", None)
    lines: list[Line] = []
    for name, several in runs.items():

        def middle(of: str, several: list[Measured] = several) -> float:
            return statistics.median(getattr(one, of) for one in several)

        result = f"{middle('cpu'):.0f} µs of processor"
        result += f"; {middle('per_second'):,.0f}{unit}, {middle('share'):.2f} of the core"
        if direct is not None:
            added = middle("p50") - statistics.median(one.p50 for one in direct)
            result += f"; p50 +{added:.2f} ms"
        if several[0].p99:
            result += f"; late by {middle('p50'):.2f} ms, p99 {middle('p99'):.1f}"
        if errors := sum(one.errors for one in several):
            result += f" ({errors} errors)"
        against = "" if name == "nginx" else _ratio(runs["nginx"], several)
        print(f"{load:46} {name:30} {result}  {against}", flush=True)
        lines.append((f"{load}: {name}", result, against))
    return lines


def _ratio(theirs: list[Measured], ours: list[Measured]) -> str:
    """Nginx's processor time as a part of ours, of the rounds in turn."""
    each = [one.cpu / max(other.cpu, 0.01) for one, other in zip(theirs, ours, strict=True)]
    return f"{statistics.median(each):.2f} of nginx"


if __name__ == "__main__":
    first_byte(int(sys.argv[1]), float(sys.argv[2]))

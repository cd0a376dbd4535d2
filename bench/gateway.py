"""The gateway against nginx and LiteLLM: requests a second, and what it adds to one request.

Every server in turn is pinned to core 0; the load (wrk) and the stub upstream share core 1. All
talk plain HTTP on loopback. What is compared was measured within the same minutes; on a machine
that does other work the ratios hold better than the numbers.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, cast

from bailee.admission import Unsealed
from bailee.clock import system_clock
from bailee.db.engine import open_sqlite
from bailee.db.migrate import upgrade
from bailee.gateway.access import Caller, Passage
from bailee.gateway.recording import Recording
from bailee.gateway.server import Gateway
from bailee.gateway.settings import GatewayConfig, Upstream
from bailee.keyring import FileRoot, Keyring
from bailee.testing.recording import MemoryRecording
from bailee.vault.exchange import Terms
from bailee.vault.spool import Spool
from bailee.vault.spool_writing import Kept
from bench.result import Line, Unavailable
from bench.streams import ASKED

ROOT = Path(__file__).parent.parent
LITELLM = ROOT / ".cache" / "bench-litellm"
SECONDS = int(os.environ.get("BENCH_SECONDS", "4"))
KEY = "bl_bench"

SMALL_ANSWER = json.dumps(
    {
        "id": "msg_bench",
        "type": "message",
        "role": "assistant",
        "model": "claude-bench",
        "content": [{"type": "text", "text": "Hello."}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 10, "output_tokens": 3},
    }
)


def _event(event: dict[str, Any]) -> str:
    return f"event: {event['type']}\ndata: {json.dumps(event)}\n\n"


def _delta(number: int) -> dict[str, Any]:
    delta = {"type": "text_delta", "text": f"word {number} "}
    return {"type": "content_block_delta", "index": 0, "delta": delta}


_message = {**json.loads(SMALL_ANSWER), "content": [], "stop_reason": None}
_block = {"type": "text", "text": ""}
STREAM = [
    _event({"type": "message_start", "message": _message}),
    _event({"type": "content_block_start", "index": 0, "content_block": _block}),
    *(_event(_delta(number)) for number in range(50)),
    _event({"type": "content_block_stop", "index": 0}),
    _event({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {}}),
    _event({"type": "message_stop"}),
]


@dataclass(frozen=True)
class Load:
    """One kind of load."""

    name: str
    connections: int
    body: str
    stream: bool
    first_byte: bool = False
    path: str = "/v1/messages?beta=true"


def _request(stream: bool, padding: int = 0) -> str:
    message = {"role": "user", "content": "Say hello." + "x" * padding}
    body = {"model": "claude-bench", "max_tokens": 64, "messages": [message]}
    return json.dumps({**body, "stream": True} if stream else body)


LOADS = (
    Load("small, 64 connections", 64, _request(False), False),
    Load("small, 1 connection", 1, _request(False), False),
    Load("50 deltas in a burst, 16 connections", 16, _request(True), True),
    Load("50 deltas in a burst, 1 connection", 1, _request(True), True),
    Load("120 KB request, 1 connection", 1, _request(False, 120_000), False),
    Load("120 KB request, 16 connections", 16, _request(False, 120_000), False),
    Load("first byte of a stream, 1 connection", 1, _request(True, 2000), True, first_byte=True),
    *(
        Load(f"50 deltas in a burst, 16 connections, {api}", 16, asked.body, True, path=asked.path)
        for api, asked in ASKED.items()
    ),
)
_PACED = 1500  # a longer request for a stream is answered event by event, with a pause first


@dataclass(frozen=True)
class Measured:
    """What wrk said. `p50` in milliseconds; `cpu` in microseconds of the server per request."""

    per_second: float
    p50: float
    errors: int
    cpu: float = 0.0


# -- the servers, each run as `python -m bench.gateway ROLE PORT UPSTREAM [FOLDER]` ---------------


class Stub(asyncio.Protocol):
    """An upstream that answers at once, the same every time."""

    body = SMALL_ANSWER.encode()
    small = (
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nrequest-id: req_1\r\n"
        b"content-length: %d\r\n\r\n%b" % (len(body), body)
    )
    streams: ClassVar = {
        path.partition("?")[0].encode(): (
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nrequest-id: req_1\r\n"
            b"transfer-encoding: chunked\r\n\r\n"
            + b"".join(b"%x\r\n%b\r\n" % (len(e), e.encode()) for e in events)
            + b"0\r\n\r\n"
        )
        for path, events in [
            ("/v1/messages", STREAM),
            *((asked.path, asked.events) for asked in ASKED.values()),
        ]
    }
    asked = re.compile(rb"POST ([^ ?]+)")
    length = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)

    def __init__(self) -> None:
        self.data = b""
        self.left = 0
        self.answer = b""
        self.stream = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if not self.left:
            data = self.data + data
            end = data.find(b"\r\n\r\n")
            if end < 0:
                self.data = data
                return
            self.data = b""
            match = self.length.search(data, 0, end)
            self.left = int(match[1]) if match else 0
            path = self.asked.match(data)
            self.stream = self.streams.get(path[1], b"") if path else b""
            data = data[end + 4 :]
            self.answer = b""
        paced = self.left > _PACED
        self.left -= len(data)
        self.answer = self.answer or (self.stream if b"true}" in data[-8:] else b"")
        if self.left <= 0:
            self.left = 0
            if paced and self.answer:
                begin = self.answer.index(b"content_block_start")
                rest = self.answer[begin:]
                self.transport.write(self.answer[:begin])
                asyncio.get_running_loop().call_later(0.002, self.transport.write, rest)
            else:
                self.transport.write(self.answer or self.small)


async def serve_stub(port: int) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Stub, "127.0.0.1", port)
    await server.serve_forever()


async def serve_gateway(kind: str, port: int, upstream: str, folder: str) -> None:
    class Forgetful(MemoryRecording):
        """As if durable at once; a list of a million exchanges would measure the allocator."""

        def settle(self) -> None:
            super().settle()
            self.exchanges.clear()

    terms, passage = Terms("P30D", "bench", "0" * 64), Passage(True, "bench")
    caller = Caller(
        "owner", "key", "bench", "api", kind == "passing", lambda _: terms, lambda *_: passage
    )

    class Everyone:
        def authenticate(self, presented: bytes) -> Caller | None:
            return caller if presented == KEY.encode() else None

    recording: Recording = Forgetful()
    if kind == "spool":
        recording = spool(Path(folder))
    gateway = Gateway(
        GatewayConfig(api=Upstream(upstream), openai=Upstream(upstream), google=Upstream(upstream)),
        Everyone(),
        recording,
        system_clock,
        lambda _: None,
    )
    await gateway.start("127.0.0.1", port)
    await asyncio.Event().wait()


def spool(folder: Path) -> Spool:
    """The real recording. What it has written is thrown away when a file is full."""
    files = folder / "spool"
    files.mkdir()

    class Nowhere:
        def kept(self, group: Sequence[Kept]) -> None:
            pass

        def closed(self, file: str) -> None:
            (files / file).unlink(missing_ok=True)

        def unsealed(self, owner: str) -> Unsealed:  # noqa: ARG002
            return Unsealed(0, 0)

    engine = open_sqlite(folder / "keyring.db")
    upgrade(engine, "keys")
    keyring = Keyring.open(engine, FileRoot(folder / "root.json"), system_clock)
    return Spool(files, keyring, system_clock, Nowhere())


NGINX = """
worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log crit;
events {{ worker_connections 1024; }}
http {{
  access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  client_max_body_size 32m; client_body_buffer_size 256k; keepalive_requests 100000000;
  upstream stub {{ server {upstream}; keepalive 128; keepalive_requests 100000000; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://stub; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_buffering off; proxy_request_buffering off;
    }}
  }}
}}
"""

LITELLM_CONFIG = """
model_list:
  - model_name: claude-bench
    litellm_params:
      model: anthropic/claude-bench
      api_base: {upstream}
      api_key: sk-none
litellm_settings:
  telemetry: false
general_settings:
  dangerously_permit_weak_or_unset_master_key: true  # on loopback, before a stub
"""


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@contextlib.contextmanager
def _running(
    command: list[str], port: int, core: int, seconds: float = 20.0, **env: str
) -> Iterator[int]:
    """A server pinned to a core, once its port is open; its process id."""
    errors = tempfile.TemporaryFile()  # noqa: SIM115 (the server keeps writing to it)
    process = subprocess.Popen(
        ["taskset", "-c", str(core), *command],
        cwd=ROOT,
        env={**os.environ, **env},
        stdout=subprocess.DEVNULL,
        stderr=errors,
    )
    try:
        end = time.monotonic() + seconds
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            if process.poll() is not None or time.monotonic() > end:
                errors.seek(0)
                said = errors.read()[-400:].decode(errors="replace")
                raise Unavailable(f"{command[0]} did not start: {said}")
            time.sleep(0.1)
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _ours(kind: str, port: int, upstream: str, folder: str) -> list[str]:
    return [sys.executable, "-m", "bench.gateway", kind, str(port), upstream, folder]


def _wrk(load: Load, port: int, folder: str, seconds: int = SECONDS) -> Measured:
    if load.first_byte:
        return _first_byte(port, seconds)
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
            "wrk",
            "-t1",
            f"-c{load.connections}",
            f"-d{seconds}s",
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
    return Measured(float(rate[1]), float(p50[1]) * scale, errors)


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


def _first_byte(port: int, seconds: int) -> Measured:
    command = [sys.executable, "-m", "bench.gateway", "first-byte", str(port), str(seconds)]
    said = subprocess.run(
        ["taskset", "-c", "1", *command], capture_output=True, text=True, check=True
    ).stdout.split()
    return Measured(float(said[0]), float(said[1]), 0)


def _litellm() -> Path | None:
    """LiteLLM's command, installed into a place of its own when it is not there; None when it
    can't be had.
    """
    command = LITELLM / "bin" / "litellm"
    if command.exists():
        return command
    uv = ROOT / ".venv" / "bin" / "uv"
    made = subprocess.run([uv, "venv", "-q", "--clear", LITELLM], check=False, cwd=ROOT)
    if made.returncode:
        return None
    print("installing litellm[proxy] into .cache/bench-litellm (once)", flush=True)
    install = [uv, "pip", "install", "-q", "--python", LITELLM, "litellm[proxy]"]
    done = subprocess.run(install, check=False, cwd=ROOT)
    return command if done.returncode == 0 and command.exists() else None


def _servers(folder: str, upstream: str) -> Iterator[tuple[str, list[str], int, dict[str, str]]]:
    port = _free_port()
    conf = Path(folder) / "nginx.conf"
    conf.write_text(
        NGINX.format(folder=folder, port=port, upstream=upstream.removeprefix("http://"))
    )
    yield "nginx", ["nginx", "-p", folder, "-c", str(conf), "-e", f"{folder}/error.log"], port, {}
    port = _free_port()
    yield "bailee, recording", _ours("spool", port, upstream, folder), port, {}
    port = _free_port()
    yield "bailee, recorder in memory", _ours("memory", port, upstream, folder), port, {}
    port = _free_port()
    yield "bailee, zero retention", _ours("passing", port, upstream, folder), port, {}
    if os.environ.get("BENCH_LITELLM") == "0":
        return
    if (litellm := _litellm()) is None:
        print("LiteLLM: not installed", flush=True)
        return
    port = _free_port()
    config = Path(folder) / "litellm.yaml"
    config.write_text(LITELLM_CONFIG.format(upstream=upstream))
    command = [str(litellm), "--config", str(config), "--port", str(port), "--host", "127.0.0.1"]
    yield "LiteLLM", command, port, {"LITELLM": "1", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}


def main() -> list[Line]:
    """Runs everything and gives the ratios."""
    for tool in ("wrk", "nginx", "taskset"):
        if shutil.which(tool) is None:
            raise Unavailable(f"{tool} is not installed")
    if (os.cpu_count() or 1) < 2:
        raise Unavailable("two cores are needed: one for the server, one for the load")
    found: dict[tuple[str, str], Measured] = {}
    names: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        stub_port = _free_port()
        upstream = f"http://127.0.0.1:{stub_port}"
        with _running(_ours("stub", stub_port, "-", folder), stub_port, 1) as pid:
            _measure("no gateway", pid, stub_port, folder, found)
            for name, command, port, env in _servers(folder, upstream):
                slow = name == "LiteLLM"
                try:
                    with _running(command, port, 0, 120.0 if slow else 20.0, **env) as server:
                        _measure(name, server, port, folder, found)
                        names.append(name)
                except Unavailable as lack:
                    print(f"{name}: {lack}", flush=True)
    return _lines(names, found)


def _cpu(pid: int) -> float:
    """Seconds of processor time that a process and its children have used."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    own = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return own + sum(_cpu(int(child)) for child in children)


def _measure(
    name: str, pid: int, port: int, folder: str, found: dict[tuple[str, str], Measured]
) -> None:
    for load in LOADS:
        if name == "LiteLLM" and load.path != Load.path:
            continue  # it translates, for these to another provider than the stub
        _wrk(load, port, folder, 1)  # warm
        before = _cpu(pid)
        got = _wrk(load, port, folder)
        cpu = (_cpu(pid) - before) / max(1.0, got.per_second * SECONDS) * 1e6
        got = found[load.name, name] = replace(got, cpu=cpu)
        print(
            f"{name:28} {load.name:38} {got.per_second:9.0f}/s  p50 {got.p50:7.3f} ms  "
            f"{cpu:7.0f} us of cpu" + (f"  {got.errors} errors" if got.errors else ""),
            flush=True,
        )


def _lines(names: list[str], found: dict[tuple[str, str], Measured]) -> list[Line]:
    lines: list[Line] = []
    for load in LOADS:
        nginx, direct = found.get((load.name, "nginx")), found[load.name, "no gateway"]
        for name in names:
            got = found.get((load.name, name))
            if got is None:
                continue
            against = ""
            if name != "nginx" and nginx is not None:
                against = f"{got.per_second / nginx.per_second:.2f} of nginx's rate"
            added = f", p50 +{got.p50 - direct.p50:.2f} ms" if load.connections == 1 else ""
            result = f"{got.per_second:,.0f}/s, {got.cpu:.0f} µs of CPU{added}"
            if got.errors:
                result += f" ({got.errors} errors)"
            lines.append((f"{load.name}: {name}", result, against))
    return lines


if __name__ == "__main__":
    import uvloop

    role, number, *rest = sys.argv[1:]
    with contextlib.suppress(KeyboardInterrupt):
        if role == "first-byte":
            first_byte(int(number), float(rest[0]))
        elif role == "stub":
            uvloop.run(serve_stub(int(number)))
        else:
            uvloop.run(serve_gateway(role, int(number), rest[0], rest[1]))

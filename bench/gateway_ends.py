"""What stands at either end of the gateway's benchmarks, and beside it: the stub upstream, the
gateway alone, nginx, LiteLLM; each a process of its own, on a core.

    python -m bench.gateway_ends ROLE PORT UPSTREAM [FOLDER]
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final, cast

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
from bailee.vault.spool_store import FolderSpool
from bailee.vault.spool_writing import Kept
from bench import peers
from bench.result import Unavailable
from bench.streams import ASKED

ROOT = Path(__file__).parent.parent
KEY: Final = "bl_bench"
PACED: Final = 1500  # a longer request for a stream is answered event by event, with a pause first
_SWITCH: Final = 0.0005  # as `bailee up` sets it

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
        paced = self.left > PACED
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

        def unsealed(self, owner: str) -> Unsealed:  # noqa: ARG002
            return Unsealed(0, 0)

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
    sys.setswitchinterval(_SWITCH)
    await gateway.start("127.0.0.1", port)
    gc.freeze()  # as `bailee up` does
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
    store = FolderSpool(files, files.with_name("quarantine"))
    return Spool(store, keyring, system_clock, Nowhere())


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


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@contextlib.contextmanager
def running(
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


def ours(kind: str, port: int, upstream: str, folder: str) -> list[str]:
    """The command of a role of this module."""
    return [sys.executable, "-m", "bench.gateway_ends", kind, str(port), upstream, folder]


def nginx(port: int, upstream: str, folder: Path) -> list[str]:
    """The command of nginx as a pass-through."""
    folder.mkdir(exist_ok=True)
    conf = folder / "nginx.conf"
    conf.write_text(
        NGINX.format(folder=folder, port=port, upstream=upstream.removeprefix("http://"))
    )
    program = peers.program("nginx")
    return [program, "-p", str(folder), "-c", str(conf), "-e", f"{folder}/error.log"]


def litellm(port: int, upstream: str, folder: Path) -> list[str]:
    """The command of LiteLLM with one model, which the stub answers for.

    Raises:
        Unavailable: it can't be had.
    """
    program = peers.package("litellm") / "bin" / "litellm"
    folder.mkdir(exist_ok=True)
    config = folder / "litellm.yaml"
    config.write_text(LITELLM_CONFIG.format(upstream=upstream))
    listening = ["--port", str(port), "--host", "127.0.0.1"]
    return [str(program), "--config", str(config), *listening]


if __name__ == "__main__":
    import uvloop

    role, number, *rest = sys.argv[1:]
    with contextlib.suppress(KeyboardInterrupt):
        if role == "stub":
            uvloop.run(serve_stub(int(number)))
        else:
            uvloop.run(serve_gateway(role, int(number), rest[0], rest[1]))

"""A scripted upstream that speaks the Messages API, for tests of anything that calls a model.

It listens on loopback in a thread of its own, so that synchronous and asynchronous clients, other
processes and real coding agents can all talk to it, and it keeps every request byte for byte.

    with ScriptedUpstream([ToolUse("Bash", {"command": "ls"}), Text("Two files.")]) as upstream:
        ...  # point a client at upstream.url
        upstream.requests[0].json["model"]

Turns of the script answer the requests that carry a conversation with tools, in order; when they
are used up, `after` answers. Requests without tools (a title, a summary) get `aside` and use up
no turn, unless the upstream is made with `tools_only=False`, when every conversation takes one.
Bedrock's and Vertex's paths are answered in their own formats.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import itertools
import json
import re
import ssl
import struct
import threading
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from types import TracebackType
from typing import Any, Final, Literal, Protocol, TypedDict, Unpack

Part = bytes | float | Literal["abort", "wait"]


@lru_cache(maxsize=1)  # an answer asks several times, and a body may take a second
def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it came.

    `raw` is everything from the request line to the last byte of the body, as on the wire; `body`
    the body without its transfer coding. `connection` numbers the connections from 0.
    """

    method: str
    target: str
    head: bytes
    raw: bytes
    body: bytes
    headers: tuple[tuple[str, str], ...]
    connection: int

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    @property
    def json(self) -> Any:
        """The body as JSON, None when it is not."""
        return _parsed(self.body)

    def header(self, name: str) -> str | None:
        """The first value of a header, whatever its spelling."""
        return next((v for n, v in self.headers if n.lower() == name.lower()), None)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer as bytes.

    `parts` are written one by one: bytes; a number of seconds to wait; `"abort"`, which resets
    the connection there; `"wait"`, which waits until the client has gone or the upstream stops.
    `framing`: a length, chunks (one per part), or the connection's end.
    """

    status: int = 200
    headers: tuple[tuple[str, str], ...] = (("content-type", "application/json"),)
    parts: tuple[Part, ...] = ()
    framing: Literal["length", "chunked", "close"] = "length"
    reason: str = "OK"


class Turn(Protocol):
    """Something that answers one request."""

    def reply(self, request: Received) -> Reply:
        """The answer to `request`."""
        ...


@dataclass(frozen=True, slots=True)
class Exactly:
    """Answers with a given reply."""

    given: Reply

    def reply(self, request: Received) -> Reply:  # noqa: ARG002
        """See `Turn.reply`."""
        return self.given


@dataclass(frozen=True, slots=True)
class Failure:
    """Answers with an API error."""

    status: int
    kind: str
    message: str = "scripted"
    headers: tuple[tuple[str, str], ...] = ()

    def reply(self, request: Received) -> Reply:  # noqa: ARG002
        """See `Turn.reply`."""
        body = {"type": "error", "error": {"type": self.kind, "message": self.message}}
        headers = (("content-type", "application/json"), *self.headers)
        return Reply(self.status, headers, (json.dumps(body).encode(),), reason="Scripted")


@dataclass(frozen=True, slots=True)
class AssistantMessage:
    """Answers with an assistant message, streamed when the request asks for that.

    `pause` seconds are waited between the events of a stream. `cut` ends the stream after that
    many events, with a reset.
    """

    content: tuple[dict[str, object], ...]
    stop_reason: str = "end_turn"
    pause: float = 0.0
    cut: int | None = None
    usage: dict[str, int] = field(default_factory=lambda: {"input_tokens": 12, "output_tokens": 7})
    headers: tuple[tuple[str, str], ...] = ()

    def message(self, request: Received) -> dict[str, object]:
        """The message as a non-streaming answer holds it."""
        body = request.json if isinstance(request.json, dict) else {}
        return {
            "id": f"msg_{zlib.crc32(request.body):08x}",  # Claude Code joins what has one id
            "type": "message",
            "role": "assistant",
            "model": body.get("model", "scripted-model"),
            "content": list(self.content),
            "stop_reason": self.stop_reason,
            "stop_sequence": None,
            "usage": self.usage,
        }

    def events(self, request: Received) -> list[dict[str, object]]:
        """The message as events."""
        message = self.message(request)
        usage = {**self.usage, "output_tokens": 1}
        start = {**message, "content": [], "stop_reason": None, "usage": usage}
        events: list[dict[str, object]] = [{"type": "message_start", "message": start}]
        for index, block in enumerate(self.content):
            events += _block_events(index, block)
            if index == 0:
                events.insert(2, {"type": "ping"})
        delta = {"stop_reason": self.stop_reason, "stop_sequence": None}
        output = {"output_tokens": self.usage["output_tokens"]}
        events.append({"type": "message_delta", "delta": delta, "usage": output})
        events.append({"type": "message_stop"})
        return events

    def reply(self, request: Received) -> Reply:
        """See `Turn.reply`."""
        binary = "invoke-with-response-stream" in request.path
        asked = isinstance(request.json, dict) and request.json.get("stream") is True
        ids = (("request-id", "req_scripted"), *self.headers)
        if not (binary or asked or request.path.endswith(":streamRawPredict")):
            body = json.dumps(self.message(request)).encode()
            return Reply(200, (("content-type", "application/json"), *ids), (body,))
        encode = frame if binary else sse
        kind = "application/vnd.amazon.eventstream" if binary else "text/event-stream"
        parts: list[Part] = []
        for number, event in enumerate(self.events(request)):
            if number == self.cut:
                parts.append("abort")
                break
            if number and self.pause:
                parts.append(self.pause)
            parts.append(encode(event))
        headers = (("content-type", kind), ("cache-control", "no-cache"), *ids)
        return Reply(200, headers, tuple(parts), "chunked")


class _MessageOptions(TypedDict, total=False):
    """What else may be said of an `AssistantMessage`."""

    pause: float
    cut: int | None
    usage: dict[str, int]
    headers: tuple[tuple[str, str], ...]


class _TextOptions(_MessageOptions, total=False):
    stop_reason: str


def Text(text: str, **options: Unpack[_TextOptions]) -> AssistantMessage:
    """A turn that says `text`."""
    return AssistantMessage(({"type": "text", "text": text},), **options)


_tool_ids = itertools.count(1)


def ToolUse(
    name: str, arguments: dict[str, object], **options: Unpack[_MessageOptions]
) -> AssistantMessage:
    """A turn that calls one tool."""
    block = {"type": "tool_use", "id": f"toolu_{next(_tool_ids):06d}", "name": name}
    return AssistantMessage(({**block, "input": arguments},), stop_reason="tool_use", **options)


def sse(event: dict[str, object]) -> bytes:
    """One event of the API's streams."""
    return f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()


def frame(event: dict[str, object]) -> bytes:
    """One event in Bedrock's binary stream (`application/vnd.amazon.eventstream`)."""
    inner = base64.b64encode(json.dumps(event).encode()).decode()
    payload = json.dumps({"bytes": inner, "p": "abcdefgh"}).encode()
    headers = b"".join(
        bytes([len(name)]) + name + b"\x07" + struct.pack(">H", len(value)) + value
        for name, value in (
            (b":event-type", b"chunk"),
            (b":content-type", b"application/json"),
            (b":message-type", b"event"),
        )
    )
    prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    body = prelude + struct.pack(">I", binascii.crc32(prelude)) + headers + payload
    return body + struct.pack(">I", binascii.crc32(body))


def _block_events(index: int, block: dict[str, object]) -> list[dict[str, object]]:
    kind = block["type"]
    deltas: list[dict[str, object]]
    if kind == "text":
        empty = {**block, "text": ""}
        deltas = [{"type": "text_delta", "text": piece} for piece in _pieces(str(block["text"]))]
    elif kind == "thinking":
        empty = {**block, "thinking": "", "signature": ""}
        deltas = [
            {"type": "thinking_delta", "thinking": piece}
            for piece in _pieces(str(block["thinking"]))
        ]
        deltas.append({"type": "signature_delta", "signature": block.get("signature", "")})
    elif kind == "tool_use":
        empty = {**block, "input": {}}
        deltas = [
            {"type": "input_json_delta", "partial_json": piece}
            for piece in ("", *_pieces(json.dumps(block["input"])))
        ]
    else:
        empty, deltas = block, []
    events = [{"type": "content_block_start", "index": index, "content_block": empty}]
    events += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
    events.append({"type": "content_block_stop", "index": index})
    return events


def _pieces(text: str, size: int = 9) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)] or [""]


_CONVERSATION: Final = re.compile(
    r"/v1/messages$|/model/[^/]+/invoke(-with-response-stream)?$|:(stream)?[rR]awPredict$"
    r"|/v1/responses$|/chat/completions$|:(stream)?[gG]enerateContent$"
)


class ScriptedUpstream:
    """An upstream that answers by a script, on a port of this machine. Use as a context manager, or
    `start` and `stop`.

    `requests` are all requests in the order of their arrival; `conversations` those that carry
    messages. `port` 0 takes one that is free.
    """

    def __init__(
        self,
        script: Iterable[Turn] = (),
        *,
        tools_only: bool = True,
        aside: Turn | None = None,
        after: Turn | None = None,
        port: int = 0,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self.requests: list[Received] = []
        self.connections = 0
        self._script = list(script)
        self._tools_only = tools_only
        self._aside: Turn = aside or Text("Scripted session")
        self._after: Turn = after or Text("Done.")
        self._lock = threading.Lock()
        self._port = port
        self._ssl = ssl_context
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._stopping: asyncio.Event | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    # -- what a test does ------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """Its base URL."""
        return f"http{'s' if self._ssl else ''}://127.0.0.1:{self._port}"

    @property
    def port(self) -> int:
        """Its port."""
        return self._port

    @property
    def conversations(self) -> list[Received]:
        """The requests that carry messages, without token counts."""
        return [r for r in self.requests if r.method == "POST" and _CONVERSATION.search(r.path)]

    def then(self, *turns: Turn) -> None:
        """Adds turns to the script."""
        with self._lock:
            self._script += turns

    def drop_connections(self) -> None:
        """Closes every connection, as an upstream does with idle ones."""
        self._on_each(lambda writer: writer.transport.abort())

    def write(self, data: bytes) -> None:
        """Writes to every connection what nobody asked for."""
        self._on_each(lambda writer: writer.write(data))

    def _on_each(self, act: Callable[[asyncio.StreamWriter], None]) -> None:
        loop = self._loop
        if loop is None:
            return
        done = threading.Event()

        def run() -> None:
            for writer in tuple(self._writers):
                act(writer)
            # The transport does what it was told in the loop's next turn.
            loop.call_soon(loop.call_soon, done.set)

        loop.call_soon_threadsafe(run)
        done.wait(5)

    def __enter__(self) -> ScriptedUpstream:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> ScriptedUpstream:
        """Listens."""
        ready = threading.Event()
        failed: list[BaseException] = []

        async def main() -> None:
            self._loop = asyncio.get_running_loop()
            self._stopping = asyncio.Event()
            try:
                server = await asyncio.start_server(
                    self._serve, "127.0.0.1", self._port, ssl=self._ssl, limit=64 * 1024 * 1024
                )
            except OSError as error:
                failed.append(error)
                ready.set()
                return
            self._port = server.sockets[0].getsockname()[1]
            ready.set()
            await self._stopping.wait()
            server.close()
            for writer in tuple(self._writers):
                writer.transport.abort()
            await asyncio.sleep(0)

        self._thread = threading.Thread(target=asyncio.run, args=(main(),), daemon=True)
        self._thread.start()
        ready.wait()
        if failed:
            raise failed[0]
        return self

    def stop(self) -> None:
        """Stops listening and closes every connection."""
        if self._loop is not None and self._stopping is not None:
            with contextlib.suppress(RuntimeError):  # already stopped
                self._loop.call_soon_threadsafe(self._stopping.set)
        if self._thread is not None:
            self._thread.join(5)

    # -- answering -------------------------------------------------------------------------------

    def _turn(self, request: Received) -> Turn:
        path, body = request.path, request.json
        if path.endswith("/v1/messages/count_tokens"):
            return _document({"input_tokens": max(1, len(request.body) // 4)})
        if path.endswith("/v1/models"):
            model = {"type": "model", "id": "scripted-model", "display_name": "Scripted"}
            return _document(
                {"data": [model], "has_more": False, "first_id": None, "last_id": None}
            )
        if request.method == "HEAD":
            return Exactly(Reply())
        if path.startswith("/managed/"):  # of a gateway, and of no provider
            return Exactly(Reply(404))
        has_tools = isinstance(body, dict) and bool(body.get("tools"))
        with self._lock:
            if self._tools_only and not has_tools and _CONVERSATION.search(path):
                return self._aside
            return self._script.pop(0) if self._script else self._after

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number, self.connections = self.connections, self.connections + 1
        self._writers.add(writer)
        try:
            while (request := await _read(reader, writer, number)) is not None:
                self.requests.append(request)
                reply = self._turn(request).reply(request)
                if not await self._write(writer, request, reply):
                    break
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _write(self, writer: asyncio.StreamWriter, request: Received, reply: Reply) -> bool:
        bodiless = request.method == "HEAD" or reply.status in (204, 304)
        lines = [f"HTTP/1.1 {reply.status} {reply.reason}"]
        lines += [f"{name}: {value}" for name, value in reply.headers]
        if reply.framing == "length" and reply.status not in (204, 304):
            lines.append(f"content-length: {sum(len(p) for p in _bytes_of(reply.parts))}")
        elif reply.framing == "chunked":
            lines.append("transfer-encoding: chunked")
        elif reply.framing == "close":
            lines.append("connection: close")
        writer.write("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n")
        for part in () if bodiless else reply.parts:
            if isinstance(part, bytes):
                chunked = reply.framing == "chunked"
                writer.write(b"%x\r\n%b\r\n" % (len(part), part) if chunked else part)
                await writer.drain()
            elif part == "abort":
                await asyncio.sleep(0.05)  # what was written goes out first
                writer.transport.abort()
                return False
            elif part == "wait":
                assert self._stopping is not None
                await self._stopping.wait()
                return False
            else:
                await asyncio.sleep(float(part))
        if reply.framing == "chunked" and not bodiless:
            writer.write(b"0\r\n\r\n")
        await writer.drain()
        return reply.framing != "close"


def _document(content: dict[str, object]) -> Exactly:
    headers = (("content-type", "application/json"), ("request-id", "req_scripted"))
    return Exactly(Reply(200, headers, (json.dumps(content).encode(),)))


def _bytes_of(parts: Sequence[Part]) -> list[bytes]:
    return [part for part in parts if isinstance(part, bytes)]


async def _read(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
) -> Received | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return None
    lines = head[:-4].decode("latin-1").split("\r\n")
    method, target, _ = lines[0].split(" ")
    headers = tuple(
        (name, value.strip(" \t")) for name, _, value in (line.partition(":") for line in lines[1:])
    )
    named = {name.lower(): value for name, value in headers}
    raw = body = b""
    if named.get("expect", "").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    if "transfer-encoding" in named:
        while True:
            line = await reader.readuntil(b"\r\n")
            size = int(line.split(b";")[0], 16)
            data = await reader.readexactly(size) if size else b""
            end = await reader.readuntil(b"\r\n")
            raw += line + data + end
            body += data
            if not size:
                break
    elif "content-length" in named:
        raw = body = await reader.readexactly(int(named["content-length"]))
    return Received(method, target, head, head + raw, body, headers, number)

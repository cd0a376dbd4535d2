"""A real gateway on a loop of its own, and a client that sees and sends bytes."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any, Protocol

import pytest
import uvloop

from bailee.admission import OnDisk
from bailee.clock import system_clock
from bailee.errors import StorageError
from bailee.gateway.access import Caller, NothingKept, Passage
from bailee.gateway.credentials import FixedKey, KeyForm
from bailee.gateway.routes import GatewayRoute
from bailee.gateway.server import Gateway
from bailee.gateway.settings import GatewayConfig, GatewayLimits, Upstream
from bailee.gateway.summary import ExchangeSummary
from bailee.testing.recording import MemoryRecording
from bailee.testing.upstream import ScriptedUpstream
from bailee.vault.exchange import Terms

TERMS = Terms("P30D", "test.clause", "0" * 64)
QUICK = GatewayLimits(ping=0)
REFUSED = "So says the clause.", "ask whoever may open it"
"""What the policy says of a refusal, and what to do."""


def passes(where: GatewayRoute, own: bool) -> Passage:
    """As the shipped policy has it for an account that was not named."""
    return Passage(where.kind != "other" or own, f"test.{where.kind}", *REFUSED)


def converses(where: GatewayRoute, own: bool) -> Passage:
    """As the shipped policy has it for a cloud session's key."""
    return Passage(where.kind == "conversation", f"test.{where.kind}", *REFUSED)


class Keys:
    """`bl_keep` keeps, and `bl_else` of another account; `bl_zero` is under zero retention,
    `bl_cloud` is a cloud session's; of `bl_late` it is not known at the moment; there are no
    others.
    """

    def authenticate(self, presented: bytes) -> Caller | None:
        """See `Access`."""
        if presented == b"bl_keep":
            return Caller("acc_1", "key_1", "laptop", "pro", False, lambda channel: TERMS, passes)
        if presented == b"bl_else":
            return Caller("acc_3", "key_3", "other", "pro", False, lambda channel: TERMS, passes)
        if presented == b"bl_zero":
            unkept = NothingKept("test.zero")
            return Caller("acc_2", "key_2", "secret", "api", True, lambda channel: unkept, passes)
        if presented == b"bl_cloud":
            return Caller(
                "acc_3", "key_3", "cse_1", "team", False, lambda channel: TERMS, converses
            )
        if presented == b"bl_late":
            raise StorageError("that was not confirmed.", code="outdated")
        return None


@dataclass
class Answer:
    """What a client saw. `complete`: it ended as its framing says. `fields` as they came."""

    status: int
    reason: str
    fields: list[tuple[str, str]]
    body: bytes
    complete: bool
    informational: list[int]

    def field(self, name: str) -> str | None:
        """The first value of a field, whatever its spelling."""
        return next((v for n, v in self.fields if n.lower() == name.lower()), None)


class Raw:
    """A client connection that sends and shows bytes."""

    def __init__(self, port: int, context: ssl.SSLContext | None = None) -> None:
        self.sock: socket.socket = socket.create_connection(("127.0.0.1", port), 10)
        if context is not None:
            self.sock = context.wrap_socket(self.sock, server_hostname="localhost")
        self.data = b""
        self.closed = False
        self.reset = False

    def send(self, data: bytes) -> Raw:
        """Sends."""
        self.sock.sendall(data)
        return self

    def more(self) -> bool:
        """Reads once; False when the other side has closed."""
        try:
            data = self.sock.recv(65536)
        except ConnectionResetError:
            self.reset = self.closed = True
            return False
        self.closed = not data
        self.data += data
        return bool(data)

    def until(self, mark: bytes) -> bytes:
        """Reads until `mark` has come; what came, including it."""
        while mark not in self.data:
            assert self.more(), f"closed before {mark!r}: {self.data!r}"
        return self.data

    def quiet(self, seconds: float = 0.15) -> bytes:
        """What came when nothing more comes for a while."""
        self.sock.settimeout(seconds)
        with contextlib.suppress(TimeoutError):
            while self.more():
                pass
        self.sock.settimeout(10)
        return self.data

    def _take(self, size: int) -> bytes | None:
        while len(self.data) < size:
            if not self.more():
                return None
        taken, self.data = self.data[:size], self.data[size:]
        return taken

    def _line(self) -> bytes | None:
        while b"\r\n" not in self.data:
            if not self.more():
                return None
        line, _, self.data = self.data.partition(b"\r\n")
        return line

    def answer(self, method: str = "POST") -> Answer:
        """The next answer."""
        informational: list[int] = []
        while True:
            first = self._line()
            assert first is not None, "closed without an answer"
            status = int(first.split(b" ")[1])
            reason = first.split(b" ", 2)[2].decode("latin-1")
            fields = []
            while line := self._line():
                name, _, value = line.decode("latin-1").partition(":")
                fields.append((name, value.strip()))
            if status >= 200:
                break
            informational.append(status)
        found = Answer(status, reason, fields, b"", True, informational)
        if method == "HEAD" or status in (204, 304):
            return found
        if (found.field("transfer-encoding") or "") == "chunked":
            while found.complete:
                line = self._line()
                size = int(line, 16) if line else None
                chunk = self._take(size + 2) if size is not None else None
                if chunk is None:
                    found.complete = False
                    found.body += self.data
                    break
                found.body += chunk[:-2]
                if size == 0:
                    break
        elif (length := found.field("content-length")) is not None:
            body = self._take(int(length))
            found.complete = body is not None
            found.body = self.data if body is None else body
        else:
            while self.more():
                pass
            found.body, self.data = self.data, b""
            found.complete = not self.reset
        return found

    def close(self) -> None:
        """Closes."""
        self.sock.close()


class Serving:
    """A gateway that runs in a thread."""

    def __init__(self, config: GatewayConfig, recording: Any, context: Any = None) -> None:
        self.recording = recording
        self.disk: dict[str, OnDisk] = {}  # by owner; set by a test
        self.summaries: list[ExchangeSummary] = []
        self._config = config
        self._context = context
        self._clients: list[Raw] = []
        self._stop: asyncio.Event
        self._grace = 0.2

    def __enter__(self) -> Serving:
        started: Future[int] = Future()
        self._thread = threading.Thread(target=uvloop.run, args=(self._main(started),))
        self._thread.start()
        self.port = started.result(10)
        return self

    async def _main(self, started: Future[int]) -> None:
        self.loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self.gateway = Gateway(
            self._config,
            Keys(),
            self.recording,
            system_clock,
            self.summaries.append,
            disk=lambda owner: self.disk.get(owner, OnDisk()),
        )
        try:
            started.set_result(await self.gateway.start("127.0.0.1", 0, self._context))
        except BaseException as error:
            started.set_exception(error)
            return
        await self._stop.wait()
        await self.gateway.close(self._grace)

    def __exit__(self, *unused: object) -> None:
        for client in self._clients:
            client.close()
        self.stop()

    def stop(self, grace: float = 0.2) -> None:
        """Stops the gateway."""
        if self._thread.is_alive():
            self._grace = grace
            self.loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(20)

    @property
    def url(self) -> str:
        """Its base URL."""
        return f"http{'s' if self._context else ''}://127.0.0.1:{self.port}"

    def connect(self, context: ssl.SSLContext | None = None) -> Raw:
        """A new client connection."""
        client = Raw(self.port, context)
        self._clients.append(client)
        return client

    def on_loop(self, call: Callable[[], Any]) -> Any:
        """Runs `call` on the gateway's loop; gives its result."""
        result: Future[Any] = Future()

        def run() -> None:
            try:
                result.set_result(call())
            except BaseException as error:
                result.set_exception(error)

        self.loop.call_soon_threadsafe(run)
        return result.result(10)

    def wait(self, there: Callable[[], bool], seconds: float = 10.0) -> None:
        """Until something is so on the loop's side."""
        waited = threading.Event()
        for _ in range(int(seconds / 0.005)):
            if self.on_loop(there):
                return
            waited.wait(0.005)
        raise AssertionError("it did not come about")

    def summary(self, number: int = 1) -> ExchangeSummary:
        """The summary of the `number`th exchange."""
        self.wait(lambda: len(self.summaries) >= number)
        return self.summaries[number - 1]


class Serve(Protocol):
    """Starts a gateway before an upstream."""

    def __call__(
        self,
        upstream: ScriptedUpstream | str,
        *,
        recording: Any = None,
        limits: GatewayLimits = QUICK,
        context: ssl.SSLContext | None = None,
        settings: dict[str, Any] | None = None,
        **config: Any,
    ) -> Serving:
        """See the class."""
        ...


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts gateways; they stop with the test."""
    with contextlib.ExitStack() as stack:

        def start(
            upstream: ScriptedUpstream | str,
            *,
            recording: Any = None,
            limits: GatewayLimits = QUICK,
            context: ssl.SSLContext | None = None,
            settings: dict[str, Any] | None = None,
            **config: Any,
        ) -> Serving:
            url = upstream if isinstance(upstream, str) else upstream.url
            there = replace(Upstream(url, FixedKey("sk-upstream")), **(settings or {}))
            made = GatewayConfig(api=there, limits=limits)
            made = replace(made, bedrock=there, vertex=there, foundry=there)
            made = replace(
                made,
                openai=replace(there, credential=FixedKey("sk-upstream", KeyForm.BEARER)),
                google=replace(there, credential=FixedKey("sk-upstream", KeyForm.X_GOOG_API_KEY)),
                azure=replace(there, credential=FixedKey("sk-upstream", KeyForm.API_KEY)),
            )
            made = replace(made, **config)
            recorded = MemoryRecording() if recording is None else recording
            return stack.enter_context(Serving(made, recorded, context))

        yield start


def post(
    body: bytes = b'{"model":"m","messages":[],"tools":[{"name":"t"}]}',
    *,
    path: str = "/v1/messages",
    key: str = "bl_keep",
    extra: str = "",
    framing: bool = True,
) -> bytes:
    """A request as bytes."""
    length = f"Content-Length: {len(body)}\r\n" if framing else ""
    head = f"POST {path} HTTP/1.1\r\nHost: gateway\r\nx-api-key: {key}\r\n{extra}{length}\r\n"
    return head.encode("latin-1") + body


@pytest.fixture(name="post")
def post_fixture() -> Callable[..., bytes]:
    """Makes requests as bytes."""
    return post


@pytest.fixture
def raw() -> type[Raw]:
    """Makes connections to a port."""
    return Raw


@dataclass
class Both:
    """One request without a gateway and with one: as the upstream got it, as the client saw it."""

    direct: Any
    through: Any
    direct_answer: Answer
    through_answer: Answer
    serving: Serving


@pytest.fixture
def both(serve: Serve) -> Callable[..., Both]:
    """Sends the same bytes to the upstream and to a gateway before it."""

    def send(upstream: ScriptedUpstream, request: bytes, **options: Any) -> Both:
        method = request.split(b" ", 1)[0].decode()
        bare = Raw(upstream.port)
        direct_answer = bare.send(request).answer(method)
        bare.close()
        serving = serve(upstream, **options)
        through_answer = serving.connect().send(request).answer(method)
        direct, through = upstream.requests
        return Both(direct, through, direct_answer, through_answer, serving)

    return send


@pytest.fixture
def raw_upstream() -> Iterator[Callable[..., str]]:
    """Starts an upstream that answers its one request with bytes as they are; gives its URL."""
    with contextlib.ExitStack() as stack:

        def start(answer: bytes, *, close: bool = False) -> str:
            listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))

            def serve() -> None:
                with contextlib.suppress(OSError):
                    peer, _ = listening.accept()
                    peer.recv(65536)
                    peer.sendall(answer)
                    peer.close() if close else peer.recv(1)

            threading.Thread(target=serve, daemon=True).start()
            return f"http://127.0.0.1:{listening.getsockname()[1]}"

        yield start

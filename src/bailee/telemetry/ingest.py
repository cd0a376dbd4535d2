"""The listener's application: what unmodified SDKs send, in their own protocols.

| protocol | addresses |
|---|---|
| OTLP/HTTP, protobuf and JSON | `/v1/metrics`, `/v1/logs`, `/v1/traces` |
| Sentry | `/api/<project>/envelope/`, `/api/<project>/store/` |
| Statsig | `/v1/log_event`, `/v1/rgstr`, and stubs for what its SDKs ask for at start |
| redirected coding agents | `/api/event_logging/v2/batch` |

Rules kept here:

* An answer of success is given after what may be kept is durable.
* A sender is known by an API key, which is looked up and goes no further: what is kept has neither
  key nor account. Without one, 401.
* Size, rate and number of requests under way are bounded for each key and, before the key is known,
  for each address; what is over gets 413 or 429 with Retry-After. What a body is when unpacked
  counts against the quota, not what was sent.
* Bodies are read on a thread of their own, one of each sender in turn (`turns`), and of one sender
  no more than a few wait.

Rows: S1, S2.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import orjson
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from bailee.errors import BaileeError, InputError
from bailee.telemetry import sentry, statsig
from bailee.telemetry.bodies import unpacked
from bailee.telemetry.quotas import Quota, Rate
from bailee.telemetry.telemetry import Periods, Taken, Telemetry
from bailee.telemetry.turns import Turns

_JSON: Final = "application/json"
_PROTOBUF: Final = "application/x-protobuf"
_LATER: Final = 5
_SIGNALS: Final = ("metrics", "logs", "traces")


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sends, for quotas alone, and how long what they send is kept."""

    name: str
    periods: Periods


class Access(Protocol):
    """Looks up API keys."""

    def sender(self, key: bytes) -> Sender | None:
        """Whose key this is, or None."""


@dataclass(frozen=True, slots=True)
class Limits:
    """`body`, `plain`: bytes as sent and unpacked; `seconds`: for a body to arrive; `waiting`:
    requests of one sender under way at once.
    """

    body: int = 4 << 20
    plain: int = 8 << 20
    seconds: float = 20.0
    waiting: int = 16
    bytes_per_key: Rate = field(default=Rate(4 << 20, 64 << 20))
    requests_per_key: Rate = field(default=Rate(2000, 10_000))
    requests_per_address: Rate = field(default=Rate(4000, 20_000))
    failures_per_address: Rate = field(default=Rate(1, 60))


class _Refused(Exception):
    """Too much: with the seconds to wait."""

    def __init__(self, status: int, seconds: int) -> None:
        super().__init__(status)
        self.status = status
        self.seconds = seconds


class Ingest:
    """The application over one home's telemetry; `app` is the ASGI side."""

    def __init__(
        self,
        telemetry: Telemetry,
        access: Access,
        *,
        limits: Limits | None = None,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._telemetry = telemetry
        self._access = access
        self._limits = limits or Limits()
        self._seconds = seconds
        self._turns = Turns("telemetry-bodies")
        self._under_way: Counter[str] = Counter()
        self._key_bytes = Quota(self._limits.bytes_per_key)
        self._key_requests = Quota(self._limits.requests_per_key)
        self._addresses = Quota(self._limits.requests_per_address)
        self._failures = Quota(self._limits.failures_per_address)
        self.app = Starlette(
            routes=[
                *(Route(f"/v1/{s}", self._otlp, methods=["POST"]) for s in _SIGNALS),
                Route("/api/{project:int}/envelope/", self._envelope, methods=["POST"]),
                Route("/api/{project:int}/store/", self._store, methods=["POST"]),
                Route("/v1/log_event", self._statsig, methods=["POST"]),
                Route("/v1/rgstr", self._statsig, methods=["POST"]),
                Route("/api/event_logging/v2/batch", self._batch, methods=["POST"]),
                Route("/v1/initialize", _nothing_to_configure, methods=["GET", "POST"]),
                Route(
                    "/v{version:int}/download_config_specs",
                    _nothing_to_configure,
                    methods=["GET", "POST"],
                ),
                Route(
                    "/v{version:int}/download_config_specs/{key}",
                    _nothing_to_configure,
                    methods=["GET", "POST"],
                ),
                Route("/v1/get_id_lists", _nothing_listed, methods=["GET", "POST"]),
                Route("/v1/get_id_lists/{key}", _nothing_listed, methods=["GET", "POST"]),
            ],
        )

    def close(self) -> None:
        """Let the thread end."""
        self._turns.close()

    # -- protocols -------------------------------------------------------------------------------

    async def _otlp(self, request: Request) -> Response:
        as_json = _content_type(request) == _JSON
        signal = request.url.path.rpartition("/")[2]

        async def answer() -> Response:
            if _content_type(request) not in (_JSON, _PROTOBUF):
                return _problem(415, "send application/x-protobuf or application/json", as_json)
            async with self._admitted(request, _bearer(request)) as (sender, body):
                taken = await self._in_thread(
                    body,
                    request,
                    sender,
                    lambda plain: self._telemetry.take_otlp(signal, plain, as_json=as_json),
                )
            return _partial_success(signal, taken, as_json)

        return await self._answered(answer, lambda status, text, _: _problem(status, text, as_json))

    async def _envelope(self, request: Request) -> Response:
        async def answer() -> Response:
            key = _sentry_key(request)
            async with self._admitted(request, key) as (sender, body):
                taken = await self._in_thread(
                    body,
                    request,
                    sender,
                    lambda plain: self._telemetry.take_envelope(_envelope_of(plain)),
                )
            return _json({"id": taken.event_id} if taken.event_id else {})

        return await self._answered(answer, _sentry_problem)

    async def _store(self, request: Request) -> Response:
        async def answer() -> Response:
            async with self._admitted(request, _sentry_key(request)) as (sender, body):
                await self._in_thread(
                    body,
                    request,
                    sender,
                    lambda plain: self._telemetry.take_envelope(
                        sentry.Envelope(None, [("event", plain)])
                    ),
                )
            return _json({})

        return await self._answered(answer, _sentry_problem)

    async def _statsig(self, request: Request) -> Response:
        undress = statsig.plain if request.query_params.get("se") == "1" else bytes
        return await self._events(request, "statsig", _statsig_key(request), 202, undress)

    async def _batch(self, request: Request) -> Response:
        return await self._events(request, "event_logging", _bearer(request), 200)

    async def _events(
        self,
        request: Request,
        protocol: str,
        key: bytes | None,
        status: int,
        undress: Callable[[bytes], bytes] = bytes,
    ) -> Response:
        async def answer() -> Response:
            async with self._admitted(request, key) as (sender, body):
                taken = await self._in_thread(
                    body,
                    request,
                    sender,
                    lambda plain: self._telemetry.take_events(protocol, undress(plain)),
                )
            counts = {"accepted_count": taken.accepted, "rejected_count": taken.rejected}
            return _json({"success": True, **counts}, status)

        return await self._answered(answer, lambda code, text, _: _json({"error": text}, code))

    # -- what they share ---------------------------------------------------------------------------

    @asynccontextmanager
    async def _admitted(self, request: Request, key: bytes | None) -> Any:
        """A sender with room, and the body as it was sent."""
        now = self._seconds()
        address = request.client.host if request.client is not None else ""
        self._take(self._addresses, address, 1, now)
        sender = None if key is None else self._access.sender(key)
        if sender is None:
            self._take(self._failures, address, 1, now)
            raise InputError(
                "no API key, or one that is unknown or revoked.", code="authentication"
            )
        self._take(self._key_requests, sender.name, 1, now)
        if self._under_way[sender.name] >= self._limits.waiting:
            raise _Refused(429, 1)
        declared = request.headers.get("content-length", "")
        if declared.isdecimal() and len(declared) < 20 and int(declared) > self._limits.body:
            raise _too_large(self._limits.body)
        self._under_way[sender.name] += 1
        try:
            body = await self._body(request)
            self._take(self._key_bytes, sender.name, len(body), now)
            yield sender, body
        finally:
            self._under_way[sender.name] -= 1
            if not self._under_way[sender.name]:
                del self._under_way[sender.name]

    def _take(self, quota: Quota, name: str, amount: float, now: float) -> None:
        seconds = quota.take(name, amount, now)
        if seconds:
            raise _Refused(429, seconds)

    async def _body(self, request: Request) -> bytes:
        parts: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self._limits.seconds):
                async for part in request.stream():
                    size += len(part)
                    if size > self._limits.body:
                        raise _too_large(self._limits.body)
                    parts.append(part)
        except TimeoutError:
            raise InputError("the body did not arrive in time.", code="request_timeout") from None
        return b"".join(parts)

    async def _in_thread(
        self, body: bytes, request: Request, sender: Sender, take: Callable[[bytes], Taken]
    ) -> Taken:
        """Unpack, take and prepare on the thread; then make it durable."""
        encoding = request.headers.get("content-encoding", "")
        if not encoding and request.query_params.get("gz") == "1":
            encoding = "gzip"  # as Statsig's client in a browser says it

        size = len(body)

        def work() -> Taken:
            nonlocal size
            size = self._limits.plain  # what a bomb costs
            plain = unpacked(body, encoding, self._limits.plain)
            size = len(plain)
            taken = take(plain)
            self._telemetry.prepare(taken, sender.periods)
            return taken

        try:
            taken = await self._turns.do(sender.name, work)
        finally:
            self._key_bytes.charge(sender.name, size - len(body))
        await self._telemetry.keep(taken)
        return taken

    async def _answered(
        self, answer: Callable[[], Any], problem: Callable[[int, str, int], Response]
    ) -> Response:
        try:
            response: Response = await answer()
        except _Refused as refused:
            text = "too much at once; wait and send again"
            response = problem(refused.status, text, refused.seconds)
            response.headers["retry-after"] = str(refused.seconds)
        except ClientDisconnect:
            response = Response(status_code=499)
        except BaileeError as error:
            status = 503 if error.http_status == 529 else error.http_status
            text = error.message if error.hint is None else f"{error.message} hint: {error.hint}"
            response = problem(status, text, _LATER)
            if status == 503:
                response.headers["retry-after"] = str(_LATER)
        return response


def _too_large(most: int) -> InputError:
    return InputError(
        f"the body is over {most} bytes.", code="request_too_large", hint="send smaller batches"
    )


def _content_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _bearer(request: Request) -> bytes | None:
    """The key of an OTLP exporter's headers; some send the value percent-encoded."""
    for name in ("authorization", "x-api-key"):
        value = request.headers.get(name)
        if value:
            key = value.replace("%20", " ").strip()
            kind, _, rest = key.partition(" ")
            return (rest.strip() if kind.lower() == "bearer" else key).encode("latin-1", "replace")
    return None


def _sentry_key(request: Request) -> bytes | None:
    given = request.query_params.get("sentry_key")
    if given is None:
        header = request.headers.get("x-sentry-auth", "")
        for part in header.removeprefix("Sentry").split(","):
            name, _, value = part.strip().partition("=")
            if name == "sentry_key":
                given = value
    return None if given is None else given.encode("latin-1", "replace")


def _statsig_key(request: Request) -> bytes | None:
    """Statsig's SDKs insist on keys that begin with `secret-` or `client-`."""
    given = request.headers.get("statsig-api-key") or request.query_params.get("k")
    if not given:
        return None
    return given.removeprefix("secret-").removeprefix("client-").encode("latin-1", "replace")


def _envelope_of(plain: bytes) -> sentry.Envelope:
    try:
        return sentry.read_envelope(plain)
    except (ValueError, RecursionError):
        raise InputError("the body is not a Sentry envelope.") from None


def _json(value: object, status: int = 200) -> Response:
    return Response(orjson.dumps(value), status, media_type=_JSON)


def _sentry_problem(status: int, text: str, seconds: int) -> Response:
    response = _json({"detail": text}, status)
    if status in (429, 503):
        response.headers["x-sentry-rate-limits"] = f"{seconds}::organization"
    return response


def _problem(status: int, text: str, as_json: bool) -> Response:
    """An OTLP failure: a `google.rpc.Status` with a message."""
    if as_json:
        return _json({"message": text}, status)
    message = text.encode()
    return Response(b"\x12" + _varint(len(message)) + message, status, media_type=_PROTOBUF)


def _partial_success(signal: str, taken: Taken, as_json: bool) -> Response:
    """An OTLP success, which says how many were dropped and where to read why."""
    what = {"metrics": "DataPoints", "logs": "LogRecords", "traces": "Spans"}[signal]
    if not taken.rejected:
        return _json({}) if as_json else Response(b"", media_type=_PROTOBUF)
    text = "not declared in the registry: see bailee metrics dropped"
    if as_json:
        partial = {f"rejected{what}": str(taken.rejected), "errorMessage": text}
        return _json({"partialSuccess": partial})
    inner = b"\x08" + _varint(taken.rejected) + b"\x12" + _varint(len(text)) + text.encode()
    return Response(b"\x0a" + _varint(len(inner)) + inner, media_type=_PROTOBUF)


def _varint(number: int) -> bytes:
    parts = bytearray()
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    parts.append(number)
    return bytes(parts)


async def _nothing_to_configure(_request: Request) -> Response:
    return _json(
        {
            "has_updates": False,
            "feature_gates": {},
            "dynamic_configs": {},
            "layer_configs": {},
            "time": 0,
        }
    )


async def _nothing_listed(_request: Request) -> Response:
    return _json({})

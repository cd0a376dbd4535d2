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
* Size, rate and number of requests under way are bounded by `ingest.door`, what an account sends
  in a day and has on disk by `ingest.shares`. What a body is when unpacked counts against the
  quota, not what was sent.
* Bodies are read on a thread of their own, one of each sender in turn (`turns`), and of one sender
  no more than a few wait.

Rows: S1, S2.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Protocol

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Message

from bailee.errors import InputError
from bailee.ingest.bodies import unpacked
from bailee.ingest.door import Door, DoorLimits, Over, bearer
from bailee.ingest.quotas import Quota, Rate
from bailee.ingest.shares import Share
from bailee.ingest.turns import SenderTurns
from bailee.lasting import Lasting
from bailee.telemetry import sentry, statsig
from bailee.telemetry.records import ERROR, METRIC, DataClass
from bailee.telemetry.telemetry import Periods, Places, Taken, Telemetry

RATINGS: Final = Rate(0.2, 60)
"""Of one account, as of one address where they come without a sender."""

_JSON: Final = "application/json"
_PROTOBUF: Final = "application/x-protobuf"
_SIGNALS: Final = ("metrics", "logs", "traces")


@dataclass(frozen=True, slots=True)
class TelemetrySender:
    """Who sends, for quotas and shares alone, and how long what they send is kept, and where; see
    `Taken`.
    """

    account_id: str
    periods: Periods
    places: Places = field(default_factory=dict)


class TelemetryAccess(Protocol):
    """Looks up API keys. The server wires it in. Called on the listener's event loop's thread, so
    it only looks up.
    """

    def sender(self, key: bytes) -> TelemetrySender | None:
        """Whose key this is, or None."""


class Ingest:
    """The application over one home's telemetry; `app` is the ASGI side.

    The server makes it and closes it; `app` is called on the ingest's event loop. It owns its door
    and the thread `telemetry-bodies`, on which bodies are unpacked, read and guarded. It never
    hands a key or an account on to what is kept.
    """

    def __init__(
        self,
        telemetry: Telemetry,
        access: TelemetryAccess,
        *,
        limits: DoorLimits | None = None,
        shares: Callable[[DataClass, str], Share] = lambda *_: Share(),
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        """`shares`: what an account (by its id) may send of a class, and have on disk, at the
        moment.
        """
        self._telemetry = telemetry
        self._shares = shares
        self._door = Door(access.sender, limits or DoorLimits(), seconds=seconds)
        self._over: Final[Mapping[DataClass, Over]] = {
            data_class: partial(self._used_up, data_class) for data_class in (METRIC, ERROR)
        }
        self._seconds = seconds
        self._ratings = Quota(RATINGS)  # asked on the thread of `_turns` alone
        self._turns = SenderTurns("telemetry-bodies")
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
        self.app.router.redirect_slashes = False  # who follows would carry their key along

    def threads(self) -> list[Lasting]:
        """Its thread, for whoever watches."""
        return [self._turns.thread]

    def close(self) -> None:
        """Let the thread end."""
        self._turns.close()

    def _used_up(self, data_class: DataClass, account_id: str) -> tuple[str, int] | None:
        return self._telemetry.over(data_class, self._shares(data_class, account_id), account_id)

    # -- protocols -------------------------------------------------------------------------------

    async def _otlp(self, request: Request) -> Response:
        as_json = _content_type(request) == _JSON
        signal = request.url.path.rpartition("/")[2]

        async def answer() -> Response:
            if _content_type(request) not in (_JSON, _PROTOBUF):
                return _problem(415, "send application/x-protobuf or application/json", as_json)
            over = self._over[METRIC]
            async with self._door.admitted(request, bearer(request), over) as (sender, body):
                taken = await self._in_thread(
                    body,
                    request,
                    sender,
                    lambda plain: self._telemetry.take_otlp(signal, plain, in_json=as_json),
                )
            return _partial_success(signal, taken, as_json)

        return await self._door.answered(
            answer, lambda status, text, _: _problem(status, text, as_json)
        )

    async def _envelope(self, request: Request) -> Response:
        async def answer() -> Response:
            asked, key = request, _sentry_key(request)
            if key is None:
                asked, key = await self._with_its_key(request)
            over = self._over[ERROR]
            async with self._door.admitted(asked, key, over) as (sender, body):
                taken = await self._in_thread(
                    body,
                    asked,
                    sender,
                    lambda plain: self._telemetry.take_envelope(_envelope_of(plain)),
                )
            return _json({"id": taken.event_id} if taken.event_id else {})

        return await self._door.answered(answer, _sentry_problem)

    async def _store(self, request: Request) -> Response:
        async def answer() -> Response:
            key, over = _sentry_key(request), self._over[ERROR]
            async with self._door.admitted(request, key, over) as (sender, body):
                await self._in_thread(
                    body,
                    request,
                    sender,
                    lambda plain: self._telemetry.take_envelope(
                        sentry.Envelope(None, [("event", plain)])
                    ),
                )
            return _json({})

        return await self._door.answered(answer, _sentry_problem)

    async def _statsig(self, request: Request) -> Response:
        undress = statsig.plain if request.query_params.get("se") == "1" else bytes
        return await self._events(request, "statsig", _statsig_key(request), 202, undress)

    async def _batch(self, request: Request) -> Response:
        return await self._events(request, "event_logging", bearer(request), 200)

    async def _events(
        self,
        request: Request,
        protocol: str,
        key: bytes | None,
        status: int,
        undress: Callable[[bytes], bytes] = bytes,
    ) -> Response:
        async def answer() -> Response:
            over = self._over[METRIC]
            async with self._door.admitted(request, key, over) as (sender, body):
                taken = await self._in_thread(
                    body,
                    request,
                    sender,
                    lambda plain: self._telemetry.take_events(protocol, undress(plain)),
                )
            counts = {"accepted_count": taken.accepted, "rejected_count": taken.rejected}
            return _json({"success": True, **counts}, status)

        return await self._door.answered(answer, lambda code, text, _: _json({"error": text}, code))

    async def _with_its_key(self, request: Request) -> tuple[Request, bytes | None]:
        """A request that says its key in its body alone, with the body read, as a stranger's; and
        the key. One that is packed says none: nothing is unpacked for strangers.
        """
        body = await self._door.anonymous(request, self._door.limits.body)
        key = sentry.named_key(body)

        async def again() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        return Request(request.scope, again), None if key is None else key.encode()

    # -- what they share ---------------------------------------------------------------------------

    async def _in_thread(
        self, body: bytes, request: Request, sender: TelemetrySender, take: Callable[[bytes], Taken]
    ) -> Taken:
        """Unpack, take and prepare on the thread; then make it durable."""
        encoding = _encoding(request)
        size = len(body)

        def work() -> Taken:
            nonlocal size
            size = self._door.limits.plain  # what a bomb costs
            plain = unpacked(body, encoding, self._door.limits.plain)
            size = len(plain)
            taken = take(plain)
            if self._ratings.take(sender.account_id, len(taken.ratings), self._seconds()):
                taken.rejected += len(taken.ratings)
                taken.ratings.clear()
            self._telemetry.prepare(taken, sender.periods, sender.places)
            return taken

        try:
            taken = await self._turns.do(sender.account_id, work)
        finally:
            self._door.charge(sender, size - len(body))
        await self._telemetry.keep(taken, sender.account_id)
        return taken


def _encoding(request: Request) -> str:
    given = request.headers.get("content-encoding", "")
    if not given and request.query_params.get("gz") == "1":
        return "gzip"  # as Statsig's client in a browser says it
    return given


def _content_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _sentry_key(request: Request) -> bytes | None:
    given = request.query_params.get("sentry_key")
    if given is None:
        for header in ("x-sentry-auth", "authorization"):
            kind, _, parts = request.headers.get(header, "").partition(" ")
            for part in parts.split(",") if kind.lower() == "sentry" else ():
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

"""Admission to the ingest listener: a sender with room, and a body within bounds.

Rules kept here:

* A sender is known by a key, which is looked up and goes no further. Without a good one: 401.
* Size, rate and number of requests under way are bounded for each account and, before that is
  known, for each address (an IPv6 address counts by its /64); what is over gets 413, or 429 with
  Retry-After. So is what an account may send in a day and have resting (`shares`), before a body is
  read. One account has a quarter of what all have, at the most.
* The bytes of bodies that are under way are bounded, of one sender and of all together, and counted
  as they arrive: beyond that 429 with Retry-After. So is the number of requests. When all together
  have what they may, who has more than a little of it is refused, and others go on
  (`admission.together`); 503 comes only when there are more accounts than parts.
* An answer about a failure holds nothing of the body.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, Generic, Protocol, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from bailee.accounts.keys import KEY_PREFIX
from bailee.admission.connections import address_group
from bailee.admission.requests import admit
from bailee.admission.together import Together
from bailee.errors import BaileeError, InputError
from bailee.ingest.quotas import Quota, Rate

_LATER: Final = 5


class Sends(Protocol):
    """Whoever sends; their account is what quotas are counted under: more keys give no more."""

    @property
    def account_id(self) -> str:
        """The account of their key."""


S = TypeVar("S", bound=Sends)

Over = Callable[[str], tuple[str, int] | None]
"""Asked whether an account has used up its share: how, and the seconds to wait (`shares`)."""

Problem = Callable[[int, str, int], Response]
"""Makes an answer in the protocol's own shape of a status, a text, and seconds to wait."""


@dataclass(frozen=True, slots=True)
class DoorLimits:
    """`body`, `plain`: bytes as sent and unpacked; `seconds`: for a body to arrive; `waiting`:
    requests of one account under way at once; `together`: of all of them; `held`: bytes of bodies
    of one account under way; `room`: of all of them, those of strangers included. Of these two, an
    account that has little gets a little when all is taken.
    """

    body: int = 4 << 20
    plain: int = 8 << 20
    seconds: float = 20.0
    waiting: int = 64
    together: int = 256
    held: int = 16 << 20
    room: int = 64 << 20
    bytes_per_account: Rate = field(default=Rate(4 << 20, 64 << 20))
    requests_per_account: Rate = field(default=Rate(2000, 10_000))
    requests_per_address: Rate = field(default=Rate(4000, 20_000))
    failures_per_address: Rate = field(default=Rate(1, 60))


class TooMuch(Exception):
    """Too much: with the seconds to wait."""

    def __init__(
        self, status: int, seconds: int, text: str = "too much at once; wait and send again"
    ) -> None:
        super().__init__(status)
        self.status = status
        self.seconds = seconds
        self.text = text


class Door(Generic[S]):
    """Whom one receiver lets in, and what is under way of each; `who` looks up a key. The receiver
    owns it and asks it of each request, on its event loop's thread. It keeps no body after its
    request, and writes nothing.
    """

    def __init__(
        self,
        who: Callable[[bytes], S | None],
        limits: DoorLimits,
        *,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self.limits: Final = limits
        self._who = who
        self._seconds = seconds
        self._under_way = Together(limits.together)
        self._held = Together(limits.room)
        self._bytes = Quota(limits.bytes_per_account)
        self._requests = Quota(limits.requests_per_account)
        self._addresses = Quota(limits.requests_per_address)
        self._failures = Quota(limits.failures_per_address)

    @property
    def under_way(self) -> int:
        """How many requests are under way now."""
        return self._under_way.all

    @asynccontextmanager
    async def admitted(
        self, request: Request, key: bytes | None, over: Over = lambda _: None
    ) -> AsyncIterator[tuple[S, bytes]]:
        """A sender with room, who is not `over` their share, and the body as it was sent.

        Raises:
            InputError: `authentication`, `request_too_large` or `request_timeout`.
            TooMuch: too much at once.
        """
        now = self._seconds()
        sender = self._sender(request, key, now)
        admit(request.scope)
        account = sender.account_id
        self._take(self._requests, account, 1, now)
        if (used_up := over(account)) is not None:
            how, seconds = used_up
            hint = "hint: wait, or ask the operator, who sets the shares"
            raise TooMuch(429, seconds, f"this account has {how}. {hint}")
        if self._under_way.of(account) >= self.limits.waiting:
            raise TooMuch(429, 1)
        _check(self._under_way.over(account, 1))
        self._under_way.add(account, 1)
        try:
            async with self._body(request, account, self.limits.body) as body:
                self._take(self._bytes, account, len(body), now)
                yield sender, body
        finally:
            self._under_way.less(account, 1)

    def charge(self, sender: S, more: float) -> None:
        """Count so many bytes more against a sender's quota: what a body came to when unpacked."""
        self._bytes.charge(sender.account_id, more)

    async def anonymous(self, request: Request, most: int) -> bytes:
        """The body of who needs no key, of `most` bytes; bounded by address alone.

        Raises:
            InputError, TooMuch: as `admitted`.
        """
        address = _address(request)
        self._take(self._addresses, address, 1, self._seconds())
        async with self._body(request, f"address {address}", most) as body:
            return body

    async def answered(
        self, answer: Callable[[], Awaitable[Response]], problem: Problem
    ) -> Response:
        """What `answer` gives; or what went wrong, as `problem` says it."""
        try:
            response = await answer()
        except TooMuch as refused:
            response = problem(refused.status, refused.text, refused.seconds)
            response.headers["retry-after"] = str(refused.seconds)
        except ClientDisconnect:
            response = Response(status_code=499)
        except BaileeError as error:
            status = 503 if error.http_status == 529 else error.http_status
            text = error.message if error.hint is None else f"{error.message} hint: {error.hint}"
            response = problem(status, text, _LATER)
            if status in (429, 503):
                response.headers["retry-after"] = str(_LATER)
        return response

    def _sender(self, request: Request, key: bytes | None, now: float) -> S:
        address = _address(request)
        self._take(self._addresses, address, 1, now)
        sender = None if key is None else self._who(key)
        if sender is None:
            self._take(self._failures, address, 1, now)
            raise InputError(
                "no API key, or one that is unknown or revoked.", code="authentication"
            )
        return sender

    def _take(self, quota: Quota, name: str, amount: float, now: float) -> None:
        seconds = quota.take(name, amount, now)
        if seconds:
            raise TooMuch(429, seconds)

    @asynccontextmanager
    async def _body(self, request: Request, name: str, most: int) -> AsyncIterator[bytes]:
        """The body, whose bytes are counted under `name` for as long as the context lasts."""
        declared = request.headers.get("content-length", "")
        if declared.isdecimal() and len(declared) < 20 and int(declared) > most:
            raise _too_large(most)
        parts: list[bytes] = []
        size = 0
        try:
            try:
                async with asyncio.timeout(self.limits.seconds):
                    async for part in request.stream():
                        size += len(part)
                        self._hold(name, len(part))
                        if size > most:
                            raise _too_large(most)
                        parts.append(part)
            except TimeoutError:
                raise InputError(
                    "the body did not arrive in time.", code="request_timeout"
                ) from None
            yield b"".join(parts)
        finally:
            self._held.less(name, size)

    def _hold(self, name: str, more: int) -> None:
        """Count bytes that are there; whoever counted gives them back, those refused too."""
        self._held.add(name, more)
        if self._held.of(name) > self.limits.held:
            raise TooMuch(429, 1)
        _check(self._held.over(name))


def _check(over: str) -> None:
    if over:
        raise TooMuch(429 if over == "own" else 503, 1)


def _address(request: Request) -> str:
    return address_group(request.client.host if request.client is not None else "")


def bearer(request: Request) -> bytes | None:
    """The key of an OTLP exporter's headers; some send the value percent-encoded. Of two that may
    be ours, and are not the same, none: who pays is not to hang on who reads.
    """
    found = []
    for name in ("authorization", "x-api-key"):
        value = request.headers.get(name)
        if value:
            key = value.replace("%20", " ").strip()
            kind, _, rest = key.partition(" ")
            found.append(rest.strip() if kind.lower() == "bearer" else key)
    if not found or len({key for key in found if key.startswith(KEY_PREFIX)}) > 1:
        return None
    return found[0].encode("latin-1", "replace")


def _too_large(most: int) -> InputError:
    return InputError(
        f"the body is over {most} bytes.", code="request_too_large", hint="send smaller batches"
    )

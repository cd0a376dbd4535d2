"""Requests at the gateway's address that applications beside it answer: signing in, and telemetry.

Clients that are signed in know one address. What they send there that is no request for a model is
handed to an application (ASGI), and its answer given back. Nothing of it goes upstream.

Rules kept here:

* A body is handed on as it comes and not read ahead beyond a bound; what the application does not
  take waits with the client. It comes at the rate that every body has to.
* How many are under way is bounded, in all and by address; who has many makes room for others.
* An application has a time to answer. Its answer is small, and given when it is whole.
* Whose request it is says a trusted proxy, as everywhere.

Standard: ASGI 3.0 (HTTP).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Protocol
from urllib.parse import unquote

from starlette.types import ASGIApp, Message, Scope

from bailee.admission import Connections
from bailee.admission.addresses import TrustedProxies
from bailee.admission.connections import address_group
from bailee.admission.requests import tell_of_admission
from bailee.admission.together import Together
from bailee.errors import BaileeError, InputError, StorageError
from bailee.gateway.answers import CONTINUE, application_answer
from bailee.gateway.client import ClientConnection
from bailee.gateway.http1 import RequestHead
from bailee.gateway.routes import BesideRoute

_log = logging.getLogger("bailee.gateway")
_AT_ONCE: Final = 512
_AHEAD: Final = 256 << 10
_LARGEST_BODY: Final = 4 << 20
_LARGEST_ANSWER: Final = 4 << 20
_SECONDS: Final = 60.0
_NO_PROXIES: Final = TrustedProxies()
_FRAMING: Final = frozenset({b"content-length", b"transfer-encoding", b"connection"})


class _Gateway(Protocol):
    """What is needed of the gateway."""

    connections: Connections[ClientConnection]

    def new_id(self) -> str:
        """A request's id."""
        ...

    def refuse(
        self, client: ClientConnection, head: RequestHead | None, error: BaileeError
    ) -> None:
        """Answers with an error of our own."""
        ...


class BesideApplications:
    """Which application answers which route, and how many of their requests are under way. The
    server makes it and may add an application until it closes (`applications`, by route); the
    gateway asks it, on its loop's thread.
    """

    def __init__(
        self,
        applications: Mapping[str, ASGIApp] = MappingProxyType({}),
        *,
        proxies: TrustedProxies = _NO_PROXIES,
    ) -> None:
        self.applications = dict(applications)
        self.proxies = proxies
        self.under_way = Together(_AT_ONCE)

    def carrier(
        self, where: BesideRoute, head: RequestHead, client: ClientConnection, gateway: _Gateway
    ) -> ApplicationCarrier | BaileeError:
        """Who has the request answered; or why nobody does."""
        application = self.applications.get(where.label)
        if application is None:
            return InputError(
                "Nothing answers at this path here.",
                code="not_found",
                hint="a server whose ingest listens takes telemetry here",
            )
        scope = self._scope(head, client, gateway.new_id())
        group = address_group(scope["client"][0])
        if self.under_way.over(group, 1):
            return StorageError("Too much is under way; try again.", code="overloaded")
        return ApplicationCarrier(
            application,
            scope,
            head,
            client=client,
            gateway=gateway,
            under_way=self.under_way,
            group=group,
        )

    def _scope(self, head: RequestHead, client: ClientConnection, request_id: str) -> Scope:
        fields = [
            (name.lower(), value.strip(b" \t"))
            for line in head.kept.split(b"\r\n")
            for name, colon, value in (line.partition(b":"),)
            if colon
        ]
        fields += head.credentials.items()
        if head.host:
            fields.append((b"host", head.host))
        peer = client.transport.get_extra_info("peername")
        named = peer[0] if isinstance(peer, tuple) else ""
        secure = client.transport.get_extra_info("sslcontext") is not None
        whose = self.proxies.client(named, fields, secure=secure)
        path, _, query = head.target.partition(b"?")
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": head.method.decode("ascii"),
            "scheme": "https" if whose.secure else "http",
            "path": unquote(path.decode("latin-1")),
            "raw_path": path,
            "query_string": query,
            "root_path": "",
            "headers": fields,
            "client": (whose.address, 0),
            "server": None,
            "state": {"request_id": request_id},  # the one that the answer has
        }


class ApplicationCarrier:
    """One request that an application answers, from its head to the end of its answer. The gateway
    makes it for a client's connection, which tells it what comes, on the loop's thread. It owns the
    task in which the application runs, and never knows what is asked.
    """

    def __init__(
        self,
        application: ASGIApp,
        scope: Scope,
        head: RequestHead,
        *,
        client: ClientConnection,
        gateway: _Gateway,
        under_way: Together,
        group: str,
    ) -> None:
        """`group`: whose requests `under_way` counts it among."""
        self.max_body: Final = _LARGEST_BODY
        self._application = application
        self._scope = scope
        self._group = group
        self._head = head
        self._client = client
        self._gateway = gateway
        self._under_way = under_way
        self._pieces: list[bytes] = []
        self._ahead = 0
        self._whole = self._gone = self._over = False
        self._news = asyncio.Event()
        self._status = 500
        self._fields: list[tuple[bytes, bytes]] = []
        self._answer: list[bytes] = []
        self._size = 0
        self._complete = False
        self._task: asyncio.Task[None] | None = None

    @property
    def exchange(self) -> ApplicationCarrier:
        """What the connection tells: this."""
        return self

    def carry(self) -> None:
        """Nothing waits to be carried out."""

    # -- what the connection tells -----------------------------------------------------------------

    def begin(self) -> None:
        """See `ClientExchange`."""
        if self._head.expects_continue:
            self._client.write(CONTINUE)
        tell_of_admission(self._scope, lambda: self._gateway.connections.admitted(self._client))
        self._under_way.add(self._group, 1)
        self._task = asyncio.get_running_loop().create_task(self._run())

    def request_data(self, payload: bytes, done: bool, now: float) -> None:  # noqa: ARG002
        """See `ClientExchange`."""
        self._pieces.append(payload)
        self._ahead += len(payload)
        self._whole = self._whole or done
        self._news.set()
        if self._ahead > _AHEAD:
            self._client.pause("application")

    def client_full(self, full: bool, now: float) -> None:
        """See `ClientExchange`: an answer is one write."""

    def client_failed(self, error: InputError) -> None:
        """See `ClientExchange`."""
        if self._over:
            return
        self._client.closes = True
        self._end()
        self._gateway.refuse(self._client, self._head, error)
        self._client.finished()

    def client_lost(self) -> None:
        """See `ClientExchange`. What the application has begun it ends."""
        self._gone = True
        self._news.set()

    def tick(self, now: float, *, body_late: bool) -> None:  # noqa: ARG002
        """See `ClientExchange`."""
        if body_late and not self._whole:
            self.client_failed(
                InputError("The request did not arrive in time.", code="request_timeout")
            )

    # -- the application ---------------------------------------------------------------------------

    async def _run(self) -> None:
        error: BaileeError | None = None
        try:
            async with asyncio.timeout(_SECONDS):
                await self._application(self._scope, self._receive, self._send)
        except TimeoutError:
            error = StorageError("This takes too long; try again.", code="overloaded")
        except Exception as defect:
            # Which kind alone: what it says may hold content.
            _log.error("%s failed: %s", self._scope["path"], type(defect).__name__)
        finally:
            self._under_way.less(self._group, 1)
        if self._over or self._gone:
            return
        self._over = True
        client = self._client
        client.closes = client.closes or not self._whole
        client.resume("application")
        if self._complete and error is None:
            client.write(
                application_answer(
                    self._status,
                    self._fields,
                    b"".join(self._answer),
                    self._scope["state"]["request_id"],
                    close=client.closes,
                    bodiless=self._head.method == b"HEAD",
                    lines=self._head.answer_lines,
                )
            )
        else:
            defect_of_ours = BaileeError("This is a defect of bailee.", code="internal")
            client.closes = True
            self._gateway.refuse(client, self._head, error or defect_of_ours)
        client.finished()

    def _end(self) -> None:
        """The request is over, whatever the application says of it."""
        self._over = self._gone = True
        self._news.set()

    async def _receive(self) -> Message:
        while not (self._pieces or self._gone):
            if self._whole and self._complete:
                break
            self._news.clear()
            await self._news.wait()
        if self._gone or not self._pieces:
            return {"type": "http.disconnect"}
        body = b"".join(self._pieces)
        self._pieces.clear()
        self._ahead = 0
        self._client.resume("application")
        return {"type": "http.request", "body": body, "more_body": not self._whole}

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            self._fields = [
                (name, value)
                for name, value in message.get("headers", ())
                if name.lower() not in _FRAMING
            ]
        elif message["type"] == "http.response.body" and not self._complete:
            part = message.get("body", b"")
            self._size += len(part)
            if self._size > _LARGEST_ANSWER:
                raise ValueError("an answer that is too large")
            self._answer.append(part)
            self._complete = not message.get("more_body", False)

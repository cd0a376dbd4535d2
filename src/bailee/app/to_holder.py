"""What a gateway of its own does not answer by itself, passed on to the server that has the home:
how clients sign in, what they must obey, their usage, their telemetry.

Rules kept here:

* It goes to the one address that the operator set (`holder.url`), and nowhere else: no redirect is
  followed, and what a client writes decides the path alone, which is one of the gateway's list.
* Who asks goes along as that server's gateway would see it: the request's own fields, its Host, and
  in X-Forwarded-For the address that this gateway counts it by. What a client wrote into that field
  does not pass. It counts there if that server trusts this one (`trusted_proxies`).
* Bodies and answers have the bounds of what is answered beside a gateway (`gateway.beside`), and
  nothing of them is kept.
* Where that server does not answer, the client is told to come again.

Standards: RFC 6749, 5.2 (`/oauth/…`); RFC 9110, 7.6.1 (fields of one connection).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from bailee.gateway.routes import BESIDE
from bailee.outbound.network import Network

if TYPE_CHECKING:
    import httpx2

SETTING: Final = "holder.url"
_SECONDS: Final = 30.0
_LARGEST: Final = 4 << 20
_CONNECTION: Final = frozenset(
    {
        *(b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"upgrade"),
        *(b"transfer-encoding", b"content-length", b"expect"),
    }
)
_WHOSE: Final = frozenset({b"forwarded", b"x-forwarded-for", b"x-forwarded-proto"})
_AWAY: Final = "The server that answers this is away; try again."


class ToHolder:
    """The ASGI application that passes requests on. The role makes one and closes it, on its event
    loop. It knows no key and reads no content.
    """

    def __init__(self, url: str, network: Network | None = None) -> None:
        """Raises: InputError, code `configuration`: the address is none, or plain HTTP to another
        machine; or the settings of the way out can't be used.
        """
        self._url = url.rstrip("/")
        self._client: httpx2.AsyncClient = (network or Network.of()).async_client(
            self._url, SETTING, seconds=_SECONDS
        )

    @property
    def applications(self) -> dict[str, ToHolder]:
        """By route, what answers it."""
        return dict.fromkeys(BESIDE, self)

    async def close(self) -> None:
        """Let go of its connections."""
        await self._client.aclose()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        answer = await self._asked(scope, receive) or _away(scope["path"])
        await answer(scope, receive, send)

    async def _asked(self, scope: Scope, receive: Receive) -> Response | None:
        import httpx2

        body = await _whole(receive)
        if body is None:
            return None
        query = scope["query_string"]
        target = scope["raw_path"] + (b"?" + query if query else b"")
        try:
            async with self._client.stream(
                scope["method"],
                self._url + target.decode("latin-1"),
                content=body,
                headers=_fields(scope),
            ) as got:
                content = b""
                async for piece in got.aiter_raw():
                    content += piece
                    if len(content) > _LARGEST:
                        return None
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError):
            return None
        answer = Response(content, got.status_code)
        answer.raw_headers = [
            (name.lower(), value)
            for name, value in got.headers.raw
            if name.lower() not in _CONNECTION
        ]
        return answer


async def _whole(receive: Receive) -> bytes | None:
    """The body, which whoever calls has bounded; None: its client has gone."""
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


def _fields(scope: Scope) -> list[tuple[bytes, bytes]]:
    left_out = _CONNECTION | _WHOSE
    fields = [(name, value) for name, value in scope["headers"] if name not in left_out]
    if not any(name == b"accept-encoding" for name, _ in fields):
        fields.append((b"accept-encoding", b"identity"))  # else the client's library asks for one
    fields.append((b"x-forwarded-proto", scope["scheme"].encode("ascii")))
    if address := scope["client"][0]:
        fields.append((b"x-forwarded-for", address.encode("ascii")))
    return fields


def _away(path: str) -> Response:
    said: dict[str, object] = {
        "type": "error",
        "error": {"type": "overloaded_error", "message": _AWAY},
    }
    if path.startswith("/oauth/"):
        said = {"error": "temporarily_unavailable", "error_description": _AWAY}
    fields = {"retry-after": "5", "cache-control": "no-store"}
    return Response(json.dumps(said), 503, fields, "application/json")

"""A connection to an upstream by way of an HTTP proxy: CONNECT (RFC 9110, 9.3.6), then TLS inside.

Rules kept here: the proxy is given the upstream's host and port and its own credential, and nothing
else; the upstream's certificate is checked inside the tunnel as it is without one; each refusal
says who must act, and holds no credential.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import Final, TypeVar, cast

from bailee import __version__
from bailee.errors import UpstreamError
from bailee.gateway.http1 import Malformed, find_head_end, parse_answer_head
from bailee.outbound.proxies import Proxy

_LONGEST_HEAD: Final = 16 * 1024
_OPERATOR: Final = "whoever runs this gateway: "
P = TypeVar("P", bound=asyncio.Protocol)


class _Asked(asyncio.Protocol):
    """Reads the proxy's answer, on the loop's thread; `status` is there once its head has come. It
    has the connection until TLS with the upstream begins on it.
    """

    def __init__(self) -> None:
        self.status: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._data = b""

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        if self.status.done():
            return
        self._data += data
        try:
            while (end := find_head_end(self._data)) >= 0:
                head = parse_answer_head(self._data[:end], b"CONNECT")
                self._data = self._data[end:]
                if head.status >= 300 or (head.status >= 200 and not self._data):
                    self.status.set_result(head.status)
                    return
                if head.status >= 200:
                    raise Malformed("it sent more than its answer")
            if len(self._data) > _LONGEST_HEAD:
                raise Malformed("its head is too long")
        except Malformed:
            self.status.set_exception(_failed("The proxy's answer is not valid HTTP."))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """See `asyncio.Protocol`."""
        if not self.status.done():
            self.status.set_exception(_failed("The proxy closed without an answer."))


async def tunnel(
    proxy: Proxy,
    host: str,
    port: int,
    *,
    outer: ssl.SSLContext,
    inner: ssl.SSLContext,
    protocol: P,
) -> P:
    """`protocol` on a connection to `host` and `port` under TLS (`inner`), by way of `proxy`;
    `outer` is for one that is itself spoken to under TLS.

    Raises:
        UpstreamError: code `upstream_proxy`; the proxy can't be reached or refuses.
        ssl.SSLError, OSError: TLS with the upstream failed.
    """
    loop = asyncio.get_running_loop()
    try:
        transport, asked = await loop.create_connection(
            _Asked,
            proxy.host,
            proxy.port,
            ssl=outer if proxy.tls else None,
            server_hostname=proxy.host if proxy.tls else None,
        )
    except ssl.SSLError as error:
        raise _failed(
            f"TLS with the proxy failed ({error.reason}).", "check upstream.proxy, upstream.ca_file"
        ) from None
    except (OSError, UnicodeError):
        raise _failed("The proxy can't be reached.") from None
    try:
        transport.write(_request(proxy, host, port))
        status = await asked.status
        if not 200 <= status < 300:
            raise _refused(status, known=proxy.user is not None)
        made = await loop.start_tls(transport, protocol, inner, server_hostname=host)
    except BaseException:
        transport.abort()
        raise
    protocol.connection_made(cast(asyncio.Transport, made))
    return protocol


def _request(proxy: Proxy, host: str, port: int) -> bytes:
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    known = b"".join(b"%b: %b\r\n" % one for one in proxy.fields)
    return b"%b%b\r\n" % (
        f"CONNECT {place} HTTP/1.1\r\nHost: {place}\r\nUser-Agent: bailee/{__version__}\r\n".encode(
            "ascii"
        ),
        known,
    )


def _refused(status: int, *, known: bool) -> UpstreamError:
    if status == 407:
        if known:
            return _failed(
                "The proxy refuses its user and password (407).",
                "mend what upstream.proxy_login_env or HTTPS_PROXY holds; only Basic is spoken",
            )
        return _failed(
            "The proxy wants a user and password (407).",
            "name the variable that holds user:password in upstream.proxy_login_env",
        )
    if status in (502, 503, 504):
        return _failed(
            f"The proxy could not reach the upstream ({status}).",
            "check the upstream's address, or except it with NO_PROXY if it is not outside",
        )
    return _failed(
        f"The proxy refused to connect to the upstream ({status}).",
        "have the proxy allow the upstream's host and port, or except it with NO_PROXY",
    )


def _failed(message: str, hint: str = "check upstream.proxy, or HTTPS_PROXY") -> UpstreamError:
    return UpstreamError(message, code="upstream_proxy", hint=_OPERATOR + hint)

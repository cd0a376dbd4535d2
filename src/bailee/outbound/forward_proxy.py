"""What is asked of a forward proxy, read once for all of ours; and a tunnel by somebody else's.

Rules kept here:

* The head that goes on is made of what was parsed (h11), never of the client's bytes: what two
  readers could understand differently does not get out.
* Host equals the address that was asked for, or the request is refused; it never goes along as
  the client wrote it.
* Inside a tunnel only TLS whose server name is the host that was asked for goes on, or plain HTTP
  whose Host is.
* Fields of the hop go no further, an upgrade neither. The connection to the server is closed after
  one answer, so no answer can be taken for another's.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import h11

from bailee.outbound.client_hello import (
    ClientHello,
    NotAClientHello,
    read_client_hello,
)
from bailee.outbound.hosts import Host, NotAHost, read_authority
from bailee.outbound.http1 import Headers, end_to_end, values
from bailee.outbound.proxies import Proxy
from bailee.outbound.streams import Writer

_SCHEME: Final = "http://"
_LIKE_HTTP: Final = re.compile(rb"[A-Z]{1,20}( |\Z)")
_ALERT_UNRECOGNIZED_NAME: Final = b"\x15\x03\x03\x00\x02\x02\x70"
_ALERT_DECODE_ERROR: Final = b"\x15\x03\x03\x00\x02\x02\x32"


class NotServed(Exception):
    """What was asked is refused. `rule` names the rule, `reason` is the end of a sentence, written
    from names and numbers only; `status` is HTTP's. `alert` is what TLS says of the kind.
    """

    def __init__(self, rule: str, reason: str, status: int = 400, alert: bytes = b"") -> None:
        super().__init__(reason)
        self.rule: Final = rule
        self.reason: Final = reason
        self.status: Final = status
        self.alert: Final = alert


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request goes, and the path that is asked for there."""

    host: Host
    port: int
    path: str

    @property
    def authority(self) -> str:
        """As Host has it."""
        port = "" if self.port == 80 else f":{self.port}"
        return f"{self.host.bracketed}{port}"


def tunnel_of(request: h11.Request) -> tuple[Host, int]:
    """Where a CONNECT goes.

    Raises:
        NotServed: it has no place here.
    """
    if values(request.headers, b"content-length") or values(request.headers, b"transfer-encoding"):
        raise malformed("CONNECT has no body")
    return tunnel_of_target(request.target)


@lru_cache(1024)
def tunnel_of_target(target: bytes) -> tuple[Host, int]:
    """Where a CONNECT to `host:port` goes.

    Raises:
        NotServed: it has no place here.
    """
    try:
        return read_authority(target.decode("ascii"))
    except NotAHost as error:
        raise NotServed("host.malformed", str(error)) from None


def target_of(request: h11.Request, within: tuple[Host, int] | None = None) -> Target:
    """Where a request goes. `within`: the tunnel that it came through, if it did. Its Host is not
    looked at yet (`check_host`).

    Raises:
        NotServed: it has no place here.
    """
    if two_lengths(request.headers):
        raise malformed("it has a length and a transfer coding")
    text = request.target.decode("ascii")
    if within is not None:
        if not text.startswith("/"):
            raise malformed("inside a tunnel, a request asks for a path")
        return Target(*within, text)
    return _absolute(text)


def check_host(request: h11.Request, target: Target) -> None:
    """A request's Host is where it goes.

    Raises:
        NotServed: it is another, or none.
    """
    hosts = values(request.headers, b"host")
    if request.http_version == b"1.0" and not hosts:
        return
    try:
        named = read_authority(hosts[0].decode("ascii"), 80)
    except (NotAHost, UnicodeDecodeError, IndexError):
        raise malformed("its Host is no host") from None
    if (named[0].name, named[1]) != (target.host.name, target.port):
        raise NotServed("http.host", "its Host is another than its address", 403)


def two_lengths(headers: Headers) -> bool:
    """Whether a message says its length in two ways."""
    return bool(values(headers, b"content-length") and values(headers, b"transfer-encoding"))


def malformed(reason: str) -> NotServed:
    """A request that is none, or none for here."""
    return NotServed("request.malformed", reason)


def head_onward(request: h11.Request, target: Target, proxy: Proxy | None = None) -> h11.Request:
    """The head that goes on to the server; or to the next `proxy`."""
    headers = [(b"host", target.authority.encode())]
    headers += [
        (name, value)
        for name, value in end_to_end(request.headers)
        if name not in (b"host", b"expect")
    ]
    if values(request.headers, b"transfer-encoding"):
        headers.append((b"transfer-encoding", b"chunked"))
    if proxy is not None:
        headers += proxy.fields
    headers.append((b"connection", b"close"))
    asked = target.path if proxy is None else f"{_SCHEME}{target.authority}{target.path}"
    return h11.Request(method=request.method, target=asked, headers=headers)


def hello_of(data: bytes) -> ClientHello | None:
    """What TLS's first message at the front of `data` says; None while it is not whole.

    Raises:
        NotServed: it is not TLS.
    """
    try:
        return read_client_hello(data)
    except NotAClientHello as error:
        raise NotServed(
            "tls.malformed", f"it is not TLS: {error}", 403, _ALERT_DECODE_ERROR
        ) from None


def check_name(hello: ClientHello, host: Host, *, without_name: bool) -> None:
    """TLS names the host that the tunnel is to. `without_name`: it may name nobody.

    Raises:
        NotServed: it names another, or none.
    """
    if hello.server_name is None and not without_name:
        raise NotServed("sni.missing", "TLS names no server", 403, _ALERT_UNRECOGNIZED_NAME)
    if hello.server_name not in (None, host.name):
        raise NotServed(
            "sni.mismatch",
            "TLS names another server than the tunnel",
            403,
            _ALERT_UNRECOGNIZED_NAME,
        )


def looks_like_http(data: bytes) -> bool:
    """Whether these first bytes are a request's method, or could become one."""
    return _LIKE_HTTP.match(data) is not None


async def tunnel_by_proxy(
    reader: asyncio.StreamReader, writer: Writer, authority: str, proxy: Proxy
) -> None:
    """Have a proxy, that the stream leads to, open a tunnel to `host:port`. The stream's limit
    bounds its answer's head.

    Raises:
        OSError: it refused, or its answer is not HTTP.
    """
    asked = h11.Request(
        method="CONNECT",
        target=authority,
        headers=[(b"host", authority.encode()), *proxy.fields],
    )
    conversation = h11.Connection(h11.CLIENT)
    writer.write(conversation.send(asked) or b"")
    try:
        while True:
            conversation.receive_data(await reader.readuntil(b"\r\n\r\n"))
            event = conversation.next_event()
            if not isinstance(event, h11.InformationalResponse):
                break
    except (h11.RemoteProtocolError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        raise OSError("the proxy's answer is not HTTP") from None
    if not isinstance(event, h11.Response) or event.status_code // 100 != 2:
        raise OSError("the proxy refused")


def _absolute(text: str) -> Target:
    if text.startswith("/"):
        raise malformed("this is a proxy: a request names the whole address")
    if not text.lower().startswith(_SCHEME):
        raise malformed("only http:// goes through a proxy like this; for TLS, use CONNECT")
    rest = text[len(_SCHEME) :]
    end = min((at for at in (rest.find("/"), rest.find("?")) if at >= 0), default=len(rest))
    path = rest[end:]
    if "#" in rest:
        raise malformed("an address for a server has no fragment")
    try:
        host, port = read_authority(rest[:end], 80)
    except NotAHost as error:
        raise NotServed("host.malformed", str(error)) from None
    return Target(host, port, path if path.startswith("/") else "/" + path)

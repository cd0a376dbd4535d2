"""Which hosts a program contacts: a proxy on loopback that it is made to use, and a look at the
connections that go round it.

Rules kept here:

* Every host that was asked for is in the report, also when it could not be reached or was refused.
* Nothing is opened: TLS passes through. The report has hosts, counts and bytes, never an address's
  path or what was said.
* A program that does not use the proxy is looked at through the kernel (`/proc`, Linux): its open
  connections are sampled, so a very short one can be missed. The report says which were seen so.
* With `only_promised`, what the switches do not promise is refused with 403; so is a plain request
  whose Host is another than its address.
* Behind a company's proxy, the way out is that proxy.
* Who passes shows a secret that is in the program's environment alone: other people on this machine
  can't go out by it, on the person's credential at the company's proxy.

Rows: S7, D2.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hmac
import http
import ipaddress
import secrets
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import h11

from bailee.loopback import is_loopback
from bailee.outbound.dialing import through
from bailee.outbound.forward_proxy import (
    NotServed,
    Target,
    as_bytes,
    check_host,
    head_onward,
    read_head,
    target_of,
    tunnel_of,
)
from bailee.outbound.network import Network
from bailee.outbound.relaying import Ends, relay

_HEAD: Final = 64 * 1024
_SECONDS: Final = 20.0
_EVERY: Final = 0.05
_WHO_ARE_YOU: Final = (
    b"HTTP/1.1 407 Proxy Authentication Required\r\nproxy-authenticate: Basic realm=bailee\r\n"
)
_NO_BODY: Final = b"content-length: 0\r\nconnection: close\r\n\r\n"


@dataclass(slots=True)
class Contact:
    """What was seen of one host. `sent`, `received`: bytes; None where it went round the proxy."""

    host: str
    promised: bool
    count: int = 0
    sent: int = 0
    received: int = 0
    refused: int = 0
    unreached: int = 0
    round_proxy: bool = False

    def sends(self, count: int) -> None:
        """So many bytes have gone to it."""
        self.sent += count

    def gets(self, count: int) -> None:
        """So many bytes have come from it."""
        self.received += count

    def as_json(self) -> dict[str, object]:
        """For a report."""
        return {
            "host": self.host,
            "promised": self.promised,
            "connections": self.count,
            "sent": None if self.round_proxy else self.sent,
            "received": None if self.round_proxy else self.received,
            "refused": self.refused,
            "unreached": self.unreached,
            "round_proxy": self.round_proxy,
        }


@dataclass
class EgressWatch:
    """Watches while it is entered. `promised`: `host:port` that may be contacted; loopback always
    may. `address` is the proxy's.
    """

    promised: frozenset[str]
    network: Network = field(default_factory=Network)
    only_promised: bool = False
    contacts: dict[str, Contact] = field(default_factory=dict)
    port: int = 0
    secret: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)

    @property
    def address(self) -> str:
        """The proxy's address, with the word that lets one pass."""
        return f"http://bailee:{self.secret}@127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """The variables that lead a program through the proxy, loopback too."""
        names = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY")
        led = {n: self.address for name in names for n in (name, name.lower())}
        return {**led, "NO_PROXY": "", "no_proxy": "", "NODE_USE_ENV_PROXY": "1"}

    @property
    def broken(self) -> list[Contact]:
        """What was contacted without being promised."""
        return [one for one in self.contacts.values() if not one.promised]

    def __enter__(self) -> Self:
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    @contextlib.contextmanager
    def looking_at(self, process: int) -> Iterator[None]:
        """Sample the connections of a process and its children meanwhile."""
        ended = threading.Event()

        def look() -> None:
            while not ended.wait(_EVERY):
                for host, port in connections(process):
                    if port != self.port or not is_loopback(host):
                        self._seen(f"{host}:{port}")

        looking = threading.Thread(target=look, daemon=True)
        looking.start()
        try:
            yield
        finally:
            ended.set()
            looking.join()

    def _seen(self, host: str) -> None:
        contact = self._contact(f"{host}")
        if contact.count == 0:
            contact.round_proxy = True

    def _contact(self, host: str) -> Contact:
        contact = self.contacts.get(host)
        if contact is None:
            name = host.rpartition(":")[0]
            contact = Contact(host, host in self.promised or is_loopback(name))
            self.contacts[host] = contact
        return contact

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._stop = asyncio.Event()
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        tasks: set[asyncio.Task[None]] = set()

        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.get_running_loop().create_task(self._one(reader, writer))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        server = await asyncio.start_server(connected, "127.0.0.1", 0, limit=_HEAD)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _one(self, near_in: asyncio.StreamReader, near_out: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, ValueError):
                await self._pass(near_in, near_out)
        finally:
            near_out.close()

    async def _pass(self, near_in: asyncio.StreamReader, near_out: asyncio.StreamWriter) -> None:
        try:
            head = await near_in.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError:
            near_out.write(b"HTTP/1.1 431 Request Header Fields Too Large\r\n\r\n")
            return
        try:
            request = read_head(head)
            if not self._shows_the_secret(request):
                near_out.write(_WHO_ARE_YOU + _NO_BODY)
                return
            tunnel = request.method == b"CONNECT"
            target = Target(*tunnel_of(request), "") if tunnel else target_of(request)
        except NotServed as refusal:
            status = http.HTTPStatus(refusal.status)
            near_out.write(f"HTTP/1.1 {status} {status.phrase}\r\n".encode() + _NO_BODY)
            return
        host, port = target.host.name, target.port
        contact = self._contact(f"{host}:{port}")
        contact.count += 1
        contact.round_proxy = False
        if not (tunnel or _names(request, target)) or (self.only_promised and not contact.promised):
            contact.refused += 1
            near_out.write(b"HTTP/1.1 403 Forbidden\r\n" + _NO_BODY)
            return
        try:
            far_in, far_out = await asyncio.wait_for(self._reach(target, tunnel=tunnel), _SECONDS)
        except (OSError, TimeoutError, ValueError):
            contact.unreached += 1
            near_out.write(b"HTTP/1.1 502 Bad Gateway\r\n" + _NO_BODY)
            return
        try:
            if tunnel:
                near_out.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                proxy = self.network.proxy(f"http://{target.host.bracketed}:{port}")
                first = as_bytes(head_onward(request, target, proxy))
                far_out.write(first)
                contact.sent += len(first)
            await relay(
                (near_in, near_out), (far_in, far_out), sent=contact.sends, received=contact.gets
            )
        finally:
            far_out.close()

    def _shows_the_secret(self, request: h11.Request) -> bool:
        pair = base64.b64encode(f"bailee:{self.secret}".encode())
        shown = [value for name, value in request.headers if name == b"proxy-authorization"]
        return len(shown) == 1 and hmac.compare_digest(shown[0], b"Basic " + pair)

    async def _reach(self, target: Target, *, tunnel: bool) -> Ends:
        scheme = "https" if tunnel else "http"
        place = f"{target.host.bracketed}:{target.port}"
        proxy = self.network.proxy(f"{scheme}://{place}")
        if proxy is None:
            return await asyncio.open_connection(target.host.name, target.port)
        return await through(self.network, proxy, place if tunnel else None)


def _names(request: h11.Request, target: Target) -> bool:
    """Whether a request's Host is where it goes."""
    try:
        check_host(request, target)
    except NotServed:
        return False
    return True


def connections(process: int) -> Iterator[tuple[str, int]]:
    """The far ends of the TCP and UDP connections that a process and its children have open."""
    sockets: set[str] = set()
    for pid in _family(process):
        with contextlib.suppress(OSError):
            for link in Path(f"/proc/{pid}/fd").iterdir():
                with contextlib.suppress(OSError):
                    target = str(link.readlink())
                    if target.startswith("socket:["):
                        sockets.add(target[8:-1])
    for kind in ("tcp", "tcp6", "udp", "udp6"):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{process}/net/{kind}").read_text().splitlines()[1:]:
                columns = line.split()
                if columns[9] in sockets:
                    far = _address(columns[2])
                    if far is not None:
                        yield far


def _family(process: int) -> list[int]:
    found, waiting = [], [process]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        with contextlib.suppress(OSError, ValueError):
            for task in Path(f"/proc/{pid}/task").iterdir():
                waiting += map(int, (task / "children").read_text().split())
    return found


def _address(text: str) -> tuple[str, int] | None:
    """A far end as the kernel writes it; None: there is none."""
    digits, _, port = text.partition(":")
    raw = bytes.fromhex(digits)
    # The kernel writes words of four bytes in the machine's order.
    swapped = b"".join(raw[place : place + 4][::-1] for place in range(0, len(raw), 4))
    address = ipaddress.ip_address(swapped)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if address.is_unspecified or int(port, 16) == 0:
        return None
    return str(address), int(port, 16)

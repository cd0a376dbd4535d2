"""The one way out of the sandbox: a proxy to the hosts that the settings allow.

It listens on a socket in a folder of its own, which is bound into the sandbox; inside, `relay`
offers it on loopback, where programs look for a proxy. The sandbox has no other network.

Rules kept here:

* A name is looked at before it is looked up, and is allowed by its very name or by `*.` and what
  follows. Only ports 80 and 443.
* Each address that a name stands for must be a public one, and the one that was looked at is
  connected to: this machine, the local network and clouds' metadata are out of reach, loopback too.
* TLS passes through unopened, once it has named the host that was asked for; a plain request is
  written anew, and its Host is where it goes: no allowed name leads to another's site on the same
  machines. Behind a company's proxy, the way out is that proxy.
* What is refused is refused with a sentence that says why; it is counted, by host.

Rows: D2, S7.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import Container, Sequence
from pathlib import Path
from typing import Final

from bailee.outbound import dialing
from bailee.outbound.dialing import Dialer, Unreachable, through
from bailee.outbound.forward_proxy import (
    NotServed,
    as_bytes,
    check_host,
    first_in_tunnel,
    head_onward,
    read_head,
    target_of,
    tunnel_of,
)
from bailee.outbound.hosts import Host
from bailee.outbound.network import Network
from bailee.outbound.relaying import Ends, relay

_HEAD: Final = 32 * 1024
_SECONDS: Final = 20.0
_MOST: Final = 64  # connections at the same time


class EgressRefused(Exception):
    """Why a connection is not made. `status` is HTTP's."""

    def __init__(self, status: str, why: str) -> None:
        super().__init__(why)
        self.status = status


def allows(hosts: Sequence[str], name: str) -> bool:
    """Whether a list of hosts allows a name. Pure."""
    found = name.lower().rstrip(".")
    return any(
        found == host.lower() or (host.startswith("*.") and found.endswith(host[1:].lower()))
        for host in hosts
    )


class Egress:
    """The proxy of one session. `path` is its socket, once `start` has been awaited."""

    def __init__(
        self,
        hosts: Sequence[str],
        network: Network,
        *,
        dialer: Dialer | None = None,
        ports: Container[int] = (80, 443),
    ) -> None:
        self.hosts = tuple(hosts)
        self._ports = ports
        self.refused: dict[str, int] = {}
        self._network = network
        self._dialer = dialer or Dialer(seconds=_SECONDS)
        self._server: asyncio.Server | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def path(self) -> Path | None:
        """Where it listens."""
        return None if self._folder is None else Path(self._folder.name) / "egress"

    async def start(self) -> None:
        """Listens; does nothing when it does already."""
        if self._server is not None:
            return
        self._folder = tempfile.TemporaryDirectory(prefix="bailee-")
        self._server = await asyncio.start_unix_server(self._connected, str(self.path), limit=_HEAD)

    async def close(self) -> None:
        """Ends all connections, and is no longer there."""
        if self._server is not None:
            self._server.close()
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            self._server = None
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._tasks) >= _MOST:
            writer.close()
            return
        task = asyncio.get_running_loop().create_task(self._one(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                try:
                    await self._pass(reader, writer)
                except EgressRefused as refusal:
                    body = f"bailee's sandbox: {refusal}\n".encode()
                    head = (
                        f"HTTP/1.1 {refusal.status}\r\ncontent-type: text/plain\r\n"
                        f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
                    )
                    writer.write(head.encode() + body)
                    await writer.drain()
        finally:
            writer.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = read_head(await self._head(reader))
            tunnel = request.method == b"CONNECT"
            if tunnel:
                host, port = tunnel_of(request)
            else:
                target = target_of(request)
                check_host(request, target)
                host, port = target.host, target.port
        except NotServed as refusal:
            raise _refused(refusal) from None
        self._judge(host, port)
        far_in, far_out = await self._reach(host, port, tunnel=tunnel)
        try:
            if tunnel:
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                far_out.write(await self._first(reader, writer, host, port))
            else:
                proxy = self._network.proxy(f"http://{host.bracketed}:{port}")
                far_out.write(as_bytes(head_onward(request, target, proxy)))
            await relay((reader, writer), (far_in, far_out))
        finally:
            far_out.close()

    async def _first(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: Host, port: int
    ) -> bytes:
        """What goes on first through a tunnel, and is for its host. An address needs no name: TLS
        can't name one.
        """
        try:
            async with asyncio.timeout(_SECONDS):
                unnamed = host.address is not None
                return await first_in_tunnel(reader, host, port, without_name=unnamed)
        except NotServed as refusal:
            self._count(host)
            writer.write(refusal.alert)
            raise ConnectionAbortedError from None
        except TimeoutError:
            raise ConnectionAbortedError from None

    async def _head(self, reader: asyncio.StreamReader) -> bytes:
        try:
            return await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), _SECONDS)
        except (asyncio.LimitOverrunError, TimeoutError):
            raise EgressRefused(
                "431 Request Header Fields Too Large", "the head is too long."
            ) from None

    def _judge(self, host: Host, port: int) -> None:
        if not allows(self.hosts, host.name):
            self._count(host)
            raise EgressRefused(
                "403 Forbidden", f"{host.name} is not in sandbox.network of the settings."
            )
        if port not in self._ports:
            raise EgressRefused("403 Forbidden", f"port {port} is neither 80 nor 443.")

    def _count(self, host: Host) -> None:
        self.refused[host.name] = self.refused.get(host.name, 0) + 1

    async def _reach(self, host: Host, port: int, *, tunnel: bool) -> Ends:
        place = f"{host.bracketed}:{port}"
        proxy = self._network.proxy(f"{'https' if tunnel else 'http'}://{place}")
        try:
            if proxy is not None:
                async with asyncio.timeout(_SECONDS):
                    return await through(self._network, proxy, place if tunnel else None)
            reader, writer, _ = await self._dialer.connect(host, port)
        except dialing.AddressRefused:
            self._count(host)
            raise EgressRefused(
                "403 Forbidden", f"{host.name} is on this machine or in a private network."
            ) from None
        except (OSError, TimeoutError, Unreachable):
            raise EgressRefused("502 Bad Gateway", f"{host.name} can't be reached.") from None
        return reader, writer


def _refused(refusal: NotServed) -> EgressRefused:
    """In HTTP's words."""
    words = {400: "Bad Request", 403: "Forbidden", 431: "Request Header Fields Too Large"}
    return EgressRefused(f"{refusal.status} {words[refusal.status]}", f"{refusal.reason}.")

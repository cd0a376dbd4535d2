"""The one way out of the sandbox: a proxy to the hosts that the settings allow.

It listens on a socket in a folder of its own, which is bound into the sandbox; inside, `relay`
offers it on loopback, where programs look for a proxy. The sandbox has no other network.

Rules kept here:

* A name is looked at before it is looked up, and is allowed by its very name or by `*.` and what
  follows. Only ports 80 and 443.
* Each address that a name stands for must be a public one, and the one that was looked at is
  connected to: this machine, the local network and clouds' metadata are out of reach, loopback too.
* TLS passes through unopened. Behind a company's proxy, the way out is that proxy.
* What is refused is refused with a sentence that says why; it is counted, by host.

Rows: D2, S7.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import tempfile
from collections.abc import Container, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from bailee.client.network import Network
from bailee.outbound import dialing
from bailee.outbound.dialing import Dialer, Unreachable
from bailee.outbound.hosts import Host, read_authority

_HEAD: Final = 32 * 1024
_PIECE: Final = 64 * 1024
_SECONDS: Final = 20.0
_MOST: Final = 64  # connections at the same time


class Refused(Exception):
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
                except Refused as refusal:
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
        head = await self._head(reader)
        line, _, fields = head.partition(b"\r\n")
        try:
            method, target, _version = line.decode("latin-1").split(" ")
            tunnel = method == "CONNECT"
            parts = urlsplit(f"//{target}" if tunnel else target)
            host, port = read_authority(parts.netloc, 443 if tunnel else 80)
        except ValueError:
            raise Refused("400 Bad Request", "this is no request for a proxy.") from None
        if not (tunnel or parts.scheme == "http"):
            raise Refused("400 Bad Request", "this is no request for a proxy.")
        self._judge(host, port)
        far_in, far_out = await self._reach(host, port, tunnel=tunnel)
        try:
            if tunnel:
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
                far_out.write(self._forwarded(method, target, path, fields))
            await _both(reader, writer, far_in, far_out)
        finally:
            far_out.close()

    async def _head(self, reader: asyncio.StreamReader) -> bytes:
        try:
            return await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), _SECONDS)
        except (asyncio.LimitOverrunError, TimeoutError):
            raise Refused("431 Request Header Fields Too Large", "the head is too long.") from None

    def _judge(self, host: Host, port: int) -> None:
        if not allows(self.hosts, host.name):
            self._count(host)
            raise Refused(
                "403 Forbidden", f"{host.name} is not in sandbox.network of the settings."
            )
        if port not in self._ports:
            raise Refused("403 Forbidden", f"port {port} is neither 80 nor 443.")

    def _count(self, host: Host) -> None:
        self.refused[host.name] = self.refused.get(host.name, 0) + 1

    async def _reach(
        self, host: Host, port: int, *, tunnel: bool
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        place = f"{host.bracketed}:{port}"
        proxy = self._network.proxy(f"{'https' if tunnel else 'http'}://{place}")
        try:
            if proxy is not None:
                return await self._by_proxy(proxy, place, tunnel=tunnel)
            reader, writer, _ = await self._dialer.connect(host, port)
        except dialing.Refused:
            self._count(host)
            raise Refused(
                "403 Forbidden", f"{host.name} is on this machine or in a private network."
            ) from None
        except (OSError, TimeoutError, Unreachable):
            raise Refused("502 Bad Gateway", f"{host.name} can't be reached.") from None
        return reader, writer

    async def _by_proxy(
        self, proxy: str, place: str, *, tunnel: bool
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        parts = urlsplit(proxy)
        tls = self._network.tls() if parts.scheme == "https" else None
        far_in, far_out = await asyncio.wait_for(
            asyncio.open_connection(
                parts.hostname, parts.port or (443 if tls else 80), ssl=tls, limit=_HEAD
            ),
            _SECONDS,
        )
        if tunnel:
            lines = [f"CONNECT {place} HTTP/1.1", f"host: {place}", *_known(proxy)]
            far_out.write("\r\n".join([*lines, "", ""]).encode())
            answer = await asyncio.wait_for(far_in.readuntil(b"\r\n\r\n"), _SECONDS)
            if answer.split(b" ", 2)[1][:1] != b"2":
                far_out.close()
                raise OSError("the proxy refused")
        return far_in, far_out

    def _forwarded(self, method: str, target: str, path: str, fields: bytes) -> bytes:
        """A plain request's head for the next hop: one request for each connection."""
        proxy = self._network.proxy(target)
        hop = ("proxy-", "connection:", "keep-alive:")
        lines = [
            one
            for one in fields.decode("latin-1").split("\r\n")
            if one and not one.lower().startswith(hop)
        ]
        start = f"{method} {path if proxy is None else target} HTTP/1.1"
        known = [] if proxy is None else _known(proxy)
        return "\r\n".join([start, *lines, *known, "connection: close", "", ""]).encode("latin-1")


def _known(proxy: str) -> list[str]:
    """The header that tells a proxy who asks."""
    parts = urlsplit(proxy)
    if parts.username is None:
        return []
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
    return [f"proxy-authorization: Basic {base64.b64encode(pair).decode()}"]


async def _both(
    near_in: asyncio.StreamReader,
    near_out: asyncio.StreamWriter,
    far_in: asyncio.StreamReader,
    far_out: asyncio.StreamWriter,
) -> None:
    there = asyncio.create_task(_copy(near_in, far_out))
    try:
        await _copy(far_in, near_out)
    finally:
        there.cancel()
        await asyncio.gather(there, return_exceptions=True)


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(_PIECE):
            target.write(data)
            await target.drain()
        if target.can_write_eof():
            target.write_eof()

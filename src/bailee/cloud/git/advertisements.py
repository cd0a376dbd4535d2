"""What a server says of itself at first (gitprotocol-http, gitprotocol-v2), passed on without what
does not go through here. Pure.

* Of a push: only the capabilities that `pushes.py` knows; so no push options, no signed pushes,
  and git itself says that the other side has none.
* Of a fetch: no addresses of bundles or packs elsewhere, which would be outside of this proxy.
* What is no advertisement of the service that was asked for is refused, not passed.
"""

from __future__ import annotations

from typing import Final

from bailee.cloud.git.pktlines import Marker, NotAPacket, Packet, PacketReader, encode
from bailee.cloud.git.pushes import PASSED

_ELSEWHERE: Final = frozenset({b"bundle-uri", b"packfile-uris"})


class NotAnAdvertisement(ValueError):
    """The bytes are not what a git server says at first."""


class Advertisement:
    """Takes upstream's advertisement in pieces and gives what is passed on."""

    def __init__(self, service: str) -> None:
        self._service: Final = service.encode()
        self._packets = PacketReader()
        self._count = 0
        self._version = 0
        self._capabilities_seen = False

    def feed(self, data: bytes) -> bytes:
        """More bytes; those that can go on now.

        Raises:
            NotAnAdvertisement: it is none.
        """
        out = []
        try:
            self._packets.feed(data)
            while (packet := self._packets.next()) is not None:
                out.append(self._packet(packet))
        except NotAPacket as error:
            raise NotAnAdvertisement(str(error)) from None
        return b"".join(out)

    def end(self) -> None:
        """There are no more bytes.

        Raises:
            NotAnAdvertisement: it is not whole.
        """
        if self._packets.rest or not self._count:
            raise NotAnAdvertisement("it ends in the middle")

    def _packet(self, packet: Packet) -> bytes:
        self._count += 1
        if isinstance(packet, Marker):
            return encode(packet)
        line = packet.removesuffix(b"\n")
        if self._count == 1:
            if line == b"# service=" + self._service:
                return encode(packet)
            if line != b"version 2":
                raise NotAnAdvertisement("it names another service, or none")
        if line in (b"version 1", b"version 2"):
            self._version = int(line[-1:])
            if self._version == 2 and self._service != b"git-upload-pack":
                raise NotAnAdvertisement("a push has no version 2")
            return encode(packet)
        if self._version == 2:
            return self._line_of_version_2(line)
        if not self._capabilities_seen:
            self._capabilities_seen = True
            ref, nul, capabilities = line.partition(b"\0")
            if not nul:
                raise NotAnAdvertisement("no capabilities")
            return encode(ref + b"\0" + b" ".join(self._passed(capabilities)) + b"\n")
        return encode(packet)

    def _passed(self, capabilities: bytes) -> list[bytes]:
        listed = [c for c in capabilities.split(b" ") if c]
        if self._service == b"git-upload-pack":
            return listed
        return [c for c in listed if c.partition(b"=")[0].decode("latin-1") in PASSED]

    def _line_of_version_2(self, line: bytes) -> bytes:
        name, equals, value = line.partition(b"=")
        if name in _ELSEWHERE:
            return b""
        if name == b"fetch" and equals:
            features = [f for f in value.split(b" ") if f not in _ELSEWHERE]
            line = b"fetch=" + b" ".join(features)
        return encode(line + b"\n")

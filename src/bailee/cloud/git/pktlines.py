"""Git's pkt-lines (gitprotocol-common): lengths, markers, side bands. Pure.

A packet is four hexadecimal digits of its whole length and then its payload; 0000, 0001 and 0002
are markers without one. 0003 is nothing. What follows a flush may be a pack, which is no packet:
`PacketReader` gives packets one at a time, and `rest` what lies behind the last of them.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Final

LONGEST: Final = 65520
"""Of a packet, its length field included."""

_LENGTH: Final = re.compile(rb"[0-9a-fA-F]{4}\Z")


class Marker(Enum):
    """Packets without a payload."""

    FLUSH = b"0000"
    DELIMITER = b"0001"
    END = b"0002"


Packet = bytes | Marker


class NotAPacket(ValueError):
    """The bytes are no packet."""


class PacketReader:
    """Takes bytes in any pieces and gives the packets in them."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> None:
        """More bytes."""
        self._data += data

    def next(self) -> Packet | None:
        """The next packet; None until it is whole.

        Raises:
            NotAPacket: what comes next is none.
        """
        digits = bytes(self._data[:4])
        if len(digits) < 4:
            if not re.fullmatch(rb"[0-9a-fA-F]*", digits):
                raise NotAPacket("a length that is no hexadecimal number")
            return None
        if not _LENGTH.match(digits):
            raise NotAPacket("a length that is no hexadecimal number")
        length = int(digits, 16)
        if length < 3:
            del self._data[:4]
            return tuple(Marker)[length]
        if length == 3 or length > LONGEST:
            raise NotAPacket("an impossible length")
        if len(self._data) < length:
            return None
        payload = bytes(self._data[4:length])
        del self._data[:length]
        return payload

    @property
    def rest(self) -> bytes:
        """What has been fed and is in no packet that was given."""
        return bytes(self._data)


def encode(packet: Packet) -> bytes:
    """A packet as it is sent.

    >>> encode(b"hi")
    b'0006hi'
    """
    if isinstance(packet, Marker):
        return packet.value
    if len(packet) + 4 > LONGEST:
        raise ValueError("a payload over the limit")
    return b"%04x%b" % (len(packet) + 4, packet)


def band(number: int, data: bytes) -> bytes:
    """Data in a side band, in as many packets as it takes."""
    most = LONGEST - 5
    prefix = bytes([number])
    return b"".join(encode(prefix + data[at : at + most]) for at in range(0, len(data), most))


def error(reason: str) -> bytes:
    """The packet that makes git end with `fatal: remote error: reason`."""
    return encode(b"ERR " + reason.encode())

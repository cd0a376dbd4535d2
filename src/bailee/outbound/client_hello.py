"""The first message of TLS: which server the client names. Pure.

After RFC 8446 (section 4.1.2, records 5.1), RFC 6066 (server_name) and RFC 9849 (encrypted client
hello). Rules kept here:

* The message may come in any number of records and pieces; until it is whole, the answer is None.
* What is not exactly a ClientHello is refused: another record in between, an empty record, lengths
  that don't add up, an extension twice, two names, bytes left over in the message.
* Nothing is believed about the rest of the connection. In TLS 1.2 a later hello is encrypted, and
  with an encrypted client hello the name seen here is the outer one: `ech` says that it was there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

LONGEST: Final = 64 * 1024
"""What a ClientHello may take; post-quantum ones have under 4 KiB."""

_HANDSHAKE: Final = 22
_CLIENT_HELLO: Final = 1
_LONGEST_RECORD: Final = 1 << 14
_MOST_RECORDS: Final = 64
_SERVER_NAME: Final = 0
_ENCRYPTED_CLIENT_HELLO: Final = 0xFE0D


class NotAClientHello(ValueError):
    """The bytes are not a ClientHello, or one that could be read in two ways."""


@dataclass(frozen=True, slots=True)
class ClientHello:
    """`server_name`: in small letters, None if there was none. `ech`: an encrypted one is inside
    (or a decoy of the same shape, which browsers send always).
    """

    server_name: str | None
    ech: bool


def looks_like_tls(data: bytes) -> bool:
    """Whether the first byte is that of a handshake record."""
    return data[:1] == bytes([_HANDSHAKE])


def read_client_hello(data: bytes) -> ClientHello | None:
    """The ClientHello at the front of `data`; None while it is not whole.

    Raises:
        NotAClientHello: it is none, and more bytes would not make it one.
    """
    message = _message(data)
    return None if message is None else _hello(message)


def _message(data: bytes) -> bytes | None:
    """The body of the handshake message, put together from its records."""
    at, gathered = 0, b""
    if len(data) > 9 and data[0] == _HANDSHAKE and data[1] == 3 and data[5] == _CLIENT_HELLO:
        length = int.from_bytes(data[3:5], "big")
        wanted = 4 + int.from_bytes(data[6:9], "big")
        if wanted == length <= _LONGEST_RECORD and len(data) >= 5 + length:
            return data[9 : 5 + length]  # all of it in one record, as it nearly always is
    for _ in range(_MOST_RECORDS):
        header = data[at : at + 5]
        if header[:1] not in (b"", bytes([_HANDSHAKE])) or header[1:2] not in (b"", b"\x03"):
            raise NotAClientHello("not a handshake record")
        if len(header) < 5:
            return None
        length = int.from_bytes(header[3:5], "big")
        if not 0 < length <= _LONGEST_RECORD:
            raise NotAClientHello("a record of an impossible length")
        piece = data[at + 5 : at + 5 + length]
        gathered += piece
        at += 5 + length
        if gathered[:1] not in (b"", bytes([_CLIENT_HELLO])):
            raise NotAClientHello("the first message is not a ClientHello")
        if len(gathered) >= 4:
            wanted = 4 + int.from_bytes(gathered[1:4], "big")
            if wanted > LONGEST:
                raise NotAClientHello("a ClientHello over the limit")
            if len(gathered) > wanted:
                raise NotAClientHello("another message in the same record")
            if len(gathered) == wanted and len(piece) == length:
                return gathered[4:]
        if len(piece) < length:
            return None
    raise NotAClientHello("a ClientHello in too many records")


def _hello(message: bytes) -> ClientHello:
    """Its fields in their order. Written out, without a reader: every tunnel has one."""
    if len(message) < 38 or message[0] != 3:
        raise NotAClientHello("a version that is none of TLS")
    if message[34] > 32:
        raise NotAClientHello("a session id over its length")
    end = len(message)
    try:
        at = 35 + message[34]
        suites = message[at] << 8 | message[at + 1]
        at += 2 + suites
        if not suites or suites % 2 or not message[at]:
            raise NotAClientHello("no cipher suites or compression methods")
        at += 1 + message[at]
        if at == end:
            return ClientHello(None, False)
        if at + 2 + (message[at] << 8 | message[at + 1]) != end:
            raise NotAClientHello("bytes after the extensions, or too few of them")
    except IndexError:
        raise NotAClientHello("a length is beyond the message") from None
    at += 2
    kinds: set[int] = set()
    name = None
    while at < end:
        if at + 4 > end:
            raise NotAClientHello("a length is beyond the message")
        kind = message[at] << 8 | message[at + 1]
        begin = at + 4
        at = begin + (message[at + 2] << 8 | message[at + 3])
        if at > end:
            raise NotAClientHello("a length is beyond the message")
        if kind in kinds:
            raise NotAClientHello("an extension twice")
        kinds.add(kind)
        if kind == _SERVER_NAME:
            name = _server_name(message[begin:at])
    return ClientHello(name, _ENCRYPTED_CLIENT_HELLO in kinds)


def _server_name(extension: bytes) -> str:
    """The one name of a list of one: its length, its kind, the name's length, the name."""
    size = len(extension)
    if (
        size < 6
        or (extension[0] << 8 | extension[1]) != size - 2
        or extension[2] != 0
        or (extension[3] << 8 | extension[4]) != size - 5
    ):
        raise NotAClientHello("not exactly one server name")
    try:
        return extension[5:].decode("ascii").lower()
    except UnicodeDecodeError:
        raise NotAClientHello("a server name beyond ASCII") from None

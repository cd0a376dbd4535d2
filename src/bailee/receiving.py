"""What comes by a socket, so many bytes of it."""

from __future__ import annotations

import socket


def exactly(connection: socket.socket, size: int) -> bytes:
    """The next `size` bytes, all of them.

    Raises:
        OSError: the connection is broken, or it took too long.
        EOFError: it has ended before.
    """
    found = bytearray(size)
    rest = memoryview(found)
    while rest:
        count = connection.recv_into(rest)
        if not count:
            raise EOFError
        rest = rest[count:]
    return bytes(found)

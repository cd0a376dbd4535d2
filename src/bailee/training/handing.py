"""The files of a shard, handed over: from a worker that shares no folder with the home.

    worker → {"size": n}, then its bytes in parts    twice: the rows, and what is known of them
    home   → {"taken": true}                         when both are durable

Rules kept here:

* A worker's files have no name on its machine: they are gone with it, however it ends.
* The home names a file by the shard whose token was shown, and by nothing that a worker says.
* A file has a largest size, and is there whole or not at all.
"""

from __future__ import annotations

import hashlib
import socket
from pathlib import Path
from typing import BinaryIO, Final

from bailee.json_values import whole as number
from bailee.training import wire
from bailee.training.files import whole

LARGEST: Final = 16 << 30
"""Bytes of a file: more are refused, and the shard fails."""
_PART: Final = 1 << 20


def hand_over(connection: socket.socket, files: tuple[BinaryIO, ...]) -> None:
    """Send files, from their beginning, and wait until the home has them.

    Raises:
        OSError, EOFError, ValueError: it has not taken them.
    """
    for file in files:
        size = file.seek(0, 2)
        file.seek(0)
        wire.send(connection, {"size": size})
        while part := file.read(_PART):
            wire.send(connection, {}, part)
    if wire.receive(connection)[0].get("taken") is not True:
        raise ValueError("the files of a shard were not taken")


def take(connection: socket.socket, paths: tuple[Path, ...]) -> tuple[str, ...]:
    """Receive files into these places; their SHA-256, in hexadecimal.

    Raises:
        OSError, EOFError: they don't come, or can't be written.
        ValueError: one is too large, or not as it was announced.
    """
    found = []
    for path in paths:
        left = number(wire.receive(connection, wire.FROM_WORKERS)[0].get("size"))
        if not 0 <= left <= LARGEST:
            raise ValueError("a file of a shard is too large")
        digest = hashlib.sha256()
        with whole(path) as out:
            while left:
                part = wire.receive(connection, wire.FROM_WORKERS)[1]
                left -= len(part)
                if not part or left < 0:
                    raise ValueError("a file of a shard is not as it was announced")
                digest.update(part)
                out.write(part)
        found.append(digest.hexdigest())
    return tuple(found)


def say_taken(connection: socket.socket) -> None:
    """Tell the worker, once the hashes are noted: its result may come at once. Raises: OSError."""
    wire.send(connection, {"taken": True})

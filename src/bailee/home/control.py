"""The control socket: how a command reaches the process that owns a home.

A Unix socket in the home, for its owner's eyes only (mode 0600). One connection carries one
operation: a line of JSON `{"operation": name, "arguments": {...}}`, answered by lines of JSON:
its items, `{"item": ...}` each (most operations have one), then `{"end": true}`, or at any point
`{"error": {"code", "message", "hint"}}`. An answer without its last line is no answer: the server
ended in the middle.

This is the command's side; the server's is `control_server`, and a command imports none of it.
"""

from __future__ import annotations

import json
import os
import socket
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path

from bailee import json_lines
from bailee.errors import BaileeError, InputError, StorageError
from bailee.json_values import Json

_CREDENTIALS = struct.Struct("3i")  # process, user, group: struct ucred, unix(7)


def answers(path: Path) -> bool:
    """Whether somebody serves at `path`."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.connect(reachable(path))
    except (FileNotFoundError, ConnectionRefusedError):
        return False
    return True


def ask(path: Path, operation: str, arguments: Mapping[str, object]) -> Iterator[Json]:
    """Ask the server at `path`: gives the operation's items as they come.

    Raises:
        ConnectionRefusedError, FileNotFoundError: nobody serves there.
        BaileeError: what the operation raised.
        InputError: code `configuration`, it is another user's process that serves there.
        StorageError: the server ended before it answered.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(reachable(path))
        if not _is_ours(connection):
            raise InputError(
                f"{path} is served by another user.",
                code="configuration",
                hint="find out who put it there; nothing was sent to it",
            )
        connection.sendall(json_lines.line({"operation": operation, "arguments": dict(arguments)}))
        with connection.makefile("rb") as lines:
            for line in lines:
                answer = json.loads(line)
                if "error" in answer:
                    problem = answer["error"]
                    raise BaileeError(
                        problem["message"], code=problem["code"], hint=problem["hint"]
                    )
                if "end" in answer:
                    return
                yield answer["item"]
    raise StorageError("the server ended before it answered.", hint="run the command again")


def _is_ours(connection: socket.socket) -> bool:
    """Whether our own user's process, or root's, is at the other end (`SO_PEERCRED`, Linux)."""
    if not hasattr(socket, "SO_PEERCRED"):
        return True
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return _CREDENTIALS.unpack(raw)[1] in (os.geteuid(), 0)


def reachable(path: Path) -> str:
    """The path as the kernel takes it: an address of a Unix socket has at most 107 bytes.

    A longer one is reached through the process's own handle on its folder.
    """
    if len(os.fsencode(path)) < 108:
        return str(path)
    folder = os.open(path.parent, os.O_PATH | os.O_CLOEXEC)  # kept: the address needs it
    return f"/proc/self/fd/{folder}/{path.name}"

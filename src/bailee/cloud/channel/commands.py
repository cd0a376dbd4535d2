"""What a stream that carries a command holds. Pure.

From the host: the request as four bytes of length and JSON, then the command's input, then the
end. From the guest: records of a tag, four bytes of length and a payload: pieces of output, and as
the last one the exit status.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterator
from typing import Final

from bailee.cloud.ports import Command

NAME: Final = "command"
MOST_REQUEST: Final = 1 << 20
LENGTH: Final = struct.Struct("!I")
_RECORD: Final = struct.Struct("!BI")
_STDOUT, _STDERR, _STATUS = 1, 2, 3
_OUTPUTS: Final = {_STDOUT: "stdout", _STDERR: "stderr"}
_TAGS: Final = {name: tag for tag, name in _OUTPUTS.items()}
_MOST_RECORD: Final = 1 << 17


def request(command: Command) -> bytes:
    """A command as the guest reads it, without its input.

    Raises:
        ValueError: it is longer than a request may be, or is none.
    """
    if not command.argv:
        raise ValueError("a command without a program")
    if any("\0" in word for word in (*command.argv, *command.environment.values())):
        raise ValueError("a command with a zero byte in it")
    document = {
        "argv": list(command.argv),
        "environment": dict(command.environment),
        "folder": command.folder,
        "timeout": command.timeout,
        "root": command.root,
    }
    data = json.dumps(document).encode()
    if len(data) > MOST_REQUEST:
        raise ValueError(f"a command of {len(data)} bytes; the most is {MOST_REQUEST}")
    return LENGTH.pack(len(data)) + data


def read_request(data: bytes) -> Command:
    """The command of a request's JSON."""
    return Command(**json.loads(data))


def output(name: str, data: bytes) -> bytes:
    """A record with a piece of output."""
    return _RECORD.pack(_TAGS[name], len(data)) + data


def status(code: int) -> bytes:
    """The last record."""
    data = str(code).encode()
    return _RECORD.pack(_STATUS, len(data)) + data


class Records:
    """Reads a command's records out of its stream, whatever the pieces."""

    def __init__(self) -> None:
        self._input = bytearray()
        self.status: int | None = None

    def receive(self, data: bytes) -> Iterator[tuple[str, bytes]]:
        """Take bytes and give the pieces of output in them: name, bytes.

        Raises:
            ValueError: they are no records.
        """
        self._input += data
        while len(self._input) >= _RECORD.size and self.status is None:
            tag, length = _RECORD.unpack_from(self._input)
            if length > _MOST_RECORD or (tag not in _OUTPUTS and tag != _STATUS):
                raise ValueError("no record of a command")
            if len(self._input) < _RECORD.size + length:
                return
            payload = bytes(self._input[_RECORD.size : _RECORD.size + length])
            del self._input[: _RECORD.size + length]
            if tag == _STATUS:
                self.status = _status(payload)
            else:
                yield _OUTPUTS[tag], payload


def _status(payload: bytes) -> int:
    if not (payload.isdigit() and len(payload) <= 3 and int(payload) < 256):
        raise ValueError("no exit status")
    return int(payload)


def encode_start(moment: float, entropy: bytes, services: dict[str, int], processes: int) -> bytes:
    """What a machine is told when it begins to work for a session."""
    document = {
        "time": moment,
        "entropy": base64.b64encode(entropy).decode(),
        "services": services,
        "processes": processes,
    }
    return json.dumps(document).encode()

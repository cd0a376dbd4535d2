"""What server and runner say to each other: lines of JSON over a Unix socket. Pure.

A connection's first line, from the runner, says what it is for:

    {"runner": {"slots": 4}}                              control, both ways, until either ends
    {"serve": "git", "machine": "cs-…", "secret": "…"}    one stream: raw bytes follow

Control, to the runner:

    {"do": "start", "machine", "secret", "services": [...], "limits": {...}}
    {"do": "execute", "machine", "call", "argv", "environment", "folder", "stdin", "timeout",
     "root"}
    {"do": "destroy", "machine", "reason"}

and from it:

    {"started": machine, "security"}      {"refused": machine, "code", "message", "hint"}
    {"output": call, "stream", "data"}    {"exited": call, "status"}    {"failed": call}
    {"ended": machine, "reason"}          the machine is gone: process, disk and memory

Bytes are in base64. The end of a control connection ends every machine that was led over it.
"""

from __future__ import annotations

import dataclasses
import json
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Final

import msgspec

from bailee import json_lines
from bailee.cloud.ports import Command, MachineLimits
from bailee.json_values import JsonObject, text

LONGEST: Final = 64 << 20
"""The longest line, in bytes: a command's standard input is one field of it."""


def line(message: Mapping[str, object]) -> bytes:
    """A message as it is sent."""
    return json_lines.line(message)


def read(raw: bytes) -> JsonObject:
    """A message that came.

    Raises:
        ValueError: it is none.
    """
    found = json.loads(raw)
    if not isinstance(found, dict):
        raise ValueError("a message is an object")
    return found


def encoded(data: bytes) -> str:
    """Bytes as a field."""
    return b64encode(data).decode()


def decoded(field: object) -> bytes:
    """What `encoded` made a field of."""
    return b64decode(text(field), validate=True)


def start(
    machine: str, secret: str, services: list[str], limits: MachineLimits
) -> dict[str, object]:
    """The order to start a machine."""
    return {
        "do": "start",
        "machine": machine,
        "secret": secret,
        "services": services,
        "limits": dataclasses.asdict(limits),
    }


def execute(machine: str, call: int, command: Command) -> dict[str, object]:
    """The order to execute a command."""
    return {
        "do": "execute",
        "machine": machine,
        "call": call,
        "argv": list(command.argv),
        "environment": dict(command.environment),
        "folder": command.folder,
        "stdin": encoded(command.stdin),
        "timeout": command.timeout,
        "root": command.root,
    }


def limits_of(message: JsonObject) -> MachineLimits:
    """The limits of an order to start a machine.

    Raises:
        msgspec.ValidationError: it has none.
    """
    return msgspec.convert(message.get("limits"), MachineLimits)


def command_of(message: JsonObject) -> Command:
    """The command of an order to execute one.

    Raises:
        msgspec.ValidationError: it has none.
    """
    fields = {one.name: message.get(one.name) for one in dataclasses.fields(Command)}
    read = msgspec.convert(fields, Command)
    return dataclasses.replace(read, argv=tuple(read.argv))

"""Usage events as Statsig's SDKs and redirected coding agents send them, as log records. Pure.

Both are batches of named events with flat metadata; they go through the same guard as OTLP's. Who
the user is, and what the SDK says of gates and experiments, is never read.

Raises `ValueError` for what is not of the form.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from typing import Final

from bailee.errors import InputError
from bailee.json_values import members
from bailee.telemetry.json_bodies import message, parts
from bailee.telemetry.otlp import DecodingBudget, LogRecord, Pairs

_NAMES_OF_EVENT: Final = ("eventName", "metadata", "time", "statsigMetadata")


def plain(body: bytes) -> bytes:
    """The body that a client in a browser wrote backwards in base64 (`se=1`).

    Raises:
        InputError: it is not.
    """
    try:
        return base64.b64decode(body[::-1], validate=True)
    except binascii.Error:
        raise InputError("the body does not have the encoding that it names.") from None


def read_log_event(body: bytes, room: DecodingBudget) -> Iterator[LogRecord]:
    """The events of a request to `log_event` or `rgstr`."""
    given = message(body)
    about = members(given.get("statsigMetadata"))
    resource: Pairs = list(about.items())
    for event in parts(given, "events", room):
        flat: Pairs = list(members(event.get("metadata")).items())
        flat += [(name, None) for name in event if name not in (*_NAMES_OF_EVENT, "value")]
        time = _nanoseconds(event.get("time"))
        yield LogRecord(resource, (event.get("eventName"),), flat, time, event.get("value"))


def read_batch(body: bytes, room: DecodingBudget) -> Iterator[LogRecord]:
    """The events of a request to `/api/event_logging/v2/batch`."""
    for event in parts(message(body), "events", room):
        data = members(event.get("event_data"))
        name = data.get("event_name")
        names = (
            (name, f"claude_code.{name.removeprefix('tengu_')}") if isinstance(name, str) else ()
        )
        given = [pair for pair in data.items() if pair[0] not in ("event_name", "env")]
        flat: Pairs = [
            (key, value if isinstance(value, str | int | float | bool) else None)
            for key, value in given
            if key != "client_timestamp"
        ]
        yield LogRecord(list(members(data.get("env")).items()), names, flat, 0)


def _nanoseconds(milliseconds: object) -> int:
    if isinstance(milliseconds, int | float) and not isinstance(milliseconds, bool):
        return int(milliseconds) * 1_000_000 if 0 < milliseconds < 1e14 else 0
    return 0

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

import orjson

from bailee.errors import InputError
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


def read_log_event(body: bytes) -> Iterator[LogRecord]:
    """The events of a request to `log_event` or `rgstr`."""
    message = _message(body)
    about = _object(message, "statsigMetadata")
    resource: Pairs = list(about.items())
    for event in _events(message):
        given: Pairs = list(_object(event, "metadata").items())
        given += [(name, None) for name in event if name not in (*_NAMES_OF_EVENT, "value")]
        time = _nanoseconds(event.get("time"))
        yield LogRecord(resource, (event.get("eventName"),), given, time, event.get("value"))


def read_batch(body: bytes) -> Iterator[LogRecord]:
    """The events of a request to `/api/event_logging/v2/batch`."""
    for event in _events(_message(body)):
        data = _object(event, "event_data")
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
        yield LogRecord(list(_object(data, "env").items()), names, flat, 0)


def _message(body: bytes) -> dict[str, object]:
    try:
        message = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise ValueError("not JSON") from error
    if not isinstance(message, dict):
        raise ValueError("not an object")
    return message


def _events(message: dict[str, object]) -> list[dict[str, object]]:
    found = message.get("events", [])
    if not isinstance(found, list) or not all(isinstance(event, dict) for event in found):
        raise ValueError("events is not a list of objects")
    return DecodingBudget().of(found)


def _object(parent: dict[str, object], name: str) -> dict[str, object]:
    found = parent.get(name)
    return found if isinstance(found, dict) else {}


def _nanoseconds(milliseconds: object) -> int:
    if isinstance(milliseconds, int | float) and not isinstance(milliseconds, bool):
        return int(milliseconds) * 1_000_000 if 0 < milliseconds < 1e14 else 0
    return 0

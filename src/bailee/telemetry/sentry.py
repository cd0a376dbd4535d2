"""Sentry envelopes: from their bytes to error events that may be kept. Pure.

Kept, by allow-list: the exception's type if it is declared; of each frame whether it is the
program's own, its line if so, and module and function if they are ours by our own source; level,
platform, release, environment, sdk, runtime, whether it was handled. All else is dropped unread:
messages, source lines, variables, paths, arguments, host, user, breadcrumbs, request, and all tags
but those that are declared fields of every measure.

Standard: Sentry's envelope format (develop.sentry.dev, "Envelopes"), as the SDKs speak it: item
lengths may be missing, an item then ends with its line.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

import orjson

from bailee.json_values import JsonObject
from bailee.registry import OTHER, Guard, Refusals
from bailee.registry.values import Value
from bailee.telemetry.json_bodies import message
from bailee.telemetry.records import MOST_FRAMES, CaughtError, StackFrame, moment

Symbols = Mapping[str, frozenset[str]]
"""Our own modules, and the names that each defines."""

_WRITTEN: Final = re.compile(rb"\S")
_EVENT_ID: Final = re.compile(r"[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_MOST_ITEMS: Final = 200
_LONGEST_HEAD: Final = 1 << 14
_READ = frozenset(
    (
        "event_id",
        "timestamp",
        "level",
        "platform",
        "release",
        "environment",
        "exception",
        "sdk",
        "contexts",
        "tags",
    )
)
_READ_OF_CONTEXTS = frozenset(("runtime", "os"))
_READ_OF_FRAME = frozenset(("function", "module", "lineno", "colno", "in_app", "platform"))
_ITEMS: Final = ("event", "client_report")
_NO_TYPE: Final = "(message)"


@dataclass(frozen=True, slots=True)
class Envelope:
    """The event's id, and the items by type and bytes."""

    event_id: str | None
    items: list[tuple[str, bytes]]


def read_envelope(body: bytes) -> Envelope:
    """An envelope's parts. Past an item that is none nothing can be told apart: if something was
    good before it, the rest is one item of another kind.

    Raises:
        ValueError: not an envelope.
    """
    end = body.find(b"\n")
    first = body if end < 0 else body[:end]
    head = message(first)
    items: list[tuple[str, bytes]] = []
    position = len(body) if end < 0 else end + 1
    while (found := _WRITTEN.search(body, position)) and len(items) < _MOST_ITEMS:
        position = found.start()  # whatever blank lines there are in one step
        try:
            kind, start, stop = _item(body, position)
        except ValueError:
            if not items:
                raise
            kind, start, stop = OTHER, position, len(body)
        items.append((kind, body[start:stop]))
        position = stop + 1
    event_id = head.get("event_id")
    if not isinstance(event_id, str) or _EVENT_ID.fullmatch(event_id) is None:
        event_id = None
    return Envelope(event_id, items)


def _item(body: bytes, position: int) -> tuple[str, int, int]:
    """The kind of an item, and from where to where it goes.

    Raises:
        ValueError: none is there.
    """
    end = body.find(b"\n", position)
    header = message(body[position : end if end >= 0 else len(body)])
    if end < 0:
        raise ValueError("an item without a payload")
    start = end + 1
    length = header.get("length")
    if length is None:
        stop = body.find(b"\n", start)
        stop = len(body) if stop < 0 else stop
    elif isinstance(length, int) and 0 <= length <= len(body) - start:
        stop = start + length
    else:
        raise ValueError("an item longer than its envelope")
    kind = header.get("type")
    return kind if isinstance(kind, str) and kind in _ITEMS else OTHER, start, stop


def named_key(body: bytes) -> str | None:
    """The key in the address (`dsn`) that an envelope's first line names, as one says it that was
    sent by way of another server.
    """
    try:
        dsn = message(body[:_LONGEST_HEAD].partition(b"\n")[0]).get("dsn")
        return urlsplit(dsn).username if isinstance(dsn, str) else None
    except ValueError:
        return None


def discarded(item: bytes) -> int:
    """How many events a client report says its client threw away."""
    found = message(item).get("discarded_events")
    total = 0
    for entry in found[:100] if isinstance(found, list) else []:
        quantity = entry.get("quantity") if isinstance(entry, dict) else None
        if isinstance(quantity, int) and 0 <= quantity < 1_000_000:
            total += quantity
    return total


class Events:
    """Takes events through the guard. Made for one envelope, and used on the thread that reads it.
    What is not on the allow-list is dropped unread.
    """

    def __init__(self, guard: Guard, symbols: Symbols, key: bytes) -> None:
        """`key` makes issue ids: a keyed digest of what is kept of the stack."""
        self._guard = guard
        self._symbols = symbols
        self._key = key
        self._names = guard.registry.errors

    def row(self, item: bytes, refusals: Refusals, now_ms: int) -> CaughtError:
        """An event's row.

        Raises:
            ValueError: not an event.
        """
        event = message(item)
        self._guard.refuse(event.keys() - _READ, refusals)
        for name, read in (("contexts", _READ_OF_CONTEXTS), ("tags", self._guard.registry.common)):
            found = event.get(name)
            if isinstance(found, dict) and found.keys() - read:
                self._guard.refuse((name,), refusals)
        raised = self._raised(event)
        kind, frames = self._exception(raised, refusals)
        level = self._text("level", event.get("level"), refusals) or "error"
        platform = self._text("error.platform", event.get("platform"), refusals) or OTHER
        release = self._text("release", event.get("release"), refusals)
        environment = self._text("deployment.environment", event.get("environment"), refusals)
        mechanism = raised.get("mechanism")
        handled = mechanism.get("handled") if isinstance(mechanism, dict) else None
        attributes = self._about(event, refusals)
        issue = self._issue(kind, platform, frames)
        return CaughtError(
            moment(_nanoseconds(event.get("timestamp")), now_ms),
            issue,
            kind,
            level,
            platform,
            release,
            environment,
            handled if isinstance(handled, bool) else None,
            frames,
            attributes,
        )

    def _text(self, name: str, value: object, refusals: Refusals) -> str | None:
        found = self._guard.value(name, value, refusals)
        return found if isinstance(found, str) else None

    def _raised(self, event: JsonObject) -> JsonObject:
        """The exception that reached the top: the last one of the chain."""
        found = event.get("exception")
        values = found.get("values") if isinstance(found, dict) else found
        chain = values if isinstance(values, list) else [values]
        last = chain[-1] if chain else None
        return last if isinstance(last, dict) else {}

    def _exception(self, raised: JsonObject, refusals: Refusals) -> tuple[str, list[StackFrame]]:
        kind = raised.get("type", _NO_TYPE)
        if kind != _NO_TYPE:
            kind = self._text("exception", kind, refusals) or OTHER
        if "value" in raised:
            self._guard.refuse(("value",), refusals)
        trace = raised.get("stacktrace")
        given = trace.get("frames") if isinstance(trace, dict) else None
        frames = (
            [f for f in given[-MOST_FRAMES:] if isinstance(f, dict)]
            if isinstance(given, list)
            else []
        )
        names: set[object] = set()
        for frame in frames:
            names |= frame.keys()
        self._guard.refuse(names - _READ_OF_FRAME, refusals)
        return str(kind), [self._frame(frame) for frame in frames]

    def _frame(self, frame: JsonObject) -> StackFrame:
        module, function = _text(frame, "module"), _text(frame, "function")
        in_app = frame.get("in_app") is not False
        known = None if module is None else self._symbols.get(module)
        if known is not None:
            named = (
                function is not None
                and len(function) <= 200
                and all(
                    part in known or part in self._names.functions or part == "<locals>"
                    for part in function.split(".")
                )
            )
            return StackFrame(module, function if named else None, _line(frame), True)
        top = None if module is None else module.partition(".")[0]
        return StackFrame(
            top if top in self._names.others else None,
            function if function in self._names.functions else None,
            _line(frame) if in_app else None,
            in_app,
        )

    def _about(self, event: JsonObject, refusals: Refusals) -> dict[str, Value]:
        sdk = event.get("sdk")
        pairs: list[tuple[object, object]] = []
        if isinstance(sdk, dict):
            pairs += [("sdk.name", sdk.get("name")), ("sdk.version", sdk.get("version"))]
        contexts = event.get("contexts")
        for name in ("runtime", "os"):
            found = contexts.get(name) if isinstance(contexts, dict) else None
            if isinstance(found, dict):
                pairs += [
                    (f"{name}.name", found.get("name")),
                    (f"{name}.version", found.get("version")),
                ]
        tags = event.get("tags")
        if isinstance(tags, dict):
            pairs += [(name, tags.get(name)) for name in sorted(self._guard.registry.common)]
        present = [(name, value) for name, value in pairs if value is not None]
        return self._guard.attributes(present, self._guard.registry.common, refusals)

    def _issue(self, kind: str, platform: str, frames: list[StackFrame]) -> str:
        """Which issue it belongs to: type and own frames. A line counts only where there is no
        function, so that an issue survives a release that moves lines.
        """
        own = [frame for frame in frames if frame.ours] or frames
        stack = [
            [frame.module, frame.function, None if frame.function is not None else frame.line]
            for frame in own
        ]
        digest = hmac.new(self._key, orjson.dumps([kind, platform, stack]), hashlib.sha256)
        return digest.hexdigest()[:16]


def _line(frame: JsonObject) -> int | None:
    line = frame.get("lineno")
    if isinstance(line, int) and not isinstance(line, bool) and 0 <= line <= 1_000_000:
        return line
    return None


def _text(frame: JsonObject, name: str) -> str | None:
    found = frame.get(name)
    return found if isinstance(found, str) else None


def _nanoseconds(given: object) -> int | None:
    if isinstance(given, int | float) and not isinstance(given, bool) and 0 < given < 1e11:
        return int(given * 1e9)
    if isinstance(given, str) and len(given) <= 40:
        try:
            return int(datetime.fromisoformat(given).timestamp() * 1e9)
        except (ValueError, OverflowError, OSError):
            return None
    return None

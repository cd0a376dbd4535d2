"""What a server says on standard error: warnings, of libraries too, and what its watch notices.

As text, or each a line of JSON: `time` (RFC 3339, UTC), `level`, `logger`, `message`. In neither is
content: messages are of ours, and of a defect its class and place are told.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, TypeAlias

from bailee.errors import InputError
from bailee.shown import line, lines

FORMATS: Final = ("text", "json")
Say: TypeAlias = Callable[[str], None]
"""How one says something to whoever runs the server."""
_LONGEST: Final = 20_000
_Exception: TypeAlias = (
    tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
)
_format = "text"  # set once, at a server's start, by the thread that starts it


def to_stderr(text: str) -> None:
    """Say something to whoever runs the server."""
    said = line(text, 2000)
    with suppress(OSError, ValueError):  # nobody reads it
        sys.stderr.write((said if _format == "text" else _json("WARNING", "bailee", said)) + "\n")
        sys.stderr.flush()


def use(name: str) -> None:
    """Say all that follows in this format.

    Raises:
        InputError: code `configuration`; there is none of this name.
    """
    global _format  # noqa: PLW0603 - there is one standard error
    if name not in FORMATS:
        raise InputError(f"log.format is {name!r}.", code="configuration", hint="use text or json")
    _format = name
    for handler in logging.getLogger().handlers:
        if isinstance(handler.formatter, _LogLines):
            handler.setFormatter(_LogLines() if name == "text" else _JsonLines())


def log_as_text() -> None:
    """Let warnings go to standard error as Python lets them, and as text."""
    handler = logging.StreamHandler()
    handler.setFormatter(_LogLines())
    handler.setLevel(logging.WARNING)
    logging.getLogger().addHandler(handler)


class _LogLines(logging.Formatter):
    """One line for each record, whatever names are in it; its traceback, if it has one, below."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        """The record's message, as text."""
        return line(super().formatMessage(record), _LONGEST)

    def formatException(self, ei: _Exception) -> str:
        """The traceback, as text."""
        return lines(super().formatException(ei))


class _JsonLines(_LogLines):
    """The same, each a line of JSON, its traceback within it."""

    def format(self, record: logging.LogRecord) -> str:
        """The record, as a line."""
        return _json(record.levelname, record.name, super().format(record))


def _json(level: str, logger: str, message: str) -> str:
    said = {
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "level": level.lower(),
        "logger": logger,
        "message": message,
    }
    return json.dumps(said, ensure_ascii=False, separators=(",", ":"))

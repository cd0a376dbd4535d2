"""What is kept: figures and error events, after the guard. Pure.

Each is an array of its fields, in their order, where a journal's frame holds it (JSON); what was
written once is read for good, so fields are added at the end alone, with a default. orjson writes:
what msgspec writes of the same number can be other bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, TypeAlias

import msgspec
import orjson

from bailee.registry.values import Value

DataClass: TypeAlias = Literal["metric", "error_event"]
METRIC: Final[DataClass] = "metric"
ERROR: Final[DataClass] = "error_event"
FLOWS: Final[dict[str, DataClass]] = {"metrics": METRIC, "errors": ERROR}
"""What each of the policy's flows that come here is kept as."""


class Figure(msgspec.Struct, array_like=True, frozen=True):
    """A figure; `at` in milliseconds. `value` of a counter is what was added since the figure
    before, of a histogram the sum, of an event its measured field, of a span its milliseconds.
    `bounds` and `counts` are a histogram's buckets.
    """

    at: int
    name: str
    kind: str
    value: float
    count: int
    bounds: list[float] | None
    counts: list[int] | None
    attributes: dict[str, Value]


class StackFrame(msgspec.Struct, array_like=True, frozen=True):
    """A place in a stack, as far as it may be told. `ours`: it is in the program's own code."""

    module: str | None
    function: str | None
    line: int | None
    ours: bool


class CaughtError(msgspec.Struct, array_like=True, frozen=True):
    """An error event; `at` in milliseconds. `issue` is a keyed digest of type and own frames."""

    at: int
    issue: str
    type: str
    level: str
    platform: str
    release: str | None
    environment: str | None
    handled: bool | None
    frames: list[StackFrame]
    attributes: dict[str, Value]


Row: TypeAlias = Figure | CaughtError

_FIGURES: Final = msgspec.json.Decoder(list[Figure])
_ERRORS: Final = msgspec.json.Decoder(list[CaughtError])
_STACK: Final = msgspec.json.Decoder(list[StackFrame])

MOST_BUCKETS: Final = 160
MOST_FRAMES: Final = 60
EARLIEST_MS: Final = 3_600_000 * 24 * 2
LATEST_MS: Final = 600_000


def figure(
    at: int,
    name: str,
    kind: str,
    value: float,
    attributes: dict[str, Value],
    *,
    count: int = 1,
    buckets: tuple[list[float], list[int]] | None = None,
) -> Figure:
    """A figure's row."""
    bounds, counts = buckets or (None, None)
    return Figure(at, name, kind, value, count, bounds, counts, attributes)


def innermost(frames: Sequence[StackFrame]) -> StackFrame | None:
    """The innermost place of the program's own whose name is known."""
    return next((f for f in reversed(frames) if f.module is not None and f.ours), None)


def where(frames: Sequence[StackFrame]) -> str | None:
    """The name of the innermost place."""
    found = innermost(frames)
    return None if found is None else ".".join(filter(None, (found.module, found.function)))


def as_json(value: Sequence[Row] | Sequence[StackFrame] | Sequence[float]) -> bytes:
    """Rows as a journal's frame holds them; or a part of one, as a column does."""
    return orjson.dumps(value, default=msgspec.structs.astuple)


def from_json(data_class: DataClass, text: bytes) -> Sequence[Row]:
    """Rows of a journal's frame.

    Raises:
        ValueError: it holds something else.
    """
    try:
        return (_FIGURES if data_class == METRIC else _ERRORS).decode(text)
    except msgspec.MsgspecError as error:
        raise ValueError("not rows") from error


def frames_from_json(text: str) -> list[StackFrame]:
    """A stack of a column."""
    return _STACK.decode(text)


def moment(given_ns: object, now_ms: int) -> int:
    """A client's time in milliseconds if it is near `now_ms`, else `now_ms`: a wrong clock must not
    put what it sends into another day's keeping.
    """
    if isinstance(given_ns, int) and not isinstance(given_ns, bool):
        given = given_ns // 1_000_000
        if now_ms - EARLIEST_MS <= given <= now_ms + LATEST_MS:
            return given
    return now_ms

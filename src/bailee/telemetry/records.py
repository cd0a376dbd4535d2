"""What is kept: figures and error events, after the guard. Pure.

Each is a plain list, which is what a journal's frame holds (JSON) and a column is made of:

    figure: [at ms, name, kind, value, count, bounds, counts, attributes]
    error:  [at ms, issue, type, level, platform, release, environment, handled, frames, attributes]

`value` of a counter is what was added since the figure before, of a histogram the sum, of an event
its measured field, of a span its milliseconds. `bounds` and `counts` are a histogram's buckets, or
None. A frame is `[module, function, line, ours]`.
"""

from __future__ import annotations

from typing import Any, Final, Literal, TypeAlias

from bailee.registry.values import Value

DataClass: TypeAlias = Literal["metric", "error_event"]
METRIC: Final[DataClass] = "metric"
ERROR: Final[DataClass] = "error_event"
FLOWS: Final[dict[str, DataClass]] = {"metrics": METRIC, "errors": ERROR}
"""What each of the policy's flows that come here is kept as."""

Row: TypeAlias = list[Any]

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
) -> Row:
    """A figure's row."""
    bounds, counts = buckets or (None, None)
    return [at, name, kind, value, count, bounds, counts, attributes]


def moment(given_ns: object, now_ms: int) -> int:
    """A client's time in milliseconds if it is near `now_ms`, else `now_ms`: a wrong clock must not
    put what it sends into another day's keeping.
    """
    if isinstance(given_ns, int) and not isinstance(given_ns, bool):
        given = given_ns // 1_000_000
        if now_ms - EARLIEST_MS <= given <= now_ms + LATEST_MS:
            return given
    return now_ms

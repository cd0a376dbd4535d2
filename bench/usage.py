"""What counting costs an exchange: the processor's time of small ones, with and without, in turns.

An exchange is a dialogue in this process: head, body, an answer as a document or a stream of ten
events, its end, its summary. The same is done without the meter and the counts. Pairs follow each
other closely, so what else the machine does falls on both alike; the median of the pairs is shown.
Around it is what a server does besides for each exchange, sockets above all, so the share of a
whole request is smaller (`bench.gateway` measures those).
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

from bench.result import Line, Unavailable

_PAIRS = 60
_EACH = 200


def main() -> list[Line]:
    """Measure; the lines of the closing table."""
    try:
        from bench import usage_exchange as one
    except ModuleNotFoundError as error:
        raise Unavailable(f"the package {error.name}") from None
    lines: list[Line] = []
    for name, kept in (("zero retention", False), ("recorded", True)):
        for shape in ("document", "stream"):
            without, with_it = one.runner(kept, shape, counts=False), one.runner(kept, shape)
            base, more = _pairs(without, with_it)
            lines.append(
                (
                    f"counting, {shape}, {name}",
                    f"{more:+.1f} µs an exchange",
                    f"{base:.0f} µs without, of its part without sockets: {more / base:+.1%}",
                )
            )
    return lines


def _pairs(without: Callable[[], None], with_it: Callable[[], None]) -> tuple[float, float]:
    """The time without, and what it is more with it: medians, in microseconds an exchange."""
    for _ in range(_EACH):
        without()
        with_it()
    base, more = [], []
    for turn in range(_PAIRS):
        order = (without, with_it) if turn % 2 else (with_it, without)
        times = {run: _time(run) for run in order}
        base.append(times[without])
        more.append(times[with_it] - times[without])
    return statistics.median(base), statistics.median(more)


def _time(run: Callable[[], None]) -> float:
    began = time.process_time()
    for _ in range(_EACH):
        run()
    return (time.process_time() - began) / _EACH * 1e6

"""The page of the load run and its pictures, from what it wrote down (`bench/results`)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import TypedDict

PICTURES = ("load-held.svg", "load-rising.svg")

_HEAD = """\
# Under load

What `make bench-load` saw: `bailee up` with all that belongs to it on one core, recording and
sealing included; the clients and the model on the other. Each stream is a session of its own, of 25
events a second. First {streams} streams are held for {seconds:.0f} seconds, then there are more of
them at each step until the server takes no more, then as many clients ask for small answers as fast
as they are answered, which is more than can be sealed; then the first number of streams again.

{machine}.
"""

_HELD = """
## Held

![Memory, and what waits to be sealed, over the time](load-held.svg)

"""

_RISING = """
## More, until it takes no more

![How late events come, by the number of streams](load-rising.svg)

"""

_FLOOD = """
## A flood, and after it

"""

_LIMITS = """
Who is refused gets 429 or 529 and says so to its person; who asks again later is served. Memory
grows with what waits, and until each connection to a database has the pages that it keeps, 16 MB at
most; it is not given back.

**What this does not say**: clients and model are on the same machine, so nothing of a network is in
it; a stream's events are small; one home, on SQLite, with a root in a file. What an event costs
beside nginx stands in [Speed](speed.md), what more of it would need in
[Past one machine](../scale.md).
"""


class _Saw(TypedDict):
    answers: dict[str, int]
    events: int
    late: list[float]
    first: list[float]


class _Sample(TypedDict):
    at: float
    memory: float
    processor: float
    waiting: int


class _Step(TypedDict):
    clients: int
    paced: bool
    seconds: float
    saw: _Saw
    samples: list[_Sample]


class _Load(TypedDict):
    machine: str
    load: float
    rising: list[_Step]
    held: _Step
    flood: _Step
    after: _Step


_EVERY = 0.04  # seconds between two events of a stream


def render(root: Path) -> str:
    """The page's text."""
    seen: _Load = json.loads((root / "bench" / "results" / "load.json").read_text())
    held, flood, after = seen["held"], seen["flood"], seen["after"]
    head = _HEAD.format(streams=held["clients"], seconds=held["seconds"], machine=seen["machine"])
    ends = [
        _ended(f"{flood['clients']:,} that ask", flood),
        _ended(f"{after['clients']:,} streams after it", after),
    ]
    rising = [_step(one) for one in [held, *seen["rising"]]]
    halves = _table(["", "first half", "second half", "at most"], _halves(held))
    late = ["late, median", "late, 99 of 100", "first byte", "its 99 of 100"]
    more = _table(["streams", "of the events came", *late, "of a core", "not answered"], rising)
    waiting = ["waiting to be sealed, at most", "memory, at most", "first byte", "its 99 of 100"]
    flooded = _table(["", "answered", "not answered", *waiting], ends)
    return "".join([head, _HELD, halves, _RISING, more, _FLOOD, flooded, _LIMITS])


def picture(root: Path, name: str) -> str:
    """One of `PICTURES`, as the run drew it."""
    return (root / "bench" / "results" / name).read_text()


def _table(columns: Sequence[str], rows: Sequence[str]) -> str:
    return f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}\n{''.join(rows)}"


def _halves(step: _Step) -> list[str]:
    memory = [one["memory"] for one in step["samples"]]
    waiting = [float(one["waiting"]) for one in step["samples"]]
    return [_row("memory, MB", memory), _row("exchanges that wait to be sealed", waiting)]


def _row(what: str, every: Sequence[float]) -> str:
    half = max(1, len(every) // 2)
    first, second = median(every[:half]), median(every[half:] or every)
    return f"| {what} | {first:,.0f} | {second:,.0f} | {max(every):,.0f} |\n"


def _step(step: _Step) -> str:
    saw = step["saw"]
    share = saw["events"] / (step["clients"] * step["seconds"] / _EVERY)
    name = f"{step['clients']:,}, for {step['seconds']:.0f} s"
    late, first = saw["late"], saw["first"]
    return (
        f"| {name} | {share:.3f} | {late[0]:,.1f} ms | {late[1]:,.0f} ms | {first[0]:,.1f} ms | "
        f"{first[1]:,.0f} ms | {_processor(step):.2f} | {_refused(saw)} |\n"
    )


def _ended(name: str, step: _Step) -> str:
    saw = step["saw"]
    answered = saw["answers"].get("200", 0) / step["seconds"]
    waiting = max(one["waiting"] for one in step["samples"])
    memory = max(one["memory"] for one in step["samples"])
    return (
        f"| {name} | {answered:,.0f}/s | {_refused(saw)} | {waiting:,} | {memory:,.0f} MB | "
        f"{saw['first'][0]:,.1f} ms | {saw['first'][1]:,.0f} ms |\n"
    )


def _processor(step: _Step) -> float:
    first, last = step["samples"][0], step["samples"][-1]
    return (last["processor"] - first["processor"]) / max(last["at"] - first["at"], 0.1)


def _refused(saw: _Saw) -> str:
    others = {name: count for name, count in sorted(saw["answers"].items()) if name != "200"}
    said = ", ".join(f"{count:,} {name}" for name, count in others.items()) or "none"
    return f"{said} of {sum(saw['answers'].values()):,}"

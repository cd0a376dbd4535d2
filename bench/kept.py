"""The last run of each benchmark, kept as JSON with the machine and what else was going on there.

`results/last.json` has one entry for each benchmark, by name. A run changes the entries of those
that it ran to their end, so that a figure is never older than its entry says. The page of the docs
is made from it (`tools/measurements_page.py`).
"""

from __future__ import annotations

import json
import os
import platform
import resource
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TypedDict

from bailee.compiled import is_compiled
from bench.result import Line

LAST: Final = Path(__file__).parent / "results" / "last.json"


class Ran(TypedDict):
    """One benchmark's last run. `load`: how many processes wanted a processor, as the kernel counts
    it, when it began and when it ended; `seconds` of the clock, and `processor` seconds, of the
    benchmark and all that it started; `lines`: as the benchmark gave them.
    """

    at: str
    machine: str
    load: list[float]
    seconds: float
    processor: float
    lines: list[list[str]]


@dataclass(frozen=True, slots=True)
class Watch:
    """The clock, the processor's time and the load when a benchmark began."""

    at: datetime
    began: float
    processor: float
    load: float

    @classmethod
    def start(cls) -> Watch:
        """From now on."""
        return cls(datetime.now(UTC), time.monotonic(), _processor(), os.getloadavg()[0])

    def stop(self, lines: Sequence[Line]) -> Ran:
        """What the benchmark's run was."""
        return {
            "at": self.at.isoformat(timespec="seconds"),
            "machine": machine(),
            "load": [round(self.load, 1), round(os.getloadavg()[0], 1)],
            "seconds": round(time.monotonic() - self.began, 1),
            "processor": round(_processor() - self.processor, 1),
            "lines": [list(line) for line in lines],
        }


def machine() -> str:
    """The machine in a line: a figure without it says little."""
    gateway = "compiled" if is_compiled() else "in Python"
    return (
        f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}, gateway {gateway}"
    )


def share(ran: Ran) -> str:
    """What share of one core the benchmark and its children had, as text."""
    return f"{ran['processor'] / max(ran['seconds'], 0.1):.0%} of a core"


def last(path: Path = LAST) -> dict[str, Ran]:
    """The last runs, by name."""
    found: dict[str, Ran] = json.loads(path.read_text()) if path.exists() else {}
    return found


def keep(runs: dict[str, Ran], path: Path = LAST, *, over: bool = True) -> None:
    """Let these be the last runs of their benchmarks; unless `over`, only where there is none."""
    path.parent.mkdir(exist_ok=True)
    before = last(path)
    every = before | runs if over else runs | before
    path.write_text(json.dumps(every, indent=1, ensure_ascii=False, sort_keys=True) + "\n")


def _processor() -> float:
    used = [resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)

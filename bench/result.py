"""What a benchmark gives back."""

from __future__ import annotations

import os
import time
from typing import Final

Line = tuple[str, str, str]
"""What was measured, the result with its unit, and what it is compared with (or "")."""


class Unavailable(Exception):
    """The machine lacks what the benchmark needs; the message says what."""


SHORT: Final = os.environ.get("BENCH_SHORT") == "1"
"""Whether this is a run of the short form: less of each, and nothing that takes minutes."""


def processor_time(process: int) -> float:
    """Seconds of the processor that all threads of a process have used, also those that have ended:
    by its own clock (clock_getcpuclockid(3)), to the nanosecond, where /proc counts in hundredths.
    """
    return time.clock_gettime(~process << 3 | 2)

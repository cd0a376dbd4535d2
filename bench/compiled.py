"""The gateway's compiled build against its source: the processor's time of one exchange.

The wheel of this machine is built first, which takes a minute once. Then two processes, one of
either build, carry out the same exchanges in turns (`bench.dialogue`): what else the machine does
falls on both alike. Sockets, the loop and TLS are not in it; they take the same time with both.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from bench.builds import compiled_package
from bench.dialogue import TURNS
from bench.result import Line

ROOT = Path(__file__).parent.parent
_PAIRS = 25
_EACH = {"small": 400, "50 deltas": 60, "120 KB": 200}


def main() -> list[Line]:
    """Measure; the lines of the closing table."""
    package = compiled_package()
    with _asked("python", ROOT / "src") as source, _asked("compiled", package) as library:
        return [_line(*one, source, library) for one in TURNS]


def _line(
    load: str, terms: str, source: subprocess.Popen[str], library: subprocess.Popen[str]
) -> Line:
    of_source, of_library = [], []
    for turn in range(_PAIRS):
        pair = (source, library) if turn % 2 else (library, source)
        times = {one.pid: _time(one, f"{load} {terms} {_EACH[load]}") for one in pair}
        of_source.append(times[source.pid])
        of_library.append(times[library.pid])
    gain = statistics.median(a / b for a, b in zip(of_source, of_library, strict=True))
    line = (
        f"{load}, {terms}",
        f"{statistics.median(of_library):.0f} µs compiled",
        f"{statistics.median(of_source):.0f} µs in Python ({gain:.2f}x)",
    )
    print(*line, flush=True)
    return line


def _time(process: subprocess.Popen[str], asked: str) -> float:
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(f"{asked}\n")
    process.stdin.flush()
    return float(process.stdout.readline())


@contextlib.contextmanager
def _asked(build: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A process of a build, which says that it is one."""
    with subprocess.Popen(
        [sys.executable, "-m", "bench.dialogue"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(folder)},
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        said = process.stdout.readline().strip()
        assert said == build, f"{said}, and not {build}"
        yield process
        process.stdin.close()

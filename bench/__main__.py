"""Runs the benchmarks, all or those named, and closes with one table.

    python -m bench [NAME...]

A benchmark is a module of this folder with `main()`. It prints what it likes while it works and
returns its results: lines of (what was measured, result, what it is compared with), or None. One
that can't run on this machine raises `Unavailable` with what it lacks, and the table says so.
"""

from __future__ import annotations

import importlib
import os
import platform
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.result import Unavailable

NAMES = sorted(
    path.stem
    for path in Path(__file__).parent.glob("*.py")
    if not path.stem.startswith("_") and "\ndef main(" in path.read_text()
)


def main(chosen: list[str]) -> int:
    """Exit status 0; 2 for a name that is none; 1 when a benchmark failed."""
    console = Console()
    if unknown := set(chosen) - set(NAMES):
        console.print(f"no benchmark is called {', '.join(sorted(unknown))}", style="bold")
        console.print(f"hint: there are {', '.join(NAMES)}")
        return 2
    table = Table(title=f"{machine()}", title_justify="left")
    for heading in ("benchmark", "measured", "result", "against"):
        table.add_column(heading, overflow="fold")
    failed = False
    for name in chosen or NAMES:
        console.rule(name, align="left")
        began = time.monotonic()
        try:
            results = importlib.import_module(f"bench.{name}").main() or []
        except Unavailable as lack:
            table.add_row(name, "could not run here", str(lack), "")
            continue
        except Exception:
            console.print_exception()
            table.add_row(name, "failed", "", "")
            failed = True
            continue
        for measured, result, against in results:
            table.add_row(name, measured, result, against)
        if not results:
            table.add_row(name, "see above", f"{time.monotonic() - began:.0f} s", "")
        table.add_section()
    console.print()
    console.print(table)
    return int(failed)


def machine() -> str:
    """The machine in a line: a figure without it says little."""
    return (
        f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

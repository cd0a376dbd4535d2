"""Runs the benchmarks, all or those named, and closes with one table.

    python -m bench [--short | NAME...]

`--short` takes five minutes at most on a quiet machine, once what it compares with is installed: of
each thing that README and docs claim to be quick it has one, less often measured. What a run found
is kept in `results/last.json` (`kept`), with the machine, its load, and the time of the processor;
a short one is kept only where nothing was.

A benchmark is a module of this folder with `main()`. It prints what it likes while it works and
returns its results: lines of (what was measured, result, what it is compared with), or None. One
that can't run on this machine raises `Unavailable` with what it lacks, and the table says so.
"""

from __future__ import annotations

import importlib
import os
import sys
import time
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from bench import kept
from bench.result import Unavailable

NAMES = sorted(
    path.stem
    for path in Path(__file__).parent.glob("*.py")
    if not path.stem.startswith("_") and "\ndef main(" in path.read_text()
)


SHORT: Final = ["egress", "gateway", "policy", "scrubbing", "startup", "tree"]


def main(chosen: list[str]) -> int:
    """Exit status 0; 2 for a name that is none; 1 when a benchmark failed."""
    console = Console()
    short = chosen == ["--short"]
    if short:
        chosen = SHORT
        os.environ["BENCH_SHORT"] = "1"  # before any of them is imported
    if unknown := set(chosen) - set(NAMES):
        console.print(f"no benchmark is called {', '.join(sorted(unknown))}", style="bold")
        console.print(f"hint: there are {', '.join(NAMES)}")
        return 2
    table = Table(title=kept.machine(), title_justify="left")
    for heading in ("benchmark", "measured", "result", "against"):
        table.add_column(heading, overflow="fold")
    failed, began = False, time.monotonic()
    runs: dict[str, kept.Ran] = {}
    for name in chosen or NAMES:
        console.rule(name, align="left")
        watch = kept.Watch.start()
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
        ran = runs[name] = watch.stop(results)
        spent = f"{ran['seconds']:.0f} s, {ran['processor']:.0f} s of processor"
        table.add_row(name, "all of it", spent, kept.share(ran))
        table.add_section()
    console.print()
    console.print(table)
    console.print(f"all of it took {time.monotonic() - began:.0f} s")
    kept.keep(runs, over=not short)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

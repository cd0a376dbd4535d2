"""The page of measurements, from the last run of each benchmark (`bench/results/last.json`)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TypedDict

_HEAD = """\
# Measurements

The last run of each benchmark, as `make bench` printed it. Absolute figures are of the machine
that they name; compare what was measured side by side in one run. *Load* is how many processes
wanted a processor of that machine when the benchmark began and ended: when it is above the number
of cores, seconds of the clock say little, and those of the processor are somewhat too high.
A benchmark that is not here has not been kept yet.
"""


class _Ran(TypedDict):
    at: str
    machine: str
    load: list[float]
    seconds: float
    processor: float
    lines: list[list[str]]


def render(root: Path) -> str:
    """The page's text."""
    kept = root / "bench" / "results" / "last.json"
    runs: dict[str, _Ran] = json.loads(kept.read_text()) if kept.exists() else {}
    return "\n".join([_HEAD, *(_section(name, ran) for name, ran in sorted(runs.items()))])


def _section(name: str, ran: _Ran) -> str:
    began, ended = ran["load"]
    rows = [f"| {' | '.join(_cell(part) for part in line)} |" for line in ran["lines"]]
    return "\n".join(
        [
            f"## `make bench ARGS={name}`",
            "",
            f"{ran['at']}, {ran['machine']}; load {began}, {ended}; {ran['seconds']:.0f} s, in "
            f"which it had {ran['processor']:.0f} s of a processor.",
            "",
            "| measured | result | against |",
            "|---|---|---|",
            *rows,
            "",
        ]
    )


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")

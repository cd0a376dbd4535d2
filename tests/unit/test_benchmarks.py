"""What is said of the benchmarks is so: their names, their short form, what they compare with."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from bench import kept, peers
from bench.__main__ import NAMES, SHORT
from bench.kept import Ran

ROOT = Path(__file__).parents[2]
NAMED = re.compile(r'make bench(?: ARGS="?([a-z_ ]+)"?)')
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "src").rglob("*.py")])


def test_every_benchmark_that_a_page_names_is_there() -> None:
    """Whoever reads a claim about speed can run what it came from."""
    named = {
        name: path.name
        for path in PAGES
        for found in NAMED.findall(path.read_text())
        for name in found.split()
    }

    assert {} == {name: page for name, page in named.items() if name not in NAMES}
    assert "gateway" in named or "fairness" in named  # something was read


def test_the_short_form_is_of_benchmarks_that_are_there() -> None:
    """And has the gateway's, whose claims are the most."""
    assert set(SHORT) <= set(NAMES)
    assert "gateway" in SHORT


@pytest.mark.parametrize("wanted", peers.PINNED.values())
def test_what_is_compared_with_is_of_one_version(wanted: str) -> None:
    """A figure beside another program's is worth nothing when that changes in between."""
    assert re.fullmatch(r"[a-z]+(?:\[[a-z]+\])?==[0-9]+(?:\.[0-9]+)+", wanted)


def test_a_short_run_takes_no_longer_ones_place(tmp_path: Path) -> None:
    """Where nothing was kept it is kept; a whole run takes the place of any."""
    path = tmp_path / "last.json"

    def ran(result: str) -> dict[str, Ran]:
        return {
            "gateway": {
                "at": "2026-11-30T00:00:00+00:00",
                "machine": "this",
                "load": [0.0, 0.0],
                "seconds": 1.0,
                "processor": 1.0,
                "lines": [["a request", result, ""]],
            }
        }

    def lines() -> list[list[str]]:
        return kept.last(path)["gateway"]["lines"]

    kept.keep(ran("short"), path, over=False)
    assert [["a request", "short", ""]] == lines()
    kept.keep(ran("whole"), path)
    kept.keep(ran("short again"), path, over=False)
    assert [["a request", "whole", ""]] == lines()

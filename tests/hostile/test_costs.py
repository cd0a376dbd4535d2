"""What it costs to read what comes from outside follows its size, whatever it is made of."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

from support.attacks import costs

pytestmark = pytest.mark.row("G1")
PROGRAM = Path(__file__).parents[1] / "support/attacks/fuzz_costs.py"
NAMES = ["request", "json", "events", "responses asked", "chat asked", "gemini asked", "responses",
         "chat", "gemini", "gemini list",
         "frames", "held events", "held frames", "head", "chunks",
         "path", "packed"]  # fmt: skip


@pytest.mark.parametrize(("entry", "ends", "pieces"), costs.SHAPES, ids=NAMES)
def test_time_follows_the_size(
    entry: costs.Entry, ends: list[tuple[bytes, bytes]], pieces: list[bytes]
) -> None:
    """Each piece, repeated between each beginning and end, in reads of a byte, small and large."""
    found = [
        dear
        for begin, end in ends
        for piece in pieces
        for size in ((1, 1000, 1 << 16) if entry in costs.IN_READS else (1 << 16,))
        if (dear := costs.dear(entry, begin, piece, end, size)) is not None
    ]
    assert [] == found


def test_no_small_input_costs_much(tmp_path: Path) -> None:
    """Some hundred inputs that a fuzzer makes of these pieces: bounded time, bounded memory."""
    if importlib.util.find_spec("atheris") is None:
        pytest.skip("atheris is not installed: it has no wheel for this platform")
    done = subprocess.run(
        # What libFuzzer takes for its peak, a program inherits from whoever becomes it: a shell.
        ["sh", "-c", '"$@"; exit $?', "sh",
         sys.executable, str(PROGRAM), "-runs=300", "-max_len=64", "-len_control=0", "-seed=1",
         "-max_total_time=15", "-timeout=60", "-rss_limit_mb=1200"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )  # fmt: skip
    assert 0 == done.returncode, done.stderr[-3000:]
    reached = [int(found) for found in re.findall(r"cov: (\d+)", done.stderr)]
    assert reached[-1] > reached[0]

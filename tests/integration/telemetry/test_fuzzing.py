"""Every decoder under a fuzzer that is guided by coverage, for as long as a test may take.

`tests/support/attacks/fuzz_decoders.py` runs for longer by hand. What was found stands as cases in
`tests/unit/telemetry/test_decoders.py`, which draw from whole payloads without guidance.
"""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[2] / "support/attacks/fuzz_decoders.py"


@pytest.mark.row("S1", "S2")
def test_nothing_breaks_a_decoder_or_passes_it(tmp_path: Path) -> None:
    """Some thousand inputs that reach ever more of the decoders: each is read or refused, and no
    planted word is in what is kept or counted.
    """
    if importlib.util.find_spec("atheris") is None:
        pytest.skip("atheris is not installed: it has no wheel for this platform")
    done = subprocess.run(
        [sys.executable, str(PROGRAM), "-runs=15000", "-max_len=100", "-len_control=0",
         "-max_total_time=40", "-timeout=30"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )  # fmt: skip

    assert 0 == done.returncode, done.stderr[-3000:]
    reached = [int(found) for found in re.findall(r"cov: (\d+)", done.stderr)]
    assert reached[-1] > reached[0]

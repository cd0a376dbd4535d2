"""pyarrow without pandas, which is there too."""

from __future__ import annotations

import subprocess
import sys

import pytest

SAID = """
import sys, pyarrow as pa
from bailee.plain_arrow import look_for_no_pandas
if {first}:
    look_for_no_pandas()
made = pa.table({{"a": pa.array([1, 2])}})
print("pandas" in sys.modules, made.to_pandas()["a"].tolist())
"""


@pytest.mark.parametrize("first", [False, True])
def test_arrays_import_no_pandas_and_data_frames_do(first: bool) -> None:
    """Where nobody has asked for it before, arrays do: that is what it is for."""
    pytest.importorskip("pandas")
    done = subprocess.run(
        [sys.executable, "-c", SAID.format(first=first)], capture_output=True, text=True, check=True
    )
    assert f"{not first} [1, 2]\n" == done.stdout

"""A wall clock for real processes that a test sets while they run: Debian's libfaketime, preloaded.

The clocks that nobody sets (`CLOCK_MONOTONIC`, `CLOCK_BOOTTIME`) stay the machine's.
"""

from __future__ import annotations

from pathlib import Path

import pytest


class SetTime:
    """A time for the programs that are started with `environment`. At first it is the real one."""

    def __init__(self, folder: Path) -> None:
        """`folder`: where the time is written to."""
        library = next(iter(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")), None)
        if library is None:
            pytest.skip("no faketime, which gives programs another time")
        self._file = folder / "time"
        self.set("+0")
        self.environment = {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }

    def set(self, time: str) -> None:
        """As `faketime` reads it: `+2h`, `-3d`, `@2026-01-01 12:00:00`."""
        new = self._file.with_suffix(".new")
        new.write_text(time)
        new.replace(self._file)

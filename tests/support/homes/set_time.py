"""A wall clock for real processes that a test sets while they run: Debian's libfaketime, preloaded.

The clocks that nobody sets (`CLOCK_MONOTONIC`, `CLOCK_BOOTTIME`) stay the machine's.
"""

from __future__ import annotations

import shutil
import subprocess
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


_ASLEEP = """
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t clock, struct timespec *now) {
  char seconds[24] = "";
  int file;
  if (syscall(SYS_clock_gettime, clock, now)) return -1;
  if (clock != CLOCK_REALTIME && clock != CLOCK_BOOTTIME) return 0;
  if ((file = open(getenv("ASLEEP"), O_RDONLY | O_CLOEXEC)) < 0) return 0;
  if (read(file, seconds, sizeof seconds - 1) > 0) now->tv_sec += atoll(seconds);
  close(file);
  return 0;
}
"""


class Asleep:
    """A machine that sleeps at a test's word: its wall clock and `CLOCK_BOOTTIME` go on meanwhile,
    as Linux has it, and `CLOCK_MONOTONIC` does not.
    """

    def __init__(self, folder: Path) -> None:
        """`folder`: where how long it has slept is written to."""
        compiler = shutil.which("cc")
        if compiler is None:
            pytest.skip("no C compiler, for a clock that a test sets")
        self._file = folder / "asleep"
        self._seconds = 0
        self.sleep(0)
        library = folder / "asleep.so"
        subprocess.run(
            [compiler, "-shared", "-fPIC", "-o", library, "-x", "c", "-"],
            input=_ASLEEP.encode(),
            check=True,
        )
        self.environment = {"LD_PRELOAD": str(library), "ASLEEP": str(self._file)}

    def sleep(self, seconds: int) -> None:
        """Be asleep for so long."""
        self._seconds += seconds
        new = self._file.with_suffix(".new")
        new.write_text(str(self._seconds))
        new.replace(self._file)

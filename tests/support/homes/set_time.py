"""Clocks for real processes that a test sets while they run: a small library, preloaded.

`CLOCK_MONOTONIC` stays the machine's. The others are read as often as a server likes: what they
are off by lies in a file that is mapped, so that a call costs what it does without the library.
"""

from __future__ import annotations

import hashlib
import shutil
import struct
import subprocess
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pytest
from coding_agents import fetching

_CLOCKS = """
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
static volatile int64_t *off;  // seconds: of the wall clock, and of that since the machine started
int clock_gettime(clockid_t clock, struct timespec *now) {
  if (syscall(SYS_clock_gettime, clock, now)) return -1;
  if (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE && clock != CLOCK_BOOTTIME)
    return 0;
  const char *name = getenv("SET_TIME");
  if (!off && name) {
    int file = open(name, O_RDONLY | O_CLOEXEC);
    void *mapped = file < 0 ? MAP_FAILED : mmap(NULL, 16, PROT_READ, MAP_SHARED, file, 0);
    if (mapped == MAP_FAILED) abort();
    close(file);
    off = mapped;
  }
  if (off) now->tv_sec += off[clock == CLOCK_BOOTTIME];
  return 0;
}
"""
_SECONDS = {"d": 86_400, "h": 3600}


class SetTime:
    """The clocks of the programs that are started with `environment`. At first the real ones."""

    def __init__(self, folder: Path) -> None:
        """`folder`: where what they are off by is written to."""
        self._file = folder / "time"
        self._file.touch()
        self._wall = self._since_start = 0
        self._write()
        self.environment = {"LD_PRELOAD": str(_library()), "SET_TIME": str(self._file)}

    def set(self, time: str) -> None:
        """The wall clock alone: ahead or behind (`+2h`, `-3d`, `+0`), or to what is an ISO moment
        in UTC.
        """
        if time[0] in "+-":
            self._wall = int(time.rstrip("dh")) * _SECONDS.get(time[-1], 1)
        else:
            there = datetime.fromisoformat(time).replace(tzinfo=UTC)
            self._wall = round((there - datetime.now(UTC)).total_seconds())
        self._write()

    def sleep(self, seconds: int) -> None:
        """Let the machine have been asleep: its wall clock and `CLOCK_BOOTTIME` have gone on
        meanwhile, as Linux has it, and `CLOCK_MONOTONIC` has not.
        """
        self._wall += seconds
        self._since_start += seconds
        self._write()

    def _write(self) -> None:
        with self._file.open("r+b") as mapped:  # in place
            mapped.write(struct.pack("=qq", self._wall, self._since_start))


@cache
def _library() -> Path:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler, for clocks that a test sets")
    with fetching("set-time") as folder:
        made = folder / f"{hashlib.sha256(_CLOCKS.encode()).hexdigest()[:12]}.so"
        if not made.exists():
            subprocess.run(
                [compiler, "-shared", "-fPIC", "-o", made, "-x", "c", "-"],
                input=_CLOCKS.encode(),
                check=True,
            )
    return made

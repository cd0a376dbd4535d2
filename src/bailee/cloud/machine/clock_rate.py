"""How fast this processor's time-stamp counter runs, which an emulated guest has to be told.

There is no portable place where an ordinary user can read it, so it is measured: two instructions
in a page of memory that can be executed.
"""

from __future__ import annotations

import ctypes
import mmap
import platform
import time
from functools import cache
from typing import Final

from bailee.errors import MachineError

# rdtsc; shl rdx, 32; or rax, rdx; ret
_CODE: Final = b"\x0f\x31\x48\xc1\xe2\x20\x48\x09\xd0\xc3"
_SPAN: Final = 0.05
_READINGS: Final = 20


@cache
def tsc_khz() -> int:
    """The rate in kHz.

    Raises:
        MachineError: this is no x86-64 machine.
    """
    if platform.machine() != "x86_64":
        raise MachineError(
            f"machines run on x86-64; this is {platform.machine()}.",
            code="no_machine",
            hint="run the cloud sessions' runner on an x86-64 machine",
        )
    page = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(_CODE)
    read = ctypes.CFUNCTYPE(ctypes.c_uint64)(ctypes.addressof(ctypes.c_char.from_buffer(page)))

    def both() -> tuple[int, int]:
        """The time and the counter at nearly the same moment: the closest of several readings."""
        readings = []
        for _ in range(_READINGS):
            before, count, after = time.monotonic_ns(), int(read()), time.monotonic_ns()
            readings.append((after - before, (before + after) // 2, count))
        return min(readings)[1:]

    began, first = both()
    time.sleep(_SPAN)
    ended, last = both()
    return round((last - first) * 1_000_000 / (ended - began))

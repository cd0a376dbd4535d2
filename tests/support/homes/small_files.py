"""What a home has on the disk before anything is said in it is small in tests.

A server writes 16 MiB of zeros for the spool's file and 8 for each of its journals', and keeps
32 MiB for deleting. A run makes some thousand homes, copies hundreds of them, and reads all of many
to show that a word is not there. Here each is a megabyte, on a disk that has gigabytes; the room
for deleting on a small one is what it is, and so is all of it for `bailee` as a process that is
not forked.
"""

from __future__ import annotations

from typing import Any

from bailee.home import reserve
from bailee.telemetry.telemetry import Telemetry
from bailee.vault.vault import Vault

truly = reserve.size_on
"""The size of the reserve on a file system."""
_LARGE, _SMALL = 4 << 30, 1 << 20  # bytes


def _size_on(file_system: int) -> int:
    return truly(file_system) if file_system < _LARGE else _SMALL


def share() -> None:
    """From now on, this process makes such homes, where it is not told how large they are."""
    reserve.size_on = _size_on
    for made, name in ((Vault, "spool_file_bytes"), (Telemetry, "file_bytes")):
        init: Any = made.__init__  # type: ignore[misc]
        init.__kwdefaults__[name] = _SMALL

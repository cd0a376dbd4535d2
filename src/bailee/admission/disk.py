"""Whose exchanges are still recorded when an account, or the disk, has as much as it may. Pure.

Rules kept here:

* An account has at most its limit of what is kept, and with what was deleted and lies in segments
  beside what is not, twice that: else who deletes and goes on would fill the disk all the same.
* While little of the disk is free, who has more than an equal part of what is stored gets nothing
  more in that is recorded; others do. One that is alone has no more than its part: what is left is
  kept for others, and the reserve (`bailee.home.reserve`) is kept from everybody.
* Asked before a request goes upstream. What is under way is finished and kept, and so is what waits
  to be sealed, which has shares of its own (`bailee.admission.shares`).

Rows: G1.
"""

from __future__ import annotations

from typing import NamedTuple

from bailee.admission.shares import Over


class OnDisk(NamedTuple):
    """Bytes of an account that are sealed: `living`, what is kept; `gone`, what was deleted and not
    reclaimed. Of `accounts` that have something, `all` bytes of both. `low`: little is free.
    """

    living: int = 0
    gone: int = 0
    all: int = 0
    accounts: int = 0
    low: bool = False


def stores(disk: OnDisk, limit: int) -> Over | None:
    """Whether an account has a request recorded. `limit`: of it, in bytes; 0: none."""
    own = disk.living + disk.gone
    if limit and (disk.living >= limit or own >= 2 * limit):
        return Over("account", "kept" if disk.living >= limit else "deleted", limit)
    if disk.low and own * disk.accounts > disk.all:
        return Over("account", "disk", 0)
    return None


def floor(wanted: int, file_system: int) -> int:
    """How many bytes are kept free of a file system of so many, where `wanted` are: a twentieth at
    the most.
    """
    return min(wanted, file_system // 20)

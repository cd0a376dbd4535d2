"""Money as whole millionths of a US dollar: sums of it are exact. Pure."""

from __future__ import annotations

import re
from typing import Final

from bailee.errors import InputError

MICRO: Final = 1_000_000
"""Of these is a dollar."""
CENT: Final = MICRO // 100
_WRITTEN: Final = r"\$?([0-9]{1,12})(?:\.([0-9]{1,6}))?"


def micro(said: str) -> int:
    """What a person wrote, as 20, $20 or 0.50, in micro-USD.

    Raises:
        InputError: it is no such amount.
    """
    found = re.fullmatch(_WRITTEN, said.strip())
    if found is None:
        raise InputError(f"{said[:40]!r} is no amount of dollars.", hint="write 20 or 0.50")
    return int(found[1]) * MICRO + int((found[2] or "").ljust(6, "0"))


def dollars(micro: int) -> str:
    """For people: "$1.60", rounded down; what is less than a cent and not nothing as "<$0.01"."""
    if 0 < micro < CENT:
        return "<$0.01"
    return f"${micro // MICRO:,}.{micro % MICRO // CENT:02d}"

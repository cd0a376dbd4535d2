"""Money as whole millionths of a US dollar: sums of it are exact. Pure."""

from __future__ import annotations

from typing import Final

MICRO: Final = 1_000_000
"""Of these is a dollar."""
CENT: Final = MICRO // 100


def dollars(micro: int) -> str:
    """For people: "$1.60", rounded down; what is less than a cent and not nothing as "<$0.01"."""
    if 0 < micro < CENT:
        return "<$0.01"
    return f"${micro // MICRO:,}.{micro % MICRO // CENT:02d}"

"""What a benchmark gives back."""

from __future__ import annotations

Line = tuple[str, str, str]
"""What was measured, the result with its unit, and what it is compared with (or "")."""


class Unavailable(Exception):
    """The machine lacks what the benchmark needs; the message says what."""

"""A value as JSON on one line.

The standard library's writer is exact for what a transcript may hold: whole numbers of any size,
halves of surrogate pairs.
"""

from __future__ import annotations

import json


def line(value: object) -> bytes:
    """The line, with its line feed."""
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"

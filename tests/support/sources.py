"""Python's files as trees, for tests of what stands in them."""

from __future__ import annotations

import ast
import gc
from pathlib import Path


def parsed(path: Path) -> ast.Module:
    """A file's tree.

    Meanwhile no garbage is collected: what complains of its end there is told with its lines, for
    which Python 3.11 reads them as a tree too, and the outer reading then fails.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        return ast.parse(path.read_text())
    finally:
        if collects:
            gc.enable()

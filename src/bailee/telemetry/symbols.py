"""The names that our own installed source defines, so that a frame that claims one can be checked.

A client's frame says `bailee.gateway.server`, `Gateway.start`. That it is a name of ours and not
something that a person wrote is known only by looking: the names are read from the source files of
the package that runs here. A client of another version may name what this one does not have: then
its function is dropped, and its line is kept.
"""

from __future__ import annotations

import importlib.util
import re
from functools import cache
from pathlib import Path

from bailee.telemetry.sentry import Symbols

_DEFINED = re.compile(r"^[ \t]*(?:async[ \t]+def|def|class)[ \t]+([A-Za-z_][A-Za-z0-9_]*)", re.M)


@cache
def installed(packages: tuple[str, ...]) -> Symbols:
    """Every module of the installed `packages`, with the names it defines."""
    found: dict[str, frozenset[str]] = {}
    for package in packages:
        spec = importlib.util.find_spec(package)
        for folder in spec.submodule_search_locations or () if spec is not None else ():
            root = Path(folder)
            for path in root.rglob("*.py"):
                parts = path.relative_to(root).with_suffix("").parts
                parts = parts[:-1] if parts[-1] == "__init__" else parts
                names = _DEFINED.findall(path.read_text(encoding="utf-8", errors="replace"))
                found[".".join((package, *parts))] = frozenset(names)
    return found

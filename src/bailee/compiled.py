"""Whether the gateway runs compiled, and how to do without that.

A wheel may hold the gateway's busiest modules twice: as Python, and as libraries that mypyc made of
it (`tools/compiled.py`), each beside its source. Python imports the library where there is one. The
source is what every test is run against first, and what the libraries are held against; with
`BAILEE_COMPILED=off` it is what runs.

It imports nothing of the project, and little else: `bailee` itself asks it at its start.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import (
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    ModuleSpec,
    PathFinder,
    SourceFileLoader,
)
from types import ModuleType
from typing import Final

_GATEWAY: Final = __file__.removesuffix("compiled.py") + "gateway"
_WITNESS: Final = "exchange"  # a module of the gateway's; all that are compiled are so together


class SourceAlone:
    """Finds the project's modules as Python source, and nothing else. Python asks it before its own
    finders, on whichever thread imports. It holds nothing, and finds no module of anybody else's.
    """

    @staticmethod
    def find_spec(
        fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """See `importlib.abc.MetaPathFinder`."""
        if path is None or not fullname.startswith("bailee."):
            return None
        for folder in path:
            finder = FileFinder(folder, (SourceFileLoader, SOURCE_SUFFIXES))
            found = finder.find_spec(fullname, target)
            if found is not None and found.loader is not None:
                return found
        return None


def leave_aside() -> None:
    """Has everything imported from its source, from here on."""
    sys.meta_path.insert(0, SourceAlone())


def is_compiled() -> bool:
    """Whether the gateway runs compiled, or would if it were imported. Looks into the folder, and
    imports nothing.
    """
    if any(isinstance(finder, SourceAlone) for finder in sys.meta_path):
        return False
    found = PathFinder.find_spec(_WITNESS, [_GATEWAY])
    return found is not None and isinstance(found.loader, ExtensionFileLoader)

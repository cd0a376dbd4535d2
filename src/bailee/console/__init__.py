"""The web pages and the small HTTP API beside them.

What is named here is imported when it is asked for: a process that has a listener and no pages (a
gateway of its own, a witness) needs none of them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from bailee.console.health import Healthy
    from bailee.console.listener import Listener, bind
    from bailee.console.names import Names, check_url
    from bailee.console.parts import Parts
    from bailee.console.site import make_site
else:
    _PLACES: Final = {
        "Healthy": "bailee.console.health",
        "Listener": "bailee.console.listener",
        "Names": "bailee.console.names",
        "Parts": "bailee.console.parts",
        "bind": "bailee.console.listener",
        "check_url": "bailee.console.names",
        "make_site": "bailee.console.site",
    }

    def __getattr__(name: str) -> object:
        if name not in _PLACES:
            raise AttributeError(name)
        globals()[name] = found = getattr(import_module(_PLACES[name]), name)
        return found


__all__ = [
    "Healthy",
    "Listener",
    "Names",
    "Parts",
    "bind",
    "check_url",
    "make_site",
]

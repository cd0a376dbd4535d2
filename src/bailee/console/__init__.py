"""The web pages and the small HTTP API beside them."""

from bailee.console.health import Healthy
from bailee.console.listener import Listener, bind
from bailee.console.names import Names, check_url, names
from bailee.console.parts import Parts
from bailee.console.site import make_site

__all__ = [
    "Healthy",
    "Listener",
    "Names",
    "Parts",
    "bind",
    "check_url",
    "make_site",
    "names",
]

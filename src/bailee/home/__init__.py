"""A home: the one folder in which everything lies that bailee keeps on a machine."""

from bailee.home.layout import Home, find
from bailee.home.lock import HomeLock

__all__ = ["Home", "HomeLock", "find"]

"""A whole home whose databases are on PostgreSQL, by its settings."""

from __future__ import annotations

from pathlib import Path

from bailee.errors import BaileeError
from bailee.home import Home
from bailee.node.node import Node
from support.homes.places import Place


class There(Place):
    """Such a home. `names`: the settings' values."""

    def __init__(self, folder: Path, data: str, keys: str) -> None:
        self.names = {"BAILEE_DATABASE_URL": data, "BAILEE_KEYRING_DATABASE_URL": keys}
        super().__init__(folder)

    def open(self) -> None:
        """Start."""
        Home(self.folder).make()
        self._lock.acquire()
        try:
            self.node = Node.open(Home(self.folder), clock=self.clock, environment=self.names)
        except BaileeError:
            self._lock.release()
            raise

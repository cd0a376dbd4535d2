"""One server for a file's cases; a new one after a case that found it wanting."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.attacks.attacked import House


class Houses:
    """Builds houses, each in a folder of its own."""

    def __init__(self, factory: pytest.TempPathFactory) -> None:
        self._factory = factory
        self._house: House | None = None

    def get(self) -> House:
        """The house that stands, or a new one."""
        if self._house is not None and self._house.broken:
            self.close()
        if self._house is None:
            folder: Path = self._factory.mktemp("house")
            self._house = House.build(folder)
        return self._house

    def close(self) -> None:
        """End what stands."""
        house, self._house = self._house, None
        if house is not None:
            house.end()


@pytest.fixture(scope="module")
def houses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Houses]:
    """Ends the last one cleanly, which is a claim too: it must still be able to."""
    made = Houses(tmp_path_factory)
    yield made
    made.close()


@pytest.fixture
def house(houses: Houses) -> House:
    """A server that is well, for one case."""
    return houses.get()

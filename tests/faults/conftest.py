"""A home for the fault tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.clients.programs import Bailee


@pytest.fixture
def bailee(tmp_path: Path) -> Iterator[Bailee]:
    """`bailee` on a home that is not there yet."""
    made = Bailee(tmp_path)
    yield made
    made.close()

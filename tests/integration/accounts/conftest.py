"""The people of a home over a real SQLite file."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.homes.town import Town


@pytest.fixture
def town(tmp_path: Path) -> Town:
    """A fresh database."""
    return Town(tmp_path)

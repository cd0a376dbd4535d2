"""A home that takes feedback."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.servers.feedback_site import Site


@pytest.fixture
def site(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Site]:
    """A home of its own; a test may give limits as the fixture's parameter."""
    made = Site(tmp_path / "home", **getattr(request, "param", {}))
    yield made
    made.close()

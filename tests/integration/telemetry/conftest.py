"""Telemetry in a folder of its own, with the time in the test's hands; and its listener."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bailee.ingest.door import DoorLimits
from support.homes.telemetry_bench import Bench, Site


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """An open telemetry."""
    made = Bench(tmp_path)
    made.open()
    yield made
    made.close()


@pytest.fixture
def site(bench: Bench, request: pytest.FixtureRequest) -> Iterator[Site]:
    """The listener; a test may give its limits as the fixture's parameter."""
    made = Site(bench, getattr(request, "param", DoorLimits()))
    yield made
    made.close()

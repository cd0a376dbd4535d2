"""Machines that this folder's tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.machines.emulated import Town


@pytest.fixture(scope="module")
def town() -> Iterator[Town]:
    """A loop and machines, for one file."""
    made = Town()
    yield made
    made.close()

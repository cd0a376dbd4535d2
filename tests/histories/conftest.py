"""What the histories begin with."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.register_assert_rewrite("histories.histories")

from histories.histories import Histories  # noqa: E402 - after it is registered
from histories.product import Product  # noqa: E402


@pytest.fixture(scope="module", autouse=True)
def _template(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A home with people in it, of which each history has a copy."""
    made = Product(tmp_path_factory.mktemp("template"))
    made.open()
    made.people()
    made.close()
    Histories.template = made
    yield

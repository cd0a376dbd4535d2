"""The shipped policy, and ways to change its text on purpose."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bailee.policy import Policy, Unsound, load
from bailee.policy.loading import content, from_bytes

Refused = Callable[..., Unsound]


@pytest.fixture(scope="session")
def policy() -> Policy:
    """The shipped policy."""
    return load()


@pytest.fixture(scope="session")
def shipped() -> str:
    """The shipped document's text."""
    return content().decode()


@pytest.fixture
def refused() -> Refused:
    """Load a text that must be refused, and give the refusal."""

    def load_refused(text: str | bytes) -> Unsound:
        with pytest.raises(Unsound) as caught:
            from_bytes(text if isinstance(text, bytes) else text.encode(), "d.toml")
        return caught.value

    return load_refused

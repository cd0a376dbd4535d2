"""A home, a scripted model, and a server in front of it, for tests of the command line."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bailee.testing.upstream import ScriptedUpstream
from claude_code import installed
from programs import Bailee


@pytest.fixture
def bailee(tmp_path: Path) -> Iterator[Bailee]:
    """`bailee` on a home that is not there yet."""
    made = Bailee(tmp_path)
    yield made
    made.close()


@pytest.fixture
def upstream() -> Iterator[ScriptedUpstream]:
    """A scripted model that takes every conversation as one of its turns."""
    with ScriptedUpstream(tools_only=False) as scripted:
        yield scripted


@pytest.fixture
def served(bailee: Bailee, upstream: ScriptedUpstream) -> Callable[..., Bailee]:
    """Starts `bailee` in front of the scripted model."""

    def serve(*arguments: str, **options: Any) -> Bailee:
        bailee.up("--upstream", upstream.url, *arguments, **options)
        return bailee

    return serve


@pytest.fixture(scope="session")
def claude() -> Path:
    """The client, or a skip that says what is missing."""
    program = installed() if sys.platform == "linux" else None
    if program is None:
        pytest.skip("Claude Code could not be had from npm")
    return program

"""A home, a scripted model, and a server in front of it, for tests of the command line."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bailee.testing.upstream import ScriptedUpstream
from support.clients.programs import SILENT, Bailee, clean_environment
from support.clients.terminal import Opens, Screen


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
    """Starts `bailee` in front of the scripted model, which keeps nothing."""

    def serve(*arguments: str, **options: Any) -> Bailee:
        if (bailee.home / "bailee.toml").exists():  # a test's own
            bailee.up("--upstream", upstream.url, *arguments, **options)
        else:
            bailee.declare(upstream.url)
            bailee.up(*arguments, **options)
        return bailee

    return serve


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bailee]:
    """A server for all tests of a file that do not need one to themselves."""
    made = Bailee(tmp_path_factory.mktemp("shared"))
    with ScriptedUpstream(tools_only=False) as upstream:
        made.up("--upstream", upstream.url)
        yield made
        made.close()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A git repository with a file."""
    made = tmp_path / "project"
    made.mkdir()
    (tmp_path / "person").mkdir()
    subprocess.run(["git", "init", "-q", str(made)], check=True)
    (made / "orchard.py").write_text("TREES = 7\n")
    return made


@pytest.fixture
def opens(root: Path, upstream: ScriptedUpstream) -> Iterator[Opens]:
    """Opens `bailee code` in a terminal, up to its first prompt."""
    opened = []

    def open_(
        *arguments: str, columns: int = 100, until: str = "(?m)^>", **environment: str
    ) -> Screen:
        given = {
            "ANTHROPIC_BASE_URL": upstream.url, "ANTHROPIC_AUTH_TOKEN": "bl_test", **SILENT
        }  # fmt: skip
        screen = Screen(
            *("code", *arguments),
            folder=root,
            environment=clean_environment(root.parent / "person", **{**given, **environment}),
            columns=columns,
        )
        opened.append(screen)
        screen.wait(until)
        return screen

    yield open_
    for screen in opened:
        screen.close()

"""A workspace that is a real git repository, and agents with real tools over a scripted model."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bailee.agent import events
from bailee.agent.ports import Asker, Nobody
from bailee.agent.session import AgentSession, Options, start
from bailee.agent.transcripts import InMemory
from bailee.testing.agent import ScriptedModel

NOW = datetime(2026, 3, 1, tzinfo=UTC)


class Work:
    """A workspace and what an agent does in it."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "work"
        self.root.mkdir()
        self.home = folder / "home"
        self.home.mkdir()
        self.store = InMemory()
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(self.home), "LANG": "C.UTF-8"}
        self.git("init", "-q", "-b", "main")

    def git(self, *arguments: str) -> str:
        """Runs git in the workspace."""
        who = ("-c", "user.name=t", "-c", "user.email=t@example.org")
        return subprocess.run(
            ["git", *who, *arguments],
            cwd=self.root,
            env=self.environment,
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    def write(self, **files: str) -> None:
        """Puts files into the workspace and commits them; `a__b_py` is `a/b.py`."""
        for name, content in files.items():
            file = self.root / name.replace("__", "/").replace("_", ".")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content)
        self.git("add", ".")
        self.git("commit", "-q", "-m", "x")

    def session(
        self, model: ScriptedModel, *, asker: Asker | None = None, **options: Any
    ) -> AgentSession:
        """An agent at work here."""
        return start(
            Options(folder=self.root, **options),
            self.environment,
            now=NOW,
            asker=asker or Nobody(),
            transcripts=self.store,
            model=model,
        )


@pytest.fixture
def work(tmp_path: Path) -> Work:
    """A workspace of its own."""
    return Work(tmp_path)


def take(
    session: AgentSession,
    prompt: str,
    *,
    on: Callable[[events.Event], None] = lambda _: None,
) -> list[events.Event]:
    """A turn, from its prompt to its end; `on` sees each event as it comes."""

    async def turn() -> list[events.Event]:
        seen = []
        async for event in session.agent.turn(prompt):
            seen.append(event)
            on(event)
        return seen

    return asyncio.run(turn())


def results(session: AgentSession) -> list[tuple[str, bool]]:
    """What the model was told of its calls: the text, and whether it is an error."""
    return [
        (str(block["content"]), bool(block.get("is_error")))
        for message in session.agent.conversation.messages
        for block in message["content"]
        if block["type"] == "tool_result"
    ]

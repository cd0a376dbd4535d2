"""The status line: always says what is kept, for how long, used for what, and what holds here."""

from __future__ import annotations

from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from bailee.agent.recorded import Recorded
from bailee.agent.session import AgentSession
from bailee.client.picture import cut
from bailee.shown import columns
from bailee.shown import lines as visible
from bailee.words import Words

_BETWEEN: Final = " · "


def line(session: AgentSession, recorded: Recorded, width: int, words: Words) -> str:
    """The line for a terminal of that width; what matters least is left out first. Pure."""
    folder = _short(session.workspace.root, Path(session.environment.get("HOME", "/nonexistent")))
    parts = [
        (1, session.agent.model.name),
        (2, folder),
        *((5, told) for told in recorded.told(words)),
        (4, session.sandbox.label(words)),
        (3, words("status.model_at", host=host(session.base_url) or words("status.provider"))),
    ]
    while len(parts) > 1 and columns(_joined(parts)) > width:
        parts.remove(min(parts, key=lambda part: part[0]))
    return cut(_joined(parts), width)


def host(base_url: str | None) -> str | None:
    """Where the model is, without anything that may be a secret; None: at its provider. Pure."""
    if base_url is None:
        return None
    try:
        parts = urlsplit(base_url)
        return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)
    except ValueError:
        return "?"


def _joined(parts: list[tuple[int, str]]) -> str:
    return visible(_BETWEEN.join(text for _, text in parts))


def _short(folder: Path, home: Path) -> str:
    return f"~/{folder.relative_to(home)}" if home in folder.parents else str(folder)

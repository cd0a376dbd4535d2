"""Which session and which agent an exchange is of, as its client says. Pure.

| client | session | agent |
|---|---|---|
| Claude Code | x-claude-code-session-id, else metadata.user_id | x-claude-code-agent-id |
| Codex | session-id, older session_id, else client_metadata | thread-id, if it is another |
| opencode | x-parent-session-id, else x-session-id | x-session-id, if it has a parent |
| any other | x-bailee-session | none |

Rules kept here: a name is one of a session of its account, and no more than that: who sends another
account's name gets a session of their own. `prompt_cache_key` names none, since people share it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from bailee.api import Api
from bailee.apis.events import as_json
from bailee.json_values import members, text
from bailee.vault.bounds import BeyondBound
from bailee.vault.packing import JSON

_LONGEST_USER: Final = 4096  # characters of a metadata.user_id that is looked into
_LONGEST_TURN: Final = 64 << 10  # characters of Codex' turn metadata that are looked into
_LONGEST: Final = 512  # characters of a name
_TITLE: Final = "thread_title"


@dataclass(frozen=True, slots=True)
class Named:
    """What a client says. `agent`: of a sub-agent, its name; `parent`: the name of the agent or
    session that began it, where that is said. `title`: the client asks for a title of its own.
    """

    session: str | None = None
    agent: str | None = None
    parent: str | None = None
    title: bool = False


def named(api: Api, headers: Mapping[str, str], fields: Mapping[str, JSON]) -> Named:
    """What these noted headers and this body say. Never raises."""
    told = members(fields.get("client_metadata")) if api is Api.RESPONSES else {}
    title = _is_title(told)
    if found := headers.get("x-claude-code-session-id"):
        agent = headers.get("x-claude-code-agent-id") or None
        return Named(found, agent, headers.get("x-claude-code-parent-agent-id") or None)
    for name in ("session-id", "session_id"):
        if found := headers.get(name):
            return _of_codex(found, headers.get("thread-id"), headers, title)
    if found := headers.get("x-session-id"):
        parent = headers.get("x-parent-session-id") or None
        return Named(parent, found, parent) if parent else Named(found)
    if found := headers.get("x-bailee-session"):
        return Named(found, headers.get("x-claude-code-agent-id") or None, title=title)
    agent = headers.get("x-claude-code-agent-id") or None
    if found := text(told.get("session_id"))[:_LONGEST]:
        return _of_codex(found, text(told.get("thread_id"))[:_LONGEST], headers, title)
    return Named(_of_user(fields), agent, title=title)


def _of_codex(session: str, thread: str | None, headers: Mapping[str, str], title: bool) -> Named:
    if not thread or thread == session:
        return Named(session, title=title)
    return Named(session, thread, headers.get("x-codex-parent-thread-id") or None, title=title)


def _is_title(told: Mapping[str, JSON]) -> bool:
    """Whether Codex says that it wants a title for a thread: a session of its own."""
    turn = text(told.get("x-codex-turn-metadata"))
    if _TITLE not in turn or len(turn) > _LONGEST_TURN:
        return False
    try:
        parsed, _ = as_json(turn.encode("utf-8", "replace"))
    except BeyondBound:
        return False
    return members(parsed).get("thread_source") == _TITLE


def _of_user(fields: Mapping[str, JSON]) -> str | None:
    """The session that `metadata.user_id` names: JSON with `session_id`, or `…_session_<id>`."""
    user = members(fields.get("metadata")).get("user_id")
    if not isinstance(user, str) or len(user) > _LONGEST_USER:
        return None
    try:
        parsed, _ = as_json(user.encode("utf-8", "replace"))
    except BeyondBound:
        return None
    if isinstance(parsed, dict):
        return text(parsed.get("session_id")) or None
    _, mark, session = user.rpartition("_session_")
    return session if mark and session else None

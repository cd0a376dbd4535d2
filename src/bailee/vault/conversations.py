"""Which session an exchange belongs to when its client does not say.

A request whose messages of role "user" continue those of an earlier request of the same owner
belongs to that request's session: of u1..uk, the longest known u1..uj with 1 <= j < k counts.
Anything else begins a session.

Rules kept here: memory only, the least recently used forgotten first, and keyed digests instead of
messages, under a key that dies with the process. After a restart, a conversation that goes on
begins a new session. How one began is a digest of its own, under a key that lasts (`tombstones`).
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence

from bailee.vault.caching import strip_message
from bailee.vault.packing import JSON, Unpackable, digestible


class Conversations:
    """The latest conversations: at most `most` of their states."""

    def __init__(self, most: int = 100_000) -> None:
        self._most = most
        self._sessions: OrderedDict[bytes, str] = OrderedDict()

    def find(self, chain: Sequence[bytes], newer: Mapping[bytes, str]) -> str | None:
        """The session that a request with this chain continues. `newer`: not yet noted links."""
        for link in reversed(chain[:-1]):
            session = newer.get(link) or self._sessions.get(link)
            if session is not None:
                return session
        return None

    def note(self, link: bytes, session_id: str) -> None:
        """A request whose chain ends with `link` belongs to `session_id`."""
        self._sessions[link] = session_id
        self._sessions.move_to_end(link)
        while len(self._sessions) > self._most:
            self._sessions.popitem(last=False)

    def forget(self, session_id: str) -> None:
        """Nothing continues `session_id` any more."""
        for link in [link for link, known in self._sessions.items() if known == session_id]:
            del self._sessions[link]


def chain(key: bytes, owner: str, messages: list[JSON] | None) -> list[bytes]:
    """The states that a request went through: one for each of its user messages."""
    link = _digest(key, b"owner", owner.encode("utf-8", "surrogatepass"))
    links: list[bytes] = []
    for message in messages or []:
        if isinstance(message, dict) and message.get("role") == "user":
            try:
                link = _digest(key, link, digestible(strip_message(message)[0]))
            except Unpackable:
                break
            links.append(link)
    return links


def beginning(key: bytes, owner: str, messages: Iterable[JSON] | None) -> bytes | None:
    """A keyed digest of an owner's conversation up to its first answer; None if it has none yet, or
    holds what is no message.
    """
    state = hashlib.blake2b(digest_size=16, key=key, person=b"beginning")
    state.update(owner.encode("utf-8", "surrogatepass") + b"\x00")
    for message in messages or ():
        try:
            state.update(digestible(strip_message(message)[0]))
        except Unpackable:
            return None
        if isinstance(message, dict) and message.get("role") == "assistant":
            return state.digest()
    return None


def _digest(key: bytes, *parts: bytes) -> bytes:
    state = hashlib.blake2b(digest_size=16, key=key)
    for part in parts:
        state.update(part)
    return state.digest()

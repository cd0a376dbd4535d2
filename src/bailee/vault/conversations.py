"""Which session an exchange belongs to when its client does not say, or says it by a name that is
not a session's.

Each exchange *leaves* links behind, and *continues* what has left one:

* what its client's side said (`items.speaking`: the person's words, the results of tools): of
  u1..uk, the longest known u1..uj with 1 <= j < k counts;
* the id that the provider gave its answer: a request that names an earlier response continues that;
* a sub-agent's name: what a sub-agent began goes to its session.

Anything else begins a session. How one began is a digest of its own (`tombstones`).

Rules kept here: links are keyed digests, each of an owner's alone, and nothing else of what was
said. They are of what is said, not of how it is written (`items.speaking.as_said`): who marks a
text for a cache, or sends it again as a list, goes on with the same conversation. The latest are in
memory, the least recently used forgotten first; the table `conversation_links` has them too, so
that a conversation goes on after a restart and at another gateway. They go with their session.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bailee.api import Api
from bailee.items.speaking import as_said, core, is_by_model, spoken
from bailee.vault.caching import strip_message
from bailee.vault.interpreted import Interpreted
from bailee.vault.packing import JSON, Unpackable, digestible

LOOKED_UP: Final = 32
"""Of what an exchange continues so many links are looked for in the index, the latest first."""


@dataclass(frozen=True, slots=True)
class Links:
    """What an exchange continues, the nearest first, and what it leaves to be continued. `names`:
    of the first those that name what they continue, and can mean nothing else.
    """

    continues: tuple[bytes, ...] = ()
    leaves: tuple[bytes, ...] = ()
    names: tuple[bytes, ...] = ()


class Conversations:
    """The latest conversations: at most `most` of their states.

    The vault makes it, batches use it and what erases has it forget, all with the vault's lock
    held. It is a copy of what the index has, and never the only one.
    """

    def __init__(self, most: int = 100_000) -> None:
        self._most = most
        self._sessions: OrderedDict[bytes, str] = OrderedDict()

    def find(self, continues: Iterable[bytes], newer: Mapping[bytes, str]) -> str | None:
        """The session that an exchange with these links continues. `newer`: not yet noted ones."""
        for link in continues:
            session = newer.get(link) or self._sessions.get(link)
            if session is not None:
                return session
        return None

    def lacks(self, continues: Sequence[bytes]) -> Sequence[bytes]:
        """Of these links those that have to be looked for in the index: those before the first one
        that is here.
        """
        for at, link in enumerate(continues[:LOOKED_UP]):
            if link in self._sessions:
                return continues[:at]
        return continues[:LOOKED_UP]

    def note(self, link: bytes, session_id: str) -> None:
        """What continues `link` belongs to `session_id`."""
        self._sessions[link] = session_id
        self._sessions.move_to_end(link)
        while len(self._sessions) > self._most:
            self._sessions.popitem(last=False)

    def forget(self, session_ids: Iterable[str]) -> None:
        """Nothing continues these sessions any more. It looks at every link once, so who ends many
        sessions names them together.
        """
        gone = set(session_ids)
        for link in [link for link, known in self._sessions.items() if known in gone]:
            del self._sessions[link]


def links(key: bytes, owner: str, meaning: Interpreted) -> Links:
    """The links of an exchange. One whose client names its session has none but for its agents."""
    begin = _digest(key, b"owner", owner.encode("utf-8", "surrogatepass"))
    if meaning.client_session is not None:
        parent, agent = (
            () if name is None else (_named(key, begin, b"agent", name),)
            for name in (meaning.parent, meaning.agent)
        )
        return Links(parent, agent, parent)
    after = None if meaning.after is None else _named(key, begin, b"response", meaning.after)
    said = chain(key, begin if after is None else after, meaning.api, meaning.messages)
    back = () if after is None else (after,)
    answered = meaning.response
    left = () if answered is None else (_named(key, begin, b"response", answered),)
    return Links((*reversed(said[:-1]), *back), (*said[-1:], *left), back)


def chain(key: bytes, begin: bytes, api: Api, items: list[JSON] | None) -> list[bytes]:
    """The states that a request went through: one for each thing that the client's side said."""
    link = begin
    found: list[bytes] = []
    for item in spoken(api, items or []):
        try:
            link = _digest(key, link, digestible(as_said(api, strip_message(item)[0])))
        except Unpackable:
            break
        found.append(link)
    return found


def beginnings(
    key: bytes, owner: str, items: Iterable[JSON] | None, api: Api = Api.MESSAGES
) -> tuple[bytes, ...]:
    """Keyed digests of an owner's conversation up to its first answer: as it was said and, if that
    is another, as it was written, which is how earlier tombstones have it. None if it has no answer
    yet, or holds what is no message.
    """
    said = hashlib.blake2b(digest_size=16, key=key, person=b"beginning")
    said.update(owner.encode("utf-8", "surrogatepass") + b"\x00")
    written = said.copy()
    for item in items or ():
        form = strip_message(core(api, item))[0]
        words = as_said(api, form)
        try:
            packed = digestible(words)
            said.update(packed)
            written.update(packed if words == form else digestible(form))
        except Unpackable:
            return ()
        if is_by_model(api, item):
            return tuple({said.digest(): None, written.digest(): None})
    return ()


def awaited(links: Sequence[bytes]) -> tuple[bytes, ...]:
    """The links by which what leaves `links` finds a session that began with what continues them:
    of two processes the one that had the later turn may file it first.
    """
    return tuple(
        hashlib.blake2b(link, digest_size=16, person=b"awaited").digest() for link in links
    )


def _named(key: bytes, begin: bytes, kind: bytes, name: str) -> bytes:
    return _digest(key, begin, kind, b"\x00", name.encode("utf-8", "surrogatepass"))


def _digest(key: bytes, *parts: bytes) -> bytes:
    state = hashlib.blake2b(digest_size=16, key=key)
    for part in parts:
        state.update(part)
    return state.digest()

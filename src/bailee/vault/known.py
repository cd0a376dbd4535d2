"""What a session has had, as digests, for who makes the next delta of it (`delta`). Pure.

Theory of operation: a client sends the whole conversation again at every turn, mostly in the same
bytes. So of the latest requests it is remembered up to which byte the messages were what they were
(`Beginning`): the length, a digest of those bytes under the session's key, how many messages end
there, and the digest of their chain. A request that begins with the same bytes has the same first
messages, and only the others are digested.

Rules kept here:

* That holds only of a text that is written as it would be written anew from its value (`Written`):
  in such a text no key stands twice, so what comes later takes nothing back.
* A beginning ends before the first cache mark: those move, and are put down for each request.
* No byte of a request is remembered, only digests; they go with what else is known of a session.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeAlias

Place: TypeAlias = "tuple[int, int]"
"""An exchange's number in its session, and a position in it."""

_DIGEST_BYTES: Final = 16
_SAMPLE: Final = 64  # bytes by which most beginnings of other requests are passed over
_MOST: Final = 4  # beginnings: of a conversation, and of its sub-agents


class Written(NamedTuple):
    """A request's text, which is what is written anew of its value; `start`: where the first of its
    messages begins.
    """

    text: bytes
    start: int


class Beginning(NamedTuple):
    """The first `messages` of a request, which are the bytes up to `end`; `chain`: their
    digest, `digest` and `sample`: those of all the bytes and of the last of them.
    """

    end: int
    messages: int
    chain: bytes
    digest: bytes
    sample: bytes


@dataclass(slots=True)
class KnownPieces:
    """What a session has had: digest → place, under the session's own digest key. `complete`: what
    is not in `places` is stored as new; otherwise all have to be looked up. `beginnings`: the
    latest, the last one first. A workbench owns it.
    """

    key: bytes
    places: dict[bytes, Place] = field(default_factory=dict)
    complete: bool = True
    beginnings: tuple[Beginning, ...] = ()

    def digest(self, kind: bytes, *parts: bytes) -> bytes:
        """The keyed digest of `parts`, for one kind of thing."""
        state = hashlib.blake2b(digest_size=_DIGEST_BYTES, key=self.key, person=kind)
        for part in parts:
            state.update(part)
        return state.digest()


class TextMatch:
    """One request's text, as far as it is digested. Who makes a draft has one, for that alone; it
    changes nothing but the beginnings of `known`.
    """

    def __init__(self, known: KnownPieces, written: Written) -> None:
        self._known = known
        self._written = written
        self._view = memoryview(written.text)
        self._state = hashlib.sha256(known.key)
        self._at = 0
        self._found: Beginning | None = None

    def begun(self) -> Beginning | None:
        """The longest beginning that the text has and whose place is known."""
        for one in sorted(self._known.beginnings, reverse=True):
            if (
                self._written.start <= one.end < len(self._view)
                and one.chain in self._known.places
                and one.sample == self._sample(one.end)
            ):
                state = hashlib.sha256(self._known.key)
                state.update(self._view[: one.end])
                if state.digest() == one.digest:
                    self._state, self._at, self._found = state, one.end, one
                    return one
        return None

    def note(self, count: int, chain: bytes, lengths: list[int]) -> None:
        """The `count` first messages end `lengths` behind what had begun: those of the others, in
        bytes. Their digest is `chain`.
        """
        found = self._found
        if lengths:
            end = found.end + 1 if found else self._written.start
            end += sum(lengths) + len(lengths) - 1
            if self._written.text[end : end + 1] not in (b",", b"]"):
                return
            self._state.update(self._view[self._at : end])
            found = Beginning(end, count, chain, self._state.digest(), self._sample(end))
        if found is not None:
            known = self._known
            others = (one for one in known.beginnings if one not in (found, self._found))
            known.beginnings = (found, *others)[:_MOST]

    def _sample(self, end: int) -> bytes:
        return self._known.digest(b"sample", self._written.text[max(0, end - _SAMPLE) : end])

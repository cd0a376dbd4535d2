"""What a session is found by, and its form in the index. Pure.

    words   digests of its words, 32 bits each, in order, little-endian
    about   JSON: [title, whether the client gave it, client, folder]

Both are sealed under the session's own key, bound to the session and to how many of its exchanges
they cover. So they die with that key, in backups too, and nothing of them is elsewhere.

A digest is BLAKE2b of the word, and has no key of its own: what conceals it is the seal. One in a
million sessions of a thousand words has another word of the same digest; whoever finds one there
looks for the words themselves.
"""

from __future__ import annotations

import hashlib
from array import array
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import orjson

from bailee.errors import IntegrityError
from bailee.json_values import elements, text
from bailee.keyring.wrapping import associated, seal, unseal
from bailee.vault.record import subject_of

MOST_WORDS: Final = 16_384
"""Of a session; further ones are not found."""
_BYTES: Final = 4  # of a digest
_NUMBERS: Final = "I"
_LITTLE: Final = array(_NUMBERS, [1]).tobytes()[:1] == b"\x01"
"""Whether this machine writes a number as it lies here."""
_DATA_CLASS: Final = "transcript"


@dataclass(frozen=True, slots=True)
class Telling:
    """What a session is told by: see `items.telling`. "" each where there is none."""

    title: str = ""
    given: bool = False
    client: str = ""
    folder: str = ""

    def with_more(self, title: str, first: str, client: str, folder: str) -> Telling:
        """With what a later record says. What the client's own title says comes first, then what
        was said first.
        """
        given = bool(title) or self.given
        named = title or (self.title if self.given else self.title or first)
        return Telling(named, given, self.client or client, self.folder or folder)

    def packed(self) -> bytes:
        """As it is sealed."""
        return orjson.dumps([self.title, self.given, self.client, self.folder])

    @classmethod
    def read(cls, packed: bytes) -> Telling:
        """What `packed` gave; nothing where it is something else."""
        title, given, client, folder = (*elements(orjson.loads(packed)), *[None] * 4)[:4]
        return cls(text(title), given is True, text(client), text(folder))


def digest(word: str) -> int:
    """A word's."""
    encoded = word.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(encoded, digest_size=_BYTES).digest(), "little")


def merged(known: bytes, words: Iterable[str]) -> tuple[bytes, bool]:
    """Words as digests, with those that were known; whether all found room."""
    found = {*_numbers(known)}
    room = True
    for word in words:
        if len(found) >= MOST_WORDS:
            room = digest(word) in found and room
            continue
        found.add(digest(word))
    return _in_order(array(_NUMBERS, sorted(found))).tobytes(), room


def has_all(words: bytes, wanted: Iterable[int]) -> bool:
    """Whether all of these digests are among a session's."""
    if not _LITTLE:
        numbers: memoryview[int] = memoryview(_numbers(words))
    else:
        numbers = memoryview(words).cast("I")
    count = len(numbers)
    for one in wanted:
        at = bisect_left(numbers, one)
        if at == count or numbers[at] != one:
            return False
    return True


def seal_words(words: bytes, key: bytes, session_id: str, covers: int, nonce: bytes) -> bytes:
    """A session's words under its key."""
    return seal(key, words, _data("words", session_id, covers), nonce)


def open_words(sealed: bytes, key: bytes, session_id: str, covers: int) -> bytes:
    """The same opened.

    Raises:
        IntegrityError: these are not they.
    """
    words = unseal(key, sealed, _data("words", session_id, covers), "the words of a session")
    if len(words) % _BYTES:
        raise IntegrityError("the words of a session have no form that is known.", code="schema")
    return words


def seal_telling(one: Telling, key: bytes, session_id: str, covers: int, nonce: bytes) -> bytes:
    """What a session is told by under its key."""
    return seal(key, one.packed(), _data("about", session_id, covers), nonce)


def open_telling(sealed: bytes, key: bytes, session_id: str, covers: int) -> Telling:
    """The same opened.

    Raises:
        IntegrityError: this is not it.
    """
    data = _data("about", session_id, covers)
    return Telling.read(unseal(key, sealed, data, "what a session is told by"))


def _data(what: str, session_id: str, covers: int) -> bytes:
    return associated(f"bailee/{what}/1", subject_of(session_id), covers, _DATA_CLASS)


def _numbers(words: bytes) -> array[int]:
    numbers = array(_NUMBERS)
    numbers.frombytes(words)
    return _in_order(numbers)


def _in_order(numbers: array[int]) -> array[int]:
    if not _LITTLE:
        numbers.byteswap()
    return numbers

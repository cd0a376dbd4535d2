"""What is to be masked in a text: secrets and personal data, also where they are encoded.

Rules kept here:

* What a decoder would read is looked at too (`encodings`). Of an encoded run that says something
  to be masked, or is too long to be looked into, the whole run goes.
* A value that could be any word (`password = "content"`) is masked where something is given that
  value, not wherever the word stands.
* That nothing was found in a text is remembered by a digest, never the text: the same instructions
  and tools come with every conversation of a client.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple, TypeAlias

from bailee.training.encodings import DEEPEST, encoded_runs, readings
from bailee.training.personal import EMAIL, PersonalValue, personal_in
from bailee.training.secret_values import TooManySecrets, secrets_in

SECRET: Final = "SECRET"  # noqa: S105 -- a kind of value
OPAQUE: Final = "OPAQUE"
_WEAK_RULES: Final = re.compile(r"password or key\Z|betterleaks generic")
_ANY_WORD: Final = re.compile(r"[A-Za-z]?[a-z_.-]*\Z|[A-Z_]*\Z|.{0,7}\Z", re.DOTALL)
_GIVEN: Final = tuple(
    f"{sign}{gap}{mark}" for sign in "=:" for gap in ("", " ") for mark in ("", "'", '"')
)
_REMEMBERED: Final = 8_192
_WORTH_REMEMBERING: Final = 256

Names: TypeAlias = Callable[[str], Iterable[PersonalValue]]
"""Names of people and places in a text."""


class ToMask(NamedTuple):
    """A value to be masked. `before`: only where this stands before it; `alone`: only where it is
    not a part of a longer word.
    """

    kind: str
    rule: str
    value: str
    before: str = ""
    alone: bool = False


class Finder:
    """Finds what is to be masked in one text after another.

    Owned by one worker and used on one thread. `emails`: of the account, masked in any form of
    letters. It keeps digests of texts in which there was nothing, and nothing else.
    """

    def __init__(self, emails: Iterable[str] = (), names: Names | None = None) -> None:
        self._emails = tuple(sorted(set(emails)))
        self._names = names
        self._clean: dict[bytes, None] = {}

    def find(self, text: str) -> tuple[ToMask, ...]:
        """What is to be masked in a text.

        Raises:
            TooManySecrets: so much that the text must go as a whole.
        """
        if len(text) < _WORTH_REMEMBERING:
            return tuple(self._in(text, 0))
        digest = hashlib.blake2b(text.encode(), digest_size=16).digest()
        if digest in self._clean:
            self._clean[digest] = self._clean.pop(digest)
            return ()
        found = tuple(self._in(text, 0))
        if not found:
            self._clean[digest] = None
            if len(self._clean) > _REMEMBERED:
                del self._clean[next(iter(self._clean))]
        return found

    def _in(self, text: str, deep: int) -> Iterator[ToMask]:
        for secret in secrets_in(text):
            yield from as_masks(secret.rule, secret.value)
        for found in personal_in(text):
            yield ToMask(found.kind, found.kind.lower(), found.value, found.before, alone=True)
        yield from self._of_the_account(text)
        if self._names is not None:
            for found in self._names(text):
                yield ToMask(found.kind, found.kind.lower(), found.value, alone=True)
        if deep == DEEPEST:
            return
        for reading in readings(text):
            yield from self._in(reading, deep + 1)
        for run in encoded_runs(text):
            if run.says is None:
                yield ToMask(OPAQUE, "too long to look into", run.run)
            elif (within := next(self._in(run.says, deep + 1), None)) is not None:
                yield ToMask(within.kind, f"{within.rule}, encoded", run.run)

    def _of_the_account(self, text: str) -> Iterator[ToMask]:
        for email in self._emails:
            for match in re.finditer(re.escape(email), text, re.IGNORECASE):
                yield ToMask(EMAIL, "email of the account", match[0])


def as_masks(rule: str, value: str) -> Iterator[ToMask]:
    """A secret as what is to be masked: everywhere, or where something is given that value."""
    if not (_WEAK_RULES.match(rule) and _ANY_WORD.match(value)):
        yield ToMask(SECRET, rule, value)
        return
    for before in _GIVEN:
        yield ToMask(SECRET, rule, value, before, alone=True)


__all__ = ["OPAQUE", "SECRET", "Finder", "Names", "ToMask", "TooManySecrets", "as_masks"]

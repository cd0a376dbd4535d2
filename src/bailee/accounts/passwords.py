"""Passwords: what is one, how it is kept, how it is compared.

Rules kept here:

* Argon2id with the parameters of RFC 9106 for memory-constrained environments (`argon2-cffi`).
* Comparing costs one hash, whether there is a password to compare with or not: who asks can't tell
  an unknown email, or one without a password, from a wrong password by the work done.
* Few hashes run at a time, so that a flood of guesses takes no more memory than that.
* A password is long rather than odd (NIST SP 800-63B): no rules about kinds of characters.
"""

from __future__ import annotations

import secrets
import threading
import unicodedata
from typing import Final, Protocol

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from bailee.errors import InputError

SHORTEST: Final = 12
LONGEST: Final = 256
_AT_ONCE: Final = 2


class Hasher(Protocol):
    """What of argon2 is used; `argon2.PasswordHasher` is one. `Passwords` calls it, on a few
    threads at once. Each call takes as long as a hash, but for `check_needs_rehash`.
    """

    def hash(self, password: str) -> str:
        """The password's digest, with salt and parameters."""
        ...

    def verify(self, hash: str, password: str) -> bool:  # noqa: A002 - argon2's name
        """True, or raise `VerificationError`."""
        ...

    def check_needs_rehash(self, hash: str) -> bool:  # noqa: A002 - argon2's name
        """Whether it was made with other parameters."""
        ...


class Passwords:
    """Digests of passwords, and comparing with them.

    `PasswordSignIn` owns it. Called from any thread; it blocks for a hash, and before that until
    few enough others are under way, so never on an event loop. It stores nothing.
    """

    def __init__(self, hasher: Hasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._slots = threading.BoundedSemaphore(_AT_ONCE)
        self._making = threading.Lock()  # while `_nobodys` is made, once
        self._nobodys: str | None = None

    def digest(self, password: str) -> str:
        """What is kept of a password. One hash.

        Raises:
            InputError: it is too short or too long.
        """
        text = checked(password)
        with self._slots:
            return self._hasher.hash(text)

    def match(self, kept: str | None, password: str) -> bool:
        """Whether this is the password of which `kept` is the digest. One hash, also when nothing
        is kept.
        """
        nobodys = self._nobody()
        text = unicodedata.normalize("NFKC", password)[:LONGEST]
        with self._slots:
            try:
                self._hasher.verify(nobodys if kept is None else kept, text)
            except (VerificationError, InvalidHashError):
                return False
        return kept is not None

    def outdated(self, kept: str) -> bool:
        """Whether a digest should be made anew, with today's parameters."""
        return self._hasher.check_needs_rehash(kept)

    def _nobody(self) -> str:
        """The digest of a password that nobody knows; made once."""
        with self._making:
            if self._nobodys is None:
                self._nobodys = self._hasher.hash(secrets.token_hex(32))
            return self._nobodys


def checked(password: str) -> str:
    """The password as it is hashed (NFKC: the same on every keyboard).

    Raises:
        InputError: it is too short or too long. The message does not repeat it.
    """
    text = unicodedata.normalize("NFKC", password)
    if len(text) < SHORTEST or len(set(text)) < 4:
        raise InputError(
            f"a password has at least {SHORTEST} characters, and not the same ones over and over.",
            hint="a few words in a row are easy to remember",
        )
    if len(text) > LONGEST:
        raise InputError(f"a password has at most {LONGEST} characters.")
    return text

"""API keys: how one is made, read and compared. Pure: the random bytes are an argument.

A key is `bl_<id>_<secret>`: ten hexadecimal digits that name it and forty-eight that prove it
(192 bits). What is stored is the SHA-256 of the whole: with that much chance in it, a slow hash
would protect nothing more.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from bailee.accounts.account import Account, ApiKey
from bailee.errors import InputError

RANDOM_BYTES = 5 + 24
KEY_PREFIX: Final = "bl_"
_LENGTH = len(KEY_PREFIX) + 10 + 1 + 48


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key just made: its id, the key itself (shown once), and the digest to store."""

    key_id: str
    key: str
    digest: bytes


def mint(random: bytes) -> NewKey:
    """Make a key out of `RANDOM_BYTES` random bytes."""
    if len(random) != RANDOM_BYTES:
        raise ValueError(f"{RANDOM_BYTES} random bytes make a key, not {len(random)}")
    name, secret = random[:5].hex(), random[5:].hex()
    key = f"bl_{name}_{secret}"
    return NewKey(f"key_{name}", key, digest(key.encode()))


def key_id(presented: bytes) -> str | None:
    """The id that a presented key names, or None when it has not the form of a key."""
    if len(presented) != _LENGTH or presented[:3] != b"bl_" or presented[13:14] != b"_":
        return None
    return "key_" + presented[3:13].decode("ascii", "replace")


def digest(presented: bytes) -> bytes:
    """What is stored of a key, and compared in constant time."""
    return hashlib.sha256(presented).digest()


@dataclass(frozen=True, slots=True)
class KeyLimits:
    """How many keys may be good at once: made for one person, of one account, and in all."""

    of_person: int = 100
    of_account: int = 1000
    in_all: int = 100_000


USUAL: Final = KeyLimits()


def check_number(
    limits: KeyLimits,
    held: Iterable[ApiKey],
    account: Account,
    person_id: str | None,
    now: datetime,
) -> None:
    """Refuse one key more of an account, made for a person or nobody, where there are as many as
    may be. Keys that are over do not count, nor those of cloud sessions and runs, which end with
    them, nor clients that are signed in and service accounts, which have bounds of their own
    (`sign_ins`, `workload_identity`). A person's own
    account has no more than the person.

    Raises:
        InputError: `over_quota`.
    """
    own = account.person_id is not None
    in_all = of_account = of_person = 0
    for key in held:
        by_hand = not key.ephemeral and key.scope not in ("cloud", "signed_in", "workload")
        if by_hand and not key.is_over(now):
            in_all += 1
            of_account += key.account_id == account.account_id
            of_person += key.person_id is not None and key.person_id == person_id
    if of_person >= limits.of_person:
        raise _too_many("this person has", of_person, "keys.per_person")
    if of_account >= (limits.of_person if own else limits.of_account):
        raise _too_many(
            "this account has", of_account, f"keys.per_{'person' if own else 'account'}"
        )
    if in_all >= limits.in_all:
        raise _too_many("there are", in_all, "keys.in_all")


def _too_many(who: str, number: int, setting: str) -> InputError:
    return InputError(
        f"{who} {number} keys that are good, and there may be no more.",
        code="over_quota",
        hint=f"revoke what is not used; or whoever runs bailee raises {setting}",
    )

"""Passwords of tests are hashed with Argon2's cheapest parameters, as they are in `homes.town`.

A hash takes 64 MiB and a tenth of a second of a processor on purpose. A run hashes some thousand,
and none of them is to be kept from anybody. `bailee` as a process that is not forked hashes as it
does for its users, and `test_password_sign_in.py` shows how that is, by `truly`.
"""

from __future__ import annotations

from functools import partial

from argon2 import PasswordHasher

from bailee.accounts import passwords

truly = passwords.PasswordHasher
"""What a server hashes with."""


def share() -> None:
    """From now on, this process hashes so where it is not told how."""
    passwords.PasswordHasher = partial(  # type: ignore[misc,assignment]
        PasswordHasher, time_cost=1, memory_cost=8, parallelism=1
    )

"""Accepting an older part of a home, at the operator's word and never otherwise."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from contextlib import ExitStack
from dataclasses import dataclass

from bailee import config
from bailee.accounts import OPERATOR
from bailee.errors import InputError
from bailee.home import Home, HomeLock, parts
from bailee.home.belonging import HomeStanding
from bailee.node import databases
from bailee.node.node import Node
from bailee.node.old_entries import NOBODY


@dataclass(frozen=True, slots=True)
class AcceptedParts:
    """Which parts of a home hold from now on, who was erased again, and of whom that can't be
    said.
    """

    home: str
    accepted: list[str]
    erased_again: list[str]
    unnamed: list[str]


def accept_older(
    home: Home,
    accepted: Collection[str],
    reason: str,
    environment: Mapping[str, str] = os.environ,
) -> AcceptedParts:
    """Open a home of which `accepted` parts are older than the rest, and have those hold from now
    on; which they were. Who was erased since is erased again: what names them has no key any more.
    But where the keyring is older, or has keys that do not open, a key that is not there says
    nothing about its person: nobody is erased, and `unnamed` says who that concerns.

    Raises:
        InputError: nothing is older than the rest; or the home is not there, or in use.
        IntegrityError: code `home_parts`: other parts are older too, or do not belong.
        StorageError: a store can't be opened.
    """
    if not home.exists:
        raise InputError(f"there is no home at {home.path}.", code="not_found")
    with HomeLock(home):
        standing = _standing(home, accepted, environment)
        if not standing.older:
            raise InputError(
                "no part of this home is older than the others.", hint="bailee up starts it"
            )
        with Node.open(home, accepted=accepted, environment=environment) as node:
            again = [one for one in node.registry.people.all() if one.email is None]
            for name in standing.older:
                node.ledger.append(
                    "home.older_accepted",
                    name,
                    {"newest": standing.newest, "reason": reason[:300]},
                    whose=NOBODY,
                )
            unnamed = [one.person_id for one in again if one.erased_at is None]
            whole = "keyring" not in standing.older and not any(node.keyring.verify())
            erased, unnamed = (unnamed, []) if whole else ([], unnamed)
            for person_id in erased:
                node.erasures.request(person_id, node.clock(), by=OPERATOR)
    return AcceptedParts(str(home.path), list(standing.older), erased, unnamed)


def _standing(
    home: Home, accepted: Collection[str], environment: Mapping[str, str]
) -> HomeStanding:
    """How the home stands, wherever its databases are; they are let go of again."""
    with ExitStack() as closing:
        settings = config.load(home.settings_file, environment, {})
        there = databases.connect(home, settings, closing)
        elsewhere = {} if there is None else databases.parts(*there)
        return parts.examine(home, accepted, elsewhere=elsewhere)

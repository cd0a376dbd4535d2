"""What people and organisations are called, by their ids, on pages of who may see that.

A name is looked up where a page shows an id, so that no list has to have both.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from bailee.accounts import PeopleRegistry
from bailee.errors import BaileeError


def called(registry: PeopleRegistry, ids: Iterable[str | None]) -> dict[str, str]:
    """By the ids of people, organisations and accounts, what each is called. Without a name are
    those who were erased, who hold a key and are nobody's, and what is damaged: it hides no row.
    """
    found: dict[str, str] = {}
    for one in {one for one in ids if one}:
        with suppress(BaileeError):
            if name := _name(registry, one):
                found[one] = name
    return found


def _name(registry: PeopleRegistry, one: str) -> str | None:
    if one.startswith("per_"):
        return registry.people.get(one).email
    if one.startswith("org_"):
        return registry.organisations.get(one).name
    if one.startswith("acc_"):
        account = registry.accounts.get(one)
        whose = account.organisation_id or account.person_id
        return None if whose is None else _name(registry, whose)
    return None

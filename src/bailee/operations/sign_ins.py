"""What can be asked of a home about clients that are signed in: which, on whose terms; ending them.

Rules kept here:

* A person sees and ends their own; the operator anybody's. Whoever runs an organisation ends one
  there as they revoke a key.
* To end them all ends the console's sessions too: "sign me out everywhere" leaves nothing that is
  signed in. Keys that were made are no sign-ins, and stay.

Rows: O1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from bailee.accounts.roles import Permission
from bailee.errors import InputError
from bailee.node import Node
from bailee.operations.asks import Asks
from bailee.operations.codec import Function
from bailee.operations.key_terms import KeyTerms, terms_of
from bailee.operations.operation import operation
from bailee.operations.whose import find_person


@dataclass(frozen=True, slots=True)
class ClientSummary:
    """A client that is signed in. `key_id`: as which it is known. `client`: what it said of itself.
    `by_provider`: the organisation's provider is asked at each renewal. `renewed`: when it last got
    a token. `ends`: if it is not renewed until then.
    """

    key_id: str
    person: str
    client: str | None
    by_provider: bool
    since: datetime
    renewed: datetime
    ends: datetime
    terms: KeyTerms


@dataclass(frozen=True, slots=True)
class SignInsEnded:
    """What was signed out: the keys of clients, and how many sessions of the console."""

    person: str
    clients: list[str]
    web_sessions: int


@operation()
def list_(asks: Asks, node: Node, id: str | None = None) -> list[ClientSummary]:
    """A person's clients that are signed in, the last renewed first; yours, if nobody is named."""
    person_id = _person(asks, node, id)
    node.registry.authority.require_for_person(asks.actor, Permission.PERSON_READ, person_id)
    return [
        ClientSummary(
            one.key_id,
            person_id,
            one.client,
            one.by_provider,
            one.created_at,
            one.renewed_at,
            one.ends_at,
            terms_of(node.policy_of(account), account),
        )
        for one in node.registry.sign_ins.of_person(person_id)
        for account in (node.accounts.get(one.account_id),)
    ]


@operation()
def end(
    asks: Asks, node: Node, id: str | None = None, *, client: str | None = None
) -> SignInsEnded:
    """Sign a person out at once: one `client`, or else all of them and every browser."""
    person_id = _person(asks, node, id)
    ended = node.registry.sign_ins.end(person_id, client, by=asks.actor)
    browsers = node.registry.web_sessions.end_all(person_id) if client is None else 0
    return SignInsEnded(person_id, ended, browsers)


def _person(asks: Asks, node: Node, named: str | None) -> str:
    if named is not None:
        return find_person(asks, node, named).person_id
    if asks.actor.person_id is None:
        raise InputError("say whose: name a person.")
    return asks.actor.person_id


OPERATIONS: Final[Mapping[str, Function]] = {
    "sign_ins.list": list_,
    "sign_ins.end": end,
}

"""Who asks for an operation, when, why, and by which way in.

Rules kept here:

* Who asks is worked out once, at the edge where the question came in, and handed on: no operation
  finds it among its values, and there is no one whom it takes for granted.
* What may be read goes by `at`. What is due, and what is noted, goes by `due`: the home's time,
  which stays behind while the machine's clock is ahead of it, so that no note is from a time to
  come.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from bailee.accounts import OPERATOR, Account, Actor
from bailee.accounts.roles import Permission
from bailee.errors import InputError
from bailee.json_values import text
from bailee.node import Node

PROOFS: Final = frozenset({"key", "cookie", "as"})
"""What proves who asks. It is not among what an operation is given."""


class Via(StrEnum):
    """The way in."""

    TERMINAL = "terminal"
    PAGE = "page"
    API = "api"


@dataclass(frozen=True, slots=True)
class Asks:
    """Who asks, when, and by which way: the first argument of each operation.

    `at`: what may be read goes by it, the later of the machine's time and the home's. `due`: the
    home's time, by which is decided what is due, and noted when. `reason`: what they gave for it,
    where something is read or held that is another's.
    """

    actor: Actor
    at: datetime
    due: datetime
    via: Via
    reason: str | None = None

    def why(self, node: Node) -> str:
        """Why what is another's is read, for the record. Where operators have names, whoever reads
        says which of them they are, and why. A home without such a person is somebody's own
        machine: at its terminal the reason may be left out.

        Raises:
            InputError: no reason was given, or nobody with a name asks.
        """
        named = node.registry.authority.operators_have_names()
        if named and self.actor.person_id is None and self.actor.key_id is None:
            raise InputError(
                "reading what belongs to someone else takes a person with a name, which goes on "
                "record.",
                hint="at the terminal, say which operator you are: --as EMAIL (or BAILEE_AS); in "
                "the console, sign in as yourself",
            )
        if self.reason:
            return self.reason
        if self.via is Via.TERMINAL and not named:
            return "at the terminal, no reason given"
        raise InputError(
            "reading what belongs to someone else needs a reason.",
            hint="give it as `reason`; it is recorded",
        )

    def require(self, node: Node, permission: Permission, account: Account | None = None) -> None:
        """Go on only if who asks may do this, to an account or to the service as a whole.

        Raises:
            InputError: code `forbidden`.
        """
        node.registry.authority.require(self.actor, permission, account)


def asked_by(
    node: Node, actor: Actor, via: Via, *, now: datetime | None = None, reason: str | None = None
) -> Asks:
    """The question of an actor who is known. `now`: a test's moment, in a home made for it."""
    return Asks(actor, now or node.latest(), now or node.clock(), via, reason)


def at_terminal(node: Node, values: Mapping[str, object]) -> Actor:
    """Who asks by a command on this machine: the person or key whose `key` is among the values; or
    the operator, who has the home: as who they say that they are (`as`: an operator's id or email),
    which is believed, since they could do all of it anyway, and goes on record.

    Raises:
        InputError: code `authentication`, the key is not good; `forbidden`, they named somebody who
            is no operator.
    """
    key, named = values.get("key"), text(values.get("as"))
    if key is not None:
        return _by_key(node, key)
    if not named:
        return OPERATOR
    person = node.registry.people.find(named)
    actor = node.registry.authority.by_person(person.person_id)
    if not actor.operator:
        raise InputError(
            "who this names is no operator.",
            code="forbidden",
            hint="an operator is made with `bailee person create --operator`",
        )
    return actor


def from_outside(node: Node, values: Mapping[str, object]) -> Actor:
    """Who asks by a page or over HTTP: whose `key` or `cookie` is among the values.

    Raises:
        InputError: code `authentication`, neither is, or it is not good.
    """
    key = values.get("key")
    if key is not None:
        return _by_key(node, key)
    return node.registry.web_sessions.actor(text(values.get("cookie")) or None)


def _by_key(node: Node, key: object) -> Actor:
    if not isinstance(key, str):
        raise InputError("the API key is not a text.", code="authentication")
    return node.registry.authority.by_key(key)

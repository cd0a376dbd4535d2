"""Who may do what: one table, from actions to the standings that suffice. Pure.

An *actor* is who asks: the operator, a person, or a key that no person holds. What counts is how
they *stand* to the account that is asked about, and one may stand to it in more than one way.

Rules kept here:

* What is not in the table may be done by nobody.
* A key speaks for the one who made it, or whom the operator made it for, and for no one else: or an
  admin could make one that speaks for an owner.
* The operator runs the service and decides nothing for a person: no training choice, no
  partner programme.
* A member of an organisation changes nothing that makes its data eligible for training.

Rows: T2, T5, T6.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from bailee.errors import InputError

Role = Literal["owner", "admin", "member"]
ROLES: Final[tuple[Role, ...]] = ("owner", "admin", "member")

Standing = Literal["operator", "self", "holder", "owner", "admin", "member", "service"]
"""`self`: the account is the person's own. `holder`: the account is nobody's, and its key is
presented. `owner`, `admin`, `member`: of the organisation whose account it is. `service`: a key of
an organisation's account that speaks for nobody."""

Action = Literal[
    "account.read",
    "account.list",
    "account.allow",
    "sessions.list",
    "sessions.read",
    "sessions.delete",
    "training.choose",
    "partner.change",
    "key.create",
    "key.create_own",
    "key.create_for",
    "key.zero_retention",
    "key.revoke",
    "members.read",
    "members.change",
    "members.change_owner",
    "organisation.create",
    "provider.change",
    "person.create",
    "person.read",
    "person.change",
    "person.erase",
    "content.read_as_staff",
    "hold.change",
    "feedback.triage",
    "error_issue.read",
    "error_issue.change",
    "metrics.read",
    "retention.read",
    "retention.run",
    "keyring.rotate",
    "clock.confirm",
    "home.verify",
    "audit.read",
    "account.export",
    "account.erase",
    "cloud.start",
    "cloud.read",
    "cloud.change",
    "git_connection.change",
    "cloud_network.change",
]

MAY: Final[Mapping[Action, frozenset[Standing]]] = {
    "account.read": frozenset(
        {"operator", "self", "holder", "owner", "admin", "member", "service"}
    ),
    "account.list": frozenset({"operator"}),
    "account.allow": frozenset({"operator"}),
    "sessions.list": frozenset({"operator", "self", "holder", "owner", "admin", "service"}),
    "sessions.read": frozenset({"self", "holder", "owner", "admin", "service"}),
    "sessions.delete": frozenset({"operator", "self", "holder", "owner", "admin"}),
    "training.choose": frozenset({"self", "holder"}),
    "partner.change": frozenset({"owner", "admin"}),
    "key.create": frozenset({"operator", "self", "owner", "admin"}),
    "key.create_own": frozenset({"operator", "self", "owner", "admin", "member"}),
    "key.create_for": frozenset({"operator"}),
    "key.zero_retention": frozenset({"operator", "owner", "admin"}),
    "key.revoke": frozenset({"operator", "self", "owner", "admin"}),
    "members.read": frozenset({"operator", "owner", "admin", "member"}),
    "members.change": frozenset({"operator", "owner", "admin"}),
    "members.change_owner": frozenset({"operator", "owner"}),
    "organisation.create": frozenset({"operator"}),
    "provider.change": frozenset({"operator"}),
    "person.create": frozenset({"operator"}),
    "person.read": frozenset({"operator", "self"}),
    "person.change": frozenset({"self"}),
    "person.erase": frozenset({"operator", "self"}),
    "content.read_as_staff": frozenset({"operator"}),
    "hold.change": frozenset({"operator"}),
    "feedback.triage": frozenset({"operator"}),
    "error_issue.read": frozenset({"operator"}),
    "error_issue.change": frozenset({"operator"}),
    "metrics.read": frozenset({"operator"}),
    "retention.read": frozenset({"operator", "self", "holder", "owner", "admin", "service"}),
    "retention.run": frozenset({"operator"}),
    "keyring.rotate": frozenset({"operator"}),
    "clock.confirm": frozenset({"operator"}),
    "home.verify": frozenset({"operator"}),
    "audit.read": frozenset({"operator"}),
    "account.export": frozenset({"operator", "self", "holder"}),
    "account.erase": frozenset({"operator", "self", "holder"}),
    "cloud.start": frozenset({"self", "holder", "owner", "admin", "member", "service"}),
    "cloud.read": frozenset({"self", "holder", "owner", "admin", "service"}),
    "cloud.change": frozenset({"operator", "self", "holder", "owner", "admin", "service"}),
    "git_connection.change": frozenset({"operator", "self", "holder", "owner", "admin"}),
    "cloud_network.change": frozenset({"operator", "self", "holder", "owner", "admin"}),
}


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks.

    `person_id`: who it is, if it is a person. `key_id` and `account_id`: the key that was
    presented, and whose it is. `operator`: whoever runs the service, by the machine itself, or as
    a person who was made one.
    """

    person_id: str | None = None
    key_id: str | None = None
    account_id: str | None = None
    operator: bool = False

    @property
    def name(self) -> str:
        """How the actor is named in records: an id, or `operator`."""
        return self.person_id or self.key_id or ("operator" if self.operator else "nobody")


OPERATOR: Final = Actor(operator=True)
"""Whoever has the machine: the command line, and who followed the link that it printed."""


def may(action: Action, standings: Iterable[Standing]) -> bool:
    """Whether one of these standings suffices."""
    return not MAY[action].isdisjoint(standings)


def require(action: Action, standings: Iterable[Standing]) -> None:
    """Go on only if `may`.

    Raises:
        InputError: code `forbidden`, with who could.
    """
    if not may(action, standings):
        words = {
            "self": "the person themselves",
            "holder": "whoever holds the account's key",
            "operator": "the operator",
            "owner": "an owner of the organisation",
            "admin": "an admin of the organisation",
            "member": "a member of the organisation",
            "service": "a key of the organisation",
        }
        who = [words[standing] for standing in words if standing in MAY[action]]
        raise InputError(
            f"you may not do this ({action}).",
            code="forbidden",
            hint="it takes " + " or ".join(who),
        )

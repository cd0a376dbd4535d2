"""Who may do what: one table, from permissions to the standings that suffice. Pure.

An *actor* is who asks: the operator, a person, or a key that no person holds. What counts is how
they *stand* to the account that is asked about, and one may stand to it in more than one way.

Rules kept here:

* What is not in the table may be done by nobody.
* A key speaks for the one who made it, or whom the operator made it for, and for no one else: or an
  admin could make one that speaks for an owner.
* The operator runs the service and decides nothing for a person: no training choice, no
  partner programme, no session that is kept longer.
* An auditor sees evidence: promises, receipts, the audit record with its proofs, what the policy
  was and when. They see no content, nobody's name, and change nothing.
* A member of an organisation changes nothing that makes its data eligible for training.

Rows: T2, T5, T6.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

from bailee.errors import InputError

Role = Literal["owner", "admin", "member"]
ROLES: Final[tuple[Role, ...]] = ("owner", "admin", "member")

Standing = Literal[
    "operator", "trainer", "auditor", "self", "holder", "owner", "admin", "member", "service"
]
"""`trainer`: a person whom the operator lets make training exports. `auditor`: a person whom the
operator lets see the evidence. `self`: the account is the
person's own. `holder`: the account is nobody's, and its key is presented. `owner`, `admin`,
`member`: of the organisation whose account it is. `service`: a key of an organisation's account
that speaks for nobody."""


class Permission(StrEnum):
    """What may be done, or may not."""

    ACCOUNT_READ = "account.read"
    ACCOUNT_LIST = "account.list"
    ACCOUNT_ALLOW = "account.allow"
    ACCOUNT_RESIDENCY = "account.residency"
    SESSIONS_LIST = "sessions.list"
    SESSIONS_READ = "sessions.read"
    SESSIONS_DELETE = "sessions.delete"
    SESSIONS_KEEP = "sessions.keep"
    SESSIONS_KEEP_FORBID = "sessions.keep_forbid"
    TRAINING_CHOOSE = "training.choose"
    TRAINING_EXPORT = "training.export"
    PARTNER_CHANGE = "partner.change"
    KEY_CREATE = "key.create"
    KEY_CREATE_OWN = "key.create_own"
    KEY_CREATE_FOR = "key.create_for"
    KEY_ZERO_RETENTION = "key.zero_retention"
    KEY_REVOKE = "key.revoke"
    KEY_LIMIT = "key.limit"
    MEMBERS_READ = "members.read"
    MEMBERS_CHANGE = "members.change"
    MEMBERS_CHANGE_OWNER = "members.change_owner"
    MEMBERS_LIMIT = "members.limit"
    ORGANISATION_CREATE = "organisation.create"
    ORGANISATION_POLICY = "organisation.policy"
    PROVIDER_CHANGE = "provider.change"
    PERSON_CREATE = "person.create"
    PERSON_READ = "person.read"
    PERSON_CHANGE = "person.change"
    PERSON_ERASE = "person.erase"
    SIGN_IN_END = "sign_in.end"
    CONTENT_READ_AS_STAFF = "content.read_as_staff"
    HOLD_CHANGE = "hold.change"
    HOLD_READ = "hold.read"
    FEEDBACK_TRIAGE = "feedback.triage"
    ERROR_ISSUE_READ = "error_issue.read"
    ERROR_ISSUE_CHANGE = "error_issue.change"
    METRICS_READ = "metrics.read"
    USAGE_READ = "usage.read"
    USAGE_LIMIT = "usage.limit"
    RETENTION_READ = "retention.read"
    RETENTION_RUN = "retention.run"
    POLICY_TRY = "policy.try"
    POLICY_ACTIVATE = "policy.activate"
    KEYRING_ROTATE = "keyring.rotate"
    BACKUP_CREATE = "backup.create"
    CLOCK_CONFIRM = "clock.confirm"
    HOME_VERIFY = "home.verify"
    AUDIT_READ = "audit.read"
    EVIDENCE_READ = "evidence.read"
    REQUEST_OPEN = "request.open"
    REQUEST_READ = "request.read"
    REQUEST_WORK = "request.work"
    ACCOUNT_EXPORT = "account.export"
    ACCOUNT_ERASE = "account.erase"
    CLOUD_START = "cloud.start"
    CLOUD_READ = "cloud.read"
    CLOUD_CHANGE = "cloud.change"
    GIT_CONNECTION_CHANGE = "git_connection.change"
    CLOUD_NETWORK_CHANGE = "cloud_network.change"


MAY: Final[Mapping[Permission, frozenset[Standing]]] = {
    Permission.ACCOUNT_READ: frozenset(
        {"operator", "self", "holder", "owner", "admin", "member", "service"}
    ),
    Permission.ACCOUNT_LIST: frozenset({"operator"}),
    Permission.ACCOUNT_ALLOW: frozenset({"operator"}),
    Permission.ACCOUNT_RESIDENCY: frozenset({"operator", "owner"}),
    Permission.SESSIONS_LIST: frozenset(
        {"operator", "self", "holder", "owner", "admin", "service"}
    ),
    Permission.SESSIONS_READ: frozenset({"self", "holder", "owner", "admin", "service"}),
    Permission.SESSIONS_DELETE: frozenset({"operator", "self", "holder", "owner", "admin"}),
    Permission.SESSIONS_KEEP: frozenset({"self", "holder", "owner", "admin"}),
    Permission.SESSIONS_KEEP_FORBID: frozenset({"operator", "owner", "admin"}),
    Permission.TRAINING_CHOOSE: frozenset({"self", "holder"}),
    Permission.TRAINING_EXPORT: frozenset({"operator", "trainer"}),
    Permission.PARTNER_CHANGE: frozenset({"owner", "admin"}),
    Permission.KEY_CREATE: frozenset({"operator", "self", "owner", "admin"}),
    Permission.KEY_CREATE_OWN: frozenset({"operator", "self", "owner", "admin", "member"}),
    Permission.KEY_CREATE_FOR: frozenset({"operator"}),
    Permission.KEY_ZERO_RETENTION: frozenset({"operator", "owner", "admin"}),
    Permission.KEY_REVOKE: frozenset({"operator", "self", "owner", "admin"}),
    Permission.KEY_LIMIT: frozenset({"operator", "owner"}),
    Permission.MEMBERS_READ: frozenset({"operator", "owner", "admin", "member"}),
    Permission.MEMBERS_CHANGE: frozenset({"operator", "owner", "admin"}),
    Permission.MEMBERS_CHANGE_OWNER: frozenset({"operator", "owner"}),
    Permission.MEMBERS_LIMIT: frozenset({"operator", "owner", "admin"}),
    Permission.ORGANISATION_CREATE: frozenset({"operator"}),
    Permission.ORGANISATION_POLICY: frozenset({"operator", "owner"}),
    Permission.PROVIDER_CHANGE: frozenset({"operator"}),
    Permission.PERSON_CREATE: frozenset({"operator"}),
    Permission.PERSON_READ: frozenset({"operator", "self"}),
    Permission.PERSON_CHANGE: frozenset({"self"}),
    Permission.PERSON_ERASE: frozenset({"operator", "self"}),
    Permission.SIGN_IN_END: frozenset({"operator", "self"}),
    Permission.CONTENT_READ_AS_STAFF: frozenset({"operator"}),
    Permission.HOLD_CHANGE: frozenset({"operator"}),
    Permission.HOLD_READ: frozenset({"operator"}),
    Permission.FEEDBACK_TRIAGE: frozenset({"operator"}),
    Permission.ERROR_ISSUE_READ: frozenset({"operator"}),
    Permission.ERROR_ISSUE_CHANGE: frozenset({"operator"}),
    Permission.METRICS_READ: frozenset({"operator"}),
    Permission.USAGE_READ: frozenset({"operator", "self", "holder", "owner", "admin"}),
    Permission.USAGE_LIMIT: frozenset({"operator"}),
    Permission.RETENTION_READ: frozenset(
        {"operator", "auditor", "self", "holder", "owner", "admin", "service"}
    ),
    Permission.RETENTION_RUN: frozenset({"operator"}),
    Permission.POLICY_TRY: frozenset({"operator"}),
    Permission.POLICY_ACTIVATE: frozenset({"operator"}),
    Permission.KEYRING_ROTATE: frozenset({"operator"}),
    Permission.BACKUP_CREATE: frozenset({"operator"}),
    Permission.CLOCK_CONFIRM: frozenset({"operator"}),
    Permission.HOME_VERIFY: frozenset({"operator"}),
    Permission.AUDIT_READ: frozenset({"operator"}),
    Permission.EVIDENCE_READ: frozenset({"operator", "auditor"}),
    Permission.REQUEST_OPEN: frozenset({"operator", "self"}),
    Permission.REQUEST_READ: frozenset({"operator", "auditor", "self"}),
    Permission.REQUEST_WORK: frozenset({"operator"}),
    Permission.ACCOUNT_EXPORT: frozenset({"operator", "self", "holder"}),
    Permission.ACCOUNT_ERASE: frozenset({"operator", "self", "holder"}),
    Permission.CLOUD_START: frozenset({"self", "holder", "owner", "admin", "member", "service"}),
    Permission.CLOUD_READ: frozenset({"self", "holder", "owner", "admin", "service"}),
    Permission.CLOUD_CHANGE: frozenset({"operator", "self", "holder", "owner", "admin", "service"}),
    Permission.GIT_CONNECTION_CHANGE: frozenset({"operator", "self", "holder", "owner", "admin"}),
    Permission.CLOUD_NETWORK_CHANGE: frozenset({"operator", "self", "holder", "owner", "admin"}),
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


def may(permission: Permission, standings: Iterable[Standing]) -> bool:
    """Whether one of these standings suffices."""
    return not MAY[permission].isdisjoint(standings)


def require(permission: Permission, standings: Iterable[Standing]) -> None:
    """Go on only if `may`.

    Raises:
        InputError: code `forbidden`, with who could.
    """
    if not may(permission, standings):
        words = {
            "self": "the person themselves",
            "holder": "whoever holds the account's key",
            "operator": "the operator",
            "trainer": "a trainer",
            "auditor": "an auditor",
            "owner": "an owner of the organisation",
            "admin": "an admin of the organisation",
            "member": "a member of the organisation",
            "service": "a key of the organisation",
        }
        who = [words[standing] for standing in words if standing in MAY[permission]]
        raise InputError(
            f"you may not do this ({permission}).",
            code="forbidden",
            hint="it takes " + " or ".join(who),
        )

"""Who asks for a page, and the rule that says who may.

Every route has exactly one `RouteRule`; `admits` is the only place where one is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from bailee.accounts import Account


class RouteRule(Enum):
    """Who may use a route. `the organisation` is the one in the address."""

    PUBLIC = "anyone"
    PERSON = "a signed-in person"
    SOMEONE = "a signed-in person, or the operator"
    MEMBER = "a member of the organisation, or the operator"
    KEEPER = "an admin or owner of the organisation, or the operator"
    ADMIN = "an admin or owner of the organisation"
    OPERATOR = "the operator"
    EVIDENCE = "the operator, or an auditor"
    API = "whoever has an API key, or is signed in; what they may, each operation says"


@dataclass(frozen=True, slots=True)
class VisitorMembership:
    """A person's place in an organisation; `role` is owner, admin or member."""

    organisation: str
    name: str
    role: str

    @property
    def administers(self) -> bool:
        """Whether the role may change the organisation."""
        return self.role in ("owner", "admin")


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A person whose session is good. `account`: their own, if they have one."""

    person: str
    email: str
    account: Account | None
    memberships: tuple[VisitorMembership, ...] = ()


@dataclass(frozen=True, slots=True)
class Visitor:
    """Whoever asks: a person (who may be an operator too, or an auditor), the operator, or nobody
    that we know.

    `cookie`: what this visitor's forms are bound to; of a good session, if there is one.
    """

    person: SignedIn | None = None
    operator: bool = False
    auditor: bool = False
    cookie: str = field(default="", repr=False)


class Admission(Enum):
    """What a rule says to a visitor."""

    ADMITTED = "admitted"
    UNKNOWN = "sign in first"
    REFUSED = "not theirs"


def admits(rule: RouteRule, visitor: Visitor, path: Mapping[str, str]) -> Admission:
    """Whether a visitor may use a route. `path` holds the address's parts; `organisation` counts.

    A key is no visitor: who asks under `API` is worked out by `api.who`.
    """
    match rule:
        case RouteRule.PUBLIC | RouteRule.API:
            return Admission.ADMITTED
        case RouteRule.OPERATOR:
            good = visitor.operator
        case RouteRule.EVIDENCE:
            good = visitor.operator or visitor.auditor
        case RouteRule.PERSON:
            good = visitor.person is not None
        case RouteRule.SOMEONE:
            good = visitor.person is not None or visitor.operator
        case RouteRule.MEMBER:
            good = visitor.operator or _place(visitor, path) is not None
        case RouteRule.KEEPER:
            good = visitor.operator or _administers(visitor, path)
        case RouteRule.ADMIN:
            good = _administers(visitor, path)
    if good:
        return Admission.ADMITTED
    known = visitor.person is not None or visitor.operator
    return Admission.REFUSED if known else Admission.UNKNOWN


def _place(visitor: Visitor, path: Mapping[str, str]) -> VisitorMembership | None:
    if visitor.person is None:
        return None
    organisation = path["organisation"]
    return next(
        (one for one in visitor.person.memberships if one.organisation == organisation), None
    )


def _administers(visitor: Visitor, path: Mapping[str, str]) -> bool:
    place = _place(visitor, path)
    return place is not None and place.administers

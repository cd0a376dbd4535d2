"""People, organisations, plans, API keys, consent records, signing in.

`PeopleRegistry` opens all of it over one database:

* `accounts`: who owns sessions, with which plan, keys and choice; in memory, for the gateway.
* `people`, `organisations`: who there is, in which role; the keys they make.
* `choices`: what they choose, asked for by an `Actor`; `authority` says what an actor may do.
* `passwords`, `passkeys`, `providers` (OpenID): signing up and in. Each gives a person's id.
* `web_sessions`: who is signed in, by cookie: `begin(person_id or None for the operator)`, `actor`,
  `end`. `csrf`: form tokens bound to a cookie.
* `staff`: `staff.read(actor, session_id, reason)` before content is read by staff.
"""

from bailee.accounts import csrf
from bailee.accounts.account import Account, ApiKey, Choice, Scope
from bailee.accounts.accounts import Accounts, RetentionFollows
from bailee.accounts.authority import Authority
from bailee.accounts.choices import Choices
from bailee.accounts.consent import ConsentRecord
from bailee.accounts.identifiers import Identifiers, PersonKeys
from bailee.accounts.organisations import Membership, Organisation, Organisations
from bailee.accounts.people import People, Person
from bailee.accounts.registry import PeopleRegistry
from bailee.accounts.roles import OPERATOR, Actor, Permission, Role, Standing
from bailee.accounts.ways_in import Begun, OpenIdProvider, Passkey, RelyingParty
from bailee.accounts.web_sessions import WebSession, WebSessions

__all__ = [
    "OPERATOR",
    "Account",
    "Accounts",
    "Actor",
    "ApiKey",
    "Authority",
    "Begun",
    "Choice",
    "Choices",
    "ConsentRecord",
    "Identifiers",
    "Membership",
    "OpenIdProvider",
    "Organisation",
    "Organisations",
    "Passkey",
    "People",
    "PeopleRegistry",
    "Permission",
    "Person",
    "PersonKeys",
    "RelyingParty",
    "RetentionFollows",
    "Role",
    "Scope",
    "Standing",
    "WebSession",
    "WebSessions",
    "csrf",
]

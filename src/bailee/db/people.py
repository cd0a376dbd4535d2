"""Tables for persons, organisations, and how a person proves who they are.

What names a person (email, a browser's description, a provider's subject) is kept sealed under the
person's own key, which is in the keyring; to find a person there is a keyed digest. So destroying
the key makes a person unreadable in every copy of this database.

What lets somebody in, or says what they may do, is checked (`checks`).
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Boolean, Column, ForeignKey, Index, LargeBinary, String, Table

from bailee.db.metadata import Moment, check, data
from bailee.db.portable import Whole

persons = Table(
    "persons",
    data,
    Column("id", String, primary_key=True),
    Column("email_index", LargeBinary, unique=True),
    Column("email", LargeBinary),
    Column("password", String),
    Column("operator", Boolean, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("erased_at", Moment),
    check(),
)
"""`email` is sealed, `email_index` its keyed digest, `password` an argon2 string. Who was erased
keeps a row with nothing in it, so that what must stay (consent records) has someone to be of."""

Index("ix_persons_created_at", persons.c.created_at, persons.c.id)

organisations = Table(
    "organisations",
    data,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("created_at", Moment, nullable=False),
)

Index("ix_organisations_created_at", organisations.c.created_at, organisations.c.id)

memberships = Table(
    "memberships",
    data,
    Column("organisation_id", ForeignKey("organisations.id"), primary_key=True),
    Column("person_id", ForeignKey("persons.id"), primary_key=True, index=True),
    Column("role", String, nullable=False),
    Column("joined_at", Moment, nullable=False),
    check(),
)

providers = Table(
    "providers",
    data,
    Column("organisation_id", ForeignKey("organisations.id"), primary_key=True),
    Column("domain", String, nullable=False, unique=True),
    Column("issuer", String, nullable=False),
    Column("client_id", String, nullable=False),
    Column("secret_env", String),
    check(),
)
"""An organisation's OpenID provider, and the email domain that is bound to the organisation.
`secret_env` names the environment variable that holds the client's secret."""

identities = Table(
    "identities",
    data,
    Column("subject_index", LargeBinary, primary_key=True),
    Column("person_id", ForeignKey("persons.id"), nullable=False, index=True),
    Column("organisation_id", ForeignKey("organisations.id"), nullable=False),
    Column("created_at", Moment, nullable=False),
    check(),
)
"""Who a provider's (issuer, subject) is; found by a keyed digest."""

passkeys = Table(
    "passkeys",
    data,
    Column("id", LargeBinary, primary_key=True),
    Column("person_id", ForeignKey("persons.id"), nullable=False, index=True),
    Column("public_key", LargeBinary, nullable=False),
    Column("sign_count", Whole, nullable=False),
    Column("name", LargeBinary, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("last_used_at", Moment),
    check(),
)

web_sessions = Table(
    "web_sessions",
    data,
    Column("id", String, primary_key=True),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("person_id", ForeignKey("persons.id"), index=True),
    Column("client", LargeBinary),
    Column("created_at", Moment, nullable=False),
    Column("last_used_at", Moment, nullable=False),
    check(),
)
"""Who is signed in: the cookie's SHA-256. No person: the operator, by the printed link."""

sign_in_attempts = Table(
    "sign_in_attempts",
    data,
    Column("subject", LargeBinary, primary_key=True),
    Column("failures", Whole, nullable=False),
    Column("last_at", Moment, nullable=False, index=True),
    Column("blocked_until", Moment),
)
"""Failed attempts to sign in, by a keyed digest of the account's email or of the address."""

trainers = Table(
    "trainers",
    data,
    Column("person_id", ForeignKey("persons.id"), primary_key=True),
    Column("since", Moment, nullable=False),
    check(),
)
"""Who may export what may be trained on, and see what was exported, without being an operator."""

auditors = Table(
    "auditors",
    data,
    Column("person_id", ForeignKey("persons.id"), primary_key=True),
    Column("since", Moment, nullable=False),
    check(),
)
"""Who sees the evidence, and no content and nobody's name."""

saved_views = Table(
    "saved_views",
    data,
    Column("id", String, primary_key=True),
    Column("person_id", ForeignKey("persons.id"), index=True),
    Column("list", String, nullable=False),
    Column("name", LargeBinary, nullable=False),
    Column("query", LargeBinary, nullable=False),
    Column("created_at", Moment, nullable=False),
)
"""What somebody asks of a list, under a name of theirs. `name` and `query` are sealed. No person:
the operator, by the printed link, whose are not. It decides nothing, so it has no check."""

CHECKED: Final = (
    *(persons, memberships, providers, identities, passkeys, web_sessions, trainers),
    auditors,
)
"""What says who somebody is, and lets them in."""

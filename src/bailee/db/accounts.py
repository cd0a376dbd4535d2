"""Tables for accounts, their API keys and their consent records."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, ForeignKey, LargeBinary, String, Table

from bailee.db.metadata import Moment, check, data
from bailee.db.people import organisations, persons
from bailee.db.portable import Whole

accounts = Table(
    "accounts",
    data,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("plan", String, nullable=False),
    Column("training_choice", String, nullable=False),
    Column("chosen_at", Moment),
    Column("partner_programme", Boolean, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("person_id", ForeignKey(persons.c.id), unique=True),
    Column("organisation_id", ForeignKey(organisations.c.id), unique=True),
    Column("partner_since", Moment),
    Column("unrecorded_routes", Boolean, nullable=False, server_default="0"),
    Column("chosen_number", Whole, nullable=False, server_default="0"),
    Column("partner_number", Whole, nullable=False, server_default="0"),
    Column("stored_mb", Whole),
    Column("no_keeping", Boolean, nullable=False, server_default="0"),
    Column("residency", String),
    check(),
)
"""A person's own, an organisation's, or neither: then it belongs to whoever holds its key.
`chosen_number`, `partner_number`: of the last consent record about training, and about the partner
programme; 0: there is none."""

api_keys = Table(
    "api_keys",
    data,
    Column("id", String, primary_key=True),
    Column("account_id", ForeignKey("accounts.id"), nullable=False, index=True),
    Column("name", String, nullable=False),
    Column("digest", LargeBinary(32), nullable=False),
    Column("zero_retention", Boolean, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("revoked_at", Moment),
    Column("person_id", ForeignKey(persons.c.id), index=True),
    Column("created_by", String, nullable=False),
    Column("scope", String, nullable=False, server_default="full"),
    Column("expires_at", Moment),
    check(),
)
"""`person_id`: who holds the key, so that it speaks for them. `created_by`: `operator` or a person.
`scope`: `full`; `ingest`, it opens the ingest listener and nothing else; `operator`, it speaks for
the operator to the HTTP API, and opens nothing else. `expires_at`: from then on it is no key; NULL:
it is one until it is revoked."""

ephemeral_keys = Table(
    "ephemeral_keys",
    data,
    Column("id", String, primary_key=True),
    Column("account_id", ForeignKey("accounts.id"), nullable=False, index=True),
    Column("digest", LargeBinary(32), nullable=False),
    Column("zero_retention", Boolean, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("created_by", String, nullable=False),
    Column("scope", String, nullable=False),
    Column("session", String, index=True),
    Column("run", String, index=True),
    Column("expires_at", Moment, nullable=False, index=True),
    check(),
)
"""Keys that end with what they were made for: a cloud session (`session`), or a server's run
(`run`). Whoever ends that deletes the row; at `expires_at` it is no key whatever became of that."""

consent_records = Table(
    "consent_records",
    data,
    Column("id", String, primary_key=True),
    Column("account_id", ForeignKey("accounts.id"), nullable=False, index=True),
    Column("at", Moment, nullable=False),
    Column("old", String, nullable=False),
    Column("new", String, nullable=False),
    Column("notice", String, nullable=False),
    Column("language", String, nullable=False),
    Column("source", String, nullable=False),
    Column("purpose", String, nullable=False),
    Column("notice_version", String, nullable=False),
    Column("actor", String, nullable=False),
    Column("number", Whole, nullable=False, server_default="0"),
    check(),
)
"""Who chose what, when, after which notice (the policy document's hash). Never edited. `number`:
that of its entry in the audit record, by which records are in order."""

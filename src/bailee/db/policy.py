"""Tables for the policy documents that held, which held from when, and who has to be told; and
for the documents of organisations' own.
"""

from __future__ import annotations

from sqlalchemy import Boolean, Column, ForeignKey, LargeBinary, String, Table

from bailee.db.metadata import Moment, check, data
from bailee.db.people import organisations
from bailee.db.portable import Whole

policy_documents = Table(
    "policy_documents",
    data,
    Column("sha256", String, primary_key=True),
    Column("version", String, nullable=False),
    Column("content", LargeBinary, nullable=False),
    Column("shipped", Boolean, nullable=False),
)
"""The documents that hold or held, whole. The hash is the check. `shipped`: it came with the
package, as the version that it names."""

policy_activations = Table(
    "policy_activations",
    data,
    Column("number", Whole, primary_key=True, autoincrement=False),
    Column("at", Moment, nullable=False),
    Column("document", String, nullable=False),
    Column("before", String),
    Column("by", String, nullable=False),
    Column("since", Whole, nullable=False),
    Column("sessions", Whole, nullable=False),
    Column("accounts", Whole, nullable=False),
    Column("told", Whole, nullable=False),
    check(),
)
"""Which document came to hold. `number`: that of its entry in the audit record, by which they are
in order. `since`: what is said under a number below it, is of before; 0: of a home's first. How
many `sessions` of how many `accounts` were decided otherwise, and how many accounts are `told`."""

policy_notices = Table(
    "policy_notices",
    data,
    Column("account_id", String, primary_key=True),
    Column("number", Whole, primary_key=True, autoincrement=False),
)
"""Accounts whose terms changed with an activation, or with a document of their organisation's own,
by its number: those whom it concerns are told until they have seen it."""

policy_seen = Table(
    "policy_seen",
    data,
    Column("account_id", String, primary_key=True),
    Column("who", String, primary_key=True),
    Column("number", Whole, nullable=False),
    Column("at", Moment, nullable=False),
)
"""Up to which activation a person (`who`: their id, or the account's where it is its key holder's)
has seen what changed for an account, and when they did."""

own_policies = Table(
    "own_policies",
    data,
    Column("number", Whole, primary_key=True, autoincrement=False),
    Column("organisation_id", ForeignKey(organisations.c.id), nullable=False, index=True),
    Column("at", Moment, nullable=False),
    Column("document", String),
    Column("before", String),
    Column("content", LargeBinary),
    Column("by", String, nullable=False),
    Column("sessions", Whole, nullable=False),
    Column("told", Boolean, nullable=False),
    check(),
)
"""Which document of an organisation's own came to hold beside the operator's, whole; none, where
`document` is NULL. `number`: that of its entry in the audit record, by which they are in order;
what is said under a number below it, is of before. How many `sessions` were decided otherwise, and
whether its people were `told`."""

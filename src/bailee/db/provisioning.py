"""The tables of provisioning (SCIM): the tokens of organisations' providers, whom they made known
here, and their groups.

What a provider calls a person is sealed under that person's key, as an email is; by a keyed digest
they are found.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Boolean, Column, ForeignKey, Index, LargeBinary, String, Table

from bailee.db.metadata import Moment, check, data
from bailee.db.people import organisations, persons

provisioning_tokens = Table(
    "provisioning_tokens",
    data,
    Column("id", String, primary_key=True),
    Column("organisation_id", ForeignKey(organisations.c.id), nullable=False, index=True),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("created_at", Moment, nullable=False),
    Column("used_at", Moment),
    check(),
)
"""`digest`: the token's SHA-256. `used_at`: when it was used last, to the hour."""

provisioned_people = Table(
    "provisioned_people",
    data,
    Column("organisation_id", ForeignKey(organisations.c.id), primary_key=True),
    Column("person_id", ForeignKey(persons.c.id), primary_key=True, index=True),
    Column("user_name", LargeBinary),
    Column("user_name_index", LargeBinary),
    Column("external_id", LargeBinary),
    Column("external_id_index", LargeBinary),
    Column("made", Boolean, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("changed_at", Moment, nullable=False),
    check(),
)
"""Whom an organisation's provider made known. `user_name` None: it knows them no more. `made`: the
person came into being by it. Whether they are active is whether they have a place there."""

Index(
    "ix_provisioned_people_user_name",
    provisioned_people.c.organisation_id,
    provisioned_people.c.user_name_index,
    unique=True,
)

provisioned_groups = Table(
    "provisioned_groups",
    data,
    Column("id", String, primary_key=True),
    Column("organisation_id", ForeignKey(organisations.c.id), nullable=False, index=True),
    Column("name", String, nullable=False),
    Column("external_id", String),
    Column("created_at", Moment, nullable=False),
    Column("changed_at", Moment, nullable=False),
    check(),
)

provisioned_members = Table(
    "provisioned_members",
    data,
    Column("group_id", ForeignKey(provisioned_groups.c.id), primary_key=True),
    Column("person_id", ForeignKey(persons.c.id), primary_key=True, index=True),
    check(),
)

CHECKED: Final = (
    provisioning_tokens,
    provisioned_people,
    provisioned_groups,
    provisioned_members,
)
"""What makes people and ends them, and gives them places."""

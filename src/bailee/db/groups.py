"""The tables of what an organisation's provider decides: who comes in by it alone, for how long
keys are good beside it, what its groups give, and what they gave to whom.

Which groups somebody is in is kept nowhere: what they gave is, by the rule that gave it.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Boolean, Column, ForeignKey, String, Table

from bailee.db.metadata import Moment, check, data
from bailee.db.people import organisations, persons
from bailee.db.portable import Whole

group_rules = Table(
    "group_rules",
    data,
    Column("organisation_id", ForeignKey(organisations.c.id), primary_key=True),
    Column("claim", String, nullable=False),
    Column("scope", String, nullable=False),
    Column("rules", String, nullable=False),
    check(),
)
"""What groups of an organisation's provider give. `claim`: where a token names groups; `scope`:
what is asked for beside openid and email; `rules`: JSON, in order."""

group_grants = Table(
    "group_grants",
    data,
    Column("organisation_id", ForeignKey(organisations.c.id), primary_key=True),
    Column("person_id", ForeignKey(persons.c.id), primary_key=True, index=True),
    Column("provider_id", ForeignKey(organisations.c.id), nullable=False),
    Column("role", String),
    Column("rule", String),
    Column("team", String),
    Column("team_rule", String),
    Column("since", Moment, nullable=False),
    check(),
)
"""What somebody has in an organisation by a rule of a provider's groups (`provider_id`: whose
organisation's). `role`: None, the place itself was given by hand. A row whose membership is gone
says that they were let go by hand."""

sign_in_terms = Table(
    "sign_in_terms",
    data,
    Column("organisation_id", ForeignKey(organisations.c.id), primary_key=True),
    Column("provider_only", Boolean, nullable=False),
    check(),
)
"""How an organisation's people sign in. `provider_only`: by its provider and in no other way."""

organisation_keys = Table(
    "organisation_keys",
    data,
    Column("organisation_id", ForeignKey(organisations.c.id), primary_key=True),
    Column("most_days", Whole, nullable=False),
    check(),
)
"""For how many days an organisation's keys are good at the most; 0: it has none. Without a row they
are good until they are revoked."""

CHECKED: Final = (group_rules, group_grants, sign_in_terms, organisation_keys)

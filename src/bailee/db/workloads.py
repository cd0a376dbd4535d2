"""The table of service accounts: which machines get tokens of one, by whose word."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, String, Table

from bailee.db.accounts import api_keys
from bailee.db.metadata import Moment, check, data
from bailee.db.people import organisations

service_accounts = Table(
    "service_accounts",
    data,
    Column("id", String, primary_key=True),
    Column("organisation_id", ForeignKey(organisations.c.id), nullable=False, index=True),
    Column("key_id", ForeignKey(api_keys.c.id), nullable=False),
    Column("issuer", String, nullable=False),
    Column("audience", String, nullable=False),
    Column("claims", String, nullable=False),
    Column("created_at", Moment, nullable=False),
    check(),
)
"""`key_id`: the key as which it is known, whose text nobody has. `issuer`, `audience`: of the
tokens that count. `claims`: JSON, a pattern for each claim that has to match."""

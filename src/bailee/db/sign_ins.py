"""The table of clients that are signed in: each renews its tokens by a refresh token.

Of a refresh token there is nothing here: it is made anew from its number, under a key of the
keyring. The provider's own is sealed under the person's key.
"""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, LargeBinary, Table

from bailee.db.accounts import api_keys
from bailee.db.metadata import Moment, check, data
from bailee.db.people import organisations, persons
from bailee.db.portable import Whole

sign_ins = Table(
    "sign_ins",
    data,
    Column("key_id", ForeignKey(api_keys.c.id), primary_key=True),
    Column("person_id", ForeignKey(persons.c.id), nullable=False, index=True),
    Column("organisation_id", ForeignKey(organisations.c.id)),
    Column("provider", LargeBinary),
    Column("provider_token", LargeBinary),
    Column("client", LargeBinary),
    Column("number", Whole, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("renewed_at", Moment, nullable=False),
    Column("claimed_until", Moment),
    check(),
)
"""`key_id`: the key as which it is known. `organisation_id`, `provider` (a keyed digest of issuer
and client) and `provider_token` (sealed): which provider is asked at each renewal; without one,
nobody. `client`: what it said of itself, sealed. `number`: of the refresh token that is good; 0:
it has none. `claimed_until`: until then a process asks the provider, and no other does
(`accounts.renewal_claims`)."""

"""The table of people's requests about their own data.

What names somebody is sealed under the request's own key. What is in the clear says that there was
a request, of which kind and when; an email leads to it by a keyed digest alone.
"""

from __future__ import annotations

from sqlalchemy import Column, LargeBinary, String, Table

from bailee.db.metadata import Moment, check, data

person_requests = Table(
    "person_requests",
    data,
    Column("id", String, primary_key=True),
    Column("kind", String, nullable=False),
    Column("state", String, nullable=False),
    Column("digest", LargeBinary, nullable=False, index=True),
    Column("person_id", String, index=True),
    Column("erasure_id", String),
    Column("sealed", LargeBinary),
    Column("opened_by", String, nullable=False),
    Column("handled_by", String, nullable=False),
    Column("received_at", Moment, nullable=False),
    Column("due_at", Moment, nullable=False, index=True),
    Column("extended_at", Moment),
    Column("exported_at", Moment),
    Column("answered_at", Moment),
    Column("closed_at", Moment),
    Column("expires_at", Moment, index=True),
    Column("clause", String),
    Column("document", String),
    check(),
)
"""`state`: `open`, `answered` or `refused`. `digest`: of the email, under a key of the keyring's.
`sealed`: what names the person and what was written of them, under the key `id`; None: let go.
`person_id`, `handled_by`, `opened_by`: random ids. `expires_at`: when the row goes, by `clause` of
`document`; None: not answered yet."""

"""Persons, organisations, memberships, and how people sign in.

What was there stays as it is: an account that no person and no organisation has belongs to whoever
holds its key. Columns are added in place; a table that refuses UPDATE and DELETE is never rebuilt.
"""

import sqlalchemy as sa
from alembic import op

from bailee.db.metadata import Moment

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "persons",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("email_index", sa.LargeBinary, unique=True),
        sa.Column("email", sa.LargeBinary),
        sa.Column("password", sa.String),
        sa.Column("operator", sa.Boolean, nullable=False),
        sa.Column("created_at", Moment, nullable=False),
        sa.Column("erased_at", Moment),
    )
    op.create_table(
        "organisations",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("created_at", Moment, nullable=False),
    )
    op.create_table(
        "memberships",
        sa.Column(
            "organisation_id", sa.String, sa.ForeignKey("organisations.id"), primary_key=True
        ),
        sa.Column(
            "person_id", sa.String, sa.ForeignKey("persons.id"), primary_key=True, index=True
        ),
        sa.Column("role", sa.String, nullable=False),
        sa.Column("joined_at", Moment, nullable=False),
    )
    op.create_table(
        "providers",
        sa.Column(
            "organisation_id", sa.String, sa.ForeignKey("organisations.id"), primary_key=True
        ),
        sa.Column("domain", sa.String, nullable=False, unique=True),
        sa.Column("issuer", sa.String, nullable=False),
        sa.Column("client_id", sa.String, nullable=False),
        sa.Column("secret_env", sa.String),
    )
    op.create_table(
        "identities",
        sa.Column("subject_index", sa.LargeBinary, primary_key=True),
        sa.Column("person_id", sa.String, sa.ForeignKey("persons.id"), nullable=False, index=True),
        sa.Column("organisation_id", sa.String, sa.ForeignKey("organisations.id"), nullable=False),
        sa.Column("created_at", Moment, nullable=False),
    )
    op.create_table(
        "passkeys",
        sa.Column("id", sa.LargeBinary, primary_key=True),
        sa.Column("person_id", sa.String, sa.ForeignKey("persons.id"), nullable=False, index=True),
        sa.Column("public_key", sa.LargeBinary, nullable=False),
        sa.Column("sign_count", sa.Integer, nullable=False),
        sa.Column("name", sa.LargeBinary, nullable=False),
        sa.Column("created_at", Moment, nullable=False),
        sa.Column("last_used_at", Moment),
    )
    op.create_table(
        "web_sessions",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("digest", sa.LargeBinary, nullable=False, unique=True),
        sa.Column("person_id", sa.String, sa.ForeignKey("persons.id"), index=True),
        sa.Column("client", sa.LargeBinary),
        sa.Column("created_at", Moment, nullable=False),
        sa.Column("last_used_at", Moment, nullable=False),
    )
    op.create_table(
        "sign_in_attempts",
        sa.Column("subject", sa.LargeBinary, primary_key=True),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("last_at", Moment, nullable=False, index=True),
        sa.Column("blocked_until", Moment),
    )
    # SQLite takes a reference only together with the column, which Alembic would write apart.
    for table, column in (
        ("accounts", "person_id VARCHAR REFERENCES persons (id)"),
        ("accounts", "organisation_id VARCHAR REFERENCES organisations (id)"),
        ("api_keys", "person_id VARCHAR REFERENCES persons (id)"),
    ):
        op.execute(f"ALTER TABLE {table} ADD COLUMN {column}")
    op.add_column("accounts", sa.Column("partner_since", Moment))
    op.add_column(
        "api_keys",
        sa.Column("created_by", sa.String, nullable=False, server_default="operator"),
    )
    for name, default in (("purpose", "training"), ("notice_version", ""), ("actor", "")):
        op.add_column(
            "consent_records",
            sa.Column(name, sa.String, nullable=False, server_default=default),
        )
    op.create_index("uq_accounts_person_id", "accounts", ["person_id"], unique=True)
    op.create_index("uq_accounts_organisation_id", "accounts", ["organisation_id"], unique=True)
    op.create_index("ix_api_keys_person_id", "api_keys", ["person_id"])

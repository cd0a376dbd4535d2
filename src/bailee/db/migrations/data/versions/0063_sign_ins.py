"""Clients that are signed in by the protocol of sign-in at the gateway."""

import sqlalchemy as sa
from alembic import op

revision = "0063"
down_revision = "0062"


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "sign_ins",
        sa.Column("key_id", sa.String, sa.ForeignKey("api_keys.id"), primary_key=True),
        sa.Column("person_id", sa.String, sa.ForeignKey("persons.id"), nullable=False),
        sa.Column("organisation_id", sa.String, sa.ForeignKey("organisations.id")),
        sa.Column("provider", sa.LargeBinary),
        sa.Column("provider_token", sa.LargeBinary),
        sa.Column("client", sa.LargeBinary),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("renewed_at", moment, nullable=False),
        sa.Column("mac", sa.LargeBinary),
    )
    op.create_index("ix_sign_ins_person_id", "sign_ins", ["person_id"])

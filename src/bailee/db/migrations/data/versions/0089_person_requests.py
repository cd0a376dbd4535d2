"""People's requests about their own data, and who audits."""

import sqlalchemy as sa
from alembic import op

revision = "0089"
down_revision = "0088"

_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "person_requests",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("person_id", sa.String),
        sa.Column("erasure_id", sa.String),
        sa.Column("sealed", sa.LargeBinary),
        sa.Column("opened_by", sa.String, nullable=False),
        sa.Column("handled_by", sa.String, nullable=False),
        sa.Column("received_at", _MOMENT, nullable=False),
        sa.Column("due_at", _MOMENT, nullable=False),
        sa.Column("extended_at", _MOMENT),
        sa.Column("exported_at", _MOMENT),
        sa.Column("answered_at", _MOMENT),
        sa.Column("closed_at", _MOMENT),
        sa.Column("expires_at", _MOMENT),
        sa.Column("clause", sa.String),
        sa.Column("document", sa.String),
        sa.Column("mac", sa.LargeBinary),
    )
    for column in ("digest", "person_id", "due_at", "expires_at"):
        op.create_index(f"ix_person_requests_{column}", "person_requests", [column])
    op.create_table(
        "auditors",
        sa.Column("person_id", sa.String, sa.ForeignKey("persons.id"), primary_key=True),
        sa.Column("since", _MOMENT, nullable=False),
        sa.Column("mac", sa.LargeBinary),
    )

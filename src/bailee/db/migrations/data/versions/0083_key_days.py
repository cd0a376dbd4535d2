"""For how many days an organisation's keys are good."""

import sqlalchemy as sa
from alembic import op

revision = "0083"
down_revision = "0080"


def upgrade() -> None:
    op.create_table(
        "organisation_keys",
        sa.Column(
            "organisation_id", sa.String, sa.ForeignKey("organisations.id"), primary_key=True
        ),
        sa.Column("most_days", sa.Integer, nullable=False),
        sa.Column("mac", sa.LargeBinary),
    )

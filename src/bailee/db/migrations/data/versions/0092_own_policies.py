"""Documents of organisations' own, beside the operator's."""

import sqlalchemy as sa
from alembic import op

from bailee.db.metadata import Moment

revision = "0092"
down_revision = "0091"


def upgrade() -> None:
    """None is there yet."""
    op.create_table(
        "own_policies",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("organisation_id", sa.String, sa.ForeignKey("organisations.id"), nullable=False),
        sa.Column("at", Moment, nullable=False),
        sa.Column("document", sa.String),
        sa.Column("before", sa.String),
        sa.Column("content", sa.LargeBinary),
        sa.Column("by", sa.String, nullable=False),
        sa.Column("sessions", sa.Integer, nullable=False),
        sa.Column("told", sa.Boolean, nullable=False),
        sa.Column("mac", sa.LargeBinary),
    )
    op.create_index("ix_own_policies_organisation_id", "own_policies", ["organisation_id"])

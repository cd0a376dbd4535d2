"""Who may export what may be trained on."""

import sqlalchemy as sa
from alembic import op

revision = "0060"
down_revision = "0059"


def upgrade() -> None:
    op.create_table(
        "trainers",
        sa.Column("person_id", sa.String, sa.ForeignKey("persons.id"), primary_key=True),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("mac", sa.LargeBinary),
    )

"""Which accounts the operator lets use routes that are not recorded."""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0023"


def upgrade() -> None:
    op.add_column(
        "accounts",
        sa.Column("unrecorded_routes", sa.Boolean, nullable=False, server_default="0"),
    )

"""Of an API key, until when it is good."""

import sqlalchemy as sa
from alembic import op

revision = "0077"
down_revision = "0074"


def upgrade() -> None:
    op.add_column("api_keys", sa.Column("expires_at", sa.DateTime))

"""What of a spool file is sealed beyond its first frames, which owners in turns make."""

import sqlalchemy as sa
from alembic import op

revision = "0045"
down_revision = "0044"


def upgrade() -> None:
    op.add_column("spool_positions", sa.Column("ahead", sa.LargeBinary))

"""Of which generation the root was when a key was destroyed: by it, and by no clock, is told which
rotation came after.
"""

import sqlalchemy as sa
from alembic import op

revision = "0047"
down_revision = "0046"


def upgrade() -> None:
    op.add_column("receipts", sa.Column("generation", sa.Integer))

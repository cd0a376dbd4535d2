"""Until when one process alone asks the provider of a client's sign-in."""

import sqlalchemy as sa
from alembic import op

from bailee.db.metadata import Moment

revision = "0108"
down_revision = "0107"


def upgrade() -> None:
    """Nobody asks for any."""
    op.add_column("sign_ins", sa.Column("claimed_until", Moment))

"""Of a training export, the model by which names are found in it."""

import sqlalchemy as sa
from alembic import op

revision = "0070"
down_revision = "0069"


def upgrade() -> None:
    op.add_column("training_exports", sa.Column("names_model", sa.String))

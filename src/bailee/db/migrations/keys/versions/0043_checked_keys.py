"""What decides of keys beside their wraps is checked; two rows that stand alone are there twice."""

import sqlalchemy as sa
from alembic import op

revision = "0043"
down_revision = "0042"


def upgrade() -> None:
    for table in ("keks", "former_keks", "destroyed_keks", "rotation", "root_place", "ended_roots"):
        op.add_column(table, sa.Column("mac", sa.LargeBinary))
    op.drop_index("uq_keks_current", "keks")
    op.execute(
        "INSERT INTO rotation (id, rotated_at, began_at, destroyed_since) "
        "SELECT 2, rotated_at, began_at, destroyed_since FROM rotation WHERE id = 1"
    )
    op.execute(
        "INSERT INTO root_place (id, driver, base, oldest, moving_to, next_base) "
        "SELECT 2, driver, base, oldest, moving_to, next_base FROM root_place WHERE id = 1"
    )

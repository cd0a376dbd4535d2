"""The keyring's tables."""

import sqlalchemy as sa
from alembic import op

from bailee.db.metadata import Moment

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "keks",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("data_class", sa.String, nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False, index=True),
        sa.Column("generation", sa.Integer, nullable=False, index=True),
        sa.Column("wrapped", sa.LargeBinary, nullable=False),
        sa.Column("current", sa.Boolean, nullable=False),
        sa.Column("dirty", sa.Boolean, nullable=False),
    )
    op.create_index(
        "uq_keks_current",
        "keks",
        ["data_class", "epoch"],
        unique=True,
        sqlite_where=sa.text("current"),
        postgresql_where=sa.text("current"),
    )
    op.create_table(
        "deks",
        sa.Column("subject", sa.String, primary_key=True),
        sa.Column("kek_id", sa.String, nullable=False, index=True),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("wrapped", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "former_keks",
        sa.Column("subject", sa.String, primary_key=True),
        sa.Column("kek_id", sa.String, primary_key=True, index=True),
    )
    op.create_table(
        "destroyed_keks",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("data_class", sa.String, nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("destroyed_at", Moment, nullable=False),
        sa.Column("emptied", sa.Boolean, nullable=False, index=True),
    )
    op.create_table(
        "secrets",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("generation", sa.Integer, nullable=False),
        sa.Column("wrapped", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "rotation",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("rotated_at", Moment, nullable=False),
        sa.Column("began_at", Moment),
        sa.Column("destroyed_since", sa.Boolean, nullable=False),
    )

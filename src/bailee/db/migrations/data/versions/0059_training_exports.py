"""Training exports: what is planned, written and signed, and whose sessions are in them."""

import sqlalchemy as sa
from alembic import op

revision = "0059"
down_revision = "0058"


def upgrade() -> None:
    op.create_table(
        "training_exports",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("place", sa.String, nullable=False),
        sa.Column("format", sa.String, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
        sa.Column("by", sa.String, nullable=False),
        sa.Column("policy", sa.String, nullable=False),
        sa.Column("since", sa.DateTime(timezone=True)),
        sa.Column("shards", sa.Integer, nullable=False),
        sa.Column("entry", sa.Integer, nullable=False),
        sa.Column("document", sa.String),
        sa.Column("mac", sa.LargeBinary),
    )
    op.create_table(
        "training_shards",
        sa.Column("export", sa.String, sa.ForeignKey("training_exports.id"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("after", sa.String, nullable=False),
        sa.Column("last", sa.String, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("sha256", sa.String),
        sa.Column("facts", sa.String),
        sa.Column("unreadable", sa.Integer, nullable=False, server_default="0"),
    )
    op.create_table(
        "training_sessions",
        sa.Column("export", sa.String, sa.ForeignKey("training_exports.id"), primary_key=True),
        sa.Column("session", sa.String, primary_key=True),
        sa.Column("owner", sa.String, nullable=False),
        sa.Column("shard", sa.Integer, nullable=False),
        sa.Column("rows", sa.Integer, nullable=False),
        sa.Column("clause", sa.String, nullable=False),
        sa.Column("consent", sa.String, nullable=False),
        sa.Column("word", sa.Integer, nullable=False),
        sa.Column("left", sa.String),
        sa.Column("mac", sa.LargeBinary),
    )
    op.create_index("ix_training_sessions_owner", "training_sessions", ["owner", "export"])
    op.create_index("ix_training_sessions_session", "training_sessions", ["session"])

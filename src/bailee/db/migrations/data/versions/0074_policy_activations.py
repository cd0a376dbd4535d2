"""The policy documents that held, which held from when, and who has seen what changed."""

import sqlalchemy as sa
from alembic import op

from bailee.db.metadata import Moment

revision = "0074"
down_revision = "0072"


def _number(name: str, *, key: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, primary_key=key, autoincrement=False, nullable=False)


def upgrade() -> None:
    op.create_table(
        "policy_documents",
        sa.Column("sha256", sa.String, primary_key=True),
        sa.Column("version", sa.String, nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sa.Column("shipped", sa.Boolean, nullable=False),
    )
    op.create_table(
        "policy_activations",
        _number("number", key=True),
        sa.Column("at", Moment, nullable=False),
        sa.Column("document", sa.String, nullable=False),
        sa.Column("before", sa.String),
        sa.Column("by", sa.String, nullable=False),
        *(_number(name) for name in ("since", "sessions", "accounts", "told")),
        sa.Column("mac", sa.LargeBinary),
    )
    op.create_table(
        "policy_notices",
        sa.Column("account_id", sa.String, primary_key=True),
        _number("number", key=True),
    )
    op.create_table(
        "policy_seen",
        sa.Column("account_id", sa.String, primary_key=True),
        sa.Column("who", sa.String, primary_key=True),
        _number("number"),
        sa.Column("at", Moment, nullable=False),
    )
    op.add_column(
        "retention_moves",
        sa.Column("policy_number", sa.Integer, nullable=False, server_default="0"),
    )

"""Limits on what is used of models, what is reserved of them, and which models may be asked."""

import sqlalchemy as sa
from alembic import op

revision = "0066"
down_revision = "0065"


def _key(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.String, primary_key=True) for name in names]


def _amounts(*names: str) -> list[sa.Column[int]]:
    return [sa.Column(name, sa.BigInteger, nullable=False) for name in names]


def upgrade() -> None:
    op.create_table(
        "usage_limits",
        *_key("scope", "subject", "measure", "span"),
        *_amounts("amount"),
        sa.Column("mac", sa.LargeBinary),
    )
    op.create_table(
        "usage_windows",
        *_key("scope", "subject", "span"),
        sa.Column("start", sa.BigInteger, primary_key=True),
        *_amounts("requests", "tokens", "money"),
    )
    op.create_table(
        "usage_reservations",
        *_key("id", "scope", "subject"),
        *_amounts("until", "tokens", "money"),
    )
    op.create_index("ix_usage_reservations_subject", "usage_reservations", ["scope", "subject"])
    op.create_table(
        "usage_models",
        *_key("scope", "subject"),
        sa.Column("models", sa.String, nullable=False),
        sa.Column("mac", sa.LargeBinary),
    )

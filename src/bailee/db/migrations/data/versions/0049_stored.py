"""How much each account has on disk that is sealed; and how much it may.

What is there already is counted once: its ciphertext, and its rows by the reckoning of
`bailee.vault.stored`.
"""

import sqlalchemy as sa
from alembic import op

revision = "0049"
down_revision = "0047"


def upgrade() -> None:
    op.add_column("accounts", sa.Column("stored_mb", sa.Integer))
    op.create_table(
        "stored",
        sa.Column("owner", sa.String, primary_key=True),
        sa.Column("living", sa.Integer, nullable=False),
        sa.Column("gone", sa.Integer, nullable=False),
    )
    op.create_table(
        "unreclaimed",
        sa.Column("segment_id", sa.String, primary_key=True),
        sa.Column("owner", sa.String, primary_key=True),
        sa.Column("bytes", sa.Integer, nullable=False),
    )
    op.execute(
        "INSERT INTO stored (owner, living, gone) "
        "SELECT owner, SUM(bytes) + 500 * SUM(exchanges) + 1200 * COUNT(*), 0 "
        "FROM sessions GROUP BY owner"
    )
    op.execute(
        "UPDATE stored SET living = living + 100 * (SELECT COUNT(*) FROM prefixes "
        "JOIN sessions ON sessions.id = prefixes.session_id WHERE sessions.owner = stored.owner)"
    )

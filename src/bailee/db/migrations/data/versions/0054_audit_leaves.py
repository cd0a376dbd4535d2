"""Which leaf of the tree each entry of the audit record is. Those that are there become the first
leaves when the home is next opened.
"""

import sqlalchemy as sa
from alembic import op

revision = "0054"
down_revision = "0053"

_SAME = " AND ".join(f"NEW.{name} IS OLD.{name}" for name in ("leaf", "number", "salt", "digest"))


def upgrade() -> None:
    op.create_table(
        "audit_leaves",
        sa.Column("leaf", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("number", sa.Integer, sa.ForeignKey("audit.number"), nullable=False, unique=True),
        sa.Column("salt", sa.LargeBinary, nullable=False),
        sa.Column("digest", sa.LargeBinary),
        sa.Column("sealed_salt", sa.LargeBinary),
    )
    op.execute(
        "CREATE TRIGGER audit_leaves_no_delete BEFORE DELETE ON audit_leaves "
        "BEGIN SELECT RAISE(ABORT, 'audit_leaves is append-only'); END"
    )
    op.execute(
        "CREATE TRIGGER audit_leaves_no_update BEFORE UPDATE ON audit_leaves "
        f"WHEN NOT (NEW.sealed_salt IS NULL AND {_SAME}) "
        "BEGIN SELECT RAISE(ABORT, 'audit_leaves is append-only'); END"
    )

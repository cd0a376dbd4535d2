"""Particulars of the audit record that are somebody's lie sealed beside it; what an erasure looks
for.

The entries that are there keep their order and numbers. Those that may hold such particulars in the
clear are marked (`whose` is `?`): sealing them takes the keyring, so it is done when the home is
next opened (`bailee.node.old_entries`). From then on the table lets a sealed value be emptied and
refuses every other change.
"""

import sqlalchemy as sa
from alembic import op

revision = "0035"
down_revision = "0031"

_KINDS = (
    "access.read",
    "cloud.git",
    "cloud_network.added",
    "cloud_network.removed",
    "git_connection.added",
    "git_connection.removed",
    "report.changed",
)
_SAME = " AND ".join(
    f"NEW.{name} IS OLD.{name}" for name in ("number", "at", "kind", "subject", "body", "whose")
)


def upgrade() -> None:
    op.add_column("audit", sa.Column("whose", sa.String))
    op.add_column("audit", sa.Column("sealed", sa.LargeBinary))
    op.add_column("erasures", sa.Column("traces", sa.LargeBinary))
    op.execute("DROP TRIGGER audit_no_update")
    kinds = ", ".join(f"'{kind}'" for kind in _KINDS)
    op.execute(f"UPDATE audit SET whose = '?' WHERE kind IN ({kinds})")  # noqa: S608
    op.create_index("ix_audit_whose", "audit", ["whose"])
    op.execute(
        "CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit "
        f"WHEN OLD.whose IS NOT '?' AND NOT (NEW.sealed IS NULL AND {_SAME}) "
        "BEGIN SELECT RAISE(ABORT, 'audit is append-only'); END"
    )

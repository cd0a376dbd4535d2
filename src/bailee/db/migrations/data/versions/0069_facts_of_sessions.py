"""What a policy decides about sessions by, in one index, so that sessions can be counted by it."""

from alembic import op

revision = "0069"
down_revision = "0067"


def upgrade() -> None:
    op.create_index(
        "ix_sessions_facts",
        "sessions",
        ["owner", "plan", "channel", "uses", "data_class", "last_consent"],
    )

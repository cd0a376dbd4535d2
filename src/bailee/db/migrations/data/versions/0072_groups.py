"""Groups of a provider: the rules of what they give, what they gave to whom, and use by team."""

import sqlalchemy as sa
from alembic import op

from bailee.db.metadata import Moment

revision = "0072"
down_revision = "0070"

_BEFORE_TEAM = ("account", "person", "organisation")
_BEHIND_TEAM = ("key_id", "client", "model", "channel")
_SUMS = (
    "requests", "errors", "refused", "aborted", "estimated", "unpriced", "input", "output",
    "cache_read", "cache_write_5m", "cache_write_1h", "thinking", "money", "milliseconds",
    "slowest",
)  # fmt: skip


def upgrade() -> None:
    op.create_table(
        "group_rules",
        sa.Column(
            "organisation_id", sa.String, sa.ForeignKey("organisations.id"), primary_key=True
        ),
        *(sa.Column(name, sa.String, nullable=False) for name in ("claim", "scope", "rules")),
        sa.Column("mac", sa.LargeBinary),
    )
    op.create_table(
        "group_grants",
        sa.Column(
            "organisation_id", sa.String, sa.ForeignKey("organisations.id"), primary_key=True
        ),
        sa.Column("person_id", sa.String, sa.ForeignKey("persons.id"), primary_key=True),
        sa.Column("provider_id", sa.String, sa.ForeignKey("organisations.id"), nullable=False),
        *(sa.Column(name, sa.String) for name in ("role", "rule", "team", "team_rule")),
        sa.Column("since", Moment, nullable=False),
        sa.Column("mac", sa.LargeBinary),
    )
    op.create_index("ix_group_grants_person_id", "group_grants", ["person_id"])
    op.create_table(
        "sign_in_terms",
        sa.Column(
            "organisation_id", sa.String, sa.ForeignKey("organisations.id"), primary_key=True
        ),
        sa.Column("provider_only", sa.Boolean, nullable=False),
        sa.Column("mac", sa.LargeBinary),
    )
    op.create_table(
        "service_accounts",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("organisation_id", sa.String, sa.ForeignKey("organisations.id"), nullable=False),
        sa.Column("key_id", sa.String, sa.ForeignKey("api_keys.id"), nullable=False),
        *(sa.Column(name, sa.String, nullable=False) for name in ("issuer", "audience", "claims")),
        sa.Column("created_at", Moment, nullable=False),
        sa.Column("mac", sa.LargeBinary),
    )
    op.create_index("ix_service_accounts_organisation_id", "service_accounts", ["organisation_id"])
    _count_by_team()


def _count_by_team() -> None:
    """SQLite changes no table's key: it is made anew, and what was counted is taken into it."""
    op.drop_index("ix_usage_counts_person", "usage_counts")
    op.drop_index("ix_usage_counts_until", "usage_counts")
    op.rename_table("usage_counts", "usage_counts_before")
    keyed = (*_BEFORE_TEAM, "team", *_BEHIND_TEAM)
    op.create_table(
        "usage_counts",
        sa.Column("hour", sa.BigInteger, primary_key=True),
        *(sa.Column(name, sa.String, primary_key=True) for name in keyed),
        sa.Column("own", sa.Integer, primary_key=True),
        sa.Column("until", sa.BigInteger, nullable=False),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in _SUMS),
    )
    names = ", ".join(("hour", *_BEFORE_TEAM, *_BEHIND_TEAM, "own", "until", *_SUMS))
    taken = f"SELECT {names}, '' FROM usage_counts_before"  # noqa: S608 - names of ours
    op.execute(f"INSERT INTO usage_counts ({names}, team) {taken}")
    op.drop_table("usage_counts_before")
    op.create_index("ix_usage_counts_until", "usage_counts", ["until"])
    op.create_index("ix_usage_counts_person", "usage_counts", ["person", "hour"])

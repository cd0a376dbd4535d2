"""Tokens of organisations' providers, whom they made known here, and their groups."""

import sqlalchemy as sa
from alembic import op

from bailee.db.metadata import Moment

revision = "0095"
down_revision = "0092"

_ORGANISATION = "organisations.id"
_PERSON = "persons.id"


def upgrade() -> None:
    """None is there yet."""
    op.create_table(
        "provisioning_tokens",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("organisation_id", sa.String, sa.ForeignKey(_ORGANISATION), nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("created_at", Moment, nullable=False),
        sa.Column("used_at", Moment),
        sa.Column("mac", sa.LargeBinary),
        sa.UniqueConstraint("digest", name="uq_provisioning_tokens_digest"),
    )
    op.create_index(
        "ix_provisioning_tokens_organisation_id", "provisioning_tokens", ["organisation_id"]
    )
    op.create_table(
        "provisioned_people",
        sa.Column("organisation_id", sa.String, sa.ForeignKey(_ORGANISATION), primary_key=True),
        sa.Column("person_id", sa.String, sa.ForeignKey(_PERSON), primary_key=True),
        sa.Column("user_name", sa.LargeBinary),
        sa.Column("user_name_index", sa.LargeBinary),
        sa.Column("external_id", sa.LargeBinary),
        sa.Column("external_id_index", sa.LargeBinary),
        sa.Column("made", sa.Boolean, nullable=False),
        sa.Column("created_at", Moment, nullable=False),
        sa.Column("changed_at", Moment, nullable=False),
        sa.Column("mac", sa.LargeBinary),
    )
    op.create_index("ix_provisioned_people_person_id", "provisioned_people", ["person_id"])
    op.create_index(
        "ix_provisioned_people_user_name",
        "provisioned_people",
        ["organisation_id", "user_name_index"],
        unique=True,
    )
    op.create_table(
        "provisioned_groups",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("organisation_id", sa.String, sa.ForeignKey(_ORGANISATION), nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("external_id", sa.String),
        sa.Column("created_at", Moment, nullable=False),
        sa.Column("changed_at", Moment, nullable=False),
        sa.Column("mac", sa.LargeBinary),
    )
    op.create_index(
        "ix_provisioned_groups_organisation_id", "provisioned_groups", ["organisation_id"]
    )
    op.create_table(
        "provisioned_members",
        sa.Column("group_id", sa.String, sa.ForeignKey("provisioned_groups.id"), primary_key=True),
        sa.Column("person_id", sa.String, sa.ForeignKey(_PERSON), primary_key=True),
        sa.Column("mac", sa.LargeBinary),
    )
    op.create_index("ix_provisioned_members_person_id", "provisioned_members", ["person_id"])

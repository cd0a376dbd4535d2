"""Tables of the training exports: what was planned, what was written, and whose it is.

They hold no content: ids, and how many rows there are of what. A session's id stands here and in no
dataset; what stands there is a commitment, which this home alone can lead back.
"""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, String, Table

from bailee.db.metadata import Moment, check, data
from bailee.db.portable import Whole

training_exports = Table(
    "training_exports",
    data,
    Column("id", String, primary_key=True),
    Column("place", String, nullable=False),
    Column("format", String, nullable=False),
    Column("state", String, nullable=False),
    Column("began_at", Moment, nullable=False),
    Column("finished_at", Moment),
    Column("by", String, nullable=False),
    Column("policy", String, nullable=False),
    Column("since", Moment),
    Column("shards", Whole, nullable=False),
    Column("entry", Whole, nullable=False),
    Column("document", String),
    Column("names_model", String),
    check(),
)
"""`place`: the dataset's folder. `state`: `planning`, `writing` or `signed`. `policy`: the
document's hash. `since`: sessions that were not active since are not in it. `entry`: the number of
the entry of the audit record that it began with. `document`: SHA-256 of its manifest.
`names_model`: the digest of the model that found names; NULL: none was asked for."""

training_shards = Table(
    "training_shards",
    data,
    Column("export", ForeignKey("training_exports.id"), primary_key=True),
    Column("number", Whole, primary_key=True),
    Column("after", String, nullable=False),
    Column("last", String, nullable=False),
    Column("state", String, nullable=False),
    Column("sha256", String),
    Column("facts", String),
    Column("unreadable", Whole, nullable=False, server_default="0"),
)
"""The sessions of a shard have ids that come after `after`, up to `last`; both are empty once the
export is signed. `state`: `planned` or `written`. `sha256`: of its file as a worker left it, and
`facts`: of what the worker says of its rows. `unreadable`: how many sessions could not
be read."""

training_sessions = Table(
    "training_sessions",
    data,
    Column("export", ForeignKey("training_exports.id"), primary_key=True),
    Column("session", String, primary_key=True),
    Column("owner", String, nullable=False),
    Column("shard", Whole, nullable=False),
    Column("rows", Whole, nullable=False),
    Column("clause", String, nullable=False),
    Column("consent", String, nullable=False),
    Column("word", Whole, nullable=False),
    Column("left", String),
    check(),
)
"""The sessions whose rows are in an export. `consent`: the consent record that allowed it, and
`word` its number (empty and 0: the policy asked for none). `left`: why it was taken out before the
manifest was signed; None: it is in."""

Index("ix_training_sessions_owner", training_sessions.c.owner, training_sessions.c.export)
Index("ix_training_sessions_session", training_sessions.c.session)

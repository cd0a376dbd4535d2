"""Tables of the vault's index: where the ciphertext of each exchange lies and until when.

Nothing here is derived from content, but for digests: those of `exchanges.places` are keyed by the
session's own key and become noise with it; those of `conversation_links` and `tombstones` are
keyed by secrets of the home, and go with the session, or 30 days after they were last met. What a
session is found by (`session_words`) is sealed under its key.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    Column,
    ColumnElement,
    Float,
    ForeignKey,
    Index,
    LargeBinary,
    ScalarSelect,
    String,
    Table,
    select,
)

from bailee.db.metadata import SUMMED_UP, UNCHECKED, Moment, check, data
from bailee.db.portable import Whole

sessions = Table(
    "sessions",
    data,
    Column("id", String, primary_key=True),
    Column("owner", String, nullable=False),
    Column("client_session", LargeBinary),
    Column("data_class", String, nullable=False),
    Column("plan", String, nullable=False),
    Column("channel", String, nullable=False),
    Column("key_id", String, nullable=False),
    Column("started", Moment, nullable=False),
    Column("last_activity", Moment, nullable=False),
    Column("last_request", Moment, nullable=False),
    Column("uses", String, nullable=False),
    Column("exchanges", Whole, nullable=False),
    Column("bytes", Whole, nullable=False),
    Column("expires_at", Moment, nullable=False, index=True),
    Column("period", String, nullable=False),
    Column("clause", String, nullable=False),
    Column("document", String, nullable=False),
    Column("input_tokens", Whole, nullable=False),
    Column("output_tokens", Whole, nullable=False),
    Column("cache_creation_input_tokens", Whole, nullable=False),
    Column("cache_read_input_tokens", Whole, nullable=False),
    Column("last_consent", Whole, nullable=False, server_default="0"),
    Column("kept_until", Moment),
    Column("number", Whole, nullable=False, server_default="0"),
    check(),
)
"""One row a session. `number`: by which rows of other tables refer to it; none has that of another,
or of one that is gone and of which such a row is left. `client_session`: a keyed digest of the id
that the client gave it. `key_id`: the API key it was last used with. `last_request`: when the
latest of its requests began. `uses`: every `plan/channel` it was used with, sorted, spaces between.
`exchanges` counts what is indexed, and numbers the next. `last_consent`: the highest number of a
choice of its owner's that held when a request of it began; 0: none. `kept_until`: the day until
which its person keeps it beyond its time, by the act in `kept_sessions`; `expires_at` is the later
of the two."""

Index("ix_sessions_number", sessions.c.number)
Index("ix_sessions_client_session", sessions.c.client_session)
Index("ix_sessions_owner", sessions.c.owner, sessions.c.id)
Index("ix_sessions_latest", sessions.c.last_activity.desc(), sessions.c.id)
Index("ix_sessions_owner_latest", sessions.c.owner, sessions.c.last_activity.desc(), sessions.c.id)

session_facts = Table(
    "session_facts",
    data,
    Column("owner", String, primary_key=True),
    Column("plan", String, primary_key=True),
    Column("channel", String, primary_key=True),
    Column("uses", String, primary_key=True),
    Column("data_class", String, primary_key=True),
    Column("last_consent", Whole, primary_key=True, autoincrement=False),
    Column("sessions", Whole, nullable=False),
    info=SUMMED_UP,
    sqlite_with_rowid=False,
)
"""How many sessions an owner has of which a policy decides by the same. The database keeps it
(`db.counting`). It decides nothing."""

session_ends = Table(
    "session_ends",
    data,
    Column("data_class", String, primary_key=True),
    Column("plan", String, primary_key=True),
    Column("half_hour", String, primary_key=True),
    Column("sessions", Whole, nullable=False),
    Column("exchanges", Whole, nullable=False),
    Column("bytes", Whole, nullable=False),
    Column("kept", Whole, nullable=False),
    info=SUMMED_UP,
    sqlite_with_rowid=False,
)
"""How much there is that goes in a half hour: sessions, their exchanges and bytes, and how many of
them their person keeps. `half_hour`: that of `expires_at`, as `2026-01-31 12:30`. Likewise."""

kept_sessions = Table(
    "kept_sessions",
    data,
    Column("session_id", ForeignKey("sessions.id"), primary_key=True),
    Column("owner", String, nullable=False, index=True),
    Column("by", String, nullable=False),
    Column("since", Moment, nullable=False),
    Column("until", Moment, nullable=False),
    Column("period", String, nullable=False),
    Column("clause", String, nullable=False),
    Column("document", String, nullable=False),
    Column("state", String, nullable=False, index=True),
    Column("released_at", Moment),
    check(),
)
"""The latest act by which somebody keeps a session beyond its time: who, since when, until when, by
which clause of which document. `state`: `keeping`, `kept`, `releasing` or `released`; what is under
way is finished by the next sweep. The row goes with its session's."""

segments = Table(
    "segments",
    data,
    Column("id", String, primary_key=True),
    Column("data_class", String, nullable=False),
    Column("expiry_day", String, nullable=False),
    Column("opened_at", Moment, nullable=False),
    Column("length", Whole, nullable=False),
    Column("state", String, nullable=False, index=True),
)
"""Files of records. `state`: `open` (local, appended to; `length` is how much of it counts) or
`shipped` (in the object store, never changed)."""

exchanges = Table(
    "exchanges",
    data,
    Column("session", Whole, primary_key=True),
    Column("number", Whole, primary_key=True),
    Column("id", String, nullable=False),
    Column("segment_id", ForeignKey("segments.id"), nullable=False, index=True),
    Column("offset", Whole, nullable=False),
    Column("length", Whole, nullable=False),
    Column("exchange_id", String, nullable=False),
    Column("started", Float, nullable=False),
    Column("ended", Float, nullable=False),
    Column("outcome", String, nullable=False),
    Column("status", Whole, nullable=False),
    Column("places", LargeBinary, info=UNCHECKED),
    check(),
)
"""One row a record. `session`: the number of its session's row; `id` is the record's own (bound
into its ciphertext); `started`, `ended` are Unix seconds. `places`: what the session has had from
this exchange on, each with a check of its own (`vault.places`)."""

OF_A_RECORD: Final[tuple[Column[object], ...]] = tuple(
    column for column in exchanges.c if column.name not in ("session", "places", "mac")
)
"""What the index says of a record, but for whose it is."""

session_words = Table(
    "session_words",
    data,
    Column("session", Whole, primary_key=True, autoincrement=False),
    Column("covers", Whole, nullable=False),
    Column("whole", Whole, nullable=False),
    Column("about", LargeBinary, nullable=False),
    Column("words", LargeBinary, nullable=False),
)
"""What a session is found by and told by, sealed under its own key (`vault.session_words`); made of
its records, and made anew where it is lost. `session`: the number of its session's row; `covers`:
how many of its exchanges; `whole`: whether all their words are among them, 0 or 1. It decides
nothing."""

conversation_links = Table(
    "conversation_links",
    data,
    Column("number", Whole, primary_key=True, autoincrement=True),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("session_id", ForeignKey("sessions.id"), nullable=False, index=True),
    sqlite_autoincrement=True,
)
"""By what an exchange is known to go on with a session when its client does not say so: keyed
digests, the latest of all (`vault.conversations`). They decide where an exchange is filed."""

stored = Table(
    "stored",
    data,
    Column("owner", String, primary_key=True),
    Column("living", Whole, nullable=False),
    Column("gone", Whole, nullable=False),
    check(),
)
"""How many bytes on disk each account has that are sealed: of what is kept, and of what was
deleted and lies in a segment still. They decide nothing of what is kept, or for how long."""

unreclaimed = Table(
    "unreclaimed",
    data,
    Column("segment_id", String, primary_key=True),
    Column("owner", String, primary_key=True),
    Column("bytes", Whole, nullable=False),
)
"""Where what is `gone` lies."""

spool_positions = Table(
    "spool_positions",
    data,
    Column("file", String, primary_key=True),
    Column("next", Whole, nullable=False),
    Column("ahead", LargeBinary),
    check(),
)
"""What of a spool file has been sealed: its first `next` frames are in the index, and of those
beyond, the ones that `ahead` has a bit for (`vault.progress`)."""

departed_sessions = Table(
    "departed_sessions",
    data,
    Column("digest", LargeBinary, primary_key=True),
    Column("until", Whole, index=True),
    sqlite_with_rowid=False,
)
"""Keyed digests of the ids of sessions that are gone, so that no id is used twice. `until`: the
first day, counted from 1970, on which it goes (`vault.departing`); NULL: it stays, since something
names the session by its id for ever."""

tombstones = Table(
    "tombstones",
    data,
    Column("digest", LargeBinary, primary_key=True),
    Column("owner", String, nullable=False, index=True),
    Column("until", Moment, nullable=False),
    Column("again", LargeBinary, index=True),
    check(),
)
"""Keyed digests of what was deleted: of the id that a client gave a session, and of how its
conversations began. Nothing that goes on with it is kept `until` then. `again`: the digest once
more, by which it is found where the other is not what was written."""

unkept = Table(
    "unkept",
    data,
    Column("owner", String, primary_key=True),
    Column("clause", String, primary_key=True),
    Column("exchanges", Whole, nullable=False),
    Column("since", Moment, nullable=False),
    Column("last", Moment, nullable=False),
)
"""How many exchanges of an owner's went on with what they had deleted, and were not kept, by which
clause; when the first and the last of them came. It decides nothing."""

receipts = Table(
    "receipts",
    data,
    Column("id", String, primary_key=True),
    Column("kind", String, nullable=False),
    Column("subject", String, nullable=False, index=True),
    Column("state", String, nullable=False, index=True),
    Column("requested_at", Moment, nullable=False),
    Column("inaccessible_at", Moment),
    Column("deferred_at", Moment),
    Column("key_destroyed_at", Moment),
    Column("backups_unrecoverable_at", Moment),
    Column("reclaimed_at", Moment),
    Column("owner", String),
    Column("part_of", String, index=True),
    Column("generation", Whole),
    Column("data_class", String, nullable=False, server_default="transcript"),
    Column("by", String),
    check(),
)
"""Proofs of destruction. `kind`: `erasure` or `held_expiry` (subject: a session's id), `expiry`
(subject: a KEK's id), or one of reports and cloud sessions (subject: such an id). `state`: the last
of the moments that has come. `owner`: whose it was. `part_of`: the erasure of a person that this is
a part of. `generation`: the root's newest when the key had been destroyed. `data_class`: of what
was destroyed. `by`: who asked, if time did not."""

_latest = (receipts.c.requested_at.desc(), receipts.c.id)
Index("ix_receipts_requested_at", *_latest)
Index("ix_receipts_owner_requested_at", receipts.c.owner, *_latest)

receipt_segments = Table(
    "receipt_segments",
    data,
    Column("receipt_id", ForeignKey("receipts.id"), primary_key=True),
    Column("segment_id", String, primary_key=True, index=True),
)
"""Segments that still hold ciphertext that a receipt covers."""

receipt_owners = Table(
    "receipt_owners",
    data,
    Column("owner", String, primary_key=True),
    Column("receipt_id", ForeignKey("receipts.id"), primary_key=True),
    Column("requested_at", Moment, nullable=False),
)
"""Whose it was that a receipt covers, where it was not one owner's alone: sessions under one KEK.
They show receipts to those whom they are about, and decide nothing."""

Index(
    "ix_receipt_owners_latest",
    receipt_owners.c.owner,
    receipt_owners.c.requested_at.desc(),
    receipt_owners.c.receipt_id,
)

retention_moves = Table(
    "retention_moves",
    data,
    Column("id", Whole, primary_key=True, autoincrement=True),
    Column("owner", String, nullable=False, index=True),
    Column("choice_at", Moment),
    Column("requested_at", Moment, nullable=False),
    Column("total", Whole, nullable=False),
    Column("seen", Whole, nullable=False),
    Column("moved", Whole, nullable=False),
    Column("seen_to", String, nullable=False),
    Column("finished_at", Moment, index=True),
    Column("policy_number", Whole, nullable=False, server_default="0"),
    check(),
    sqlite_autoincrement=True,
)
"""Sessions that are to be looked at because their owner chose (at `choice_at`), or another policy
document came to hold (`policy_number`: since which entry, 0: the first). `seen_to`: the id
of the last session that was; of `total` at the beginning, `seen` were, and `moved` had to be."""

holds = Table(
    "holds",
    data,
    Column("id", String, primary_key=True),
    Column("subject", String, nullable=False, index=True),
    Column("reason", String, nullable=False),
    Column("state", String, nullable=False, index=True),
    Column("requested_at", Moment, nullable=False),
    Column("placed_at", Moment),
    Column("released_at", Moment),
    check(),
)
"""Legal holds, each on one session, report or cloud session, whose id `subject` is. `state`:
`placing`, `placed`, `releasing`, `released`, or `void` (the keys were gone before the hold could
take them)."""

erasures = Table(
    "erasures",
    data,
    Column("id", String, primary_key=True),
    Column("person_id", String, nullable=False, unique=True),
    Column("account_id", String),
    Column("state", String, nullable=False, index=True),
    Column("requested_by", String, nullable=False),
    Column("requested_at", Moment, nullable=False),
    Column("finished_at", Moment),
    Column("receipt", String),
    Column("traces", LargeBinary),
    check(),
)
"""Persons who are or were being erased. `state`: `requested`, `deferred` (all is done that no hold
keeps from being done) or `done`. `receipt`: the signed record, once there is one. `traces`: what is
looked for at the end, sealed under a key of the erasure's own, which is destroyed then."""

Index("ix_erasures_requested_at", erasures.c.requested_at.desc(), erasures.c.id)


def number_of(session_id: ColumnElement[str]) -> ScalarSelect[int]:
    """The number of the session that has an id, for a condition on `exchanges.session`."""
    return select(sessions.c.number).where(sessions.c.id == session_id).scalar_subquery()

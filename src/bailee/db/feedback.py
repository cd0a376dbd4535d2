"""Tables of feedback: where each bug report lies and until when, and the survey's counts.

Nothing here is content. A report's issue is a public address; the survey has a number for each day,
version and answer, and no row for anybody's.
"""

from __future__ import annotations

from sqlalchemy import Column, LargeBinary, String, Table

from bailee.db.metadata import Moment, check, data
from bailee.db.portable import Whole

feedback_reports = Table(
    "feedback_reports",
    data,
    Column("id", String, primary_key=True),
    Column("account_id", String, nullable=False, index=True),
    Column("person_id", String, index=True),
    Column("key_id", String, nullable=False),
    Column("sent_as", LargeBinary, unique=True),
    Column("parts", String, nullable=False),
    Column("bytes", Whole, nullable=False),
    Column("received_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False, index=True),
    Column("period", String, nullable=False),
    Column("clause", String, nullable=False),
    Column("document", String, nullable=False),
    Column("state", String, nullable=False, index=True),
    Column("issue", String),
    Column("changed_at", Moment),
    check(),
)
"""One row a report. `sent_as`: a keyed digest of what the client calls it, so that sending it again
makes no second one. `parts`: their names, spaces between. `state`: `arriving` (its bytes are not
durable yet), `open`, `linked` (to `issue`, an address) or `closed`."""

survey_counts = Table(
    "survey_counts",
    data,
    Column("day", String, primary_key=True),
    Column("version", String, primary_key=True),
    Column("answer", String, primary_key=True),
    Column("count", Whole, nullable=False),
)
"""How often each answer was given on a day with a version of a client."""
